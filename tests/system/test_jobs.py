"""Jobs over HTTP and on the command line: kept through kill -9, followed by
events, and nobody who waits for one holds a thread."""
import json
import os
import pty
import select
import socket
import subprocess
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest
import requests

from tests.support.faults import Shim
from tests.support.tarn import BINARY, PATIENCE, Server, environment, run

IDLE = ("--set", "jobs.running=0", "--set", "server.heartbeat=200ms")


def fill(server, dataset="calls", files=12):
    for i in range(files):
        answer = server.request("PUT", f"/datasets/{dataset}/rows", params={"key": "id"}, json=[{"id": i, "city": f"town {i}"}])
        assert answer.status_code == 200, answer.text


def later(server, dataset="calls", **parameters):
    answer = server.post(f"/datasets/{dataset}/compact", params={"background": "true", **parameters})
    assert answer.status_code == 202, answer.text
    return answer.json()["job_id"]


def job(server, job_id):
    answer = server.get(f"/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def ended(server, job_id):
    return server.get(f"/jobs/{job_id}", params={"wait": 3 * PATIENCE}, timeout=4 * PATIENCE).json()


@pytest.fixture
def idle(lake):
    """A server that takes jobs and runs none."""
    with Server(lake, *IDLE) as running:
        fill(running, files=3)
        yield running


# ---- a job's life -----------------------------------------------------------------------

def test_compaction_as_a_job(server):
    fill(server)
    answer = server.post("/datasets/calls/compact", params={"background": "true"}, json={"reason": "tidy"})
    assert answer.status_code == 202
    body = answer.json()
    assert body["href"] == f"/jobs/{body['job_id']}" == answer.headers["Location"]
    done = ended(server, body["job_id"])
    assert (done["state"], done["kind"], done["subject"], done["actor"]) == ("done", "compact", "calls", "first")
    assert done["result"]["status"] == "compacted" and done["result"]["files_after"] == 1
    assert done["progress"]["done"] == done["progress"]["total"] == 12 and done["progress"]["unit"] == "files"
    created, started, end = (datetime.fromisoformat(done[key]) for key in ("created", "started", "ended"))
    assert done["attempts"] == 1 and created <= started <= end
    assert server.sql("SELECT count(*) AS n FROM calls") == [{"n": 12}]
    log = server.get(f"/jobs/{done['id']}/log").json()["items"]
    assert [line["text"] for line in log] == ["12 files, 12 of them small, 0 deleted rows", "12 files became 1"]
    assert server.get("/system").json()["jobs"]["done"] == 1
    assert "tarn_jobs_done_total 1" in server.get("/metrics").text


def test_wait_gives_the_result_itself(server):
    fill(server, files=4)
    answer = server.post("/datasets/calls/compact", params={"background": "true", "wait": PATIENCE})
    assert answer.status_code == 200 and answer.json()["files_before"] == 4
    # The synchronous answer has the same shape.
    assert set(server.post("/datasets/calls/compact").json()) == set(answer.json())


def test_a_failure_is_told_to_who_waits(lake):
    with Server(lake, *IDLE) as server:
        fill(server, files=2)
        failing = later(server)
        assert server.delete("/catalog/datasets/calls").status_code == 200
    with Server(lake) as server:
        failed = ended(server, failing)
        assert failed["state"] == "failed" and failed["error"]["code"] == "dataset_not_found"
        assert "calls" in failed["error"]["detail"] and failed["ended"]
        again = server.post(f"/jobs/{failing}/resume")
        assert again.status_code == 200
        assert ended(server, failing)["attempts"] == 2


def test_refusals(idle):
    assert idle.post("/datasets/nothing/compact", params={"background": "true"}).status_code == 404
    assert idle.post("/datasets/calls/compact", params={"background": "maybe"}).status_code == 400
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("GET", "/log"),
                         ("GET", "/events")):
        answer = idle.request(method, "/jobs/0193f0c4" + path)
        assert answer.status_code == 404 and answer.json()["code"] == "not_found", (method, path)
    for bad in ({"state": "weary"}, {"limit": 0}, {"limit": "x"}, {"cursor": "x"}, {"nonsense": 1}):
        assert idle.get("/jobs", params=bad).status_code == 400, bad
    job_id = later(idle)
    assert idle.get(f"/jobs/{job_id}", params={"wait": "forever"}).status_code == 400
    assert idle.delete(f"/jobs/{job_id}").json()["state"] == "cancelled"
    answer = idle.post(f"/jobs/{job_id}/pause")
    assert answer.status_code == 409 and "it is cancelled" in answer.json()["detail"]


