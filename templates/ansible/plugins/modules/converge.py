"""
Brings files and systemd units to a wanted state, all in one run on the host.

Ansible's own modules look after one file or one unit each, and every run of a module costs a quarter of a
second and several round trips. This one takes the list of what belongs together: the files of a service and
the service itself. It remembers nothing between runs: what has to be restarted is found by comparing the time
of the files with the time when the unit came up, so the next run makes up for one that was cut off half-way.
"""

from __future__ import annotations

import base64
import grp
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: converge
short_description: Brings files and systemd units to a wanted state in one run
description:
  - Compares files and units with what is wanted and changes only what differs. Supports check mode and diff.
  - Contents come from the controller, through C(lookup('ansible.builtin.template', ...)) for example.
options:
  files:
    description: What there is to be, in order. Each has exactly one kind.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      content:
        description: "Kind: a file with this content."
        type: str
      base64_content:
        description: "Kind: the same, for a file that is no text; its content comes in base64."
        type: str
      secret_content:
        description: "Kind: a file with this content, which is shown in no diff and no log."
        type: str
      block:
        description: "Kind: these lines between markers, in a file that others write to as well. Empty: none."
        type: str
      link:
        description: "Kind: a symbolic link to this path."
        type: str
      directory:
        description: "Kind: a directory."
        type: bool
      absent:
        description: "Kind: nothing."
        type: bool
      created_by:
        description: "Kind: a file that this command makes if it is missing."
        type: list
        elements: str
      owner:
        description: Owner.
        type: str
        default: root
      group:
        description: Group.
        type: str
        default: root
      mode:
        description: Mode in octal. Without it 0644, and 0755 for a directory.
        type: str
      backup:
        description: Keeps the version before a change beside the file.
        type: bool
        default: false
      only_if_missing:
        description: Leaves a file that is there alone.
        type: bool
        default: false
      validate:
        description: Command that must accept the new content before it is put in place; C(%s) is its path.
        type: list
        elements: str
      marker:
        description: What follows C(# BEGIN) and C(# END) around a block.
        type: str
      prepend:
        description: Puts a new block first in the file, not last.
        type: bool
        default: false
  check:
    description: Command that must accept all files together. When it does not, they are put back.
    type: list
    elements: str
  units:
    description: systemd units, in order.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name with its suffix.
        type: str
        required: true
      state:
        description: Whether it runs.  C(any) leaves that alone.
        type: str
        choices: [started, stopped, any]
        default: started
      enabled:
        description: Whether it starts with the host. Left alone if not given.
        type: bool
      restart_after:
        description: Files and directories that a running unit must be younger than.
        type: list
        elements: path
        default: []
      reload_after:
        description: The same, but a reload is enough.
        type: list
        elements: path
        default: []
      wait:
        description: Waits until the unit has started.
        type: bool
        default: true
"""

RETURN = r"""
actions:
  description: What was done, or would be in check mode, in words.
  returned: always
  type: list
  elements: str
"""

FILE_OPTIONS: dict[str, dict[str, Any]] = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str"},
    "base64_content": {"type": "str"},
    "secret_content": {"type": "str", "no_log": True},
    "block": {"type": "str"},
    "link": {"type": "str"},
    "directory": {"type": "bool"},
    "absent": {"type": "bool"},
    "created_by": {"type": "list", "elements": "str"},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str"},
    "backup": {"type": "bool", "default": False},
    "only_if_missing": {"type": "bool", "default": False},
    "validate": {"type": "list", "elements": "str"},
    "marker": {"type": "str"},
    "prepend": {"type": "bool", "default": False},
}
KINDS = ("content", "base64_content", "secret_content", "block", "link", "directory", "absent", "created_by")

UNIT_OPTIONS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["started", "stopped", "any"], "default": "started"},
    "enabled": {"type": "bool"},
    "restart_after": {"type": "list", "elements": "path", "default": []},
    "reload_after": {"type": "list", "elements": "path", "default": []},
    "wait": {"type": "bool", "default": True},
}

UNIT_DIRECTORY = "/etc/systemd/system/"
ENABLED = ("enabled", "enabled-runtime", "static", "alias", "generated", "indirect")


class ConvergeError(Exception):
    """What could not be done, in words for whoever runs the playbook."""


@dataclass
class Outcome:
    """What a run has done so far."""

    check_mode: bool
    actions: list[str] = field(default_factory=list)
    diffs: list[dict[str, str]] = field(default_factory=list)


def run(command: list[str]) -> str:
    """What a command prints. Raises an error with what it complains about."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise ConvergeError(f"{command[0]} cannot be started: {error.strerror}") from error
    if result.returncode != 0:
        said = (result.stderr.strip() or result.stdout.strip()) or f"exit status {result.returncode}"
        raise ConvergeError(f"{' '.join(command)}: {said}")
    return result.stdout


# Files


@dataclass
class Before:
    """What was at a path, so that it can be put back."""

    path: Path
    status: os.stat_result | None
    data: bytes | None = None
    target: str | None = None

    @classmethod
    def of(cls, path: Path) -> Before:
        """Looks at a path without following a link."""
        try:
            status = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return cls(path, None)
        if stat.S_ISLNK(status.st_mode):
            return cls(path, status, target=str(path.readlink()))
        if stat.S_ISREG(status.st_mode):
            return cls(path, status, data=path.read_bytes())
        return cls(path, status)

    @property
    def is_directory(self) -> bool:
        """Whether a real directory was there."""
        return self.status is not None and stat.S_ISDIR(self.status.st_mode)

    def has(self, owner: tuple[int, int], mode: int) -> bool:
        """Whether owner and mode were these."""
        status = self.status
        return status is not None and (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (
            *owner,
            mode,
        )

    def put_back(self) -> None:
        """Makes the path what it was."""
        if self.is_directory:
            return
        if self.status is None:
            remove(self.path)
        elif self.target is not None:
            put_link(self.path, self.target)
        elif self.data is not None:
            owner = (self.status.st_uid, self.status.st_gid)
            put_file(self.path, self.data, owner, stat.S_IMODE(self.status.st_mode), None)
            # Its time too: it says whether a service has read the file.
            os.utime(self.path, ns=(self.status.st_atime_ns, self.status.st_mtime_ns))


def remove(path: Path) -> None:
    """Removes a file or link, or an empty directory."""
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def put_file(path: Path, data: bytes, owner: tuple[int, int], mode: int, validate: list[str] | None) -> None:
    """Replaces a file in one step, so that nobody ever reads half of it."""
    if path.is_dir() and not path.is_symlink():
        raise ConvergeError(f"{path} is a directory, but must be a file: move it away.")
    # A dot first: what includes a whole directory leaves it out.
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        if validate:
            run([argument.replace("%s", name) for argument in validate])
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def put_link(path: Path, target: str) -> None:
    """Replaces a link in one step."""
    if path.is_dir() and not path.is_symlink():
        raise ConvergeError(f"{path} is a directory, but must be a link to {target}: move it away.")
    new = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    new.symlink_to(target)
    new.replace(path)


def with_block(text: str, block: str, marker: str, prepend: bool) -> str:
    """The text with the lines between the markers being these; without any, when the block is empty."""
    begin, end = f"# BEGIN {marker}", f"# END {marker}"
    lines = text.splitlines()
    wanted = [begin, *block.splitlines(), end] if block.strip() else []
    if begin in lines and end in lines[lines.index(begin) :]:
        first = lines.index(begin)
        last = lines.index(end, first)
        lines[first : last + 1] = wanted
    elif prepend:
        lines = wanted + lines
    else:
        lines = lines + wanted
    return "".join(f"{line}\n" for line in lines)


class Files:
    """Brings files to their wanted state, and can put them all back."""

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self.changed: list[Before] = []

    def put(self, wanted: dict[str, Any]) -> None:
        """Brings one file to its wanted state."""
        kinds = [kind for kind in KINDS if wanted[kind] is not None and wanted[kind] is not False]
        path = Path(wanted["path"])
        if len(kinds) != 1:
            raise ConvergeError(f"{path} must have exactly one of {', '.join(KINDS)}.")
        if kinds[0] == "created_by":
            self.create(wanted)
            return
        before = Before.of(path)
        if wanted["only_if_missing"] and before.status is not None:
            return
        if kinds[0] == "absent":
            if before.status is not None:
                self.change(before, f"remove {path}", lambda: remove(path))
        elif kinds[0] == "link":
            if before.target != wanted["link"]:
                self.change(
                    before, f"link {path} to {wanted['link']}", lambda: put_link(path, wanted["link"])
                )
        else:
            owner = self.owner(wanted)
            if kinds[0] == "directory":
                self.put_directory(before, owner, int(wanted["mode"] or "0755", 8))
            else:
                self.put_data(before, wanted, kinds[0], owner)

    def owner(self, wanted: dict[str, Any]) -> tuple[int, int]:
        """User and group in numbers."""
        try:
            return pwd.getpwnam(wanted["owner"]).pw_uid, grp.getgrnam(wanted["group"]).gr_gid
        except KeyError as error:
            # An account that would have been made before.
            if self.outcome.check_mode:
                return -1, -1
            raise ConvergeError(f"{wanted['path']}: {error.args[0]}") from error

    def change(
        self, before: Before, action: str, carry_out: Any, texts: dict[str, str] | None = None
    ) -> None:
        """Notes a change and carries it out, unless only asked."""
        self.outcome.actions.append(action)
        if texts:
            self.outcome.diffs.append(
                {"before_header": str(before.path), "after_header": str(before.path), **texts}
            )
        else:
            self.outcome.diffs.append({"prepared": f"{action}\n"})
        if not self.outcome.check_mode:
            self.changed.append(before)
            carry_out()

    def create(self, wanted: dict[str, Any]) -> None:
        """Has a missing file made by its command."""
        path, command = wanted["path"], wanted["created_by"]
        if not os.path.lexists(path):
            self.change(Before.of(Path(path)), f"create {path}", lambda: run(command))

    def put_directory(self, before: Before, owner: tuple[int, int], mode: int) -> None:
        """Makes a directory, or gives it its owner and mode."""
        path = before.path

        def carry_out() -> None:
            if not before.is_directory:
                path.mkdir(parents=True)
            os.chown(path, *owner)
            path.chmod(mode)

        if before.status is not None and not path.is_dir():
            raise ConvergeError(f"{path} is in the way of a directory: move it away.")
        if before.target is not None:
            raise ConvergeError(
                f"{path} is a link to {before.target}, but must be a directory: move it away."
            )
        if not before.is_directory or not before.has(owner, mode):
            self.change(before, f"make directory {path} {mode:04o}", carry_out)

    def put_data(self, before: Before, wanted: dict[str, Any], kind: str, owner: tuple[int, int]) -> None:
        """Writes a file, or gives it its owner and mode."""
        path, mode = before.path, int(wanted["mode"] or "0644", 8)
        text = wanted[kind]
        if kind == "block":
            if before.status is None and not text.strip():
                return
            old = (before.data or b"").decode(errors="surrogateescape")
            text = with_block(old, text, wanted["marker"], wanted["prepend"])
        data = text.encode(errors="surrogateescape")
        if kind == "base64_content":
            data = base64.b64decode(text)

        def write() -> None:
            if wanted["backup"] and before.data is not None:
                shutil.copy2(path, f"{path}.{time.strftime('%Y-%m-%d@%H:%M:%S')}~")
            put_file(path, data, owner, mode, wanted["validate"])

        def adjust() -> None:
            os.chown(path, *owner)
            path.chmod(mode)

        if before.data != data:
            if kind in ("content", "block"):
                old = (before.data or b"").decode(errors="replace")
                texts = {"before": old, "after": data.decode(errors="replace")}
                self.change(before, f"write {path}", write, texts)
            else:
                self.change(before, f"write {path}", write)
        elif not before.has(owner, mode):
            self.change(before, f"give {path} to {wanted['owner']}:{wanted['group']} {mode:04o}", adjust)

    def put_back(self) -> None:
        """Undoes all changes, the last one first."""
        for before in reversed(self.changed):
            before.put_back()
        self.changed.clear()


# Units

PROPERTIES = (
    "ActiveState,UnitFileState,NeedDaemonReload,ActiveEnterTimestampMonotonic,StateChangeTimestampMonotonic"
)

# When systemd has last read its configuration: when it was asked to, or else when the host started.
LOAD_TIMES = ("UnitsLoadTimestampMonotonic", "UnitsLoadStartTimestampMonotonic")


def changed_at(path: str) -> float:
    """When a file was last written, or what a link points to; 0 if there is none."""
    times = []
    for look in (os.lstat, os.stat):
        try:
            times.append(look(path).st_mtime)
        except OSError:
            continue
    return max(times, default=0.0)


def properties(text: str) -> dict[str, str]:
    """What systemctl show says of one unit."""
    return dict(line.partition("=")[::2] for line in text.splitlines())


def since(state: dict[str, str], name: str) -> float:
    """A time of systemd's, in seconds like those of files."""
    return time.time() - time.monotonic() + int(state.get(name) or 0) / 1_000_000


class Units:
    """Brings units to their wanted state."""

    def __init__(self, wanted: list[dict[str, Any]], outcome: Outcome) -> None:
        self.wanted = wanted
        self.outcome = outcome
        self.states = self.ask()

    def ask(self) -> dict[str, dict[str, str]]:
        """The state of all units, by their names."""
        names = [unit["name"] for unit in self.wanted]
        if not names:
            return {}
        answer = run(["systemctl", "show", f"--property={PROPERTIES}", "--", *names])
        return dict(zip(names, map(properties, answer.strip().split("\n\n")), strict=True))

    def reread(self, files: list[str]) -> None:
        """Has systemd read its configuration anew if it has not seen these files or units as they are."""
        mine = [path for path in files if path.startswith(UNIT_DIRECTORY)]
        if not mine and not self.states:
            return
        loaded = properties(run(["systemctl", "show", f"--property={','.join(LOAD_TIMES)}"]))
        last = max(since(loaded, name) for name in LOAD_TIMES)
        is_newer = any(changed_at(path) > last for path in mine)
        if is_newer or any(state["NeedDaemonReload"] == "yes" for state in self.states.values()):
            self.act([], "daemon-reload")
            if not self.outcome.check_mode:
                self.states = self.ask()

    def act(self, names: list[str], *command: str) -> None:
        """One order to systemd for several units."""
        if command[0] != "daemon-reload" and not names:
            return
        self.outcome.actions.append(" ".join([*command, *names]))
        if not self.outcome.check_mode:
            try:
                run(["systemctl", *command, *names])
            except ConvergeError as error:
                logs = " ".join(f"--unit={name}" for name in names)
                raise ConvergeError(f"{error}\nOn the host: sudo journalctl {logs} --lines=50") from error

    def orders(self) -> dict[str, list[dict[str, Any]]]:
        """What has to be done, and to which units."""
        orders: dict[str, list[dict[str, Any]]] = {
            order: [] for order in ("disable", "stop", "enable", "start", "restart", "reload", "await")
        }
        for unit in self.wanted:
            state = self.states[unit["name"]]
            active = state["ActiveState"] in ("active", "reloading", "activating")
            enabled = state["UnitFileState"] in ENABLED
            newest = {
                order: max(map(changed_at, unit[f"{order}_after"]), default=0.0)
                for order in ("restart", "reload")
            }
            if unit["enabled"] is not None and unit["enabled"] != enabled:
                orders["enable" if unit["enabled"] else "disable"].append(unit)
            if unit["state"] == "stopped" and active:
                orders["stop"].append(unit)
            if unit["state"] != "started":
                continue
            if not active:
                orders["start"].append(unit)
            elif state["ActiveState"] == "activating":
                orders["await"].append(unit)
            elif newest["restart"] > since(state, "ActiveEnterTimestampMonotonic"):
                orders["restart"].append(unit)
            elif newest["reload"] > since(state, "StateChangeTimestampMonotonic"):
                orders["reload"].append(unit)
        return orders

    def converge(self, orders: dict[str, list[dict[str, Any]]]) -> None:
        """Gives the orders."""
        for order in ("disable", "stop", "enable"):
            self.act([unit["name"] for unit in orders[order]], order)
        failed = [u["name"] for u in orders["start"] if self.states[u["name"]]["ActiveState"] == "failed"]
        if failed and not self.outcome.check_mode:
            # It may have failed so often that systemd refuses to start it.
            run(["systemctl", "reset-failed", *failed])
        for order in ("start", "restart", "reload"):
            self.act([unit["name"] for unit in orders[order] if unit["wait"]], order)
            self.act([unit["name"] for unit in orders[order] if not unit["wait"]], order, "--no-block")
        # No change: somebody has started it already.
        waiting = [unit["name"] for unit in orders["await"] if unit["wait"]]
        if waiting and not self.outcome.check_mode:
            run(["systemctl", "start", *waiting])


def converge(parameters: dict[str, Any], outcome: Outcome) -> None:
    """Files first, then units."""
    files = Files(outcome)
    try:
        for file in parameters["files"]:
            try:
                files.put(file)
            except OSError as error:
                raise ConvergeError(f"{file['path']}: {error.strerror}") from error
        units = Units(parameters["units"], outcome)
        units.reread([file["path"] for file in parameters["files"]])
        orders = units.orders()
        affected = outcome.actions or any(orders[order] for order in ("start", "restart", "reload"))
        if parameters["check"] and affected and not outcome.check_mode:
            run(parameters["check"])
    except ConvergeError:
        # None of them is in use yet.
        files.put_back()
        raise
    units.converge(orders)


class UnloggedModule(AnsibleModule):
    """
    A module that copies nothing to the host's journal. Ansible would copy all contents, secret ones too:
    it knows them as they are, and not as they look inside of a list. An argument `no_log` of the module
    does not help, because the task overrules it.
    """

    def _log_invocation(self) -> None:
        """Does nothing."""


def main() -> NoReturn:
    """Runs as a module of Ansible."""
    module = UnloggedModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "default": [], "options": FILE_OPTIONS},
            "check": {"type": "list", "elements": "str"},
            "units": {"type": "list", "elements": "dict", "default": [], "options": UNIT_OPTIONS},
        },
        supports_check_mode=True,
    )
    outcome = Outcome(check_mode=module.check_mode)
    try:
        converge(module.params, outcome)
    except ConvergeError as error:
        module.fail_json(msg=str(error), actions=outcome.actions)
    module.exit_json(changed=bool(outcome.actions), actions=outcome.actions, diff=outcome.diffs)


if __name__ == "__main__":
    main()
