"""The steps that make a release live, in their order: the table of contents of a deploy."""

from __future__ import annotations

from ..transaction import Step
from .compatibility import require_compatibility
from .database import back_up, migrate
from .examining import examine
from .obtaining import choose_target, copy_live_release, unpack_release
from .preparing import check_room, tidy
from .pruning import prune
from .restoring import (
    choose_dump,
    close_site,
    conclude,
    repair,
    require_acceptance,
    restore_beside,
    swap,
    switch_over,
)
from .starting import probe, start_web, start_worker
from .switching import check_live, drain, restart_beat, settle, switch
from .virtual_environment import build_environment

TIDY = Step("tidy", tidy)
# What is left to do when `current` names the new release.
FINISH = (
    Step("live", check_live),
    Step("beat", restart_beat),
    Step("settle", settle),
    Step("drain", drain, required=False),
    Step("prune", prune, required=False),
)
# What makes a release live, however it came to be there.
GO_LIVE = (
    Step("start", start_web),
    Step("probe", probe),
    Step("worker", start_worker),
    Step("switch", switch),
    *FINISH,
)
DEPLOY = (
    TIDY,
    Step("room", check_room),
    Step("unpack", unpack_release),
    Step("environment", build_environment),
    Step("check", examine),
    Step("compatibility", require_compatibility),
    Step("backup", back_up),
    Step("migrate", migrate),
    *GO_LIVE,
)
ROLLBACK = (Step("repair", repair), Step("target", choose_target), *GO_LIVE)
# The worker starts last: the tasks of visitors who wait for the page can wait too.
RESTORE = (
    TIDY,
    Step("target", choose_target),
    Step("dump", choose_dump),
    Step("restore", restore_beside),
    Step("compare", require_acceptance),
    Step("start", start_web),
    Step("close", close_site),
    Step("swap", swap),
    Step("probe", probe),
    Step("switch", switch_over),
    Step("live", check_live),
    Step("worker", start_worker),
    Step("beat", restart_beat),
    Step("settle", settle),
    Step("conclude", conclude, required=False),
    Step("drain", drain, required=False),
    Step("prune", prune, required=False),
)
RESTART = (TIDY, Step("copy", copy_live_release), *GO_LIVE)
