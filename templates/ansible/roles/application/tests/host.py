"""
A host for tests: real directories, archives, locks and sockets below a temporary directory.

Only what a test cannot have without root and systemd stands in: tiny programs take the place of
systemctl, systemd-run, uv and PostgreSQL's clients. The web servers that they start are real
processes.
"""

import contextlib
import html
import http.server
import io
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest
from pathlib import Path

from release.commands import transact
from release.errors import ReleaseError
from release.health import LocalTlsConnection, ask_health
from release.reporting import Reporter
from release.site import Accounts, Config, Site
from release.steps import switching
from release.transaction import Request
from release.warmth import warm_unit

from .cluster import programs

# Nothing is on its way from nginx to an old release here.
switching.DRAIN_SECONDS = 0
switching.HAND_OVER_SECONDS = 0

SITE = "shop-production"
SECRET = 'a "quoted" $ecret \\ key'

SYSTEMCTL = r"""
verb=$1; shift
echo "$verb $*" >> "$STAND_IN/systemctl.log"
units="$STAND_IN/units"
case $verb in
is-active) for unit; do
  running="$units/$unit"
  if [ "$unit" = nginx.service ]; then running="$STAND_IN/bin/nginx"; fi
  if [ -e "$running" ] && [ ! -e "$STAND_IN/stopped-$unit" ]; then echo active; else echo inactive; fi
  done ;;
reload) if [ -e "$STAND_IN/deaf-nginx" ]; then exit 1; fi
  cp "$STAND_IN/../etc/shop-production/maintenance.conf" "$STAND_IN/loaded.conf" ;;
list-units) case "$*" in *--state=failed*) cat "$STAND_IN/failed-units" 2>/dev/null; exit ;; esac
  for path in "$units"/*@*; do
  if [ -e "$path" ]; then echo "${path##*/} loaded active running"; fi; done ;;
show) if [ -e "$units/$2" ]; then echo ActiveState=active; else echo ActiveState=failed; fi ;;
start) wait=1; for unit; do
  case $unit in
  --no-block) wait=0 ;;
  *-backup@run.service) "$STAND_IN/bin/backup-unit" || exit ;;
  *-web@*)
    id=${unit#*@}; id=${id%.service}
    socket="$STAND_IN/../run/shop-production/$id.sock"
    if [ ! -e "$units/$unit" ]; then
      "$PYTHON" -IS "$STAND_IN/server.py" "$unit" "$id" > /dev/null 2> "$STAND_IN/journal/$unit" &
      echo $! > "$units/$unit"
    fi
    while [ "$wait" = 1 ] && [ ! -S "$socket" ]; do
      if [ ! -e "$units/$unit" ]; then exit 1; fi
      sleep 0.01
    done ;;
  *) : > "$units/$unit" ;;
  esac
  done ;;
stop) for unit; do
  case $unit in --no-block) continue ;; esac
  [ -s "$units/$unit" ] && kill "$(cat "$units/$unit")"
  id=${unit#*-web@}
  rm -f "$units/$unit" "$STAND_IN/../run/shop-production/${id%.service}.sock"
  done ;;
restart) case $1 in
  *-web@*) if [ -e "$units/$1" ]; then "$0" stop "$1"; fi; "$0" start "$1" ;;
  *) if [ -e "$STAND_IN/broken-beat" ]; then exit 1; fi; : > "$units/$1" ;;
  esac ;;
esac
"""

# Does what systemd does with the options that matter here: directory, variables and secrets.
SYSTEMD_RUN = """
import os, re, sys
options, argv = sys.argv[1:], []
split = options.index("--")
options, argv = options[:split], [word.replace("$$", "$") for word in options[split + 1:]]
for option in options:
    name, _, value = option.partition("=")
    if name == "--working-directory":
        os.chdir(value)
    elif name == "--setenv":
        variable, _, text = value.partition("=")
        os.environ[variable] = text
    elif option.startswith("--property=EnvironmentFile="):
        for line in open(option.split("=", 2)[2]):
            variable, _, text = line.strip().partition("=")
            os.environ[variable] = re.sub(r'\\\\(["\\\\$`])', r"\\1", text[1:-1])
os.execv(argv[0], argv)
"""

