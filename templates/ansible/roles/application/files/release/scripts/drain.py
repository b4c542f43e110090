"""
Waits, for as long as it is let, until a worker has begun every task that was sent to it.

A worker fetches some tasks before it can begin them. It gives those back when it stops, and another
worker would get them. Tasks for a later time are not waited for.
"""

import os
import sys
import time

from celery import Celery

(node,) = sys.argv[1:]
PAUSE = 0.2
app = Celery(broker=os.environ["CELERY_BROKER_URL"])
worker = app.control.inspect(destination=[node], timeout=1, limit=1)
queues = [queue["name"] for queue in (worker.active_queues() or {}).get(node, [])]
with app.connection_for_read() as connection:

    def has_begun_all():
        """Whether no task waits, neither in the broker nor in the worker."""
        channel = connection.default_channel
        if any(channel.queue_declare(name, passive=True).message_count for name in queues):
            return False
        return not (worker.reserved() or {}).get(node)

    while not has_begun_all():
        time.sleep(PAUSE)
