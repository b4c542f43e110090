"""
Asks the certificate authority for the site's certificate, if it can succeed.

A validation that fails is not free: Let's Encrypt answers no more for a name after five of them within an
hour (https://letsencrypt.org/docs/rate-limits/). So the host first does what the authority is going to do: it
looks the names up in the DNS and fetches a file from itself by each address that it finds. What /etc/hosts
says does not count, because the authority does not see it. After several refusals it waits, whatever the
reason was.

Prints one object of JSON: whether the authority was asked, whether there is a certificate now, and the reason
if not.
"""

import argparse
import http.client
import ipaddress
import json
import re
import secrets
import socket
import ssl
import struct
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

# systemd-resolved answers from /etc/hosts, too; the servers that it asks itself do not.
RESOLVER_FILES = (Path("/run/systemd/resolve/resolv.conf"), Path("/etc/resolv.conf"))
DNS_PORT = 53
DNS_SECONDS = 2
DNS_TRIES = 2
RECORD_TYPES = {"A": 1, "AAAA": 28}
NO_SUCH_NAME = 3

HTTP_PORT = 80
FETCH_SECONDS = 5
MOST_REDIRECTS = 5

# Of Let's Encrypt's five, some are left for whoever mends the cause.
MOST_REFUSALS = 3
REFUSAL_SECONDS = 3600


class NotAskedError(Exception):
    """Why the authority was not asked."""


# The DNS


def name_servers():
    """The addresses of the name servers that this host is set up to ask."""
    for path in RESOLVER_FILES:
        with suppress(OSError):
            found = re.findall(r"^\s*nameserver\s+(\S+)", path.read_text(), re.MULTILINE)
            if found:
                return found
    return []


def question(name, record_type, number):
    """A query for one type of records of a name (RFC 1035, 4.1)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, record_type, 1)


def after_name(message, at):
    """The place behind a name, which may end in a pointer to another one."""
    while message[at]:
        if message[at] >= 0xC0:
            return at + 2
        at += message[at] + 1
    return at + 1


def addresses_in(message, record_type):
    """The addresses in an answer. The records of aliases that lead to them are passed over."""
    questions, answers = struct.unpack("!2H", message[4:8])
    at = 12
    for _ in range(questions):
        at = after_name(message, at) + 4
    found = []
    for _ in range(answers):
        at = after_name(message, at)
        kind, _, _, length = struct.unpack("!HHIH", message[at : at + 10])
        data = message[at + 10 : at + 10 + length]
        if kind == record_type:
            found.append(str(ipaddress.ip_address(data)))
        at += 10 + length
    return found


def ask_name_server(server, name, record_type):
    """What one name server answers. Raises an OSError without a usable answer."""
    number = secrets.randbelow(1 << 16)
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as connection:
        connection.settimeout(DNS_SECONDS)
        connection.connect((server, DNS_PORT))
        connection.send(question(name, record_type, number))
        message = connection.recv(4096)
    if len(message) < 12 or struct.unpack("!H", message[:2])[0] != number:
        raise OSError("an answer that is none")
    status = message[3] & 0x0F
    if status == NO_SUCH_NAME:
        return []
    if status != 0:
        raise OSError(f"status {status}")
    try:
        return addresses_in(message, record_type)
    except (IndexError, ValueError, struct.error) as error:
        raise OSError("an answer that cannot be read") from error


def look_up(name):
    """The addresses of a name, IPv6 first, as authorities prefer it."""
    servers = name_servers()
    if not servers:
        raise NotAskedError("this host has no name server")
    found = []
    for record_type in (RECORD_TYPES["AAAA"], RECORD_TYPES["A"]):
        for server in servers * DNS_TRIES:
            try:
                found += ask_name_server(server, name, record_type)
                break
            except OSError as error:
                failure = error
        else:
            raise NotAskedError(f"no name server has told where {name} leads ({failure})")
    return found


# Where a name leads


class PinnedConnection(http.client.HTTPConnection):
    """A connection to one address, whatever the name leads to for others on this host."""

    def __init__(self, name, port, address, use_tls):
        super().__init__(name, port, timeout=FETCH_SECONDS)
        self.address = address
        self.use_tls = use_tls

    def connect(self):
        """Opens it. What counts is who answers: a first certificate is not there yet."""
        self.sock = socket.create_connection((self.address, self.port), self.timeout)
        if self.use_tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            self.sock = context.wrap_socket(self.sock, server_hostname=self.host)


def fetch(name, address, path):
    """What a path of a site is, asked for at an address. As an authority does, it follows redirects."""
    port, use_tls = HTTP_PORT, False
    for _ in range(MOST_REDIRECTS):
        connection = PinnedConnection(name, port, address, use_tls)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read(1000)
        finally:
            connection.close()
        location = response.getheader("Location")
        if response.status not in (301, 302, 303, 307, 308) or not location:
            return body
        target = urlsplit(location)
        if target.hostname not in (None, name):
            return b""
        use_tls = target.scheme == "https" if target.scheme else use_tls
        port = target.port or (443 if use_tls else HTTP_PORT)
        path = target.path or "/"
    return b""


def own_addresses():
    """The addresses of this host's interfaces."""
    listed = subprocess.run(["hostname", "-I"], capture_output=True, text=True, check=False).stdout
    return [str(ipaddress.ip_address(word.partition("%")[0])) for word in listed.split()]


