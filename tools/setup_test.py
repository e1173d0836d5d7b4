#!/usr/bin/env python3
"""tools/setup.sh, tools/retry.sh and tools/fetch_engine.sh against pretended machines."""
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REAL_PROGRAMS = ["sh", "awk", "sort", "tr", "dirname", "mktemp", "rm", "cat", "tail", "env", "mkdir", "cp", "mv", "ln",
                 "sha256sum", "uname", "wc"]


class Machine(unittest.TestCase):
    """A PATH of a few real programs and some pretended ones."""

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        for program in REAL_PROGRAMS:
            (self.bin / program).symlink_to(shutil.which(program))
        self.pretend("id", "echo 1000")
        self.pretend("sleep", f'echo "$1" >>{self.folder}/slept')

    def pretend(self, name, script):
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def have(self, *packages):
        lines = "".join(f"{p} {p}:amd64 installed\\n" for p in packages)
        self.pretend("dpkg-query", f"printf '{lines}'")

    def lines(self, name):
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []

    def packages(self, purpose):
        rows = [line.split() for line in (ROOT / "tools/packages.txt").read_text().splitlines() if line[:1].isalpha()]
        return [row[1] for row in rows if row[0] == purpose]

    def run_tool(self, tool, *arguments):
        env = {"PATH": str(self.bin), "XDG_CACHE_HOME": str(self.folder / "cache")}
        return subprocess.run([str(ROOT / "tools" / tool), *arguments], env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)


class Setup(Machine):
    def test_all_there_says_nothing(self):
        self.have(*self.packages("build"))
        done = self.run_tool("setup.sh", "build")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_without_root_prints_the_one_line(self):
        self.have(*[p for p in self.packages("build") if p != "libyaml-dev"])
        done = self.run_tool("setup.sh", "build")
        self.assertNotEqual(done.returncode, 0)
        line = done.stderr.splitlines()[-1]
        self.assertTrue(line.strip().startswith("apt-get update && apt-get install"), done.stderr)
        self.assertTrue(line.endswith(" libyaml-dev"), line)

    def test_root_installs_what_is_missing(self):
        self.have(*[p for p in self.packages("build") if p != "libyaml-dev"])
        self.pretend("id", "echo 0")
        self.pretend("apt-get", f'echo "$@" >>{self.folder}/asked')
        done = self.run_tool("setup.sh", "build")
        self.assertEqual(done.returncode, 0, done.stderr)
        asked = self.lines("asked")
        self.assertEqual(len(asked), 2, asked)
        self.assertTrue(asked[0].endswith(" update"), asked)
        self.assertTrue(asked[1].endswith("--no-install-recommends libyaml-dev"), asked)

    def test_apt_failure_is_a_failure(self):
        self.have()
        self.pretend("id", "echo 0")
        self.pretend("apt-get", "echo no network; exit 100")
        done = self.run_tool("setup.sh", "test")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no network", done.stderr)
        self.assertEqual(self.lines("slept"), ["10", "20"])

    def test_another_apt_is_waited_for(self):
        self.have()
        self.pretend("id", "echo 0")
        self.pretend("apt-get", f'echo x >>{self.folder}/asked; [ "$(wc -l <{self.folder}/asked)" -gt 9 ] || '
                                '{ echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7"; exit 100; }')
        done = self.run_tool("setup.sh", "test")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.lines("slept"), ["5"] * 9)
        self.assertIn("held by process 7", done.stderr)

    def test_a_list_that_was_missed_is_fetched_again(self):
        """An update that cannot reach a mirror succeeds; what it says is not known is said by the install."""
        self.have()
        self.pretend("id", "echo 0")
        self.pretend("apt-get", f'echo "$@" >>{self.folder}/asked; case "$*" in *install*) '
                                f'[ "$(wc -l <{self.folder}/asked)" -gt 2 ] || {{ echo "E: Unable to locate package"; exit 100; }};; esac')
        done = self.run_tool("setup.sh", "test")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([line.split()[4] for line in self.lines("asked")], ["update", "install"] * 2)

    def test_a_program_from_elsewhere_will_do(self):
        self.have(*[p for p in self.packages("fetch") if p != "npm"])
        self.pretend("npm", "true")
        self.assertEqual(self.run_tool("setup.sh", "fetch").returncode, 0)

    def test_unknown_purpose(self):
        self.assertEqual(self.run_tool("setup.sh", "cooking").returncode, 2)


class Retry(Machine):
    def fetches(self, failures):
        """A fetch that fails so often; what tools/retry.sh makes of it."""
        self.pretend("fetch", f'echo "$@" >>{self.folder}/asked; [ "$(wc -l <{self.folder}/asked)" -gt {failures} ] || exit 7')
        return self.run_tool("retry.sh", "fetch", "a thing").returncode

    def test_what_succeeds_runs_once(self):
        self.assertEqual((self.fetches(0), self.lines("asked"), self.lines("slept")), (0, ["a thing"], []))

    def test_two_hiccups_are_forgiven(self):
        self.assertEqual((self.fetches(2), self.lines("asked"), self.lines("slept")), (0, ["a thing"] * 3, ["5", "20"]))

    def test_what_fails_on_fails(self):
        self.assertEqual((self.fetches(9), len(self.lines("asked"))), (7, 3))


class FetchEngine(Machine):
    def test_wrong_checksum_is_refused(self):
        self.have(*self.packages("fetch"))
        self.pretend("mvn", 'for a in "$@"; do case $a in -DoutputDirectory=*) '
                            'echo junk >"${a#*=}/duckdb_jdbc-2.0.0.0.jar";; esac; done')
        done = self.run_tool("fetch_engine.sh", str(self.folder / "engine"))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("checksum", done.stderr)
        self.assertEqual(list((self.folder / "engine" / "include").iterdir()), [])
        self.assertEqual(list((self.folder / "cache/tarn/engine/2.0.0").iterdir()), [])

    def test_second_time_fetches_nothing(self):
        engine = ROOT / "build/engine"
        if not (engine / "stamp").is_file():
            self.skipTest("no engine in build/engine")
        first = self.run_tool("fetch_engine.sh", str(engine))
        self.assertEqual((first.returncode, first.stdout, first.stderr), (0, "", ""))


if __name__ == "__main__":
    unittest.main()
