"""
Tells which secrets a site has on this host, without telling any: of each value a fingerprint under a key
that is sent with the question, once in the files and once in the processes that run.

Standard library only; runs as root on the host.
"""

import hashlib
import hmac
import json
import re
import subprocess
import sys
import urllib.parse
from pathlib import Path

ESCAPED = re.compile(r'\\(["\\$`])')
ASSIGNMENT = re.compile(r'^([A-Za-z_]\w*)="((?:[^"\\]|\\.)*)"$', re.MULTILINE | re.DOTALL)


def main():
    question = json.loads(sys.stdin.readline())
    site, key = question["site"], bytes.fromhex(question["key"])

    def fingerprints(values):
        found = {}
        for name, value in values.items():
            found[name] = hmac.digest(key, value.encode(errors="surrogateescape"), hashlib.sha256).hex()
            parts = re.match(r"[\w+.-]+://([^/@:]*):([^/@]*)@", value)
            if parts:
                for part, text in zip(("user", "password"), parts.groups(), strict=True):
                    text = urllib.parse.unquote(text).encode()
                    found[f"{name}:{part}"] = hmac.digest(key, text, hashlib.sha256).hex()
        return found

    settings = Path("/etc") / site
    print(
        json.dumps(
            {
                "environment": fingerprints(values_in(settings / "environment")),
                "backups": fingerprints(values_in(settings / "backup.env")),
                "running": {name: fingerprints(values) for name, values in running(site).items()},
                "visitors": visitors_password_fits(site, question.get("visitors_password")),
            }
        )
    )


def values_in(path):
    """The variables of a file in systemd's syntax; none where there is no such file."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return {}
    return {name: ESCAPED.sub(r"\1", value) for name, value in ASSIGNMENT.findall(text)}


def running(site):
    """The variables of the live release's processes, by what they are."""
    try:
        live = (Path("/srv") / site / "current").readlink().name
    except OSError:
        return {}
    units = {"web": f"{site}-web@{live}", "worker": f"{site}-worker@{live}", "beat": f"{site}-beat"}
    found = {}
    for name, unit in units.items():
        show = ["systemctl", "show", "--property=MainPID", "--value", unit]
        process = subprocess.run(show, capture_output=True, text=True, check=False).stdout.strip()
        try:
            variables = (Path("/proc") / process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if process not in ("", "0"):
            pairs = [line.decode(errors="surrogateescape").partition("=") for line in variables]
            found[name] = {variable: value for variable, equals, value in pairs if equals}
    return found


def visitors_password_fits(site, password):
    """Whether nginx lets visitors in with a password; None where it asks for none, or nobody can tell."""
    if password is None:
        return None
    try:
        stored = (Path("/etc/nginx/passwords") / site).read_text(encoding="utf-8").strip().partition(":")[2]
    except OSError:
        return False
    salt = re.match(r"\$6\$([^$]*)\$", stored)
    if not salt:
        return None
    command = ["openssl", "passwd", "-6", "-stdin", "-salt", salt[1]]
    made = subprocess.run(command, input=f"{password}\n", capture_output=True, text=True, check=False)
    return made.stdout.strip() == stored


main()
