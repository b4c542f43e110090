"""
Run by one site's own Python, in its sandbox: tries to reach what belongs to another site, and prints what worked.

The name of the other site, and the process id of its web server, are in the variables at the top, which the test
puts there. For the site itself nearly all of it has to work, which shows that the attempts mean something.
"""

import json
import os
import pathlib
import socket
import subprocess
from urllib.parse import urlsplit

import amqp
import psycopg
from django.conf import settings

other, process = OTHER  # noqa: F821
own = pathlib.Path.cwd().parts[2]
worked = []


def attempt(what, action):
    """Notes an attempt that worked; what it yields must not be nothing."""
    try:
        if action():
            worked.append(what)
    except (OSError, psycopg.Error, amqp.AMQPError):
        pass


def connects(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
    return True


def database(user):
    with psycopg.connect(dbname=other, user=user, host="/run/postgresql") as connection:
        return connection.execute("select count(*) from django_migrations").fetchone()


def broker():
    address = urlsplit(settings.CELERY_BROKER_URL)
    with amqp.Connection("127.0.0.1:5672", address.username, address.password, virtual_host=other) as connection:
        return connection.connected


def readable(root):
    """The files below a directory that can be read."""
    found = []
    for directory, _, names in os.walk(root):
        paths = (pathlib.Path(directory, name) for name in names)
        found += [path for path in paths if os.access(path, os.R_OK) and not path.is_symlink()]
    return found


current = f"/srv/{other}/current"
attempt("settings", lambda: pathlib.Path(f"/etc/{other}/environment").read_text())
attempt("code", lambda: pathlib.Path(f"{current}/manage.py").read_text())
attempt("uploads", lambda: pathlib.Path(f"/srv/{other}/media/private.txt").read_text())
attempt("sockets", lambda: os.listdir(f"/run/{other}"))
attempt("web server", lambda: connects(f"{current}/gunicorn.sock"))
attempt("cache", lambda: connects(f"/run/{other}/memcached.sock"))
attempt("database", lambda: database(own))
attempt("database as its owner", lambda: database(other))
attempt("message broker", broker)
# Not even its own: a process of another unit is in another namespace of users.
attempt("process", lambda: pathlib.Path(f"/proc/{process}/cmdline").read_bytes())
attempt("signal", lambda: os.kill(process, 0) is None)
# Never for itself.
attempt("release settings", lambda: pathlib.Path(f"/etc/{other}/release.json").read_text())
attempt("log of visitors", lambda: pathlib.Path(f"/var/log/nginx/{other}.access.log").read_bytes())
attempt("history", lambda: pathlib.Path(f"/var/log/{other}/releases.jsonl").read_text())
attempt("dumps", lambda: os.listdir(f"/var/backups/{other}") is not None)
stop = ["systemctl", "stop", f"{other}-beat.service"]
attempt("systemd", lambda: subprocess.run(stop, capture_output=True, check=False).returncode == 0)
attempt("change", lambda: pathlib.Path(f"/srv/{other}/media/new.txt").write_text("x"))
if other != own:
    places = [f"/srv/{other}/{name}" for name in ("releases", "media", "venvs")]
    secret = [path for root in [*places, f"/etc/{other}", f"/run/{other}"] for path in readable(root)]
    worked += [str(path) for path in secret]
    # The names in /srv are for nginx to know.
    attempt("listing", lambda: os.listdir(f"/srv/{other}"))
print(json.dumps(worked))
