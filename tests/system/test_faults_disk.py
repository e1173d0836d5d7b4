"""A disk that fails and a clock that jumps, below the real binary: errors that a
person can act on, nothing acknowledged that is not durable, reads go on, and
all is well when the fault is over.
"""
import os
import resource
import shutil
import subprocess

import pytest

from tests.support import faults
from tests.support.cli import sql, tarn
from tests.support.history import instant
from tests.support.tarn import Server


@pytest.fixture
def works(shim, lake):
    """A server whose disk can be made to fail, and work that it can do."""
    made = [make() for make in faults.works_of(lake)]
    with Server(lake, env=shim.env) as server:
        for work in made:
            assert_done(work.act(server, work.acts[0], faults.dice_for(1)))
        yield server, made


def assert_done(answer):
    assert answer is not None and answer.status_code < 300, answer.text if answer is not None else "no answer"


def assert_clear(answer, code):
    assert answer is not None, "the server died"
    assert answer.status_code >= 500, answer.text
    told = answer.json()
    if "error" in told: # in the words of the REST catalog
        assert told["error"]["message"] and told["error"]["code"] >= 500, told
        return
    assert told["code"] == code and told["detail"] and told.get("hint"), told


def through_a_fault(shim, works, lake, rule, code):
    """Refused while it lasts, read all the while, and fine behind it."""
    server, made = works
    dice = faults.dice_for(2)
    shim.set(rule)
    refused = 0
    for work in made:
        answer = work.act(server, work.acts[0], dice)
        if answer.status_code >= 300:
            assert_clear(answer, code)
            refused += 1
        work.check(server)
    assert refused == len(made), f"{refused} of {len(made)} refused"
    assert shim.hits() >= refused
    shim.clear()
    for work in made:
        assert_done(work.act(server, work.acts[0], dice))
        work.check(server)
    server.kill()
    with Server(lake) as again:
        for work in made:
            work.check(again)


@pytest.mark.parametrize("rule, code", [
    ("fsync EIO buckets/", "io_error"),
    ("fsync EIO metadata", "io_error"),
    ("fsync EIO commits", "io_error"),
    ("fsync ENOSPC buckets/", "disk_full"),
    ("write ENOSPC buckets/", "disk_full"),
    ("write EIO buckets/", "io_error"),
    ("link EIO commits/", "io_error"),
    ("link ENOSPC commits/", "disk_full"),
    ("rename EIO metadata/", "io_error"),
])
def test_a_disk_that_fails(shim, works, lake, rule, code):
    through_a_fault(shim, works, lake, rule, code)


def test_short_writes_are_no_fault(shim, works, lake):
    server, made = works
    shim.set("write SHORT buckets/")
    dice = faults.dice_for(3)
    for _ in range(3):
        for work in made:
            assert_done(work.act(server, work.acts[0], dice))
            work.check(server)
        assert shim.hits() >= len(made)
    server.kill()
    with Server(lake) as again:
        for work in made:
            work.check(again)


@pytest.fixture
def limited(works):
    """Sets a limit of the running server; None: as it was."""
    pid = works[0].process.pid
    before = {what: resource.prlimit(pid, what) for what in (resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE)}

    def limit(what, value):
        soft, hard = before[what]
        resource.prlimit(pid, what, (soft if value is None else value, hard))

    return limit


def test_a_limit_of_file_sizes(works, limited):
    server, made = works
    dice = faults.dice_for(6)
    for size in (0, 100, 1000, 3000):
        limited(resource.RLIMIT_FSIZE, size)
        for work in made:
            answer = work.act(server, work.acts[0], dice)
            assert answer is not None and (size or answer.status_code >= 300), size
            if answer.status_code >= 300:
                assert_clear(answer, "io_error")
            work.check(server)
        limited(resource.RLIMIT_FSIZE, None)
        for work in made:
            assert_done(work.act(server, work.acts[0], dice))
            work.check(server)


def test_a_command_under_a_limit_of_file_sizes(lake, tmp_path):
    """The signal that the system sends is no end: an error with its reason, and nothing is half there."""
    (tmp_path / "a.csv").write_text("a\n1\n")
    tarn("ingest", tmp_path / "a.csv", "t", lake=lake, check=0)
    (tmp_path / "a.csv").write_text("a\n2\n")
    done = tarn("ingest", tmp_path / "a.csv", "t", lake=lake,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY)))
    assert done.returncode == 1 and "File too large" in done.stderr, (done.returncode, done.stderr)
    tarn("ingest", tmp_path / "a.csv", "t", lake=lake, check=0)
    assert [row["a"] for row in sql(lake, "SELECT a FROM t ORDER BY a")] == [1, 2]


