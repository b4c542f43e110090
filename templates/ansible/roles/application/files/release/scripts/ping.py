"""
Waits until the worker of a release answers through the broker, for as long as it is let.

It does not import the project, which may take longer than everything else that a deploy does.
"""

import os
import sys

from celery import Celery

(node,) = sys.argv[1:]
# In seconds: how long an answer may take, and so how soon the next question comes.
PATIENCE = 0.2
app = Celery(broker=os.environ["CELERY_BROKER_URL"])
while not app.control.ping(destination=[node], timeout=PATIENCE):
    pass
