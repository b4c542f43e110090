"""A PostgreSQL server for tests: a real one, with its files in a directory of its own."""

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

# PostgreSQL refuses to run as root.
NOBODY = 65534
ADMINISTRATOR = "postgres"


def programs():
    """The directory of the newest PostgreSQL's programs. Debian keeps one per version, off the PATH."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not versions:
        raise AssertionError("these tests need PostgreSQL: apt install postgresql")
    return versions[-1].parent


class Cluster:
    """A server that listens on a socket in `directory` and lets everybody in."""

    def __init__(self):
        # Short, because the path of a unix socket must be.
        self.directory = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
        if os.geteuid() == 0:
            os.chown(self.directory, NOBODY, NOBODY)
        self.directory.chmod(0o755)
        data = self.directory / "data"
        self.run(
            programs() / "initdb", "--auth=trust", f"--username={ADMINISTRATOR}", "--no-sync",
            "--encoding=UTF8", "--locale=C.UTF-8", data,
        )  # fmt: skip
        self.run(
            programs() / "pg_ctl", "--wait", f"--pgdata={data}", f"--log={self.directory / 'log'}",
            f"--options=-k {self.directory} -c listen_addresses='' -F", "start",
        )  # fmt: skip
        atexit.register(self.stop)

    def run(self, *argv):
        """Runs one of the server's programs as a user that may."""
        identity = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        # Not captured: the server inherits it, and would keep this waiting.
        with tempfile.TemporaryFile("w") as output:
            subprocess.run(
                argv,
                check=True,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                **identity,
            )

    def stop(self):
        """Stops the server and removes its files."""
        self.run(programs() / "pg_ctl", "--mode=immediate", f"--pgdata={self.directory / 'data'}", "stop")
        shutil.rmtree(self.directory)

    def sql(self, text, database=ADMINISTRATOR, role=ADMINISTRATOR):
        """Carries out statements and returns what they print."""
        words = [f"--host={self.directory}", f"--username={role}", f"--dbname={database}"]
        done = subprocess.run(
            [programs() / "psql", "-XqAt", "--set=ON_ERROR_STOP=1", *words],
            input=text, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise AssertionError(done.stderr)
        return done.stdout.strip()

    def session(self, database, *statements):
        """A connection that has carried out statements, and stays open until it is closed."""
        words = [f"--host={self.directory}", f"--username={ADMINISTRATOR}", f"--dbname={database}"]
        process = subprocess.Popen(
            [programs() / "psql", "-XqAt", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        process.stdin.write("".join(f"{statement};\n" for statement in (*statements, "select 'ready'")))
        process.stdin.flush()
        while process.stdout.readline().strip() != "ready":
            pass
        return process

    def databases(self):
        """The names of all databases but the server's own."""
        return self.sql("select datname from pg_database where not datistemplate order by 1").split()

    def reset(self, site):
        """Removes all databases of a site, and gives it an empty one."""
        for name in self.databases():
            if name.startswith(site):
                self.sql(f'drop database "{name}" with (force)')
        self.sql(f'drop role if exists "{site}"')
        self.sql(f'create role "{site}" login')
        self.sql(
            f'create database "{site}" owner "{site}" template template0 encoding \'UTF8\' '
            "lc_collate 'C.UTF-8' lc_ctype 'C.UTF-8'"
        )
        self.sql(f'revoke all on database "{site}" from public')


@functools.cache
def cluster():
    """The server that all tests of this process share."""
    return Cluster()
