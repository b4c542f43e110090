"""
Waits until the worker of a release answers through the broker. Boots beside the worker, not after
it.
"""

import sys
import time
from pathlib import Path

project, node, seconds = sys.argv[1:]
sys.path.insert(0, str(Path.cwd()))
from celery.app.utils import find_app  # noqa: E402  (the release is on the path only now)

app = find_app(project)
deadline = time.monotonic() + float(seconds)
while time.monotonic() < deadline:
    if app.control.ping(destination=[node], timeout=0.5):
        sys.exit(0)
sys.exit(f"{node} did not answer within {seconds} s")
