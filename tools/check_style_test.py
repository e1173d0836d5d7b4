#!/usr/bin/env python3
"""Each rule of check_style.py, broken on purpose."""
import tempfile
import unittest
from pathlib import Path

from check_style import MAX_LINES, check, check_c, check_text


class Style(unittest.TestCase):
    def words(self, text):
        return [complaint for _, complaint in check_c(text)]

    def test_clean(self):
        self.assertEqual(self.words('/* see http://example.com */\nconst char *s = "// no \\" comment", c = \'"\';\n'), [])
        self.assertEqual(self.words("tn_strcpy(a); x->rand(1); my_system(2); gmtime_r(a, b);\n"), [])

    def test_line_comment(self):
        self.assertEqual(list(check_c("int a;\nint b; // why\n"))[0][0], 2)

    def test_banned(self):
        self.assertIn("strcpy is banned", self.words("strcpy (a, b);\n")[0])
        self.assertIn("atoi is banned", self.words("return atoi(text);\n")[0])
        self.assertEqual(self.words("/* strcpy(a, b) */ char *s = \"atoi(1)\";\n"), [])

    def test_tests_may_look_outside(self):
        self.assertEqual(list(check_c("popen(a, b);\n", is_test=True)), [])
        self.assertIn("popen is banned", self.words("popen(a, b);\n")[0])

    def test_size(self):
        self.assertEqual(self.words("\n" * MAX_LINES), [])
        self.assertIn("split the file", self.words("\n" * (MAX_LINES + 1))[0])

    def test_hosts_places_unfinished(self):
        self.assertEqual(len(list(check_text("see https://pypi" + ".org/x\n"))), 1)
        self.assertEqual(len(list(check_text("cd /work" + "/main\n"))), 1)
        self.assertEqual(list(check_text("a/work" + "/b homework" + "/x\n")), [])
        self.assertEqual(len(list(check_text("/* TO" + "DO later */\n"))), 1)

    def test_links(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "a.md").write_text("[a](b.md#x) [c](https://example.com) [d](a.md#y)\n")
            self.assertEqual(check(root, [root / "a.md"]), ["a.md:1: links to b.md, which does not exist"])

    def test_tree(self):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            (root / "a.c").write_text("int a; // b\n")
            (root / "b.h").write_bytes(b"\xff")
            self.assertEqual(check(root, [root / "a.c", root / "b.h"])[0][:6], "a.c:1:")
            self.assertEqual(check(root, [root / "b.h"]), ["b.h: not UTF-8"])


if __name__ == "__main__":
    unittest.main()
