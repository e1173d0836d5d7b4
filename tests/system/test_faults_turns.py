"""Each system call of a write fails in turn: the first, the second, and so on to
the last one that the write makes, and all that follow it, as on a disk that is
full from then on. Whatever is refused has changed nothing, reads go on, and with
room again the same server goes on too.

TARN_FAULT_TURNS (5): so many places of each write, spread evenly, and its last
three; `make faults` takes all.
"""
import os
import re

import pytest

from tests.support import faults
from tests.support.cli import tarn
from tests.support.tarn import Server

MOST = int(os.environ.get("TARN_FAULT_TURNS", 5))


class Steady:
    """One act of some work, and what must go before it so that it has to write."""

    def __init__(self, make, what, before=()):
        self.work, self.what, self.before, self.dice = make(), what, before, faults.dice_for(7)

    def do(self, server, what):
        answer = self.work.act(server, what, self.dice)
        assert answer is not None, "the server died"
        return answer

    def prepare(self, server):
        for what in self.before:
            answer = self.do(server, what)
            assert answer.status_code < 300, answer.text
            self.work.check(server)

    def act(self, server):
        return self.do(server, self.what)


WRITES = {
    "upsert": (faults.Rows, "upsert", ("upsert",)),
    "delete": (faults.Rows, "delete_where", ("upsert",)),
    "compaction": (faults.Rows, "compact", ("upsert", "upsert", "delete", "upsert")),
    "expiry, and the journal rolled": (faults.Rows, "expire", ("upsert", "upsert", "upsert", "upsert")),
    "file of rows": (faults.Rows, "upsert_file", ("upsert",)),
    "ingest": (faults.Ingest, "ingest", ("ingest",)),
    "restore": (faults.Restores, "restore", ("put", "put")),
    "transaction": (faults.Catalog, "pair", ("pair",)),
}
FAULTS = {
    "write": ("ENOSPC", "disk_full"),
    "fsync": ("EIO", "io_error"),
    "link": ("EIO", "io_error"),
    "rename": ("ENOSPC", "disk_full"),
}


def calls_of(shim, server, steady, call):
    """How many such calls the act makes when all is well."""
    steady.prepare(server)
    shim.set(f"{call} COUNT buckets/")
    shim.hits()
    answer = steady.act(server)
    assert answer.status_code < 300, answer.text
    count = shim.hits()
    shim.clear()
    steady.work.check(server)
    return count


def assert_refused(answer, code):
    told = answer.json()
    if "error" in told: # in the words of the REST catalog
        assert told["error"]["code"] == answer.status_code >= 500 and told["error"]["message"], told
        return
    assert answer.status_code >= 500 and told["code"] == code and told["detail"] and told.get("hint"), told


def turns(count):
    """Evenly, and the last few: there the pointer is made."""
    step = max(1, count / MOST)
    return sorted({round(1 + i * step) for i in range(min(MOST, count))} | set(range(max(1, count - 2), count + 1)))


@pytest.mark.timeout(300 if MOST < 100 else 1800)
@pytest.mark.parametrize("call", FAULTS)
@pytest.mark.parametrize("write", WRITES)
def test_each_call_in_turn(shim, lake, write, call):
    error, code = FAULTS[call]
    steady, refused, injected = Steady(*WRITES[write]), 0, 0
    with Server(lake, env=shim.env) as server:
        steady.prepare(server)
        count = calls_of(shim, server, steady, call)
        assert count or call == "rename", f"{write} makes no {call}"
        for turn in turns(count):
            steady.prepare(server)
            shim.set(f"{call} {error} buckets/ {turn}")
            answer = steady.act(server)
            hits = shim.hits()
            injected += hits > 0
            if answer.status_code >= 300:
                assert hits, f"refused, and nothing was injected: {answer.text}"
                assert_refused(answer, code)
                refused += 1
            steady.work.check(server) # reads go on while it lasts
            shim.clear()
            steady.work.check(server)
        steady.prepare(server)
        assert steady.act(server).status_code < 300
        steady.work.check(server)
        server.kill()
    print(f"{write}: {count} calls of {call}, {injected} turns met them, {refused} refused")
    assert injected or not count
    with Server(lake) as again:
        steady.work.check(again)
        assert steady.do(again, steady.work.acts[0]).status_code < 300
        steady.work.check(again)
        assert_sound(again)


