"""Searches go on while generations change places: none fails, each answer is right."""
import threading
import time

from tests.support.tarn import wait_for
from tests.system.test_trials import make, nearest, post, trial, vectors

SWAPS = 24
SEARCHERS = 4


class Load:
    """Threads that search until they are stopped, and what went wrong."""

    def __init__(self, server, wanted):
        self.server, self.wanted = server, wanted
        self.ending = threading.Event()
        self.wrong, self.searches, self.slowest, self.seen = [], 0, 0.0, set()
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(SEARCHERS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()

    def run(self, number):
        queries = [vector for _, vector in vectors(20, 100 + number)]
        turn = 0
        while not self.ending.is_set():
            turn += 1
            started = time.monotonic()
            try:
                self.check(queries[turn % len(queries)], turn % 2 == 0)
            except Exception as problem:  # whatever it is, it is one too many
                self.wrong.append(repr(problem))
            self.slowest = max(self.slowest, time.monotonic() - started)
            self.searches += 1

    def until_seen(self):
        """Some search was answered by the generation that is active."""
        active = self.server.get("/vectors/indexes/points").json()["generation"]
        wait_for("the generation answers", lambda: self.wrong or active in self.seen)

    def check(self, vector, filtered):
        body = {"index": "points", "vector": vector, "k": 10}
        if filtered:  # few rows pass: the answer is exact, whichever generation gives it
            body |= {"vector": self.wanted[0], "filter": "id < 60"}
        answer = self.server.post("/vectors/search", json=body)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        self.seen.add(found["generation"])
        ids = [hit["doc_id"] for hit in found["hits"]]
        assert len(set(ids)) == 10, ids
        assert not filtered or ids == self.wanted[1], ids


def test_no_search_fails_while_generations_change_places(server):
    make(server)
    first = trial(server, M=20, ef_construction=100, ef=80)
    second = trial(server, M=12, ef_construction=80, recall_target=0.97)
    vector = next(vectors(1, 5))[1]
    wanted = [hit["doc_id"] for hit in nearest(server, filter="id < 60")["hits"]]
    done = 0
    with Load(server, (vector, wanted)) as load:
        load.until_seen()
        post(server, f"/hnsw/promote/points/{first['trial']}", force=True, reason="to begin with")
        load.until_seen()
        while done < SWAPS:
            post(server, f"/hnsw/promote/points/{second['trial']}", force=True, reason="in turns")
            if done == 0:
                load.until_seen()
            post(server, "/hnsw/rollback/points")
            done += 2
            if done % 8 == 0:
                post(server, "/vectors/indexes/points/fold")
        wait_for("enough searches", lambda: load.wrong or load.searches > SWAPS)
    assert not load.wrong, load.wrong[:3]
    assert load.searches > SWAPS
    assert len(load.seen) >= 3
    assert server.query("select count(*) >= 24 from trials where kind <> 'trial'")["rows"] == [[True]]


def test_rows_come_and_go_meanwhile(server):
    make(server, 800)
    first = trial(server, M=12, ef_construction=60, ef=64)
    wanted = [hit["doc_id"] for hit in nearest(server, filter="id < 60")["hits"]]
    with Load(server, (next(vectors(1, 5))[1], wanted)):
        for turn in range(6):
            rows = [{"id": 1000 + turn * 10 + i, "city": "Oslo", "vec": vector}
                    for i, (_, vector) in enumerate(vectors(10, 200 + turn))]
            assert server.request("PUT", "/datasets/points/rows", json=rows).status_code == 200
            post(server, "/datasets/points/delete", where=f"id = {700 + turn}")
            if turn % 2 == 0:
                post(server, f"/hnsw/promote/points/{first['trial']}", force=True, reason="again")
            else:
                post(server, "/hnsw/rollback/points")
    caught_up = server.post("/vectors/indexes/points/refresh", params={"wait": 600}, timeout=660)
    assert caught_up.status_code == 200, caught_up.text
    hits = nearest(server, k=1000)["hits"]
    alive = {i for i in range(800) if not 700 <= i < 706} | {1000 + i for i in range(60)}
    assert {int(hit["doc_id"]) for hit in hits} == alive and len(hits) == len(alive)
