"""Asking for a certificate: what the host looks at first, and when it does not ask."""

import http.server
import json
import os
import socket
import struct
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parent.parent / "files"))
import request_certificate as program

NAME = "shop.example.com"
HERE = "127.0.0.2"
ELSEWHERE = "127.0.0.3"
NOBODY = "127.0.0.4"


class NameServer:
    """Answers questions for addresses by UDP."""

    def __init__(self, records, status=0):
        self.records = records
        self.status = status
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                query, sender = self.socket.recvfrom(512)
            except OSError:
                return
            self.socket.sendto(self.answer(query), sender)

    def answer(self, query):
        end = program.after_name(query, 12)
        (kind,) = struct.unpack("!H", query[end : end + 2])
        family = socket.AF_INET if kind == 1 else socket.AF_INET6
        found = [a for a in self.records.get(NAME, []) if (":" in a) == (kind == 28)]
        status = self.status or (0 if NAME in self.records else program.NO_SUCH_NAME)
        # An alias first, as with a CNAME.
        alias = b"\xc0\x0c" + struct.pack("!HHIH", 5, 1, 60, 2) + b"\xc0\x0c"
        answers = alias + b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data
            for data in (socket.inet_pton(family, address) for address in found)
        )
        head = query[:2] + struct.pack("!5H", 0x8180 | status, 1, len(found) + 1, 0, 0)
        return head + query[12 : end + 4] + answers

    def close(self):
        self.socket.close()


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files; on another host there are none."""

    def do_GET(self):
        if self.server.server_address[0] == ELSEWHERE:
            self.send_error(404)
        elif self.path.startswith("/.well-known") and self.server.redirects:
            self.server.redirects = False
            self.send_response(301)
            self.send_header("Location", f"http://{NAME}:{self.server.server_address[1]}{self.path}")
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_):
        pass


class RequestTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.web_root = self.directory / "web"
        self.web_root.mkdir()
        self.replace("DNS_SECONDS", 0.2)
        self.port = self.serve(HERE, 0)
        self.serve(ELSEWHERE, self.port)
        self.replace("HTTP_PORT", self.port)
        self.certbot("exit 0")

    def replace(self, name, value, **options):
        """Gives a name of the module another value until the test ends."""
        patch = mock.patch.object(program, name, value, **options)
        patch.start()
        self.addCleanup(patch.stop)

    def serve(self, address, port):
        server = http.server.ThreadingHTTPServer(
            (address, port), lambda *words: Handler(*words, directory=str(self.web_root))
        )
        server.redirects = False
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        if address == HERE:
            self.here = server
        return server.server_address[1]

    def dns(self, *addresses, status=0):
        """Lets the DNS say that the name has these addresses; None: that there is no such name."""
        server = NameServer({} if addresses == (None,) else {NAME: list(addresses)}, status)
        self.addCleanup(server.close)
        self.replace("DNS_PORT", server.port)
        self.replace("name_servers", lambda: ["127.0.0.1"])

    def certbot(self, script):
        """Puts a program in the place of certbot that notes its words."""
        path = self.directory / "certbot"
        path.write_text(f'#!/bin/sh\necho "$@" >> {self.directory}/asked\n{script}\n')
        path.chmod(0o755)
        patch = mock.patch.dict(os.environ, {"PATH": f"{self.directory}:{os.environ['PATH']}"})
        patch.start()
        self.addCleanup(patch.stop)

    def asked(self):
        file = self.directory / "asked"
        return file.read_text().splitlines() if file.exists() else []

    def obtain(self, *words):
        arguments = ["--site=shop", f"--domain={NAME}", "--server=https://ca.example/dir", "--check"]
        arguments += [f"--web-root={self.web_root}", f"--refusals={self.directory / 'refusals.json'}"]
        # The addresses of these tests are loopback ones, which otherwise nobody can mean.
        with mock.patch("ipaddress.IPv4Address.is_loopback", False):
            return program.obtain(program.parse([*arguments, *words]))

    def test_a_name_that_leads_here_is_asked_for(self):
        self.dns(HERE)
        self.assertEqual(self.obtain(), {"asked": True, "issued": True, "reason": ""})
        self.assertIn(f"--domain {NAME} --force-renewal", self.asked()[0])
        self.assertIn("--register-unsafely-without-email", self.asked()[0])
        self.assertEqual(list((self.web_root / ".well-known" / "acme-challenge").iterdir()), [])

    def test_a_redirect_is_followed(self):
        self.dns(HERE)
        self.here.redirects = True
        self.assertTrue(self.obtain()["issued"])

    def test_a_name_that_leads_elsewhere_is_not(self):
        for address, why in ((ELSEWHERE, "another server answers"), (NOBODY, "nobody answers")):
            self.dns(HERE, address)
            result = self.obtain()
            self.assertEqual((result["asked"], result["issued"]), (False, False))
            self.assertIn(f"{NAME} A {address}", result["reason"])
            self.assertIn(why, result["reason"])
        self.assertEqual(self.asked(), [])

    def test_a_name_without_an_address_is_not(self):
        self.replace("own_addresses", lambda: ["10.0.0.5", "8.8.8.8"])
        for addresses in ((None,), ()):
            self.dns(*addresses)
            self.assertIn(f"create {NAME} A 8.8.8.8", self.obtain()["reason"])
        self.assertEqual(self.asked(), [])

    def test_name_servers_that_say_nothing_are_no_answer(self):
        self.dns(HERE, status=2)
        self.assertIn(f"no name server has told where {NAME} leads (status 2)", self.obtain()["reason"])
        self.replace("name_servers", lambda: ["127.0.0.5"])
        self.assertIn("no name server has told", self.obtain()["reason"])
        self.replace("name_servers", list)
        self.assertIn("this host has no name server", self.obtain()["reason"])
        self.assertEqual(self.asked(), [])

    def test_a_public_authority_is_not_asked_for_private_addresses(self):
        self.dns("10.0.0.5")
        self.assertIn("no public authority can reach", self.obtain("--public")["reason"])

    def test_behind_a_gateway_only_the_authority_can_tell(self):
        self.dns("203.0.113.9")
        self.replace("own_addresses", lambda: ["10.0.0.5"])
        with (
            mock.patch.object(program, "fetch", side_effect=OSError("timed out")),
            mock.patch("ipaddress.IPv4Address.is_global", property(lambda a: str(a).startswith("203."))),
        ):
            self.assertTrue(self.obtain("--public")["issued"])

    def test_after_several_refusals_it_waits(self):
        self.dns(HERE)
        self.certbot('echo "  Detail: 203.0.113.9: Invalid response" >&2; exit 1')
        for _ in range(3):
            refused = self.obtain()
            self.assertEqual(refused["reason"], "203.0.113.9: Invalid response")
        waiting = self.obtain()
        self.assertFalse(waiting["asked"])
        self.assertRegex(waiting["reason"], r"refused 3 times within .*asked again after \d\d:\d\d UTC")
        self.assertEqual(len(self.asked()), 3)
        # For other names or another authority that does not count, nor does it an hour later.
        self.assertTrue(self.obtain("--domain=www.example.com", "--server=https://other.example")["asked"])

    def test_refusals_are_forgotten_after_an_hour_or_a_certificate(self):
        self.dns(HERE)
        subject = f"https://ca.example/dir {NAME}"
        file = self.directory / "refusals.json"
        file.write_text(json.dumps({subject: [time.time() - 3601] * 5}))
        self.assertTrue(self.obtain()["issued"])
        self.assertFalse(file.exists())

    def test_without_a_connection_nothing_was_refused(self):
        self.dns(HERE)
        self.certbot("echo 'Saving debug log to /x'; echo 'Failed to establish a new connection' >&2; exit 1")
        for _ in range(4):
            self.assertEqual(self.obtain()["reason"], "Failed to establish a new connection")
        self.assertEqual(len(self.asked()), 4)

    def test_hosts_of_systemd_ask_the_servers_behind_it(self):
        first, second = self.directory / "upstream", self.directory / "resolv.conf"
        second.write_text("# comment\nnameserver 127.0.0.53\n")
        self.replace("RESOLVER_FILES", (first, second))
        self.assertEqual(program.name_servers(), ["127.0.0.53"])
        first.write_text("nameserver 9.9.9.9\nnameserver 2620:fe::fe\n")
        self.assertEqual(program.name_servers(), ["9.9.9.9", "2620:fe::fe"])


if __name__ == "__main__":
    unittest.main()