# Waits as launch.py does, and answers as the health pages of a project do; files in the release say
# otherwise.
SERVER = r"""
import contextlib, json, os, pathlib, re, socket, subprocess, sys, time
stand_in, (unit, name) = pathlib.Path(os.environ["STAND_IN"]), sys.argv[1:]
directory = stand_in / "../srv/shop-production/releases" / name
runtime = stand_in / "../run/shop-production"
path, hold = str(runtime / f"{name}.sock"), runtime / f"{name}.web.hold"
for line in (stand_in / "../etc/shop-production/environment").read_text().splitlines():
    variable, _, text = line.partition("=")
    os.environ[variable] = re.sub(r'\\(["\\$`])', r"\1", text[1:-1])
job = json.loads(hold.read_text()) if hold.exists() else {}
if (directory / "broken-import").exists():
    print("ModuleNotFoundError: No module named 'nonsense'", file=sys.stderr)
    if job:
        pathlib.Path(job["result"]).write_text('{"stage": "import"}')
    (stand_in / "units" / unit).unlink()
    sys.exit(1)
if job:
    checks = [directory / ".venv/bin/python", "-c", job["script"], *job["arguments"]]
    subprocess.run(checks, cwd=directory, stdout=sys.stderr)
while hold.exists():
    time.sleep(0.01)
if (directory / "broken-start").exists():
    print("RuntimeError: no start", file=sys.stderr)
    (stand_in / "units" / unit).unlink()
    sys.exit(1)
listener = socket.socket(socket.AF_UNIX)
# The name is its own: one that was stopped before the next line must not be in the way of the next.
listener.bind(f"{path}.{os.getpid()}")
listener.listen(64)
os.rename(f"{path}.{os.getpid()}", path)
while True:
    peer, _ = listener.accept()
    asked = peer.recv(65536).decode()
    status, body = "200 OK", {"status": "ok", "release": directory.name}
    for file, page in (("health.json", "/health/deep/"), ("shallow.json", "/health/ ")):
        if page in asked and (directory / file).exists():
            status, body = json.loads((directory / file).read_text())
    body = json.dumps(body)
    with contextlib.suppress(OSError):  # a visitor may have gone
        peer.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    peer.close()
"""

PSQL = """
case "$*" in
*pg_database_size*) echo 1000 ;;
*django_migrations*) echo '[]' ;;
*) echo '{}' ;;
esac
"""

UV = """
echo "$*" >> "$STAND_IN/uv.log"
if [ -e slow ]; then : > "$STAND_IN/building"; sleep 30; fi
if [ -e broken-lock ]; then echo "error: no such package: nonsense" >&2; exit 2; fi
mkdir -p "$UV_PROJECT_ENVIRONMENT/bin"
cp "$STAND_IN/python" "$UV_PROJECT_ENVIRONMENT/bin/python"
cp "$STAND_IN/python" "$UV_PROJECT_ENVIRONMENT/bin/gunicorn"
chmod 777 "$UV_PROJECT_ENVIRONMENT/bin/gunicorn"
"""

# The project's own Python: what it would answer is in files of the release.
PROJECT_PYTHON = """
import json, os, pathlib, shutil, sys
here = pathlib.Path.cwd()
if "collectstatic" in sys.argv[2]:
    staging, result_file = map(pathlib.Path, sys.argv[3:5])
    result = {"stage": "done", "errors": [], "warnings": [], "pending": []}
    if (here / "examine.json").exists():
        result.update(json.loads((here / "examine.json").read_text()))
    shutil.copytree(here / "collected", staging / "static", symlinks=True)
    shutil.copy(here / "manifest.json", staging / "staticfiles.json")
    if (here / "secret-in-output").exists():
        print("RuntimeError: cannot use " + os.environ["SECRET_KEY"])
        result["stage"] = "check --deploy"
    result_file.write_text(json.dumps(result))
elif "control.ping" in sys.argv[2]:
    sys.exit("no answer" if (here / "silent-worker").exists() else 0)
elif "active_queues" in sys.argv[2]:
    sys.exit("tasks wait" if (here / "full-queue").exists() else 0)
elif sys.argv[2] == "migrate":
    with open(os.environ["STAND_IN"] + "/migrate.log", "a") as log:
        log.write(os.environ["PGOPTIONS"] + "\\n")
    if (here / "lock-once").exists() and len(open(log.name).readlines()) == 1:
        sys.exit("psycopg.errors.LockNotAvailable: canceling statement due to lock timeout")
    if (here / "broken-migration").exists():
        sys.exit("django.db.utils.ProgrammingError: relation does not exist")
    if (here / "migrations.json").exists():
        run_migrations(json.loads((here / "migrations.json").read_text()))
"""

