"""Prints what is on a host of a site, as JSON: inspect.py SITE"""

import hashlib
import json
import pathlib
import subprocess
import sys

site = sys.argv[1]
home = pathlib.Path("/srv", site)


def output(*words):
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def record(release):
    try:
        return json.loads((release / ".release.json").read_text())
    except (OSError, ValueError):
        return {}


def is_complete(release):
    try:
        noted = json.loads((release / ".files.json").read_text())
        same = all(
            hashlib.sha256((release / path).read_bytes()).hexdigest() == digest
            for path, digest in noted.items()
        )
    except (OSError, ValueError):
        return False
    return bool(noted) and same and (release / ".venv/bin/gunicorn").exists()


def half_made():
    """Directories and files that only exist while somebody works on them."""
    for directory in (home, home / "releases", home / "venvs", pathlib.Path("/var/backups", site)):
        for path in directory.iterdir():
            # An upload may belong to a run that is only about to begin, so it is kept for a day.
            if path.name.endswith(".tmp") or (path.name.startswith(".") and ".upload-" not in path.name):
                yield str(path)
    for path in (home / "static").rglob(".*.tmp"):
        yield str(path)
    for path in pathlib.Path("/run", site).glob("*.hold"):
        yield str(path)
    if (home / "staging").exists():
        yield str(home / "staging")
    for path in (home / "venvs").iterdir():
        if not (path / "bin/gunicorn").exists():
            yield str(path)


releases = {}
for path in (home / "releases").iterdir():
    if path.name.startswith("."):
        continue
    releases[path.name] = {**record(path), "complete": is_complete(path)}
units = {}
for line in output("systemctl", "list-units", "--all", "--plain", "--no-legend", f"{site}-*").splitlines():
    name, _, active, *_ = line.split()
    units[name] = active
query = "select coalesce(json_agg(%s), '[]') from %s"
columns = query % ("column_name", "information_schema.columns where table_name = 'pages_fault'")
applied = query % ("name", "django_migrations where app = 'pages'")
psql = ("runuser", "-u", "postgres", "--", "psql", "-Atq", f"--dbname={site}")
current = home / "current"
print(
    json.dumps(
        {
            "live": current.readlink().name if current.is_symlink() else None,
            "releases": releases,
            "halfMade": sorted(half_made()),
            "units": units,
            "failed": output("systemctl", "--failed", "--plain", "--no-legend").split("\n")[:-1],
            "columns": json.loads(output(*psql, "-c", columns) or "[]"),
            "applied": json.loads(output(*psql, "-c", applied) or "[]"),
        }
    )
)