def test_pause_resume_cancel(idle):
    job_id = later(idle)
    assert job(idle, job_id)["state"] == "queued"
    assert idle.post(f"/jobs/{job_id}/pause").json()["state"] == "paused"
    assert idle.post(f"/jobs/{job_id}/resume").json()["state"] == "queued"
    assert idle.delete(f"/jobs/{job_id}").json()["state"] == "cancelled"
    assert idle.delete(f"/jobs/{job_id}").status_code == 200


def test_once_and_idempotent(idle):
    """The same work is not queued twice, and a repeated request gets the same answer."""
    first = later(idle)
    assert later(idle) == first
    idle.delete(f"/jobs/{first}")
    key = {"Idempotency-Key": "k1"}
    one = idle.post("/datasets/calls/compact", params={"background": "true"}, headers=key)
    idle.delete(f"/jobs/{one.json()['job_id']}")
    two = idle.post("/datasets/calls/compact", params={"background": "true"}, headers=key)
    assert two.status_code == 202 and two.json() == one.json() and two.headers["Idempotency-Replayed"] == "true"


def test_list_pages_and_filters(idle):
    made = []
    for i in range(5):
        fill(idle, dataset=f"d{i}", files=1)
        made.append(later(idle, dataset=f"d{i}"))
    idle.delete(f"/jobs/{made[2]}")
    seen, cursor = [], None
    while True:
        page = idle.get("/jobs", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert seen == made[::-1]
    queued = idle.get("/jobs", params={"state": "queued"}).json()["items"]
    assert [item["id"] for item in queued] == [made[i] for i in (4, 3, 1, 0)]


# ---- through the end of the process ---------------------------------------------------------

def test_kept_through_kill(lake):
    with Server(lake, *IDLE) as server:
        fill(server, files=5)
        job_id, paused = later(server), None
        fill(server, dataset="other", files=1)
        paused = later(server, dataset="other")
        server.post(f"/jobs/{paused}/pause")
        server.kill()
    with Server(lake) as server:
        done = ended(server, job_id)
        assert done["state"] == "done" and done["result"]["files_before"] == 5
        assert job(server, paused)["state"] == "paused"


def test_resumed_after_kill_in_the_middle(lake):
    with Server(lake, env={"TARN_FAULT": "job.before_end"}) as server:
        fill(server, files=5)
        with pytest.raises(requests.exceptions.ConnectionError):
            later(server, wait=PATIENCE)
        assert server.process.wait(timeout=PATIENCE) == -9
    with Server(lake) as server:
        item = server.get("/jobs").json()["items"][0]
        done = ended(server, item["id"])
        assert done["state"] == "done" and done["attempts"] == 2
        # All had been done but for its end: the second run found nothing.
        assert done["result"]["status"] == "unchanged"


def test_three_deaths_are_enough(lake):
    with Server(lake, *IDLE) as server:
        fill(server, files=3)
        job_id = later(server)
    for _ in range(3):
        server = Server(lake, env={"TARN_FAULT": "job.begun"}, start=False)
        try:
            server.start()
        except AssertionError:
            pass # died before it was ready
        with server:
            assert server.process is None or server.process.wait(timeout=PATIENCE) == -9
    with Server(lake) as server:
        failed = job(server, job_id)
        assert failed["state"] == "failed" and "3 times in a row" in failed["error"]["detail"]
        assert server.post(f"/jobs/{job_id}/resume").status_code == 200
        assert ended(server, job_id)["state"] == "done"


def test_garbage_is_set_aside(lake):
    with Server(lake, *IDLE) as server:
        fill(server, files=3)
        later(server)
    (lake / "state" / "jobs.db").write_bytes(os.urandom(20000))
    with Server(lake) as server:
        assert server.get("/jobs").json()["items"] == []
        assert "jobs.set_aside" in server.log_text()
        assert (lake / "state" / "jobs.db.damaged").is_file()
        assert ended(server, later(server))["state"] == "done"


def test_no_file_before_the_first_job(server, lake):
    assert server.get("/jobs").json() == {"items": [], "next_cursor": None}
    assert not (lake / "state" / "jobs.db").exists()


def test_a_file_that_cannot_be_opened(lake):
    (lake / "state" / "jobs.db").mkdir(parents=True)
    with Server(lake) as server:
        fill(server, files=3)
        answer = server.post("/datasets/calls/compact", params={"background": "true"})
        assert answer.status_code == 500 and answer.json()["code"] == "io_error"
        assert "jobs.db" in answer.json()["detail"] and answer.json()["hint"]
        assert server.get("/jobs").status_code == 500
        assert server.post("/datasets/calls/compact").status_code == 200


def test_full_disk(lake, tmp_path):
    shim = Shim(tmp_path)
    with Server(lake, env=shim.env) as server:
        fill(server, files=3)
        assert ended(server, later(server))["state"] == "done"
        shim.set("write ENOSPC jobs.db")
        answer = server.post("/datasets/calls/compact", params={"background": "true"})
        assert answer.status_code == 507 and answer.json()["code"] == "disk_full", answer.text
        assert server.get("/jobs").status_code == 200
        shim.clear()
        assert ended(server, later(server))["state"] == "done"


# ---- events ------------------------------------------------------------------------------------

def events(answer, most=100):
    """(name, id, data) of each event; comments as ("", None, None)."""
    name = number = data = None
    for line in answer.iter_lines(decode_unicode=True):
        if line.startswith(":"):
            yield "", None, None
        elif line.startswith("event: "):
            name = line[7:]
        elif line.startswith("id: "):
            number = line[4:]
        elif line.startswith("data: "):
            data = json.loads(line[6:])
        elif not line and data is not None:
            yield name, number, data
            data = None
            most -= 1
            if not most:
                return


def follow(server, job_id, **headers):
    answer = server.get(f"/jobs/{job_id}/events", stream=True, timeout=PATIENCE, headers=headers)
    assert answer.status_code in (200, 204), answer.text
    return answer


def test_events_tell_every_state(idle):
    job_id = later(idle)
    answer = follow(idle, job_id)
    assert answer.headers["Content-Type"] == "text/event-stream"
    stream = events(answer)
    name, first, data = next(stream)
    assert (name, data["state"]) == ("state", "queued") and data["id"] == job_id
    assert next(stream)[0] == "" # a sign of life
    idle.post(f"/jobs/{job_id}/pause")
    name, second, data = next(event for event in stream if event[0])
    assert (name, data["state"]) == ("state", "paused") and int(second) > int(first)
    idle.delete(f"/jobs/{job_id}")
    name, last, data = next(event for event in stream if event[0])
    assert (name, data["state"]) == ("end", "cancelled")
    assert list(stream) == [] # and it closes
    # Who comes late hears the end; who has heard it need not come again.
    assert [event[0] for event in events(follow(idle, job_id))] == ["end"]
    assert follow(idle, job_id, **{"Last-Event-ID": last}).status_code == 204
    assert [event[0] for event in events(follow(idle, job_id, **{"Last-Event-ID": first}))] == ["end"]


def test_events_go_on_where_they_were(idle):
    job_id = later(idle)
    _, number, _ = next(events(follow(idle, job_id)))
    stream = events(follow(idle, job_id, **{"Last-Event-ID": number}))
    assert next(stream)[0] == "" # nothing that was seen already
    idle.delete(f"/jobs/{job_id}")
    assert [event[0] for event in stream if event[0]] == ["end"]


def test_events_of_a_running_job(server):
    fill(server)
    seen = list(events(follow(server, later(server))))
    assert seen[-1][0] == "end" and seen[-1][2]["state"] == "done"


def test_stop_ends_streams_at_once(lake):
    server = Server(lake, *IDLE, "--set", "server.drain=1h")
    with server:
        fill(server, files=2)
        answer = follow(server, later(server))
        stream = events(answer)
        next(stream)
        server.stop() # would not come back within the drain
        assert all(event[0] == "" for event in stream)


def raw_request(server, path):
    host, port = server.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=PATIENCE)
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n\r\n".encode())
    return connection


