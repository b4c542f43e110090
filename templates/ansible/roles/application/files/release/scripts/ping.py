"""
Waits until the worker of a release answers through the broker, for as long as it is let. Then tells
the one that it takes over from, if there is one, to take no more tasks.

That worker would notice the end of its service only after the next task, and throw that away if
only the new code knows it. So it is told by an order that it confirms.

This does not import the project, which may take longer than everything else that a deploy does.
"""

import os
import sys
import time

from amqp.exceptions import NotFound, ResourceLocked
from celery import Celery

node, *predecessors = sys.argv[1:]
# In seconds: how long an answer may take, and how soon the next look at the broker comes.
PATIENCE = 0.2
PAUSE = 0.02
app = Celery(broker=os.environ["CELERY_BROKER_URL"])


def takes_orders(connection):
    """Whether the worker has the queue that orders for it come to. Before that, a question would be lost."""
    # RabbitMQ closes the channel of whoever asks for a queue that is not there.
    channel = connection.channel()
    try:
        channel.queue_declare(app.control.mailbox.get_queue(node).name, passive=True)
    except NotFound:
        return False
    except ResourceLocked:
        # It is there, and the worker's alone.
        return True
    channel.close()
    return True


with app.connection_for_write() as connection:
    while not takes_orders(connection):
        time.sleep(PAUSE)
while not app.control.ping(destination=[node], timeout=PATIENCE, limit=1):
    pass
for predecessor in predecessors:
    worker = app.control.inspect(destination=[predecessor], timeout=1, limit=1)
    for queue in (worker.active_queues() or {}).get(predecessor, []):
        app.control.cancel_consumer(queue["name"], destination=[predecessor], reply=True, timeout=1, limit=1)
