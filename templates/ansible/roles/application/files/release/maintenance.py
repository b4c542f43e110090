"""
Closes the site to visitors while it is worked on, and opens it again.

Whether it is closed is in one file that nginx includes: who is let in, and what the others are told. It
outlives reboots and provisioning, and works when nothing but nginx runs.
"""

from __future__ import annotations

import dataclasses
import html
import http.client
import ipaddress
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import NotYetError, ReleaseError
from .files import sync_directory, write_atomically
from .health import LocalTlsConnection, ask_health, persist
from .messages import MIB, last_lines
from .processes import run, systemctl, unit_states
from .site import RETRY_AFTER_SECONDS, Site

NGINX = "nginx.service"
# How long the processes of nginx with the configuration of before may take to step aside.
RELOAD_SECONDS = 30.0
# How long the site may take to answer as it should after that.
ANSWER_SECONDS = 3.0
# The release command asks from here whether a release is well, also while the site is closed.
LOOPBACK = ("127.0.0.0/8", "::1")
# The file holds what `status` tells as well, behind this: in one file the two cannot contradict each other.
RECORD = "# state: "


@dataclasses.dataclass(frozen=True)
class Maintenance:
    """Whether the site is closed, since when and by whom, who is let in, and what the others are told."""

    on: bool = False
    since: str = ""
    by: str = ""
    allow: tuple[str, ...] = ()
    retry_after: int = RETRY_AFTER_SECONDS
    message: str = ""

    @classmethod
    def of(cls, site: Site) -> Maintenance:
        """The state that is written down. A file that Ansible has made for a new site says nothing: off."""
        for line in read(site).splitlines():
            if line.startswith(RECORD):
                try:
                    state = cls(**json.loads(line.removeprefix(RECORD)))
                    return dataclasses.replace(state, allow=tuple(state.allow))
                except (ValueError, TypeError):
                    raise ReleaseError(
                        f"{site.maintenance} was changed by hand and cannot be read: "
                        "turn maintenance on or off to write it anew"
                    ) from None
        return cls()

    def describe(self) -> str:
        """The state as a sentence for people."""
        if not self.on:
            return "maintenance is off: everybody sees the site"
        allowed = f", but for {', '.join(self.allow)}" if self.allow else ""
        message = f'; they are told: "{self.message}"' if self.message else ""
        return f"maintenance is on since {self.since} by {self.by}: nobody sees the site{allowed}{message}"

    def configuration(self, site: Site) -> str:
        """The state as nginx and `of` read it."""
        prefix = site.name.replace("-", "__")
        record = {"on": False} if not self.on else dataclasses.asdict(self)
        # What is told is the same for everybody, whatever the address.
        lines = [
            f"# Written by {site.name}-release maintenance: use that to change it.",
            RECORD + json.dumps(record),
            f"geo $remote_addr ${prefix}_maintenance {{",
            f"    default {'1' if self.on else quoted('')};",
            *(f"    {network} {quoted('')};" for network in (LOOPBACK + self.allow if self.on else ())),
            "}",
            f"geo $remote_addr ${prefix}_retry_after {{ default {quoted(str(self.retry_after))}; }}",
            f"geo $remote_addr ${prefix}_message {{ default {quoted(self.message)}; }}",
        ]
        return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """A text as nginx reads it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def read(site: Site) -> str:
    """The file as it is. Raises ReleaseError when the host was provisioned before there was one."""
    try:
        return site.maintenance.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise ReleaseError(f"{site.maintenance} is missing: provision the host again") from None


def apply(site: Site, wanted: Maintenance) -> str:
    """
    Makes nginx follow a state and returns what was seen of it. After a ReleaseError everything is as
    it was before.
    """
    before = read(site)
    if refusal := configuration_error():
        raise ReleaseError(f"nginx refuses its configuration as it is, so nothing was changed: {refusal}")
    if unit_states(NGINX) != ["active"]:
        raise ReleaseError(f"nginx does not run, so nothing was changed: systemctl start {NGINX}")
    with put_back_on_failure(site, before):
        write(site, wanted.configuration(site))
        if refusal := configuration_error():
            raise ReleaseError(f"nginx refuses the change: {refusal}")
        reload()
        return look_as_a_visitor(site, wanted) if wanted.on else ""


@contextmanager
def put_back_on_failure(site: Site, before: str) -> Iterator[None]:
    """Writes the old file again when anything fails, a request to stop included."""
    try:
        yield
    except BaseException:
        write(site, before)
        # It must not hide why this failed.
        with suppress(ReleaseError):
            if not configuration_error():
                reload()
        raise


def write(site: Site, text: str) -> None:
    """Writes the file in one piece, so that it is there after a loss of power."""
    write_atomically(site.maintenance, text, 0o644)
    sync_directory(site.maintenance.parent)


def configuration_error() -> str:
    """Why nginx would not start with the configuration on disk, or ""."""
    tested = run(["nginx", "-t", "-q"])
    if tested.returncode == 0:
        return ""
    lines = last_lines(tested.stdout, tested.stderr)
    return next((line for line in lines if "[emerg]" in line), (lines or ["it gives no reason"])[-1])


def reload() -> None:
    """
    Makes nginx read its configuration: running requests are answered as they began. Returns when no
    request that comes now is answered as before.
    """
    old = workers()
    reloaded = systemctl("reload", NGINX)
    if reloaded.returncode:
        detail = last_lines(reloaded.stderr)
        raise ReleaseError(f"nginx cannot be reloaded: see systemctl status {NGINX}", detail)

    def ask_for_old_workers() -> None:
        if old & workers():
            raise NotYetError("nginx goes on with the configuration of before")

    persist(ask_for_old_workers, RELOAD_SECONDS)


def workers() -> set[int]:
    """The processes of nginx that take new requests. Those that only end old ones say so in their title."""
    master = systemctl("show", "--property=MainPID", "--value", NGINX).stdout.strip()
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
            title = (process / "cmdline").read_bytes().rstrip(b"\0 ")
            if parent == master and title == b"nginx: worker process":
                found.add(int(process.name))
    return found


def own_address() -> str | None:
    """
    An address of this host that is not loopback, or None. A connection to it comes from it, so that
    nginx takes it for a visitor's.
    """
    for family, somewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            # Nothing is sent: the kernel only chooses the address that it would send from.
            with socket.socket(family, socket.SOCK_DGRAM) as chooser:
                chooser.connect((somewhere, 9))
                address = chooser.getsockname()[0]
        except OSError:
            continue
        if not ipaddress.ip_address(address.partition("%")[0]).is_loopback:
            return address
    return None


def look_as_a_visitor(site: Site, state: Maintenance) -> str:
    """
    Asks for a page as somebody who is not let in, and returns what was seen, or why nobody looked.
    Raises ReleaseError when a visitor still sees the site.
    """
    address = own_address()
    if address is None:
        return "not looked at as a visitor: this host has no address but loopback"
    if any(ipaddress.ip_address(address) in ipaddress.ip_network(network) for network in state.allow):
        return f"not looked at as a visitor: this host's own address, {address}, is let in"
    try:
        persist(lambda: ask_closed_site(site, state, address), ANSWER_SECONDS)
    except OSError as error:
        return f"not looked at as a visitor: {address} does not answer ({error or type(error).__name__})"
    return f"{address} gets 503 and may ask again after {state.retry_after} seconds"


def ask_closed_site(site: Site, state: Maintenance, address: str) -> None:
    """Raises NotYetError unless this address gets the page of this state."""
    domain = site.config.domain
    connection = LocalTlsConnection(domain, site.https_port, address)
    try:
        connection.request("GET", "/", headers={"Host": domain})
        response = connection.getresponse()
        body = html.unescape(response.read(MIB).decode("utf-8", "replace"))
    except http.client.HTTPException as error:
        raise NotYetError(f"https://{domain}/ gives no proper answer: {error}") from None
    finally:
        connection.close()
    told = response.headers.get("Retry-After")
    if (response.status, told) != (503, str(state.retry_after)) or state.message not in body:
        raise NotYetError(
            f"https://{domain}/ answers {response.status} and not with the page for maintenance "
            f"when {address} asks: provision the host again"
        )


def illness_for_visitors(site: Site) -> str:
    """Why visitors do not get the site, now that nothing keeps them out, or ""."""
    domain = site.config.domain
    address = own_address() or "127.0.0.1"
    try:
        persist(
            lambda: ask_health(LocalTlsConnection(domain, site.https_port, address), "/health/", domain),
            ANSWER_SECONDS,
        )
    except ReleaseError as failure:
        return failure.message
    return ""
