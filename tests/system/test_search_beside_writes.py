"""What searches may say while others write all the time: nothing of before, and soon what is new."""
import random
import threading

import pytest

from tests.support.tarn import Server, wait_for
from tests.system.test_search import as_csv, eventually, ids, index, rows, search

ROWS, OWN = 60, 20


def row(id, words):
    return {"id": id, "city": "Boston" if id % 2 else "Chicago", "trade": "baker", "summary": f"Bakes bread {words}."}


def put(server, *items):
    answer = server.request("PUT", "/datasets/people/rows", json=list(items))
    assert answer.status_code in (200, 201), answer.text


def connection(server):
    own = Server(server.lake, start=False)
    own.url = server.url
    own.session.headers.update(server.session.headers)
    return own


class Others:
    """Write rows from OWN on until they are told to end."""

    def __init__(self, server):
        self.ended, self.problems, self.last = threading.Event(), [], {}
        self.thread = threading.Thread(target=self.run, args=(connection(server),))

    def run(self, server):
        dice, number = random.Random(3), 0
        try:
            while not self.ended.is_set():
                chosen = dice.sample(range(OWN, ROWS), 4)
                number += 1
                put(server, *(row(id, f"other{number}x{id}") for id in chosen))
                self.last.update({id: f"other{number}x{id}" for id in chosen})
        except Exception as problem:
            self.problems.append(problem)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


def test_nothing_of_before_and_soon_what_is_new(server):
    server.ingest("people", as_csv(rows(ROWS)), key="id")
    index(server)
    dice, now = random.Random(5), {}
    with Others(server) as others:
        for number in range(30):
            id = dice.randrange(OWN)
            before = now.get(id)
            if dice.random() < 0.3:
                answer = server.request("DELETE", f"/datasets/people/rows/{id}")
                assert answer.status_code in (200, 204, 404), answer.text
                now[id] = None
            else:
                now[id] = f"own{number}y{id}"
                put(server, row(id, now[id]))
            for word in filter(None, (before, f"number{id}")):
                assert ids(search(server, word, mode="keyword", index="people")) == []
                assert ids(search(server, word, mode="keyword", index="people", filter="city IN ('Boston', 'Chicago')")) == []
        assert not others.problems
    now.update(others.last)
    for id, word in now.items():
        if word:
            eventually(lambda: ids(search(server, word, mode="keyword", index="people", filter=f"id = {id}")) == [str(id)])
    gone = {str(id) for id, word in now.items() if word is None}
    left = ids(search(server, "somebody who bakes bread", mode="vector", index="people", k=1000))
    assert len(left) == ROWS - len(gone) and not gone & set(left)


@pytest.mark.parametrize("place", ["chunks.log", "words.db-wal"])
def test_a_catch_up_that_is_held_half_way(lake, shim, place):
    """Its texts, or its words, are not written yet: what went is not found, and nothing else is missed for it."""
    welders = {str(id) for id in range(ROWS) if id % 5 == 2}
    query = {"query": "welder of pipelines", "index": "people", "k": 20, "filter": "trade = 'welder'"}
    with Server(lake, env=shim.env) as server:
        server.ingest("people", as_csv(rows(ROWS)), key="id")
        index(server)
        assert set(ids(search(server, **query))) == welders
        shim.set(f"write HOLD {place}")
        try:
            assert server.post("/datasets/people/delete", json={"where": "id in (2, 7)"}).json()["deleted"] == 2
            wait_for("the catch-up", shim.hits)
            held = [(search(server, **query, mode=mode), search(server, "welder", index="people", mode=mode, k=100))
                    for mode in ("keyword", "hybrid", "vector")]
        finally:
            shim.clear()
        for answer, unfiltered in held:
            assert answer["behind"] and set(ids(answer)) == welders - {"2", "7"}
            assert not {"2", "7"} & set(ids(unfiltered))
        wait_for("the index", lambda: not search(server, **query)["behind"])
        assert set(ids(search(server, **query))) == welders - {"2", "7"}
