"""Waits until no task waits in the queues that a worker takes its tasks from, for as long as it is let."""

import os
import sys
import time

from celery import Celery

(node,) = sys.argv[1:]
PAUSE = 0.2
app = Celery(broker=os.environ["CELERY_BROKER_URL"])
answer = app.control.inspect(destination=[node], timeout=2).active_queues() or {}
queues = [queue["name"] for queue in answer.get(node, [])]
with app.connection_for_read() as connection:
    while any(connection.default_channel.queue_declare(name, passive=True).message_count for name in queues):
        time.sleep(PAUSE)