def running_requests(server):
    return server.get("/system").json()["requests_running"]


def settles(condition):
    end = time.monotonic() + 2 * PATIENCE
    while not condition():
        assert time.monotonic() < end, "never settled"
        time.sleep(0.02)


def test_a_hundred_listeners_hold_no_thread(idle):
    """The pool has a few dozen threads: with a hundred streams and as many waits
    open, queries are answered as ever, and all of the others in the end."""
    job_id = later(idle)
    listeners = [raw_request(idle, f"/jobs/{job_id}/events") for _ in range(100)]
    waiters = [raw_request(idle, f"/jobs/{job_id}?wait=600") for _ in range(100)]
    settles(lambda: running_requests(idle) == 201)
    threads = len(os.listdir(f"/proc/{idle.process.pid}/task"))
    for _ in range(20):
        assert idle.sql("SELECT 1 AS one") == [{"one": 1}]
    assert len(os.listdir(f"/proc/{idle.process.pid}/task")) <= threads + 8
    idle.delete(f"/jobs/{job_id}")
    for connection in listeners + waiters:
        received = b""
        while b'"state":"cancelled"' not in received:
            piece = connection.recv(65536)
            assert piece, received
            received += piece
        connection.close()
    settles(lambda: running_requests(idle) == 1)


def test_clients_that_go_away(idle):
    job_id = later(idle)
    gone = [raw_request(idle, path) for path in (f"/jobs/{job_id}/events", f"/jobs/{job_id}?wait=600") * 10]
    settles(lambda: running_requests(idle) == 21)
    for connection in gone:
        connection.close()
    settles(lambda: running_requests(idle) == 1)
    assert job(idle, job_id)["state"] == "queued"


