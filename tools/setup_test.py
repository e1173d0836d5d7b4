#!/usr/bin/env python3
"""tools/setup.sh and tools/fetch_engine.sh against pretended machines."""
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REAL_PROGRAMS = ["sh", "awk", "sort", "tr", "dirname", "mktemp", "rm", "cat", "tail", "env", "mkdir", "cp", "mv", "ln",
                 "sha256sum", "uname"]


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

    def pretend(self, name, script):
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def have(self, *packages):
        lines = "".join(f"{p} {p}:amd64 installed\\n" for p in packages)
        self.pretend("dpkg-query", f"printf '{lines}'")

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
        asked = (self.folder / "asked").read_text().splitlines()
        self.assertEqual(asked[0], "update")
        self.assertTrue(asked[1].endswith("--no-install-recommends libyaml-dev"), asked)

    def test_apt_failure_is_a_failure(self):
        self.have()
        self.pretend("id", "echo 0")
        self.pretend("apt-get", "echo no network; exit 100")
        done = self.run_tool("setup.sh", "test")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no network", done.stderr)

    def test_a_program_from_elsewhere_will_do(self):
        self.have(*[p for p in self.packages("fetch") if p != "npm"])
        self.pretend("npm", "true")
        self.assertEqual(self.run_tool("setup.sh", "fetch").returncode, 0)

    def test_unknown_purpose(self):
        self.assertEqual(self.run_tool("setup.sh", "cooking").returncode, 2)


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
