"""Links, permissions and room on the disk."""

import os
import threading

from release.errors import ReleaseError
from release.files import give_to, point, require_room

from .host import Temporary


class FileTest(Temporary):
    def test_link_exists_at_every_moment(self):
        link, stop, missing = self.directory / "current", threading.Event(), []
        point(link, "a")

        def watch():
            while not stop.is_set():
                try:
                    link.readlink()
                except FileNotFoundError as error:
                    missing.append(error)

        watcher = threading.Thread(target=watch)
        watcher.start()
        for number in range(200):
            point(link, f"releases/{number}")
        stop.set()
        watcher.join()
        self.assertEqual((missing, str(link.readlink())), ([], "releases/199"))

    def test_give_to_takes_dangerous_permissions_away(self):
        path = self.directory / "bin" / "tool"
        path.parent.mkdir()
        path.touch()
        path.chmod(0o6777)
        (self.directory / "link").symlink_to("/etc/passwd")
        give_to(self.directory, os.getuid(), os.getgid())
        self.assertEqual(path.stat().st_mode & 0o7777, 0o755)

    def test_no_room(self):
        with self.assertRaisesRegex(ReleaseError, "make room on the disk"):
            require_room(self.directory, 1 << 60)
        if os.statvfs(self.directory).f_files:
            with self.assertRaisesRegex(ReleaseError, "inodes free"):
                require_room(self.directory, 1, 1 << 60)