@pytest.mark.parametrize("write", WRITES)
def test_a_commit_of_which_nobody_knows(shim, lake, write):
    """The pointer is made, and the fsync of its folder fails: an error, since it
    may not last. While it does, rows and journal tell the same; later writes and
    a roll of the journal change nothing of that, nor does another start."""
    steady, dice = Steady(*WRITES[write]), faults.dice_for(8)
    make, what, before = WRITES["expiry, and the journal rolled"]
    rows = Steady(lambda: make("rolled"), what, before)
    with Server(lake, env=shim.env) as server:
        for _ in range(3):
            steady.prepare(server)
            shim.hits()
            shim.set("fsync EIO /commits$")
            answer = steady.act(server)
            assert shim.hits(), "nothing was injected"
            assert answer.status_code >= 500, answer.text
            shim.clear()
            steady.work.check(server)
            answer = steady.work.act(server, steady.work.acts[0], dice)
            assert answer.status_code < 300, answer.text
            steady.work.check(server)
            rows.prepare(server)
            answer = rows.act(server) # rolls the journal
            assert answer.status_code == 200, answer.text
            rows.work.check(server)
            steady.work.check(server)
        server.kill()
    with Server(lake) as again:
        rows.work.check(again)
        steady.work.check(again)
        assert_sound(again)


@pytest.mark.parametrize("others", [[], ["fsync EIO /commits$"], ["link EIO /commits/"], ["write ENOSPC buckets/ 4"]])
def test_nothing_can_be_removed(shim, lake, others):
    """Deleting fails, alone and with what would be cleaned up after: files stay behind, and nothing else happens."""
    works = [make() for make in (faults.Ingest, faults.Rows, faults.Restores, faults.Catalog)]
    dice, met = faults.dice_for(10), 0
    with Server(lake, env=shim.env) as server:
        for work in works:
            for what in (work.acts[0], *dict.fromkeys(work.acts)):
                answer = work.act(server, what, dice)
                assert answer is not None and answer.status_code < 300, answer
                shim.hits()
                shim.set("unlink EIO buckets/", *others)
                answer = work.act(server, what, dice)
                assert answer is not None, "the server died"
                assert answer.status_code < 300 or answer.status_code >= 500, answer.text
                met += shim.hits()
                work.check(server)
                shim.clear()
                if answer.status_code >= 500: # a commit to several tables waits for the next write to be settled
                    assert work.act(server, work.acts[0], dice).status_code < 300
                work.check(server)
        assert met
        server.kill()
    with Server(lake) as again:
        for work in works:
            work.check(again)
            assert work.act(again, work.acts[0], dice).status_code < 300
            work.check(again)
        assert_sound(again)


def assert_sound(server):
    """The strict validator finds no damage; what failed may have left orphans."""
    done = tarn("--json", "doctor", "--deep", lake=server.lake)
    assert done.returncode == 0 and done.stderr.strip().startswith(("All is well", "0 errors")), done.stderr + done.stdout


# ---- errors on reading --------------------------------------------------------------------------


@pytest.mark.parametrize("part", ["/data/", ".avro", ".metadata.json", "/commits/", "journal/", "buckets/"])
def test_a_read_that_fails(shim, lake, part):
    """A fresh server, whose caches are empty: an error or the right answer, never
    fewer rows; nothing is removed or decided by what could not be read."""
    works = [make() for make in (faults.Ingest, faults.Rows, faults.Restores, faults.Catalog)]
    dice, met = faults.dice_for(9), 0
    with Server(lake) as server:
        for work in works:
            for what in (work.acts[0], *dict.fromkeys(work.acts)):
                answer = work.act(server, what, dice)
                assert answer is not None and answer.status_code < 300, answer
                work.check(server)
        rows = server.sql("SELECT count(*) AS c FROM files")[0]["c"]
        told = server.sql("SELECT count(*) AS c FROM journal")[0]["c"]
    with Server(lake, env=shim.env) as server:
        for turn in (1, 2, 3, 5, 9):
            shim.hits()
            shim.set(f"read EIO {part} {turn}")
            for sql, right in (("SELECT count(DISTINCT (batch, n)) AS c FROM files", rows),
                               ("SELECT count(*) AS c FROM journal", told)):
                answer = server.post("/query/sql", json={"sql": sql})
                assert answer.status_code >= 500 or answer.json()["rows"][0][0] == right, answer.text
                if answer.status_code >= 500:
                    assert answer.json()["detail"] and not re.search("internal", answer.json()["code"]), answer.text
            for work in works:
                answer = work.act(server, work.acts[0], dice)
                assert answer.status_code < 300 or answer.status_code >= 500, answer.text
            met += shim.hits()
            shim.clear()
            for work in works:
                work.check(server)
            rows = server.sql("SELECT count(*) AS c FROM files")[0]["c"]
            told = server.sql("SELECT count(*) AS c FROM journal")[0]["c"]
        assert met, f"nothing of {part} was read"
    with Server(lake) as server:
        for work in works:
            work.check(server)
            assert work.act(server, work.acts[0], dice).status_code < 300
            work.check(server)
        assert_sound(server)
