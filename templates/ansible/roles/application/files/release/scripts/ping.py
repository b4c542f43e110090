"""
Waits until the worker of a release answers through the broker, for as long as it is let. Then tells
the one that it takes over from, if there is one, to take no more tasks.

That worker would notice the end of its service only after the next task, and throw that away if
only the new code knows it. So it is told by an order that it confirms.

This does not import the project, which may take longer than everything else that a deploy does.
"""

import os
import sys

from celery import Celery

node, *predecessors = sys.argv[1:]
# In seconds: how long an answer may take, and so how soon the next question comes.
PATIENCE = 0.2
app = Celery(broker=os.environ["CELERY_BROKER_URL"])
while not app.control.ping(destination=[node], timeout=PATIENCE):
    pass
for predecessor in predecessors:
    worker = app.control.inspect(destination=[predecessor], timeout=1, limit=1)
    for queue in (worker.active_queues() or {}).get(predecessor, []):
        app.control.cancel_consumer(queue["name"], destination=[predecessor], reply=True, timeout=1, limit=1)