def test_a_slow_reader_sees_the_end(idle):
    """It does not read while the job changes; then it finds whole events, and the last one."""
    job_id = later(idle)
    connection = raw_request(idle, f"/jobs/{job_id}/events")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    began = time.monotonic()
    for _ in range(30):
        idle.post(f"/jobs/{job_id}/pause")
        idle.post(f"/jobs/{job_id}/resume")
    idle.delete(f"/jobs/{job_id}")
    quarters = 4 * (time.monotonic() - began)  # it is told of a change that often at most
    received = b""
    while b"\r\n0\r\n\r\n" not in received:
        piece = connection.recv(512)
        assert piece, "cut off"
        received += piece
    assert b"event: end\n" in received and received.count(b"event: ") < max(62, 4 * quarters)
    connection.close()


def test_waits_end_in_time(idle):
    job_id = later(idle)
    answer = idle.get(f"/jobs/{job_id}", params={"wait": 1})
    assert answer.status_code == 200 and answer.json()["state"] == "queued"
    answer = idle.post("/datasets/calls/compact", params={"background": "true", "wait": 1})
    assert answer.status_code == 202 and answer.json()["state"] == "queued"
    told = threading.Event()

    def cancel():
        """Once somebody waits; again should that have been too early, for it is another job then."""
        settles(lambda: running_requests(idle) >= 2 or told.is_set())
        while not told.wait(0.1):
            for item in idle.get("/jobs", params={"state": "queued"}).json()["items"]:
                idle.delete(f"/jobs/{item['id']}")

    canceller = threading.Thread(target=cancel)
    canceller.start()
    answer = idle.post("/datasets/calls/compact", params={"background": "true", "wait": PATIENCE})
    told.set()
    canceller.join()
    assert answer.status_code == 499 and answer.json()["code"] == "cancelled"


