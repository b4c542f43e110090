"""Archives, safe and unsafe ones."""

import io
import os
import tarfile

from release.archives import read_archive, spool, unpack
from release.errors import UsageError
from release.messages import MIB
from release.site import Accounts

from .host import Temporary


class ArchiveTest(Temporary):
    def archive(self, *members, project=True, mode="w:gz"):
        path = self.directory / "archive.tar"
        with tarfile.open(path, mode) as tar:
            for name in ("manage.py", "pyproject.toml", "uv.lock") if project else ():
                tar.addfile(tarfile.TarInfo(name))
            for member in members:
                tar.addfile(member, io.BytesIO(b"x" * member.size))
        return path

    def member(self, name, kind=tarfile.REGTYPE, link="", size=0):
        member = tarfile.TarInfo(name)
        member.type, member.linkname, member.size = kind, link, size
        return member

    def test_unsafe_members(self):
        for member in (
            self.member("../outside"),
            self.member("a/../../outside"),
            self.member("/etc/cron.d/x"),
            self.member("link", tarfile.SYMTYPE, "/etc/shadow"),
            self.member("a/link", tarfile.SYMTYPE, "../../outside"),
            self.member("link", tarfile.LNKTYPE, "/etc/shadow"),
            self.member("device", tarfile.CHRTYPE),
            self.member("pipe", tarfile.FIFOTYPE),
            self.member(".release.json"),
            self.member(".venv", tarfile.SYMTYPE, "shop"),
            self.member("gunicorn.sock"),
        ):
            with (
                self.subTest(member.name),
                self.assertRaisesRegex(UsageError, "is refused"),
            ):
                read_archive(self.archive(member), MIB)

    def test_unsafe_members_without_pythons_filter(self):
        # As on Debian 12.
        found = vars(tarfile).pop("data_filter", None)
        try:
            self.test_unsafe_members()
        finally:
            if found:
                tarfile.data_filter = found

    def test_files_below_a_link(self):
        members = (self.member("a", tarfile.SYMTYPE, "b"), self.member("a/x"))
        path = self.archive(*members)
        try:
            archive = read_archive(path, MIB)
        except UsageError:
            return
        accounts = Accounts(os.getuid(), os.getgid(), os.getuid(), os.getgid())
        try:
            unpack(path, archive, self.directory / "out", accounts)
        except OSError:
            return
        self.assertFalse((self.directory / "x").exists())

    def test_not_a_project(self):
        with self.assertRaisesRegex(UsageError, "no manage.py at its top"):
            read_archive(self.archive(project=False), MIB)

    def test_not_an_archive(self):
        path = self.directory / "archive.tar"
        complete = self.archive(self.member("x", size=100_000)).read_bytes()
        for content in (b"", b"hello", b"\x1f\x8b\x08", complete[: len(complete) // 2]):
            with (
                self.subTest(content[:10]),
                self.assertRaisesRegex(UsageError, "tar archive"),
            ):
                path.write_bytes(content)
                read_archive(path, MIB)

    def test_too_large(self):
        bomb = self.archive(self.member("zeros", size=3 * MIB))
        self.assertLess(bomb.stat().st_size, MIB)
        with self.assertRaisesRegex(UsageError, "larger than 2.0 MiB"):
            read_archive(bomb, 2 * MIB)

    def test_permissions(self):
        program, plain = self.member("run.sh"), self.member("deep/er/secret.txt")
        program.mode, plain.mode = 0o4777, 0o666
        path = self.archive(program, plain)
        accounts = Accounts(os.getuid(), os.getgid(), os.getuid(), os.getgid())
        target = self.directory / "out"
        unpack(path, read_archive(path, MIB), target, accounts)
        modes = {
            name: (target / name).stat().st_mode & 0o7777 for name in (".", "deep/er", "run.sh", plain.name)
        }
        self.assertEqual(modes, {".": 0o751, "deep/er": 0o751, "run.sh": 0o750, plain.name: 0o640})

    def test_spool(self):
        self.assertEqual(spool(io.BytesIO(b"abc"), self.directory, 3).read_bytes(), b"abc")

    def test_spool_refuses(self):
        for content, message in ((b"abcd", "larger than"), (b"", "empty")):
            with self.subTest(content), self.assertRaisesRegex(UsageError, message):
                spool(io.BytesIO(content), self.directory, 3)
        self.assertEqual(list(self.directory.iterdir()), [])
