"""What an output says went wrong."""

import json
import unittest

from release.messages import cause, readable


class LogTest(unittest.TestCase):
    def test_cause_is_the_exception(self):
        lines = ["Traceback (most recent call last):", "  x", "a.b.SomeError: no", "LINE 1: select"]
        self.assertEqual(cause(lines), "a.b.SomeError: no")
        self.assertEqual(cause([]), "it said nothing")

    def test_json_lines_become_readable(self):
        line = json.dumps({"level": "ERROR", "message": "Broken", "exc_info": "Traceback\nKeyError: 'x'"})
        self.assertEqual(readable(line), "ERROR Broken: KeyError: 'x'")
        self.assertEqual(readable("plain"), "plain")
