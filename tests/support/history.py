"""Random histories of one dataset beside a model of what it held after each commit.

    history = History(server, random.Random(seed), key=True)
    history.step()                    any change: rows, files, restores, compactions, columns, going back
    history.at(as_of=moment)          what the server says it held
    history.states[snapshot]          what it held
"""
from datetime import datetime

from tests.support.tarn import wait_for

FLAGS = ("--set", "upkeep.interval=20ms", "--set", "retention.snapshots=10", "--set", "retention.hourly=0s",
         "--set", "retention.daily=0s", "--set", "upkeep.compact_files=30")
SELECT = "select * from t order by all"


def instant(text):
    """A time to be compared. The texts are not in order: one without a fraction, "15Z", comes after "15.009Z"."""
    return datetime.fromisoformat(text)


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

    def go_back(self):
        """As other engines do it: without a commit, main is pointed at an older snapshot."""
        kept = [item["snapshot_id"] for item in self.kept()]
        snapshot = self.chance.choice([s for s in self.order if s in kept])
        current = self.server.query("select 1 from t limit 1")["snapshots"]["t"]
        answer = self.server.post("/iceberg/v1/namespaces/default/tables/t", json={
            "requirements": [{"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": int(current)}],
            "updates": [{"action": "set-snapshot-ref", "ref-name": "main", "type": "branch",
                         "snapshot-id": int(snapshot)}]})
        if answer.status_code in (404, 409) or "unknown snapshot" in answer.text:
            return  # it was thinned, or a compaction came, in between
        assert answer.status_code == 200, answer.text
        if snapshot != current:
            told = self.server.get("/journal", params={"operation": "rollback", "limit": 1}).json()["items"][0]
            self.times[told["ts"]] = snapshot

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
        elif roll < 0.99:
            self.go_back()
        elif len(self.columns) < 5:
            self.columns.append(["city", "n"][len(self.columns) - 3])
            text = ",".join(self.columns) + "\n" + ",".join(["900" if c == "id" else "1" if c == "n" else "2.5"
                                                              if c == "rate" else "f" for c in self.columns]) + "\n"
            self.server.ingest("t", text, **({"mode": "upsert"} if self.key else {}))
        self.look()

    def gone(self):
        kept = {item["snapshot_id"] for item in self.kept()}
        return [s for s in self.order if s not in kept]

    def thinned(self):
        wait_for("many are thinned", lambda: len(self.gone()) > 20)
        return self.gone()

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
