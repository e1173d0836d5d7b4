"""An index in its first moment, and while work on it takes long: nobody who asks about it waits for that work.

The model is a stand-in that answers nothing until the test lets it: what is answered before that has not waited.
"""
import threading
import time

import pytest

from tests.support import tarn
from tests.support.model_server import ModelServer
from tests.support.tarn import wait_for

ROWS = 300


def settings(models):
    return [part for value in (f"ai.ollama.url={models.url}", "ai.embed.model=ollama/nomic-embed-text")
            for part in ("--set", value)]


@pytest.fixture
def models():
    with ModelServer() as stand_in:
        stand_in.names = ["nomic-embed-text"]
        yield stand_in


@pytest.fixture
def server(models, tmp_path):
    with tarn.Server(tmp_path / "lake", *settings(models)) as server:
        lines = [f"{i},Number {i} of the pages about the lakes of the mountains" for i in range(ROWS)]
        server.ingest("pages", "id,body\n" + "\n".join(lines) + "\n", key="id")
        assert server.post("/ai/embed", json={"texts": ["as the model is known from now on"]}).status_code == 200
        models.asked_before = len(models.asked("/api/embed"))
        yield server
        models.released.set()


def is_held(models):
    return len(models.asked("/api/embed")) > models.asked_before


def build(server, models, **more):
    models.fail_next("/api/embed", *["hold"] * 50)
    made = server.post("/vectors/indexes", json={"dataset": "pages", "text_columns": ["body"], **more})
    assert made.status_code == 202, made.text
    return made.json()["job_id"]


def job_state(server, job):
    return server.get(f"/jobs/{job}").json()["state"]


class Askers:
    """Threads that ask, from before the index is there until the model is asked; those that wait are told."""

    def __init__(self, questions):
        self.answers, self.waiting, self.errors, self.end = 0, set(), [], threading.Event()
        self.threads = [threading.Thread(target=self.ask, args=(q,), daemon=True) for q in questions for _ in range(2)]
        for thread in self.threads:
            thread.start()

    def ask(self, question):
        while not self.end.is_set():
            try:
                question()
                self.answers += 1
            except Exception as error:  # shown by the test
                self.errors.append(repr(error))
                return

    def join(self):
        self.end.set()
        until = time.monotonic() + 60  # the stand-in lets go by itself after 120
        for thread in self.threads:
            thread.join(max(0, until - time.monotonic()))
        return sum(thread.is_alive() for thread in self.threads)


def test_nobody_who_asks_waits_for_the_first_walk(server, models):
    def shown(path):
        answer = server.get(path)
        assert answer.status_code in (200, 404), answer.text

    def found(body, path="/search"):
        answer = server.post(path, json={"index": "pages", "k": 5, **body})
        assert answer.status_code in (200, 404, 503), answer.text
        assert answer.status_code != 503 or answer.json()["hint"], answer.text

    askers = Askers([lambda: shown("/vectors/indexes/pages"), lambda: shown("/vectors/indexes"), lambda: shown("/system"),
                     lambda: found({"query": "lakes", "mode": "keyword"}),
                     lambda: found({"vector": [1.0] * models.dimension}, "/vectors/search")])
    job = build(server, models)
    wait_for("the model to be asked", lambda: is_held(models))
    assert askers.join() == 0, "somebody waits for the walk"
    assert not askers.errors and askers.answers > 0, askers.errors
    item = server.get("/vectors/indexes/pages").json()
    assert item["state"] == "building" and item["documents"] == 0 and item["problem"] is None, item
    assert [i["name"] for i in server.get("/vectors/indexes").json()["items"]] == ["pages"]
    assert server.get("/metrics").status_code == 200
    again = server.post("/vectors/indexes", json={"dataset": "pages", "text_columns": ["body"]})
    assert again.status_code == 409 and "already" in again.json()["detail"], again.text
    answer = server.post("/search", json={"query": "lakes", "mode": "keyword", "index": "pages"})
    assert answer.status_code == 200 and answer.json()["behind"] and answer.json()["hits"] == [], answer.text
    for command in (["index", "list"], ["index", "show", "pages"], ["search", "lakes", "--mode", "keyword"]):
        assert "pages" in server.cli(*command).stdout or command[0] == "search"
    assert job_state(server, job) == "running", "the job had ended: nothing was shown"
    models.released.set()
    wait_for("the job", lambda: job_state(server, job) == "done")
    item = server.get("/vectors/indexes/pages").json()
    assert (item["state"], item["documents"]) == ("ready", ROWS)


def test_the_first_moment_of_many(server, models):
    """Who asks just when the job begins: once in a few times it used to be held until the job's end."""
    for i in range(16):
        askers = Askers([lambda i=i: server.get(f"/vectors/indexes/pages_{i}")]) if i % 2 else None
        build(server, models, name=f"pages_{i}")
        if askers:
            assert askers.join() == 0, "somebody waits for the walk"
        shown = server.get(f"/vectors/indexes/pages_{i}", timeout=60)
        assert shown.status_code == 200 and shown.json()["state"] in ("empty", "building", "opening"), shown.text
        assert not models.released.is_set()
        assert server.delete(f"/vectors/indexes/pages_{i}", timeout=60).status_code == 200


