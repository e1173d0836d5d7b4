"""Every moment answers exactly, also when its snapshot was thinned: random histories
against a model, by AT, as_of, changes() and restore, over HTTP and from the command line."""
import os
import random
import time

import pytest

from tests.support import tarn

FLAGS = ("--set", "upkeep.interval=20ms", "--set", "retention.snapshots=10", "--set", "retention.hourly=0s",
         "--set", "retention.daily=0s", "--set", "upkeep.compact_files=30")
SELECT = "select * from t order by all"


class History:
    """One dataset, what it held after each commit, and how to change it at random."""

    def __init__(self, server, chance, key):
        self.server, self.chance, self.key = server, chance, key
        self.states, self.times, self.columns = {}, {}, ["id", "name", "rate"]
        self.order = []
        server.ingest("t", "id,name,rate\n" + "".join(f"{n},n{n},{n}.5\n" for n in range(8)),
                      **({"key": "id"} if key else {}))
        self.look()

    def look(self):
        answer = self.server.query(SELECT)
        snapshot = answer["snapshots"]["t"]
        if snapshot in self.states:
            return
        self.states[snapshot] = [dict(zip([c["name"] for c in answer["columns"]], row)) for row in answer["rows"]]
        kept = {item["snapshot_id"]: item["committed_at"] for item in self.kept()}
        self.times[kept[snapshot]] = snapshot  # of two in one millisecond the later one counts
        self.order.append(snapshot)

    def kept(self):
        return self.server.get("/catalog/datasets/t/snapshots").json()["items"]

    def row(self, id):
        values = {"id": id, "name": self.chance.choice(["a", "ü'\"\\", "", None, "x" * 40, "line\nfeed"]),
                  "rate": self.chance.choice([0.1, -1e300, 5, None, 1 / 3]),
                  "city": self.chance.choice(["Ulm", None]), "n": self.chance.choice([None, 2**62, -1])}
        return {c: values[c] for c in self.columns}

    def call(self, method, path, **more):
        answer = self.server.request(method, f"/datasets/t/{path}", **more)
        assert answer.status_code in (200, 404), answer.text

    def step(self):
        chance, roll = self.chance, self.chance.random()
        some = chance.randrange(20)
        if not self.key and roll < 0.6:
            self.call("POST", "rows", json=[self.row(chance.randrange(5)) for _ in range(chance.randrange(1, 4))])
        elif not self.key and roll < 0.93:
            self.call("POST", "delete", json={"where": f"id = {chance.randrange(9)}"})
        elif roll < 0.55:
            self.call("PUT", "rows", json=[self.row(id) for id in chance.sample(range(20), chance.randrange(1, 4))])
        elif roll < 0.7:
            self.call("PATCH", f"rows/{some}", json={"name": chance.choice(["p", None])})
        elif roll < 0.85:
            self.call("DELETE", f"rows/{some}")
        elif roll < 0.93:
            self.call("POST", "delete", json={"where": f"id % 7 = {chance.randrange(7)}"})
        elif roll < 0.96:
            self.call("POST", "compact")
        elif roll < 0.98:
            self.call("POST", "restore", json={"as_of": chance.choice(self.order)})
        elif len(self.columns) < 5:
            self.columns.append(["city", "n"][len(self.columns) - 3])
            text = ",".join(self.columns) + "\n" + ",".join(["900" if c == "id" else "1" if c == "n" else "2.5"
                                                              if c == "rate" else "f" for c in self.columns]) + "\n"
            self.server.ingest("t", text, **({"mode": "upsert"} if self.key else {}))
        self.look()

    def thinned(self):
        deadline = time.time() + 30
        while time.time() < deadline:
            kept = {item["snapshot_id"] for item in self.kept()}
            gone = [s for s in self.order if s not in kept]
            if len(gone) > 20:
                return gone
            time.sleep(0.05)
        raise AssertionError("nothing was thinned")

    def at(self, **moment):
        answer = self.server.query(SELECT, **moment)
        return [dict(zip([c["name"] for c in answer["columns"]], row)) for row in answer["rows"]]


def as_bag(rows, columns):
    return sorted(repr([row.get(c) for c in columns]) for row in rows)


def changed(history, start, end):
    """What changes() must say between two states, in the columns of now."""
    columns = history.columns
    was, now = history.states[start], history.states[end]
    if history.key:
        w, n = {r["id"]: r for r in was}, {r["id"]: r for r in now}
        cut = lambda row: [row.get(c) for c in columns]
        return sorted([repr(("insert", cut(n[k]))) for k in n.keys() - w.keys()] +
                      [repr(("delete", cut(w[k]))) for k in w.keys() - n.keys()] +
                      [repr(("update", cut(n[k]))) for k in w.keys() & n.keys() if cut(w[k]) != cut(n[k])])
    w, n = as_bag(was, columns), as_bag(now, columns)
    for row in list(w):
        if row in n:
            w.remove(row)
            n.remove(row)
    return sorted([f"delete {row}" for row in w] + [f"insert {row}" for row in n])


