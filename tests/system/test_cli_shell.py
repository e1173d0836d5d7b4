"""The interactive SQL shell, on a real terminal of its own."""
import fcntl
import os
import pty
import re
import select
import stat
import struct
import subprocess
import termios
import time

import pytest

from tests.support.cli import BINARY, Server, environment, tarn
from tests.support.tarn import wait_for

PATIENCE = 120
LONG = "select count(*) from range(100000000) a, range(100000) b where a.range + b.range = 7;"


class Terminal:
    """What a person sees and types."""

    def __init__(self, *words, env=None, columns=80):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
        surroundings = environment(TERM="xterm", COLUMNS=str(columns), **(env or {}))
        self.process = subprocess.Popen([str(BINARY), *map(str, words)], stdin=slave, stdout=slave, stderr=slave,
                                        env=surroundings, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.seen = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)

    def type(self, text):
        os.write(self.master, text.encode())

    def expect(self, pattern):
        """Reads until the pattern comes; returns all text up to and with it."""
        until = time.monotonic() + PATIENCE
        while True:
            plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.seen)
            if found := re.search(pattern, plain):
                self.seen = plain[found.end():]
                return plain[:found.end()]
            ready, _, _ = select.select([self.master], [], [], max(0, until - time.monotonic()))
            assert ready, f"{pattern!r} did not come; seen: {plain!r}"
            try:
                self.seen += os.read(self.master, 65536).decode(errors="replace")
            except OSError:
                raise AssertionError(f"{pattern!r} did not come before the end; seen: {plain!r}") from None

    def prompt(self, pattern=r"tarn> $"):
        """Until the prompt stands there and the line editor listens: a key
        pressed between the two would be the terminal's, not the editor's."""
        text = self.expect(pattern)
        until = time.monotonic() + PATIENCE
        while termios.tcgetattr(self.master)[3] & termios.ICANON:
            assert time.monotonic() < until, "the line editor does not listen"
            time.sleep(0.002)
        return text

    def taken(self):
        """Until the line editor has handed over what was typed: from then on Ctrl-C is a signal."""
        until = time.monotonic() + PATIENCE
        while not termios.tcgetattr(self.master)[3] & termios.ICANON:
            assert time.monotonic() < until, "the line is not taken"
            time.sleep(0.002)

    def wait(self):
        """The exit status; what is still written is read, so that nothing blocks."""
        until = time.monotonic() + PATIENCE
        while self.process.poll() is None:
            assert time.monotonic() < until, f"the shell does not end; seen: {self.seen!r}"
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    self.seen += os.read(self.master, 65536).decode(errors="replace")
                except OSError:
                    pass
        return self.process.returncode


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shell")
    (folder / "candidates.csv").write_text("candidate_id,first_name\n1,Ann\n2,\u6771\u4eac\n3,\n")
    tarn("ingest", folder / "candidates.csv", lake=folder / "lake", check=0)
    return folder / "lake"


