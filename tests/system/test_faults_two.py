"""Two processes on one lake: the second server is refused; and when somebody
takes the lock away, the create-only pointer lets nothing be lost in silence.
"""
import json
import signal
import subprocess
import threading
import time

import pytest

from tests.support import faults
from tests.support.cli import tarn
from tests.support.tarn import BINARY, Server, environment


def test_the_second_server_is_refused(lake):
    with Server(lake) as server:
        work = faults.Ingest()
        assert work.act(server, "ingest", None).status_code == 200
        second = subprocess.run([BINARY, "serve", "--lake", lake, "--port", "0"], env=environment(), text=True,
                                capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
        assert second.returncode == 1, second.stderr
        assert "in use" in second.stderr.lower() or "locked" in second.stderr.lower(), second.stderr
        assert str(server.process.pid) in second.stderr, "who holds it"
        work.check(server)
        assert work.act(server, "ingest", None).status_code == 200
        work.check(server)


def work_on(server, work, problems):
    dice = faults.dice_for(work.dataset + getattr(work, "owner", ""))
    for _ in range(12):
        answer = work.act(server, work.acts[0], dice)
        # Refused is fine, as a conflict with its reason; lost is not.
        if answer is None or answer.status_code not in (200, 409):
            problems.append(answer.text if answer is not None else "no answer")
            return
        if answer.status_code == 409 and getattr(work, "after", None) is not None:
            work.after = None


def test_a_stolen_lock_loses_nothing(lake):
    """The lock file is removed under a running server, and a second one starts:
    both write. Every acknowledged write is there, and no key is there twice."""
    works = faults.works_of(lake)
    with Server(lake) as first:
        (lake / "tarn.lock").unlink()
        with Server(lake) as second:
            jobs = [(first, faults.Ingest("files")), (second, faults.Ingest("more"))]
            if faults.Rows in works:
                jobs += [(first, faults.Rows(owner="a")), (second, faults.Rows(owner="b"))]
            for server, work in jobs: # each dataset is made by one of them
                assert work.act(server, work.acts[0], faults.dice_for(1)).status_code == 200
            shared = faults.Ingest("files")
            shared.number = 1000
            problems = []
            threads = [threading.Thread(target=work_on, args=(server, work, problems))
                       for server, work in [*jobs, (second, shared)]]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(timeout=120)
            assert not problems, problems
            files = jobs[0][1]
            files.sure |= shared.sure
            files.maybe |= shared.maybe
    with Server(lake) as server:
        for _, work in jobs:
            work.check(server)


def test_commands_beside_a_server(lake, tmp_path):
    """They go through it; what both write is there, and each reads the other's."""
    work = faults.Ingest()
    (tmp_path / "more.csv").write_text("batch,n,text\n0,1,one\n")
    with Server(lake) as server:
        assert work.act(server, "ingest", None).status_code == 200
        tarn("ingest", tmp_path / "more.csv", "more", lake=lake, check=0)
        assert server.sql("SELECT count(*) AS c FROM more") == [{"c": 1}]
        for _ in range(3):
            assert work.act(server, "ingest", None).status_code == 200
            told = tarn("--json", "sql", "-c", "SELECT count(*) AS c FROM files", lake=lake, check=0).stdout
            assert json.loads(told)["c"] == work.number * work.ROWS
        work.check(server)


# ---- a process that slept ------------------------------------------------------------------------


def is_stopped(process):
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"


def fall_asleep(server, shim, send):
    """The server stops between the files of a commit and its pointer; the thread
    that waits for the answer, and where that will be."""
    answers = []
    shim.hits()
    shim.set("link STOP /datasets/")
    thread = threading.Thread(target=lambda: answers.append(send(server)))
    thread.start()
    until = time.monotonic() + 60
    while not is_stopped(server.process):
        assert time.monotonic() < until and thread.is_alive(), answers
        time.sleep(0.01)
    assert shim.hits() == 1
    shim.clear() # the next try of the same commit goes on
    return thread, answers


def put(key, value, match=None):
    def send(server):
        return server.request("PUT", "/datasets/people/rows", params={"key": "id"}, json=[{"id": key, "value": value}],
                              headers={"If-Match": f'"{match}"'} if match else {})
    return send


def append(server):
    return server.ingest("people", "id,value\nstale,7\n", check=False)


def pointers(lake):
    return {path.name: path.read_bytes() for path in (lake / "buckets/primary/datasets/people/commits").iterdir()}


def people(server):
    return sorted((row["id"], row["value"]) for row in server.sql("SELECT id, value FROM people"))


def assert_sound(lake):
    done = tarn("--json", "doctor", "--deep", lake=lake, check=0)
    assert done.stderr.strip().startswith(("All is well", "0 errors")), done.stdout


@pytest.mark.parametrize("what", ["the same key", "on a condition", "an append"])
def test_a_stale_process_merges_nothing_in_silence(shim, lake, what):
    """It wakes up with its commit prepared; the lock is not its own any more, and
    somebody else has committed. The pointer of the other stays as it is; the stale
    one is refused, or does its work again on what is there now."""
    with Server(lake, env=shim.env) as stale:
        base = put("a", 1)(stale).json()["snapshot_id"]
        send = {"the same key": put("a", 2), "on a condition": put("a", 2, base), "an append": append}[what]
        (lake / "tarn.lock").unlink()
        with Server(lake) as other:
            thread, answers = fall_asleep(stale, shim, send)
            assert put("a", 3)(other).status_code == 200
            assert put("b", 4)(other).status_code == 200
            before = pointers(lake)
            stale.process.send_signal(signal.SIGCONT)
            thread.join(timeout=120)
            answer, after = answers[0], pointers(lake)
        kept = before.keys() & after.keys()
        assert kept and all(after[name] == before[name] for name in kept), "a pointer was replaced"
        assert answer.status_code in ((412, 409) if what == "on a condition" else (200, 409)), answer.text
        stale.kill()
    right = {"a": 3, "b": 4}
    if answer.status_code == 200:
        right |= {"stale": 7} if what == "an append" else {"a": 2}
    with Server(lake) as server:
        assert people(server) == sorted(right.items())
        told = server.sql("SELECT old_value, new_value FROM journal WHERE dataset = 'people' AND entity = 'a' "
                          "AND field = 'value' ORDER BY sequence")
        steps = [(json.loads(row["old_value"]), json.loads(row["new_value"])) for row in told]
        assert steps == [(1, 3), (3, 2)][:1 + (right["a"] == 2)], steps
        assert_sound(lake)


def test_a_process_that_slept_through_a_start(shim, lake):
    """Who starts clears away what others had staged: the one that wakes up fails."""
    with Server(lake, env=shim.env) as stale:
        assert put("a", 1)(stale).status_code == 200
        thread, answers = fall_asleep(stale, shim, put("a", 2))
        (lake / "tarn.lock").unlink()
        with Server(lake) as other:
            assert put("a", 3)(other).status_code == 200
            stale.process.send_signal(signal.SIGCONT)
            thread.join(timeout=120)
            assert answers[0].status_code >= 400 and answers[0].json()["detail"], answers[0].text
            assert people(other) == [("a", 3)]
        stale.kill()
    with Server(lake) as server:
        assert people(server) == [("a", 3)]
        assert put("a", 4)(server).status_code == 200
        assert_sound(lake)
