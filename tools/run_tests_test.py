#!/usr/bin/env python3
"""What run_tests.py reads out of the runners' reports."""
import contextlib
import io
import tempfile
import unittest
from pathlib import Path

from run_tests import read_junit, report, total_line


class Totals(unittest.TestCase):
    def read(self, body):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "r.xml"
            path.write_text(f"<testsuites><testsuite>{body}</testsuite></testsuites>", encoding="utf-8")
            return read_junit(path)

    def test_pytest(self):
        result = self.read(
            '<testcase classname="tests.a" name="one"/>'
            '<testcase classname="tests.a" name="two"><failure message="no">x</failure></testcase>'
            '<testcase classname="tests.a" name="three"><error message="no">x</error></testcase>'
            '<testcase classname="tests.a" name="four"><skipped message="chdb is not here"/></testcase>')
        self.assertEqual(result, {"passed": 1, "failed": ["tests.a::two", "tests.a::three"],
                                  "skipped": ["tests.a::four: chdb is not here"]})

    def test_ctest(self):
        result = self.read(
            '<testcase name="base/a" classname="base/a" status="run"/>'
            '<testcase name="base/b" classname="base/b" status="fail"><failure message=""/></testcase>'
            '<testcase name="base/c" classname="base/c" status="notrun"><skipped message="Unable to find executable"/></testcase>'
            '<testcase name="base/d" classname="base/d" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/></testcase>'
            '<testcase name="base/e" classname="base/e" status="disabled"><skipped message="Disabled"/></testcase>')
        self.assertEqual(result["passed"], 1)
        self.assertEqual(result["failed"], ["base/b", "base/c (not run: Unable to find executable)"])
        self.assertEqual(len(result["skipped"]), 2)

    def test_report(self):
        good = {"passed": 3, "failed": [], "skipped": ["x: y\n z"]}
        bad = {"passed": 1, "failed": ["b"], "skipped": []}
        self.assertEqual(total_line([good, bad]), "4 passed, 1 failed, 1 skipped")
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.assertEqual(report({"unit": good, "system": bad}), 1)
            self.assertEqual(report({"unit": good}), 0)
        self.assertIn("FAILED  system: b\n", out.getvalue())
        self.assertIn("SKIPPED unit: x: y z\n", out.getvalue())
        self.assertTrue(out.getvalue().endswith("\n3 passed, 0 failed, 1 skipped\n"))


if __name__ == "__main__":
    unittest.main()
