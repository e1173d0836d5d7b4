"""A disk that fails and a clock that jumps, below the real binary: errors that a
person can act on, nothing acknowledged that is not durable, reads go on, and
all is well when the fault is over.
"""
import os
import shutil
import subprocess

import pytest

from tests.support import faults
from tests.support.tarn import Server


@pytest.fixture
def shim(tmp_path):
    if not shutil.which("cc"):
        pytest.skip("no C compiler to build the preloaded library with")
    return faults.Shim(tmp_path)


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
    server.kill()
    with Server(lake) as again:
        for work in made:
            work.check(again)


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
    assert len(set(identifiers)) == len(identifiers)
    for work in made:
        if isinstance(work, faults.Catalog):
            continue # properties only: no snapshots
        times = [moment(item) for item in snapshots(server, work.dataset)]
        assert times and None not in times, times
        ordered = sorted(times)
        assert times in (ordered, ordered[::-1]), times
        loaded = server.get(f"/iceberg/v1/namespaces/default/tables/{work.dataset}")
        if loaded.status_code == 200:
            metadata = loaded.json()["metadata"]
            log = [entry["timestamp-ms"] for entry in metadata["snapshot-log"]]
            assert log == sorted(log) and metadata["last-updated-ms"] >= log[-1]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 MB of its own; root only."""
    if os.geteuid() != 0:
        pytest.skip("a small disk of its own needs root to mount it")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tarn-test", folder], capture_output=True,
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
            free = os.statvfs(small_disk)
            filler = small_disk / "filler"
            filler.write_bytes(b"\0" * max(0, free.f_bavail * free.f_frsize - (left << 10)))
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
