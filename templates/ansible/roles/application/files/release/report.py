"""What somebody should look at: for the workflow that asks every week, and for administrators."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import time
from pathlib import Path
from typing import Any

from .backups.status import backup_state
from .errors import ReleaseError
from .health import LocalTlsConnection, illness
from .maintenance import Maintenance
from .messages import counted
from .processes import run
from .reporting import Reporter
from .site import Site

DAY_SECONDS = 24 * 60 * 60
# certbot renews a certificate when it has a third of its time left, thirty days of ninety.
CERTIFICATE_DAYS = 14
# They come every day by themselves.
UPDATE_DAYS = 3
RESTART_DAYS = 14
DISK_PERCENT = 90


def show_report(site: Site, reporter: Reporter) -> int:
    """Shows what is wrong or will be soon, and the figures that this is judged by. It changes nothing."""
    live = site.live()
    certificate, updates = certificate_of(site), updates_of(site)
    backups, backup_problems, runs = backup_state(site)
    usage = shutil.disk_usage(site.home)
    used_percent = round(100 * usage.used / usage.total)
    problems = [
        *([f"the site is not well: {problem}"] if live and (problem := illness(site, live)) else []),
        *([] if live else ["nothing is live yet"]),
        *maintenance_problems(site),
        *certificate_problems(certificate),
        *backup_problems,
        *update_problems(site, updates),
        *([f"the disk is {used_percent} % full"] if used_percent >= DISK_PERCENT else []),
        *[f"{unit} has failed" for unit in failed_units(site)],
    ]
    figures = [
        f"certificate {certificate.get('days', '?')} days left",
        f"backups     {backups or 'none are set up'}",
        f"updates     {updates['pending']} pending, {updates['security']} of them for security",
        f"disk        {used_percent} % full",
    ]
    reporter.event(
        "\n".join([*(f"! {problem}" for problem in problems), *figures]),
        event="report",
        site=site.name,
        domain=site.config.domain,
        release=live.id if live else None,
        commit=live.commit if live else None,
        problems=problems,
        figures=figures,
        certificate=certificate,
        backups=runs or None,
        updates=updates,
        disk={"used_percent": used_percent},
    )
    return 0


def certificate_of(site: Site) -> dict[str, Any]:
    """The certificate that visitors get from nginx now, which need not be the file on the disk."""
    connection = LocalTlsConnection(site.config.domain, site.https_port)
    try:
        connection.connect()
        encoded = connection.sock.getpeercert(binary_form=True) or b""
    except OSError as error:
        return {"problem": f"nginx shows no certificate: {error}"}
    finally:
        connection.close()
    shown = run(
        ["openssl", "x509", "-noout", "-enddate", "-issuer", "-subject"],
        input=ssl.DER_cert_to_PEM_cert(encoded),
    ).stdout
    fields = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    try:
        ends = ssl.cert_time_to_seconds(fields["notAfter"])
    except (KeyError, ValueError):
        return {"problem": "the certificate cannot be read"}
    return {
        "days": int((ends - time.time()) // DAY_SECONDS),
        "self_signed": fields.get("issuer") == fields.get("subject"),
    }


def certificate_problems(certificate: dict[str, Any]) -> list[str]:
    """What is wrong with a certificate."""
    if problem := certificate.get("problem"):
        return [problem]
    if certificate["self_signed"]:
        return ["the certificate is one that the host signed itself: browsers warn of it"]
    if certificate["days"] < 0:
        return ["the certificate has expired"]
    if certificate["days"] < CERTIFICATE_DAYS:
        return [f"the certificate ends in {counted(certificate['days'], 'day')}, and was not renewed"]
    return []


def updates_of(site: Site) -> dict[str, Any]:
    """The updates that the host knows of, and how long ago it has installed any and asks for a restart."""
    planned = run(["apt-get", "--simulate", "--quiet=2", "dist-upgrade"]).stdout.splitlines()
    pending = [line for line in planned if line.startswith("Inst ")]
    return {
        "pending": len(pending),
        "security": sum("security" in line.lower() for line in pending),
        "days_since_run": days_since(site.root / "var/lib/apt/periodic/unattended-upgrades-stamp"),
        "days_to_restart": days_since(site.root / "run/reboot-required"),
    }


def update_problems(site: Site, updates: dict[str, Any]) -> list[str]:
    """What is wrong with the updates. A host that was provisioned a moment ago is given time."""
    found = []
    age, since = days_since(site.provisioned), updates["days_since_run"]
    if since is None:
        since = age or 0
    if since > UPDATE_DAYS:
        pending = counted(updates["security"], "security update")
        found.append(f"updates have not run for {counted(since, 'day')}, {pending} pending")
    if (updates["days_to_restart"] or 0) > RESTART_DAYS:
        waited = counted(updates["days_to_restart"], "day")
        found.append(f"an update has waited {waited} for a restart of the host")
    return found


def days_since(path: Path) -> int | None:
    """Whole days since a file was written; None if there is none."""
    with contextlib.suppress(OSError):
        return int((time.time() - path.stat().st_mtime) // DAY_SECONDS)
    return None


def maintenance_problems(site: Site) -> list[str]:
    """A site that is closed may have been forgotten."""
    with contextlib.suppress(ReleaseError):
        state = Maintenance.of(site)
        return [f"the site is closed for maintenance since {state.since}"] if state.on else []
    return []


def failed_units(site: Site) -> list[str]:
    """The units of the site that have failed, but for those of the backups, which report for themselves."""
    listing = run(
        ["systemctl", "list-units", "--state=failed", "--plain", "--no-legend", f"{site.name}-*"]
    ).stdout
    units = [line.split()[0] for line in listing.splitlines() if line.split()]
    return [unit for unit in units if not unit.startswith(f"{site.name}-backup")]