def test_too_few_descriptors(works, limited):
    """At each number of them that is too small for some step of a write."""
    server, made = works
    dice, refused = faults.dice_for(7), 0
    for spare in range(9):
        highest = max(int(name) for name in os.listdir(f"/proc/{server.process.pid}/fd"))
        for work in made:
            limited(resource.RLIMIT_NOFILE, highest + 1 + spare)
            answer = work.act(server, work.acts[0], dice)
            limited(resource.RLIMIT_NOFILE, None)
            if answer is not None and answer.status_code >= 300: # None: not even the connection was taken
                assert_clear(answer, "io_error")
                refused += 1
            work.check(server)
    assert refused
    for work in made:
        assert_done(work.act(server, work.acts[0], dice))
        work.check(server)


def snapshots(server, dataset):
    return server.get(f"/catalog/datasets/{dataset}/snapshots").json()["items"]


def moment(item):
    return item.get("timestamp") or item.get("committed_at") or item.get("time")


@pytest.mark.parametrize("jump", [-86400, -3, 86400])
def test_a_clock_that_jumps(shim, works, jump):
    """Commits stay in order; tokens, identifiers and acknowledgements go on."""
    server, made = works
    dice = faults.dice_for(4)
    identifiers = []
    for off in (0, jump, 0, 2 * jump, 0):
        shim.set(f"clock {off}")
        for work in made:
            answer = work.act(server, work.acts[0], dice)
            assert answer.status_code < 300, answer.text
            identifiers.append(answer.headers["X-Request-Id"])
            work.check(server)
        assert shim.hits() == (1 if off else 0)
    assert len(set(identifiers)) == len(identifiers)
    for work in made:
        if isinstance(work, faults.Catalog):
            continue # properties only: no snapshots
        times = [moment(item) for item in snapshots(server, work.dataset)]
        assert times and None not in times, times
        ordered = sorted(times, key=instant) # not as texts: "15Z" would come after "15.009Z"
        assert times in (ordered, ordered[::-1]), times
        loaded = server.get(f"/iceberg/v1/namespaces/default/tables/{work.dataset}")
        if loaded.status_code == 200:
            metadata = loaded.json()["metadata"]
            log = [entry["timestamp-ms"] for entry in metadata["snapshot-log"]]
            assert log == sorted(log) and metadata["last-updated-ms"] >= log[-1]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 MB and 3,000 files of its own; root only."""
    if os.geteuid() != 0:
        pytest.skip("a small disk of its own needs root to mount it")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m,nr_inodes=3000", "tarn-test", folder], capture_output=True,
                             text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"tmpfs cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=False)


def test_a_disk_that_is_full(small_disk, tmp_path):
    """It fills up at another place of each write; reads go on, and with room
    again so do writes."""
    made = [make() for make in faults.works_of(tmp_path / "lake")]
    dice, refused = faults.dice_for(5), 0
    with Server(small_disk / "lake") as server:
        for work in made:
            assert_done(work.act(server, work.acts[0], dice))
        for left in (0, 4, 12, 24, 48):
            filler = faults.fill_disk(small_disk, left << 10)
            for work in made:
                answer = work.act(server, work.acts[0], dice)
                if answer.status_code >= 300:
                    assert_clear(answer, "disk_full")
                    refused += 1
                work.check(server)
            filler.unlink()
            for work in made:
                assert_done(work.act(server, work.acts[0], dice))
                work.check(server)
    assert refused >= len(made), f"{refused} writes refused"


def test_a_disk_without_inodes(small_disk, tmp_path):
    """There is room for bytes, and none for another file."""
    made = [make() for make in faults.works_of(tmp_path / "lake")]
    dice, refused = faults.dice_for(8), 0
    with Server(small_disk / "lake") as server:
        for work in made:
            assert_done(work.act(server, work.acts[0], dice))
        for left in (0, 1, 2, 3, 5):
            for work in made:
                filler = faults.fill_inodes(small_disk, left)
                answer = work.act(server, work.acts[0], dice)
                if answer.status_code >= 300:
                    assert_clear(answer, "disk_full")
                    refused += 1
                work.check(server)
                shutil.rmtree(filler)
                assert_done(work.act(server, work.acts[0], dice))
                work.check(server)
    assert refused >= len(made), f"{refused} writes refused"
