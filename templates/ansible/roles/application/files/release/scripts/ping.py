"""
Waits until the worker of a release answers through the broker.

It does not import the project, which may take longer than everything else that a deploy does.
"""

import os
import sys
import time

from celery import Celery

node, seconds = sys.argv[1:]
app = Celery(broker=os.environ["CELERY_BROKER_URL"])
deadline = time.monotonic() + float(seconds)
while time.monotonic() < deadline:
    if app.control.ping(destination=[node], timeout=0.5):
        sys.exit(0)
sys.exit(f"{node} did not answer within {seconds} s")