# Does what Django's migrate does with migrations that are lists of statements.
MIGRATE = """
import subprocess, sys
def psql(*statements, atomic=False):
    words = [f"--command={statement}" for statement in statements]
    done = subprocess.run(
        ["psql", "-XqAt", "-vON_ERROR_STOP=1", "-Ushop-production", "-dshop-production",
         *(["--single-transaction"] if atomic else []), *words],
        capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"django.db.utils.OperationalError: {done.stderr}")
    return done.stdout.split()
def run_migrations(migrations):
    psql("create table if not exists django_migrations (app text, name text)", atomic=True)
    known = psql("select app || '.' || name from django_migrations")
    for name, atomic, statements in migrations:
        if name in known:
            continue
        print(f"  Applying {name}...", end="", flush=True)
        app, number = name.split(".")
        psql(*statements, f"insert into django_migrations values ('{app}', '{number}')", atomic=atomic)
        print(" OK")
"""


class Temporary(unittest.TestCase):
    """A test with a directory of its own."""

    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)


# Refuses what the real one would refuse, as far as the tests go.
NGINX = """
for file in "$STAND_IN/broken.conf" "$STAND_IN/../etc/shop-production/maintenance.conf"; do
  if grep -q nonsense "$file" 2>/dev/null; then
    echo "nginx: [warn] something else" >&2
    echo "nginx: [emerg] unknown directive \\"nonsense\\" in $file:1" >&2
    exit 1
  fi
done
"""

# Another address of the host: who asks for it counts as a visitor.
VISITOR = "127.0.0.2"


class Frontend(http.server.BaseHTTPRequestHandler):
    """Passes requests to current/gunicorn.sock, as nginx does; visitors only while the site is open."""

    def closed(self):
        """What nginx would tell a visitor, or nothing."""
        loaded = self.server.stand_in / "loaded.conf"
        if self.connection.getsockname()[0] != VISITOR or not loaded.exists():
            return {}
        text = loaded.read_text()
        if "default 1;" not in text:
            return {}
        told = re.findall(r'_(retry_after|message) { default "(.*)"; }', text)
        return {name: re.sub(r"\\(.)", r"\1", value) for name, value in told}

    def do_GET(self):
        if told := self.closed():
            self.send_response(503)
            self.send_header("Retry-After", told["retry_after"])
            self.end_headers()
            self.wfile.write(html.escape(told["message"]).encode())
            return
        upstream = socket.socket(socket.AF_UNIX)
        with contextlib.closing(upstream):
            try:
                upstream.connect(str(self.server.site.current / "gunicorn.sock"))
            except OSError:
                self.send_error(502)
                return
            upstream.sendall(f"GET {self.path} HTTP/1.1\r\n\r\n".encode())
            answer = upstream.makefile("rb").read()
        self.wfile.write(answer)
        self.close_connection = True

    def log_message(self, *arguments):
        pass