# ---- priority --------------------------------------------------------------------------------------

def cpus():
    """Those that a process may use; a control group may give it the time of fewer."""
    count, limit = len(os.sched_getaffinity(0)), Path("/sys/fs/cgroup/cpu.max")
    quota, period = limit.read_text().split() if limit.exists() else ("max", "1")
    return count if quota == "max" else max(1, min(count, -(-int(quota) // int(period))))


def test_its_threads_stand_behind(server):
    """One thread runs jobs, and those that embed for it have its low priority: one for each CPU in all."""
    def nices():
        found = []
        for task in Path(f"/proc/{server.process.pid}/task").iterdir():
            try:
                found.append(int((task / "stat").read_text().rsplit(")", 1)[1].split()[16]))
            except (FileNotFoundError, ProcessLookupError):  # it has ended just now
                continue
        return found

    settles(lambda: nices().count(15) == cpus())
    assert max(nices()) == 15


# ---- the command line ---------------------------------------------------------------------------------

def test_commands(lake):
    with Server(lake, *IDLE) as server:
        fill(server, files=3)
        job_id = json.loads(server.cli("--json", "compact", "calls", "--background").stdout)["job_id"]
        listed = server.cli("jobs").stdout
        assert job_id in listed and "compact" in listed and "queued" in listed
        assert json.loads(server.cli("--json", "jobs", "--state", "queued").stdout)["id"] == job_id
        server.cli("jobs", "pause", job_id)
        assert job(server, job_id)["state"] == "paused"
        server.cli("jobs", "resume", job_id)
        server.cli("jobs", "cancel", job_id)
        assert job(server, job_id)["state"] == "cancelled"
        refused = server.cli("jobs", "pause", job_id, check=False)
        assert refused.returncode == 1 and "it is cancelled" in refused.stderr
        assert server.cli("jobs", "walk", job_id, check=False).returncode == 2
        assert server.cli("jobs", "pause", check=False).returncode == 2
        watched = server.cli("jobs", "watch", job_id, check=False)
        assert watched.returncode == 1 and json.loads(watched.stdout)["state"] == "cancelled"


def test_watch_and_log(server):
    fill(server)
    job_id = later(server)
    done = server.cli("jobs", "watch", job_id)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines[-1]["state"] == "done" and all(line["id"] == job_id for line in lines)
    assert "12 files became 1" in server.cli("jobs", "log", job_id).stdout


def test_watch_on_a_terminal(idle):
    """A bar while it goes on, and a sentence in the end."""
    job_id = later(idle)
    ours, theirs = pty.openpty()
    with subprocess.Popen([str(BINARY), "--server", idle.url, "jobs", "watch", job_id], stdout=theirs, stderr=theirs,
                          stdin=subprocess.DEVNULL, close_fds=True,
                          env=environment(TARN_TOKEN=idle.token, TERM="xterm", COLUMNS="100")) as process:
        os.close(theirs)
        shown = b""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    piece = os.read(ours, 4096)
                except OSError:
                    break # the terminal's other end is closed
                shown += piece
                if b"queued" in shown:
                    idle.delete(f"/jobs/{job_id}")
        assert process.wait(timeout=PATIENCE) == 1
    os.close(ours)
    text = shown.decode()
    assert "compact calls" in text and "queued" in text and "cancelled" in text


def test_without_a_server(lake):
    """A command's own gateway does the job that it asks for and leaves others alone."""
    with Server(lake, *IDLE) as server:
        fill(server, files=3)
        fill(server, dataset="other", files=3)
        waiting = later(server, dataset="other")
    done = run("--lake", lake, "--json", "compact", "calls", "--background")
    assert json.loads(done.stdout)["status"] == "compacted"
    listed = [json.loads(line) for line in run("--lake", lake, "--json", "jobs").stdout.splitlines()]
    assert {item["subject"]: item["state"] for item in listed} == {"calls": "done", "other": "queued"}
    assert listed[1]["id"] == waiting