def describe(name, address):
    """A record as it stands in a zone."""
    return f"{name} {'AAAA' if ':' in address else 'A'} {address}"


def check_name(name, web_root, only_public):
    """Raises an error unless all that the DNS says of a name leads to this host, or might."""
    found = look_up(name)
    own = own_addresses()
    public = [address for address in own if ipaddress.ip_address(address).is_global]
    if not found:
        wanted = describe(name, public[0]) if public else f"an A record of {name}"
        raise NotAskedError(f"{name} has no address in the DNS; create {wanted}")
    token = secrets.token_urlsafe(24)
    directory = web_root / ".well-known" / "acme-challenge"
    for part in (directory.parent, directory):
        part.mkdir(exist_ok=True)
        part.chmod(0o755)
    file = directory / token
    file.write_text(token)
    file.chmod(0o644)
    try:
        for address in found:
            check_address(name, address, token, public, only_public)
    finally:
        file.unlink()


def check_address(name, address, token, public, only_public):
    """Raises an error if another host answers at an address, or none."""
    record = describe(name, address)
    parsed = ipaddress.ip_address(address)
    if parsed.is_loopback or (only_public and not parsed.is_global):
        raise NotAskedError(f"{record} is an address that no public authority can reach")
    try:
        answer = fetch(name, address, f"/.well-known/acme-challenge/{token}")
        seen = "another server answers there"
    except (OSError, http.client.HTTPException) as error:
        answer, seen = b"", f"nobody answers there at port {HTTP_PORT} ({error})"
    if answer == token.encode():
        return
    if only_public and not public:
        # Behind a gateway that does not lead back from inside: only the authority can tell.
        return
    raise NotAskedError(f"the DNS has {record}, and that does not lead to this host: {seen}")


# The authority


class Refusals:
    """When the authority has refused lately, by authority and names."""

    def __init__(self, path, subject):
        self.path = path
        self.subject = subject

    def recent(self, now):
        """The times of the refusals that still count, in seconds since 1970."""
        with suppress(OSError, ValueError, AttributeError):
            kept = json.loads(self.path.read_text()).get(self.subject, [])
            return [moment for moment in kept if now - REFUSAL_SECONDS < moment <= now]
        return []

    def add(self, now):
        """Notes a refusal."""
        self.path.write_text(json.dumps({self.subject: [*self.recent(now), now]}))

    def clear(self):
        """Forgets them: the authority has issued."""
        self.path.unlink(missing_ok=True)

    def check(self, now):
        """Raises an error when there were too many."""
        recent = self.recent(now)
        if len(recent) >= MOST_REFUSALS:
            again = time.strftime("%H:%M UTC", time.gmtime(min(recent) + REFUSAL_SECONDS))
            raise NotAskedError(
                f"it has refused {len(recent)} times within an hour, and authorities lock out who goes on "
                f"asking; it is asked again after {again}"
            )


NOISE = re.compile(
    r"(Ask for help|See the logfile|Saving debug log|Hint:|Some challenges|The Certificate Auth)"
)


def reason_in(output):
    """What certbot says of why there is no certificate."""
    details = re.findall(r"Detail: (.+)", output)
    lines = [line.strip() for line in output.splitlines() if line.strip() and not NOISE.match(line.strip())]
    return (details or lines[-1:] or ["no answer"])[0]


def was_refused(output):
    """Whether the authority has looked and said no. Without a connection, say, nothing was counted."""
    return "Detail: " in output or "rateLimited" in output or "too many" in output


def request(arguments):
    """Has certbot ask. Returns whether there is a certificate, and what certbot has said."""
    command = ["certbot", "certonly", "--non-interactive", "--agree-tos", "--server", arguments.server]
    command += ["--cert-name", arguments.site, "--webroot", "--webroot-path", str(arguments.web_root)]
    command += [word for name in arguments.domain for word in ("--domain", name)]
    command += ["--force-renewal", "--renew-with-new-domains"]
    command += ["--email", arguments.email] if arguments.email else ["--register-unsafely-without-email"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def obtain(arguments):
    """The whole of it; returns what is printed."""
    refusals = Refusals(arguments.refusals, f"{arguments.server} {','.join(arguments.domain)}")
    if arguments.check:
        try:
            refusals.check(time.time())
            for name in arguments.domain:
                check_name(name, arguments.web_root, arguments.public)
        except NotAskedError as error:
            return {"asked": False, "issued": False, "reason": str(error)}
    issued, output = request(arguments)
    if issued:
        refusals.clear()
        return {"asked": True, "issued": True, "reason": ""}
    if was_refused(output):
        refusals.add(time.time())
    return {"asked": True, "issued": False, "reason": reason_in(output)}


def parse(words):
    """The words of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--site", required=True)
    parser.add_argument("--domain", required=True, action="append")
    parser.add_argument("--server", required=True)
    parser.add_argument("--email", default="")
    parser.add_argument("--web-root", required=True, type=Path)
    parser.add_argument("--refusals", required=True, type=Path)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--public", action="store_true")
    return parser.parse_args(words)


if __name__ == "__main__":
    print(json.dumps(obtain(parse(sys.argv[1:]))))
