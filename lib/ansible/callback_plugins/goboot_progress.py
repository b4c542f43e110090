"""Reports the progress of a playbook as JSON lines, for a program that shows it to a person."""

from __future__ import annotations

import json
import os

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: goboot_progress
    type: notification
    short_description: Progress as JSON lines
    description:
      - Writes one JSON object per line to the file descriptor named by the environment variable GOBOOT_PROGRESS_FD.
      - Results of tasks with no_log are never written.
    requirements:
      - enable in configuration
"""


class CallbackModule(CallbackBase):
    """Writes task starts, messages, failures, what the release command printed, and the final counts."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "goboot_progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, display=None, options=None):
        super().__init__(display, options)
        descriptor = os.environ.get("GOBOOT_PROGRESS_FD")
        if descriptor is None:
            self.disabled = True
            return
        self._stream = os.fdopen(int(descriptor), "w", buffering=1, encoding="utf-8")

    def _write(self, event, **values):
        self._stream.write(json.dumps({"event": event, **values}) + "\n")

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._write_task(task)

    def v2_playbook_on_handler_task_start(self, task):
        self._write_task(task)

    def v2_runner_on_ok(self, result):
        self._write_program_output(result)
        if _task(result).action in ("debug", "ansible.builtin.debug"):
            self._write("message", message=str(_values(result).get("msg", "")))

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._write_program_output(result)
        if ignore_errors:
            return
        values = _values(result)
        if values.get("_ansible_no_log") or "censored" in values:
            message = "the result holds secrets and is not shown"
        else:
            details = [str(values.get(key, "")).strip() for key in ("msg", "stderr")]
            message = "\n".join(detail for detail in details if detail)
        self._write("failed", name=_task_name(result), message=message)

    def v2_runner_on_unreachable(self, result):
        if _task(result).ignore_unreachable:
            return
        self._write("unreachable", name=_task_name(result), message=str(_values(result).get("msg", "")))

    def v2_playbook_on_stats(self, stats):
        self._write(
            "stats",
            ok=sum(stats.ok.values()),
            changed=sum(stats.changed.values()),
            failed=sum(stats.failures.values()),
            unreachable=sum(stats.dark.values()),
        )

    def _write_task(self, task):
        # Ansible adds one of these to each role that describes its arguments.
        if not task.action.endswith("validate_argument_spec"):
            self._write("task", name=task.get_name().strip().replace(" : ", ": ", 1))

    def _write_program_output(self, result):
        values = _values(result)
        output = str(values.get("stdout") or "")
        if output.startswith('{"event"') and not values.get("_ansible_no_log"):
            self._write("output", lines=output.splitlines())


def _values(result):
    # ansible-core 2.20 renamed the private attribute.
    return getattr(result, "result", None) or result._result


def _task(result):
    return getattr(result, "task", None) or result._task


def _task_name(result):
    return _task(result).get_name().strip()