class Host:
    """A site on a host of its own, empty at first. Use it in a `with` statement."""

    def __init__(self, *, database=None, **settings):
        # Short, because the path of a unix socket must be.
        self.root = Path(tempfile.mkdtemp(prefix="rel", dir="/tmp"))
        self.stand_in = self.root / "s"
        user, group = os.getuid(), os.getgid()
        self.site = Site(
            Config(SITE, "shop", "shop.example.com", **settings),
            Accounts(user, group, user, group),
            self.root,
        )
        site = self.site
        for path in (
            self.stand_in / "bin",
            self.stand_in / "units",
            self.stand_in / "journal",
            site.settings,
            site.runtime,
            site.releases,
            site.uv.parent,
            site.unit_files,
            site.postgresql_sockets.parent,
        ):
            path.mkdir(parents=True, exist_ok=True)
        quoted = re.sub(r'(["\\$`])', r"\\\1", SECRET)
        site.environment.write_text(f'SECRET_KEY="{quoted}"\nPLAIN="x"\n')
        shell, python = "#!/bin/sh\n", f"#!{sys.executable} -IS\n"
        self.program("systemctl", shell + SYSTEMCTL)
        self.program("systemd-run", python + SYSTEMD_RUN)
        self.program("journalctl", shell + 'cat "$STAND_IN/journal/$2" 2>/dev/null')
        self.program("nginx", shell + NGINX)
        self.database = database
        if database:
            database.reset(SITE)
            site.postgresql_sockets.symlink_to(database.directory)
        else:
            self.program("psql", shell + PSQL)
            self.program("pg_dump", shell + "echo dump")
            self.program("pg_restore", shell + 'grep -q dump "$2"')
        (self.stand_in / "server.py").write_text(SERVER)
        (self.stand_in / "python").write_text(python + MIGRATE + PROJECT_PYTHON)
        (self.stand_in / "python").chmod(0o755)
        site.uv.write_text(shell + UV)
        site.uv.chmod(0o755)
        self.commits = 0
        self.output = io.StringIO()

    def __enter__(self):
        self.before = dict(os.environ)
        os.environ["PATH"] = f"{self.stand_in / 'bin'}:{os.environ['PATH']}"
        os.environ.update(STAND_IN=str(self.stand_in), PYTHON=sys.executable)
        if self.database:
            # Of the real programs, and for the project, whose settings name the server.
            os.environ["PATH"] += f":{programs()}"
            os.environ["PGHOST"] = str(self.database.directory)
        self.frontend = self.serve()
        return self

    def __exit__(self, *exception):
        self.frontend.shutdown()
        self.frontend.server_close()
        for path in (self.stand_in / "units").iterdir():
            if pid := path.read_text().strip():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGTERM)
        os.environ.clear()
        os.environ.update(self.before)
        shutil.rmtree(self.root)

    def program(self, name, text):
        """Puts a program on PATH."""
        path = self.stand_in / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def serve(self):
        """Starts what stands for nginx, with a certificate of its own."""
        key, certificate = self.stand_in / "key.pem", self.stand_in / "certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256",
             "-days", "1", "-subj", "/CN=shop.example.com", "-keyout", key, "-out", certificate],
            check=True,
            capture_output=True,
        )  # fmt: skip
        server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Frontend)
        server.site, server.stand_in = self.site, self.stand_in
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        self.site.https_port = server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return server

    def commit(self, files=None, static=None):
        """An archive of a new commit, and its id. `files` are added to a minimal project."""
        self.commits += 1
        commit = f"{self.commits:08x}" + "0" * 32
        static = static or {"site.css": f"site.{self.commits}.css"}
        content = {
            "manage.py": "",
            "pyproject.toml": "[project]",
            "uv.lock": "version = 1",
            "shop/__init__.py": f"number = {self.commits}",
            "manifest.json": json.dumps({"paths": static, "version": "1.1"}),
            **{f"collected/{name}": f"{self.commits}" for pair in static.items() for name in pair},
            **(files or {}),
        }
        path = self.root / f"{commit}.tar.gz"
        with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT, pax_headers={"comment": commit}) as tar:
            for name, text in content.items():
                member = tarfile.TarInfo(name)
                member.size = len(text.encode())
                member.mode = 0o777 if name == "manage.py" else 0o666
                tar.addfile(member, io.BytesIO(text.encode()))
        return path, commit

    def run(self, operation, **request):
        """Does a transaction and returns its exit status and its events."""
        self.output = io.StringIO()
        reporter = Reporter(self.output, as_json=True)
        status = transact(self.site, Request(operation, "tester", **request), reporter)
        return status, self.events()

    def events(self):
        """What the last run has reported."""
        return [json.loads(line) for line in self.output.getvalue().splitlines()]

    def deploy(self, files=None, static=None):
        """Deploys a new commit and returns the exit status and the events."""
        archive, commit = self.commit(files, static)
        return self.run("deploy", archive=archive, commit=commit)

    def answers(self):
        """The release that visitors get, or the reason why they get none."""
        try:
            connection = LocalTlsConnection("shop.example.com", self.site.https_port)
            return ask_health(connection, "/health/", "shop.example.com")["release"]
        except ReleaseError as error:
            return error.message

    def units(self):
        """The services that run."""
        return sorted(path.name for path in (self.stand_in / "units").glob("*.service"))

    def warm(self):
        """The unit of the release that is kept running for a rollback."""
        return warm_unit(self.site, self.site.live())

    def systemctl(self):
        """What systemctl was told."""
        return (self.stand_in / "systemctl.log").read_text().splitlines()

    def names(self):
        """What is in the directory of the releases."""
        return sorted(path.name for path in self.site.releases.iterdir())

    def history(self):
        """The lines of the history."""
        return [json.loads(line) for line in self.site.log.read_text().splitlines()]