@pytest.fixture
def shell(filled, tmp_path):
    with Terminal("sql", "--lake", filled, env={"XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)}) as terminal:
        terminal.prompt()
        yield terminal


def test_a_query_draws_a_table_with_its_time(shell):
    shell.type("select * from candidates order by 1;\r")
    text = shell.expect(r"3 rows in [0-9.]+ m?s")
    lines = [line.rstrip() for line in text.splitlines()]
    head = next(i for i, line in enumerate(lines) if re.fullmatch(r"candidate_id \u2502 first_name", line))
    assert lines[head + 2] == "           1 \u2502 Ann"
    assert lines[head + 3] == "           2 \u2502 \u6771\u4eac"
    assert lines[head + 4] == "           3 \u2502 NULL"
    shell.prompt()


def test_statements_take_several_lines(shell):
    shell.type("select\r")
    shell.prompt(r"   -> $")
    shell.type("'a;\r")
    shell.prompt(r"  '-> $")
    shell.type("b' as t;\r")
    assert "a;\\nb" in shell.expect("1 row in")


def test_tab_completes_datasets_columns_and_keywords(shell):
    # The line editor redraws only what changed, so the answer tells what was completed.
    shell.type("SEL\tfirst_n\tas who from candidates\tlimit 1;\r")
    text = shell.expect("1 row in")
    assert re.search(r"^who\s*$", text, re.MULTILINE) and "Ann" in text
    shell.prompt()
    shell.type("sele\tcount(candidate_i\t) as n from CANDIDATES\t;\r")
    assert "3" in shell.expect("1 row in")


def test_tab_lists_when_several_fit(shell):
    shell.type("cand\t")
    shell.expect("cand.*idate")
    shell.type("\t")
    text = shell.expect(r"candidates\s")
    assert "candidate_id" in text


@pytest.mark.parametrize("seconds", [0, 0.02, 1])
def test_interrupt_cancels_the_query_and_not_the_shell(shell, seconds):
    shell.type(LONG + "\r")
    shell.taken()
    time.sleep(seconds)
    shell.type("\x03")
    shell.expect("cancelled")
    shell.prompt()
    shell.type("select 40 + 2 as answer;\r")
    assert "42" in shell.expect("1 row in")


def test_interrupt_between_a_line_and_its_query(shell, tmp_path):
    """The line is taken, and the history that it goes to cannot be opened before the interrupt comes."""
    history = tmp_path / "tarn" / "history"
    os.mkfifo(history)
    shell.type("select 1 as one; " + LONG + "\r")
    shell.taken()
    shell.type("\x03")
    shell.expect("cancelled")
    history.unlink()
    shell.prompt()
    shell.type("select 40 + 2 as answer;\r")
    assert "42" in shell.expect("1 row in")


def test_interrupt_at_the_prompt_clears_the_line(shell):
    shell.type("select nonsense")
    shell.expect("nonsense")
    shell.type("\x03")
    shell.prompt()
    shell.type("select\r")
    shell.prompt(r"-> $")
    shell.type("\x03")
    shell.prompt()
    shell.type("select 6 * 7 as answer;\r")
    assert "42" in shell.expect("1 row in")


def test_an_interrupt_is_never_lost(shell):
    """It comes at any moment between two keys, also when nobody reads just then."""
    processors = os.sched_getaffinity(0)
    try:
        for process in (0, shell.process.pid):  # on one processor the two take turns at every place
            os.sched_setaffinity(process, {min(processors)})
        until = time.monotonic() + PATIENCE  # on a busy machine not all of the turns
        for turn in range(10000):
            if time.monotonic() > until:
                break
            shell.type("x")
            shell.type("\x03")
            shell.prompt()
    finally:
        os.sched_setaffinity(0, processors)
    shell.type("\x12zzz\x03")  # while the history is searched, too
    shell.prompt()
    shell.type("select 6 * 7 as answer;\r")
    assert "42" in shell.expect("1 row in")


def test_errors_leave_the_shell_alive(shell):
    shell.type("select nope from candidates;\r")
    shell.expect("tarn: ")
    shell.prompt()
    shell.type(".tabels\r")
    assert ".tables" in shell.expect("did you mean .*\\?")
    shell.prompt()


def test_dot_commands(shell, tmp_path):
    shell.type(".help\r")
    text = shell.expect("Ctrl-C cancels")
    for name in [".tables", ".schema", ".timing", ".mode", ".output", ".quit", ".limit"]:
        assert name in text
    shell.type(".tables\r")
    shell.expect("candidates .*3")
    shell.type(".schema candidates\r")
    shell.expect("first_name .*VARCHAR")
    shell.type(".mode csv\r")
    shell.expect("mode is csv")
    shell.type("select 1 as x, 'a,b' as y;\r")
    shell.expect('1,"a,b"')
    shell.type(".mode table\r")
    shell.expect("mode is table")
    shell.type(".timing off\r")
    shell.expect("timing is off")
    shell.type(".limit 2\r")
    shell.prompt()
    shell.type("select range as n from range(5);\r")
    shell.expect("the first 2 rows")
    shell.type(f".output {tmp_path}/out.csv\r")
    shell.expect("results go to")
    shell.type("select 5 as five;\r")
    shell.prompt()
    shell.type(".output\r")
    shell.expect("standard output")
    shell.type(".quit\r")
    assert shell.wait() == 0
    assert (tmp_path / "out.csv").read_text().split() == ["five", "5"]


def test_end_of_input_leaves(shell):
    shell.type("\x04")
    assert shell.wait() == 0


def test_history_is_kept_and_private(filled, tmp_path):
    env = {"XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    with Terminal("sql", "--lake", filled, env=env) as first:
        first.prompt()
        first.type("select 1234 as remembered;\r")
        first.expect("1 row in")
        first.prompt()
        first.type("\x04")
        assert first.wait() == 0
    path = tmp_path / "tarn" / "history"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with Terminal("sql", "--lake", filled, env=env) as second:
        second.prompt()
        second.type("\x1b[A")
        second.expect("select 1234 as remembered;")
        second.type("\r")
        second.expect("1 row in")


def test_a_narrow_terminal_is_never_overrun(filled, tmp_path):
    text = "select repeat('long ', 50) as a, 1 as b, repeat('x', 90) as c"
    with Terminal("sql", "--lake", filled, "-c", text, columns=60) as terminal:
        lines = terminal.expect("1 row in").splitlines()
        assert all(len(line) <= 60 for line in lines if "\u2502" in line or "\u253c" in line)
        assert any("\u2026" in line for line in lines)
        assert any("are cut to the terminal's width" in line for line in lines)
        assert terminal.wait() == 0


def test_long_results_are_paged_with_a_note(filled):
    with Terminal("sql", "--lake", filled, "-c", "select range from range(1000)") as terminal:
        terminal.expect("the first 200 rows")
        assert terminal.wait() == 0


def test_shell_on_a_server(filled, tmp_path):
    with Server(filled) as server:
        env = {"TARN_SERVER": server.url, "TARN_TOKEN": server.token, "HOME": str(tmp_path)}
        with Terminal("sql", env=env) as terminal:
            terminal.prompt()
            terminal.type(LONG + "\r")
            wait_for("a query", lambda: server.get("/system").json()["queries"]["running"])
            terminal.type("\x03")
            terminal.expect("cancelled")
            terminal.prompt()
            terminal.type("select count(*) as n from candidates;\r")
            assert "3" in terminal.expect("1 row in")
            terminal.prompt()
            terminal.type("\x04")
            assert terminal.wait() == 0


def test_ingest_shows_a_summary(filled, tmp_path):
    path = tmp_path / "more.csv"
    path.write_text("My Id,zip\n1,02134\n")
    with Terminal("--lake", tmp_path / "lake", "ingest", path) as terminal:
        text = terminal.expect("zip .*VARCHAR")
        assert "more: 1 row from" in text and "My Id" in text
        assert terminal.wait() == 0