def test_a_drop_waits_for_nothing_and_leaves_nothing(server, models, tmp_path):
    job = build(server, models)
    wait_for("the model to be asked", lambda: is_held(models))
    assert server.delete("/vectors/indexes/pages", timeout=60).status_code == 200
    assert server.get("/vectors/indexes/pages").status_code == 404
    assert server.get("/vectors/indexes").json()["items"] == []
    assert server.delete("/vectors/indexes/pages").status_code == 404
    wait_for("the job to end", lambda: job_state(server, job) in ("failed", "cancelled"))
    wanted = {"dataset": "pages", "text_columns": ["body"]}
    made = wait_for("the name", lambda: (r := server.post("/vectors/indexes", json=wanted)).status_code == 202 and r)
    assert not models.released.is_set()
    models.released.set()
    wait_for("the new index", lambda: job_state(server, made.json()["job_id"]) == "done")
    assert server.query("select count(*), count(distinct doc_id) from pages__vectors")["rows"] == [[ROWS, ROWS]]
    assert server.delete("/vectors/indexes/pages").status_code == 200
    # Somebody may look at it just then: the follower of commits does. What it leaves goes a moment later.
    wait_for("its files to go", lambda: not (tmp_path / "lake" / "state" / "indexes" / "pages").exists())
    wait_for("its record to go", lambda: not list((tmp_path / "lake" / "buckets").rglob("dropped.json")))


def test_killed_behind_a_drop(server, models, tmp_path):
    """What the drop left to be removed is removed by the next start; the definition may be back after a power failure."""
    build(server, models)
    wait_for("the model to be asked", lambda: is_held(models))
    definition = next((tmp_path / "lake" / "buckets").rglob("vectors/pages/index.json"))
    kept = definition.read_bytes()
    server.kill()
    definition.with_name("dropped.json").write_bytes(kept)
    server.start()
    models.released.set()
    assert server.get("/vectors/indexes").json()["items"] == []
    assert not list((tmp_path / "lake" / "buckets").rglob("dropped.json"))
    made = server.post("/vectors/indexes", json={"dataset": "pages", "text_columns": ["body"]}, params={"wait": 100})
    assert made.status_code == 200, made.text
    assert server.get("/vectors/indexes/pages").json()["chunks"] == ROWS


def test_stopped_in_the_first_moment(server, models):
    build(server, models)
    wait_for("the model to be asked", lambda: is_held(models))
    assert server.stop() == 0
    models.released.set()
    server.start()
    wait_for("the index", lambda: server.get("/vectors/indexes/pages").json()["state"] == "ready")
    assert server.get("/vectors/indexes/pages").json()["documents"] == ROWS
    assert server.query("select count(*), count(distinct doc_id) from pages__vectors")["rows"] == [[ROWS, ROWS]]


def test_two_that_make_the_same_index(server, models):
    codes, start = [], threading.Barrier(4)

    def make():
        start.wait()
        codes.append(server.post("/vectors/indexes", json={"dataset": "pages", "text_columns": ["body"]}).status_code)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [202, 409, 409, 409]
    models.released.set()
    wait_for("the index", lambda: server.get("/vectors/indexes/pages").json()["state"] == "ready")
    assert server.get("/vectors/indexes/pages").json()["chunks"] == ROWS


def test_a_first_build_that_failed_says_so(server, tmp_path):
    server.ingest("uneven", '{"id":1,"v":[0.5,0,0]}\n{"id":2,"v":[0.5,0]}\n', format="ndjson", key="id")
    made = server.post("/vectors/indexes", json={"dataset": "uneven", "vector_column": "v"}, params={"wait": 100})
    assert made.status_code >= 400, made.text
    # The follower of commits may order it once more by itself, and that is building for a moment; then it is as before.
    item = wait_for("the failure", lambda: (item := server.get("/vectors/indexes/uneven").json())["state"] == "failed" and item)
    assert 'row "2"' in item["problem"], item
    wait_for("it in the list", lambda: [i["state"] for i in server.get("/vectors/indexes").json()["items"]] == ["failed"])
    told = wait_for("the command", lambda: '"failed"' in (told := server.cli("index", "show", "uneven").stdout) and told)
    assert 'row \\"2' in told, told
    wait_for("the command's list", lambda: "failed" in server.cli("index", "list").stdout)
    assert server.request("PUT", "/datasets/uneven/rows", json=[{"id": 2, "v": [0.5, 0, 1]}]).status_code == 200
    wait_for("the index", lambda: server.get("/vectors/indexes/uneven").json()["state"] == "ready")
    # Searches see it before the work on it has ended, and only that takes the problem away.
    wait_for("its problem to go", lambda: server.get("/vectors/indexes/uneven").json()["problem"] is None)