def told_changes(history, start, end):
    answer = history.server.query(f"select * exclude (before) from changes('t', {start}, {end})")
    names = [c["name"] for c in answer["columns"]][1:]
    assert names == history.columns
    if history.key:
        return sorted(repr((row[0], row[1:])) for row in answer["rows"])
    return sorted(f"{row[0]} {row[1:]!r}" for row in answer["rows"])


@pytest.mark.parametrize("key", [True, False], ids=["key", "no key"])
def test_random_histories(lake, key):
    seed = int(os.environ.get("TARN_TEST_SEED", "0")) or random.SystemRandom().randrange(2**32)
    print(f"TARN_TEST_SEED={seed}")
    chance = random.Random(seed)
    with tarn.Server(lake, *FLAGS) as server:
        history = History(server, chance, key)
        while len(history.order) < 110:
            history.step()
        gone = history.thinned()
        for snapshot in chance.sample(gone, 40):  # more than are remembered at a time
            assert history.at(as_of=snapshot) == history.states[snapshot], snapshot
        for moment, snapshot in chance.sample(sorted(history.times.items()), 30):
            assert history.at(as_of=moment) == history.states[snapshot], moment
        some = chance.sample(gone, 4) + chance.sample(history.order, 3)
        for start in some:
            for end in some:
                assert told_changes(history, start, end) == changed(history, start, end), (start, end)
        one = chance.choice(gone)
        both = server.query(f"select count(*) from t at (version => {one})", memory_bytes=64 << 20)
        assert both["rows"] == [[len(history.states[one])]]
        for snapshot in chance.sample(gone, 5):
            answer = server.post("/datasets/t/restore", json={"as_of": snapshot}).json()
            assert answer["status"] == "restored", answer
            assert answer["rows"] == len(history.states[snapshot])
            assert as_bag(history.at(), history.columns) == as_bag(history.states[snapshot], history.columns)
            history.look()
        moment = chance.choice([m for m, s in sorted(history.times.items()) if s in gone])
        done = server.cli("--lake", lake, "restore", "t", "--as-of", moment, "--reason", "by hand")
        assert done.returncode == 0, done.stderr
        assert as_bag(history.at(), history.columns) == as_bag(history.states[history.times[moment]], history.columns)
        found = server.cli("--lake", lake, "doctor", "--deep")  # what thinning left is not swept yet
        assert "0 errors" in found.stderr or "All is well" in found.stderr, found.stdout


def test_moments_that_are_expired_are_refused_and_say_so(server):
    server.ingest("t", "id,name\n1,a\n", key="id")
    first = server.query("select 1 from t")["snapshots"]["t"]
    server.ingest("t", "id,name\n2,b\n")
    moment = server.get("/catalog/datasets/t/snapshots").json()["items"][0]["committed_at"]
    old = server.get("/catalog/datasets/t/snapshots").json()["items"][1]["committed_at"]
    for n in range(3):
        server.request("PUT", "/datasets/t/rows", json=[{"id": 1, "name": f"v{n}"}])
    middle = server.get("/catalog/datasets/t/snapshots").json()["items"][1]["snapshot_id"]
    assert server.post("/datasets/t/expire", json={"older_than": "2100-01-01T00:00:00Z", "keep": 1}).status_code == 200
    for as_of in (first, old, moment, middle):
        for answer in (server.post("/query/sql", json={"sql": "select * from t", "as_of": as_of}),
                       server.post("/datasets/t/restore", json={"as_of": as_of})):
            assert answer.status_code == 404 and answer.json()["code"] == "snapshot_not_found"
            assert "not kept any more" in answer.json()["detail"], answer.text
            assert "oldest state" in answer.json()["hint"]
    never = server.post("/query/sql", json={"sql": "select * from t", "as_of": "2001-01-01T00:00:00Z"}).json()
    assert "did not exist yet" in never["detail"] or "not kept" in never["detail"]


def test_memory_of_ones_own_sees_the_journal(server):
    server.ingest("t", "id,name\n1,a\n", key="id")
    server.request("PUT", "/datasets/t/rows", json=[{"id": 1, "name": "b"}])
    sql = "select operation, new_value from journal order by ts, ordinal"
    assert server.query(sql, memory_bytes=64 << 20)["rows"] == server.query(sql)["rows"]
    joined = server.query("select j.old_value from journal j join t on j.entity = t.id::varchar where j.field = 'name'",
                          memory_bytes=64 << 20)
    assert joined["rows"] == [['"a"']]
