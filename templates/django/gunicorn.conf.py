"""
Gunicorn, the web server of the application. nginx stands before it.

The socket is given on the command line: each release has one of its own.
"""

import os

# Workers share the memory of the imported application, and a release that cannot be imported fails at
# its start instead of after it has said that it is ready.
preload_app = True

# Threads, so that a request that waits for the database does not block a worker.
worker_class = "gthread"
workers = int(os.environ.get("WEB_WORKERS") or 2)
threads = int(os.environ.get("WEB_THREADS") or 4)

# In seconds: how long a request may take, and how long running requests have to end at a stop.
timeout = 30
graceful_timeout = 30

# A heartbeat file on a disk can block a worker.
worker_tmp_dir = "/dev/shm"  # noqa: S108

# Two releases run side by side during a deploy, and both would claim the same control socket.
control_socket_disable = True

# Switches the access log on. Django's LOGGING takes over Gunicorn's loggers when the application is loaded.
accesslog = "-"
