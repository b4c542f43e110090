"""
Starts a program of a release: Gunicorn or Celery's worker, with the words that follow.

In a deploy, importing the project takes longest, and it would happen again and again: for the
checks, for the web server, for the worker. So the deploy starts both at once and leaves a file that
tells them to wait. They import the project, the checks run in a copy of the process that has it
already, and each program goes on when its file is gone. Without such a file it just starts.
"""

import contextlib
import json
import os
import signal
import socket
import sys
import time
import traceback
from pathlib import Path

# In seconds: a deploy that was killed does not let go of what it holds.
LONGEST_WAIT = 30 * 60
PAUSE = 0.01


def main(words):
    """Waits if a deploy says so, and becomes the program."""
    hold = Path(os.environ["HOLD_FILE"])
    sys.path.insert(0, str(Path.cwd()))
    sys.argv = words
    if hold.exists():
        wait(hold)
    if words[0] == "celery":
        from celery.__main__ import main as program
    else:
        from gunicorn.app.wsgiapp import run as program
    sys.exit(program())


def wait(hold):
    """Imports the project, does what the file asks for, and waits until it is gone."""
    extend_start(LONGEST_WAIT)
    try:
        job = json.loads(hold.read_text())
    except FileNotFoundError:
        return
    stage = "import"
    try:
        import_project()
        stage = "check"
        if job.get("script"):
            run_copy(job["script"], job["arguments"])
    except BaseException:
        if job.get("result") and not Path(job["result"]).exists():
            with contextlib.suppress(OSError):
                Path(job["result"]).write_text(json.dumps({"stage": stage}))
        raise
    if sys.argv[0] != "celery":
        import_pages()
    deadline = time.monotonic() + LONGEST_WAIT
    while hold.exists():
        if time.monotonic() > deadline:
            sys.exit(f"{hold} is still there: the deploy that left it is gone")
        time.sleep(PAUSE)
    if static_files_are_known():
        # It asked for the names of the static files before they were there, and would remember that.
        os.execv(sys.executable, sys.orig_argv)


def import_project():
    """Imports what takes time: the settings, the models of all applications, and Celery's own code."""
    import django

    django.setup()
    if sys.argv[0] == "celery":
        from celery.app.utils import find_app
        from celery.apps import worker as program  # noqa: F401
        from celery.bin import worker  # noqa: F401
        from celery.concurrency import prefork  # noqa: F401
        from celery.worker import components, consumer  # noqa: F401
        from kombu.transport import pyamqp  # noqa: F401

        app = find_app(sys.argv[sys.argv.index("--app") + 1])
        # What is broken here the worker itself says better.
        with contextlib.suppress(Exception):
            app.loader.import_default_modules()


def import_pages():
    """Imports what Django would import for the first visitor, whose errors are not the deploy's."""
    from django.urls import get_resolver

    with contextlib.suppress(Exception):
        get_resolver()._populate()


def run_copy(script, arguments):
    """Runs a program in a copy of this process, so that nothing that it does stays."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            sys.argv = ["-c", *arguments]
            exec(compile(script, "<checks>", "exec"), {"__name__": "__main__"})
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if status != 0:
        # Killed for want of memory, say, or out of disk: it could not tell. The journal does.
        sys.exit(f"the checks ended with {describe(os.waitstatus_to_exitcode(status))}")


def describe(status):
    """An exit status in words."""
    return f"status {status}" if status > 0 else signal.Signals(-status).name


def static_files_are_known():
    """Whether something in the project has already looked for static files."""
    from django.contrib.staticfiles.storage import staticfiles_storage
    from django.utils.functional import empty

    return staticfiles_storage._wrapped is not empty


def extend_start(seconds):
    """Tells systemd that this start takes longer than others."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.sendto(f"EXTEND_TIMEOUT_USEC={seconds * 1_000_000}".encode(), address)


if __name__ == "__main__":
    main(sys.argv[1:])
