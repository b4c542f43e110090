"""
Watches a playbook for the tests: writes down what it manages, and can kill it before a task.

RECORDER_FILE gets a line of JSON for each task, and for each task with `converge` its files and units.
RECORDER_KILL_BEFORE is the number of the task before which the whole run is killed, counted from 1.
"""

import json
import os
import signal

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: recorder
type: notification
short_description: Records what a playbook manages
description: For tests.
"""

# As the module has them.
KINDS = ("content", "base64_content", "secret_content", "block", "link", "directory", "absent", "created_by")


class CallbackModule(CallbackBase):
    """What Ansible tells about a run."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "recorder"

    def __init__(self):
        super().__init__()
        self.tasks = 0
        self.file = os.environ["RECORDER_FILE"]
        self.last = int(os.environ.get("RECORDER_KILL_BEFORE") or 0)

    def write(self, line):
        """Notes something."""
        with open(self.file, "a") as file:
            file.write(json.dumps(line) + "\n")

    def v2_playbook_on_task_start(self, task, is_conditional):
        """A task begins."""
        self.tasks += 1
        if self.tasks == self.last:
            os.killpg(os.getpgrp(), signal.SIGKILL)
        self.write({"task": task.get_name()})

    def v2_runner_on_ok(self, result):
        """A task has ended well."""
        data = getattr(result, "_result", None) or result.result
        task = getattr(result, "_task", None) or result.task
        if task.action == "converge":
            arguments = data["invocation"]["module_args"]
            role = task._role.get_name() if task._role else ""
            for entry in arguments["files"]:
                (kind,) = [kind for kind in KINDS if entry.get(kind) is not None and entry[kind] is not False]
                kept = bool(entry.get("only_if_missing")) or kind == "created_by"
                self.write({"role": role, "path": entry["path"], "kind": kind, "kept": kept})
            for unit in arguments["units"]:
                self.write({"role": role, "unit": unit["name"]})
        self.write({"ended": task.get_name(), "changed": bool(data.get("changed"))})
