"""The one program that the modules are packed into."""

import subprocess
import sys

from pack import pack
from release.processes import script

from .host import SITE, Temporary


class PackTest(Temporary):
    def setUp(self):
        super().setUp()
        self.program = self.directory / f"{SITE}-release"
        pack(self.program)

    def run_program(self, *words):
        argv = [sys.executable, "-IB", self.program, *words]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def test_same_modules_make_the_same_bytes(self):
        again = self.directory / "again"
        pack(again)
        self.assertEqual(self.program.read_bytes(), again.read_bytes())

    def test_runs_under_its_own_name(self):
        done = self.run_program("--help")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(f"usage: {SITE}-release", done.stdout)
        self.assertEqual(self.run_program("nonsense").returncode, 2)

    def test_holds_the_scripts_that_it_hands_out(self):
        packed = self.program.read_bytes()
        for name in ("examine.py", "ping.py", "release_compatibility.py"):
            self.assertIn(script(name).encode(), packed)
