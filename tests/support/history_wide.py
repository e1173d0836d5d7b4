"""Random histories as people and other engines make them: besides rows also tags, branches,
forks, moves of main, restores of restores, expiry, replaced contents, columns that are added, renamed
and dropped, a type that is widened. The model knows columns by what they are, not by their names."""
import time

from tests.support.history import SELECT, History, instant

TABLE = "/iceberg/v1/namespaces/default/tables/t"
FIRST = {"id": "long", "name": "string", "rate": "double"}


class WideHistory(History):
    def __init__(self, server, chance, key):
        self.names = {what: what for what in FIRST}  # what a column is -> its name of now
        self.types = dict(FIRST)
        self.evolved = False
        self.lost, self.tags, self.number, self.told = set(), 0, 0, {}
        super().__init__(server, chance, key)

    # ---- what it held ----

    def look(self):
        answer = self.server.query(SELECT)
        snapshot = str(answer["snapshots"]["t"])
        if snapshot in self.states or not self.is_of_now(snapshot):
            return
        what = {name: what for what, name in self.names.items()}
        self.states[snapshot] = [{what[c["name"]]: value for c, value in zip(answer["columns"], row)}
                                 for row in answer["rows"]]
        self.told[snapshot] = dict(self.names)
        self.times[{str(item["snapshot_id"]): item["committed_at"] for item in self.kept()}[snapshot]] = snapshot
        self.order.append(snapshot)

    def is_of_now(self, snapshot):
        """A compaction by the server itself may come just before columns change: it shows the ones of before."""
        if self.evolved:
            metadata = self.metadata()
            of = {str(s["snapshot-id"]): s["schema-id"] for s in metadata["snapshots"]}
            self.evolved = of.get(snapshot) != metadata["current-schema-id"]
        return not self.evolved

    def as_told(self, snapshot):
        """Its rows as AT must show them: with the names of then."""
        names = self.told[snapshot]
        return [{names[what]: value for what, value in row.items()} for row in self.states[snapshot]]

    def kept_ids(self):
        return {str(item["snapshot_id"]) for item in self.kept()}

    def current(self):
        return str(self.server.query("select 1 from t limit 1")["snapshots"]["t"])

    def may_be_lost(self, moment_or_snapshot):
        return self.times.get(moment_or_snapshot, moment_or_snapshot) in self.lost

    # ---- changes ----

    def row(self, id):
        values = {"id": id, "name": self.chance.choice(["a", "ü'\"\\", "", None, "x" * 40]),
                  "rate": self.chance.choice([0.1, -1e300, 5, None, 1 / 3])}
        return {name: values.get(what, self.chance.choice([None, -7, 2**31 - 1]) if self.types[what] in ("int", "long")
                                 else self.chance.choice(["Ulm", None])) for what, name in self.names.items()}

    def commit(self, *updates):
        answer = self.server.post(TABLE, json={"requirements": [], "updates": list(updates)})
        assert answer.status_code in (200, 400, 404, 409), answer.text
        return answer.status_code == 200

    def metadata(self):
        return self.server.get(TABLE).json()["metadata"]

    def set_schema(self, change):
        """change(fields): as other engines evolve a table, without a snapshot."""
        metadata = self.metadata()
        schema = next(s for s in metadata["schemas"] if s["schema-id"] == metadata["current-schema-id"])
        fields = [dict(field) for field in schema["fields"]]
        change(fields, metadata["last-column-id"])
        new = {"type": "struct", "fields": fields, "schema-id": len(metadata["schemas"])}
        if "identifier-field-ids" in schema:
            new["identifier-field-ids"] = schema["identifier-field-ids"]
        assert self.commit({"action": "add-schema", "schema": new}, {"action": "set-current-schema", "schema-id": -1})

    def evolve(self):
        self.look()
        self.evolved = True
        more = [what for what in self.names if what not in FIRST]
        roll = self.chance.random()
        if len(more) < 3 and roll < 0.5:
            self.number += 1
            what, kind = f"c{self.number}", self.chance.choice(["int", "string"])
            self.set_schema(lambda fields, last: fields.append({"id": last + 1, "name": what, "type": kind, "required": False}))
            self.names[what], self.types[what] = what, kind
        elif roll < 0.75:
            what = self.chance.choice([w for w in self.names if w != "id"])
            self.number += 1
            name, old = f"{what}_{self.number}", self.names[what]
            self.set_schema(lambda fields, last: [f.update(name=name) for f in fields if f["name"] == old])
            self.names[what] = name
        elif more and roll < 0.85:
            what = self.chance.choice(more)
            name = self.names.pop(what)
            self.set_schema(lambda fields, last: fields.remove(next(f for f in fields if f["name"] == name)))
        elif ints := [what for what in more if self.types[what] == "int"]:
            what = self.chance.choice(ints)
            self.types[what] = "long"
            self.set_schema(lambda fields, last: [f.update(type="long") for f in fields if f["name"] == self.names[what]])

    def foreign(self, branch=None):
        """Another engine's commit: the files of some snapshot, on top of some other one."""
        metadata = self.metadata()
        of = {str(snapshot["snapshot-id"]): snapshot for snapshot in metadata["snapshots"]}
        same = [s for s in self.order if s in of and of[s]["schema-id"] == metadata["current-schema-id"]]
        if not same:
            return
        like, current = of[self.chance.choice(same)], metadata["current-snapshot-id"]
        parent = current if self.chance.random() < 0.5 else int(self.chance.choice(same))
        snapshot = {"snapshot-id": time.time_ns(), "parent-snapshot-id": parent,
                    "sequence-number": metadata["last-sequence-number"] + 1,
                    "timestamp-ms": max(int(time.time() * 1000), metadata["last-updated-ms"]),
                    "manifest-list": like["manifest-list"], "schema-id": like["schema-id"],
                    "summary": {**{k: v for k, v in like["summary"].items() if k.startswith("total-")},
                                "operation": "overwrite"}}
        self.commit({"action": "add-snapshot", "snapshot": snapshot},
                    {"action": "set-snapshot-ref", "ref-name": branch or "main", "type": "branch",
                     "snapshot-id": snapshot["snapshot-id"]})

    def go_back(self):
        snapshot = self.chance.choice([s for s in self.order if s in self.kept_ids()])
        before = self.current()
        if self.commit({"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": int(snapshot)}) \
                and snapshot != before:
            told = self.server.get("/journal", params={"operation": "rollback", "limit": 1}).json()["items"][0]
            self.times[told["ts"]] = snapshot
        if self.chance.random() < 0.3:  # and there again
            time.sleep(0.002)
            if self.commit({"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": int(before)}) \
                    and snapshot != before:
                told = self.server.get("/journal", params={"operation": "rollback", "limit": 1}).json()["items"][0]
                self.times[told["ts"]] = before

    def lose(self, before, removed):
        """What was expired, and what was thinned and told from it."""
        told = False
        for snapshot in self.order:
            if snapshot in before:
                told = snapshot in removed
            if told:
                self.lost.add(snapshot)

    @staticmethod
    def is_before(made, moment):
        return made is None or instant(made) < instant(moment)

    def expire(self):
        before, roll = self.kept_ids(), self.chance.random()
        if roll < 0.5:
            gone = {s for s in self.chance.sample(self.order, 2) if s in before and s != self.current()}
            if gone and self.commit({"action": "remove-snapshots", "snapshot-ids": [int(s) for s in sorted(gone)]}):
                self.lose(before, gone)
            return
        moment = self.chance.choice(sorted(self.times, key=instant)[: len(self.times) // 3 + 1])
        asked = {"older_than": moment, **({"keep": 5} if roll < 0.75 else {})}
        answer = self.server.post("/datasets/t/expire", json=asked)
        assert answer.status_code == 200, answer.text
        young = {snapshot for at, snapshot in self.times.items() if instant(at) >= instant(moment)}
        made = {}  # when each came to be; a later time is one at which somebody went back to it
        for at in sorted(self.times, key=instant):
            made.setdefault(self.times[at], at)
        self.lost |= {s for s in self.order if self.is_before(made.get(s), moment) and s not in self.kept_ids()}
        assert all(s in before or s in self.lost or s in young or s in made for s in self.order)

    def replace(self):
        text = ",".join(self.names.values()) + "\n"
        for id in range(self.chance.randrange(1, 6)):
            text += ",".join({"id": str(id), "rate": "1.25"}.get(w, "3" if self.types[w] in ("int", "long") else f"r{self.number}")
                             for w in self.names) + "\n"
        self.number += 1
        answer = self.server.ingest("t", text, check=False, mode="replace")
        assert answer.status_code in (200, 201), answer.text

    def step(self):
        chance, roll = self.chance, self.chance.random()
        if roll < 0.84:
            self.rows()
        elif roll < 0.88:
            told = chance.choice([s for s in self.order if s not in self.lost] or [self.current()])
            by_time = [at for at, snapshot in self.times.items() if snapshot == told]
            self.call("POST", "restore", json={"as_of": chance.choice(by_time + [told])})
        elif roll < 0.90:
            self.go_back()
        elif roll < 0.92:
            self.evolve()
        elif roll < 0.93:
            self.foreign()
        elif roll < 0.945:
            self.foreign(branch="dev")
        elif roll < 0.96:
            self.tags += 1
            self.commit({"action": "set-snapshot-ref", "ref-name": f"tag{self.tags % 3}", "type": "tag",
                         "snapshot-id": int(chance.choice(self.order))})
        elif roll < 0.97:
            self.commit({"action": "remove-snapshot-ref", "ref-name": f"tag{chance.randrange(3)}"})
        elif roll < 0.98:
            self.call("POST", "compact")
        elif roll < 0.99:
            self.replace()
        elif len(self.order) > 40:
            self.expire()
        self.look()

    def rows(self):
        chance, roll = self.chance, self.chance.random()
        if not self.key and roll < 0.65:
            self.call("POST", "rows", json=[self.row(chance.randrange(5)) for _ in range(chance.randrange(1, 4))])
        elif not self.key:
            self.call("POST", "delete", json={"where": f"id = {chance.randrange(9)}"})
        elif roll < 0.6:
            self.call("PUT", "rows", json=[self.row(id) for id in chance.sample(range(20), chance.randrange(1, 4))])
        elif roll < 0.75:
            self.call("PATCH", f"rows/{chance.randrange(20)}", json={self.names["name"]: chance.choice(["p", None])})
        elif roll < 0.9:
            self.call("DELETE", f"rows/{chance.randrange(20)}")
        else:
            self.call("POST", "delete", json={"where": f"id % 7 = {chance.randrange(7)}"})
