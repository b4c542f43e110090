"""Asks whether a release is well: on its own socket, through nginx, and as systemd sees it."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import NotYetError, ReleaseError
from .messages import MIB
from .processes import unit_states
from .releases import Release
from .site import Site

REQUEST_SECONDS = 10.0
# As many as a release has threads, unless its settings say otherwise (gunicorn.conf.py).
WARM_UP_REQUESTS = 8
WARM_UP_SECONDS = 2.0


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=REQUEST_SECONDS)
        self.path = path

    def connect(self) -> None:
        """Connects to the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class LocalTlsConnection(http.client.HTTPConnection):
    """HTTPS to nginx on this host, by one of its addresses, whatever the domain's DNS says."""

    def __init__(self, domain: str, port: int, address: str = "127.0.0.1") -> None:
        super().__init__(address, port, timeout=REQUEST_SECONDS)
        self.domain = domain

    def connect(self) -> None:
        """Connects to this host and asks for the site's certificate."""
        super().connect()
        # The question is whether nginx passes requests to this release. Whether visitors trust the
        # certificate is another one, and a new site starts with a certificate that it signed
        # itself.
        context = ssl._create_unverified_context()
        self.sock = context.wrap_socket(self.sock, server_hostname=self.domain)


def ask_health(connection: http.client.HTTPConnection, path: str, domain: str) -> dict[str, Any]:
    """
    Asks a health page. Raises ReleaseError with what is not well, which includes an answer of
    another kind.
    """
    try:
        connection.request("GET", path, headers={"Host": domain, "X-Forwarded-Proto": "https"})
        response = connection.getresponse()
        body = response.read(MIB)
    except (OSError, http.client.HTTPException) as error:
        raise NotYetError(f"{path} does not answer: {error or type(error).__name__}") from None
    finally:
        connection.close()
    answers = f"{path} answers {response.status} {response.reason}"
    try:
        answer = json.loads(body)
        checks = answer.get("checks", {}).items()
        broken = [f"{name}: {check['detail']}" for name, check in checks if not check["ok"]]
    except (ValueError, AttributeError, KeyError, TypeError):
        answer, broken = {}, []
    if broken:
        raise NotYetError(f"{path} reports {'; '.join(broken)}")
    if response.status in (http.client.BAD_GATEWAY, http.client.SERVICE_UNAVAILABLE):
        raise NotYetError(answers)
    if response.status != http.client.OK or answer.get("status") != "ok":
        raise ReleaseError(answers)
    return answer


def ask_release(connection: http.client.HTTPConnection, path: str, domain: str, release: str) -> None:
    """Asks a health page which release answers. Raises ReleaseError when it is not this one."""
    answering = ask_health(connection, path, domain).get("release")
    if answering != release:
        raise NotYetError(f"{path} is answered by release {answering}, not by {release}")


def persist(
    question: Callable[[], object], seconds: float, give_up: Callable[[], bool] = lambda: False
) -> None:
    """Asks until there is no NotYetError, for so many seconds. Raises the last one."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            question()
            return
        except NotYetError:
            if time.monotonic() >= deadline or give_up():
                raise
        time.sleep(0.1)


def through_nginx(site: Site, release: Release) -> None:
    """Raises ReleaseError unless nginx passes requests to this release."""
    connection = LocalTlsConnection(site.config.domain, site.https_port)
    ask_release(connection, "/health/", site.config.domain, release.id)


def on_its_socket(site: Site, release: Release) -> None:
    """Raises ReleaseError unless this release and every service that it needs are well."""
    ask_release(UnixConnection(site.socket(release.id)), "/health/deep/", site.config.domain, release.id)


def warm_up(site: Site, release: Release) -> int:
    """
    Visits the first page of a release several times at once, and returns how often it answered.

    The first request to a thread connects to the database and reads templates and URLs, and takes
    many times as long as the next. It should not be a visitor's. What the page answers is its own
    business: it may well send everybody to a login.
    """

    def visit(_: int) -> bool:
        connection = UnixConnection(site.socket(release.id))
        connection.timeout = WARM_UP_SECONDS
        headers = {"Host": site.config.domain, "X-Forwarded-Proto": "https", "User-Agent": "release-warm-up"}
        try:
            connection.request("GET", "/", headers=headers)
            connection.getresponse().read(MIB)
            return True
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    with concurrent.futures.ThreadPoolExecutor(WARM_UP_REQUESTS) as pool:
        return sum(pool.map(visit, range(WARM_UP_REQUESTS)))


def illness(site: Site, release: Release) -> str:
    """What is not well with the live release, or ""."""
    units = [site.web(release.id), site.worker(release.id), site.beat]
    stopped = [
        f"{u} is {state}" for u, state in zip(units, unit_states(*units), strict=True) if state != "active"
    ]
    if stopped:
        return ", ".join(stopped)
    try:
        on_its_socket(site, release)
        through_nginx(site, release)
    except ReleaseError as failure:
        return failure.message
    return ""
