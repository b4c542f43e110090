"""The steps that make a release live, in their order: the table of contents of a deploy."""

from __future__ import annotations

from ..transaction import Step
from .compatibility import require_compatibility
from .database import back_up, migrate
from .examining import examine
from .obtaining import choose_target, copy_live_release, unpack_release
from .preparing import check_hot_fixes, check_room, tidy
from .pruning import delete, prune
from .repairing import repair
from .restoring import (
    choose_dump,
    close_site,
    conclude,
    require_acceptance,
    restore_beside,
    swap,
    switch_over,
)
from .starting import probe, start_web, start_worker
from .switching import check_live, drain, hand_over, restart_beat, retire, settle, switch
from .virtual_environment import build_environment

TIDY = Step("tidy", tidy)
START = (Step("start", start_web), Step("probe", probe))
WORKER = Step("worker", start_worker)
LIVE = Step("live", check_live)
# Visitors get the release, and every task too.
HAND_OVER = Step("hand over", hand_over)
SWITCH = (HAND_OVER, Step("switch", switch), LIVE)
BEAT = Step("beat", restart_beat)
SETTLE = Step("settle", settle)
CLEAN_UP = (Step("retire", retire, required=False), Step("prune", prune, required=False))
# What is left to do when `current` names the release.
FINISH = (BEAT, SETTLE, *CLEAN_UP)
DEPLOY = (
    TIDY,
    Step("room", check_room),
    Step("unpack", unpack_release),
    Step("environment", build_environment),
    Step("check", examine),
    Step("compatibility", require_compatibility),
    Step("backup", back_up),
    Step("migrate", migrate),
    *START,
    WORKER,
    *SWITCH,
    *FINISH,
)
# Whoever rolls back is in a hurry, so visitors go first. The tasks of the release that they leave are done
# by its own worker: the older one may not know them.
ROLLBACK = (
    Step("repair", repair),
    Step("target", choose_target),
    *START,
    Step("switch", switch),
    LIVE,
    Step("drain", drain),
    HAND_OVER,
    WORKER,
    *FINISH,
)
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
    LIVE,
    WORKER,
    BEAT,
    SETTLE,
    Step("conclude", conclude, required=False),
    *CLEAN_UP,
)
RESTART = (TIDY, Step("copy", copy_live_release), *START, WORKER, *SWITCH, *FINISH)
# For a run that was killed after the switch.
RESUME = (LIVE, WORKER, *FINISH)
HOT_FIXES = Step("hot fixes", check_hot_fixes)
DELETE = (Step("delete", delete),)
PRUNE = (Step("prune", prune),)
