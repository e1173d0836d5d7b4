"""What the tests of faults share: the preloaded shim, the named fault points,
and work whose outcome is known.

Work is made of acts. Each act changes one dataset and knows what the dataset is
before and after, so that whatever a crash leaves behind can be judged: the one
or the other, and after an acknowledgement the other.
"""
import contextlib
import errno
import itertools
import json
import os
import random
import re
import subprocess

import requests

from tests.support.tarn import ROOT, Server

# Points that no request of a lake passes yet, and where they are visited.
ELSEWHERE = {
    r"vector\..*": "src/vector: their own crash tests",
    r"store\.trim\..*": "src/store/trim_test.c; random kills pass it in a long run",
    r"documents\..*": "tests/system/test_documents.py",
    r"ocr\..*": "tests/system/test_ocr.py",
    r"ingest\.postgres_.*": "tests/system/test_ingest_postgres.py",
    r"index\..*": "tests/system/test_search_restart.py",
    r"outcome\..*": "src/outcome/record_test.c and its neighbours",
    r"reembed\..*": "tests/system/test_reembed_crash.py",
    r"catalog\.d.*|catalog\.renamed|journal\.note_put": "tests/system/test_journal_intent.py",
}


def points_in_source():
    """Every TN_FAULT("name") of the product, with the file."""
    found = {}
    for path in sorted((ROOT / "src").rglob("*.c")):
        if path.name.endswith("_test.c") or path.parent.name == "base":
            continue
        for name in re.findall(r'TN_FAULT\("([^"]+)"\)', path.read_text()):
            found.setdefault(name, path.relative_to(ROOT))
    return found


def visited_elsewhere(name):
    return any(re.fullmatch(pattern, name) for pattern in ELSEWHERE)


class Shim:
    """System calls of a server that fail on demand (tests/support/fault_shim.c)."""

    def __init__(self, folder):
        self.library, self.rules = folder / "fault_shim.so", folder / "fault_rules"
        self.hits_file = folder / "fault_rules.hits"
        subprocess.run(["cc", "-D_GNU_SOURCE", "-std=gnu17", "-O1", "-fPIC", "-shared", "-o", self.library,
                        ROOT / "tests" / "support" / "fault_shim.c"], check=True)

    @property
    def env(self):
        return {"LD_PRELOAD": str(self.library), "TARN_TEST_SHIM": str(self.rules)}

    def set(self, *rules):
        fresh = self.rules.with_suffix(".new")
        fresh.write_text("".join(rule + "\n" for rule in rules))
        fresh.rename(self.rules)

    def clear(self):
        self.rules.unlink(missing_ok=True)

    def hits(self):
        """How many calls rules have met since this was asked last."""
        try:
            count = self.hits_file.stat().st_size
        except FileNotFoundError:
            return 0
        self.hits_file.unlink()
        return count


def gone(call, *arguments, **options):
    """The response, or None when the server died meanwhile."""
    try:
        return call(*arguments, **options)
    except requests.exceptions.RequestException:
        return None


class Ingest:
    """Whole files into one dataset: each is there wholly or not at all."""
    ROWS = 200
    acts = ("ingest",)

    def __init__(self, dataset="files"):
        self.dataset, self.number = dataset, 0
        self.sure, self.maybe = set(), set()

    def act(self, server, _what, dice):
        self.number += 1
        number = self.number
        lines = [f"{number},{i},row {i} of file {number}" for i in range(self.ROWS)]
        self.maybe.add(number)
        answer = gone(server.ingest, self.dataset, "batch,n,text\n" + "\n".join(lines) + "\n", check=False)
        if answer is not None and answer.status_code == 200:
            self.sure.add(number)
        return answer

    def check(self, server):
        if server.get(f"/catalog/datasets/{self.dataset}").status_code == 404:
            assert not self.sure, f"{self.dataset} is gone"
            return
        there = set()
        for row in server.sql(f"SELECT batch, count(*) AS c, sum(n)::BIGINT AS s FROM {self.dataset} GROUP BY batch"):
            assert (row["c"], row["s"]) == (self.ROWS, self.ROWS * (self.ROWS - 1) // 2), f"half a file: {row}"
            there.add(row["batch"])
        assert self.sure <= there, f"acknowledged and gone: {sorted(self.sure - there)}"
        assert there <= self.maybe, f"never sent: {sorted(there - self.maybe)}"
        self.sure |= there


class Rows:
    """Keyed rows under upserts, patches, deletes, with compaction and expiry."""
    acts = ("upsert", "upsert", "upsert", "append", "patch", "delete", "delete_where", "upsert_file", "compact",
            "compact_job", "expire")

    def __init__(self, dataset="accounts", owner="a", count=12):
        self.dataset, self.owner = dataset, owner
        self.keys = [f"{owner}-{i}" for i in range(count)]
        self.now = {}      # key -> value, as acknowledged
        self.after = None  # what it is if the last act came through all the same
        self.made = False

    def make(self, server):
        """The dataset: the request that makes it is journaled as one event, so
        it brings a row that is nobody's."""
        answer = gone(server.request, "PUT", f"/datasets/{self.dataset}/rows", params={"key": "id"},
                      json=[{"id": "made", "value": 0, "note": ""}])
        self.made = answer is not None and answer.status_code == 200
        return answer

    def act(self, server, what, dice):
        """One request; the state it leads to is remembered before it is sent."""
        assert self.after is None, "check first: the last outcome is unknown"
        if not self.made:
            answer = self.make(server)
            if not self.made:
                return answer
        method, path, options, after = getattr(self, what)(dice)
        self.after = after
        path = "/ingest/file" if path is None else f"/datasets/{self.dataset}{path}"
        answer = gone(server.request, method, path, **options)
        if answer is not None and answer.status_code == 200:
            self.now, self.after = after, None
        elif answer is not None and answer.status_code < 500:
            self.after = None # refused, so nothing happened
        return answer

    def upsert(self, dice):
        rows = {key: dice.randrange(1000) for key in dice.sample(self.keys, dice.randint(1, 4))}
        body = [{"id": key, "value": value, "note": f"note {value}"} for key, value in rows.items()]
        return "PUT", "/rows", {"params": {"key": "id"}, "json": body}, {**self.now, **rows}

    def upsert_file(self, dice):
        """By ingest: journaled as one event, so it changes no row that is told of."""
        value = dice.randrange(1000000)
        body = f"id,value,note\nfile,{value},note {value}\n"
        return "POST", None, {"params": {"dataset": self.dataset, "mode": "upsert"}, "data": body.encode()}, self.now

    def append(self, dice):
        missing = [key for key in self.keys if key not in self.now]
        if not missing:
            return self.upsert(dice)
        key = dice.choice(missing)
        return "POST", "/rows", {"json": [{"id": key, "value": 7, "note": "new"}]}, {**self.now, key: 7}

    def patch(self, dice):
        if not self.now:
            return self.upsert(dice)
        key, value = dice.choice(sorted(self.now)), dice.randrange(1000)
        return "PATCH", f"/rows/{key}", {"json": {"value": value}}, {**self.now, key: value}

    def delete(self, dice):
        if not self.now:
            return self.upsert(dice)
        key = dice.choice(sorted(self.now))
        return "DELETE", f"/rows/{key}", {}, {k: v for k, v in self.now.items() if k != key}

    def delete_where(self, dice):
        if not self.now:
            return self.upsert(dice)
        least = dice.choice(sorted(self.now.values())) - 1
        where = f"id LIKE '{self.owner}-%' AND value > {least}"
        return "POST", "/delete", {"json": {"where": where}}, {k: v for k, v in self.now.items() if v <= least}

    def compact(self, _dice):
        return "POST", "/compact", {"json": {}}, self.now

    def compact_job(self, _dice):
        return "POST", "/compact", {"params": {"background": "true", "wait": 60}, "json": {}}, self.now

    def expire(self, _dice):
        return "POST", "/expire", {"json": {"older_than": "2100-01-01T00:00:00Z", "keep": 3}}, self.now

    def check(self, server):
        if server.get(f"/catalog/datasets/{self.dataset}").status_code == 404:
            assert not self.made, f"{self.dataset} is gone"
            self.after = None
            return
        found = server.sql(f"SELECT id, value FROM {self.dataset} WHERE id LIKE '{self.owner}-%' ORDER BY id")
        rows = {row["id"]: row["value"] for row in found}
        assert len(rows) == len(found), f"a key twice: {found}"
        allowed = [self.now] if self.after is None else [self.now, self.after]
        assert rows in allowed, f"found {rows}\nacknowledged {self.now}\nlast tried {self.after}"
        self.now, self.after = rows, None
        assert self.told_by_journal(server) == rows, "journal and data disagree"

    def told_by_journal(self, server):
        """The rows, from their events alone."""
        rows = {}
        for event in server.sql(
                "SELECT entity, operation, field, new_value FROM journal WHERE dataset = ? AND entity LIKE ? "
                "ORDER BY sequence, ordinal", self.dataset, f"{self.owner}-%"):
            key = event["entity"]
            if event["operation"] == "delete":
                del rows[key]
            elif event["operation"] == "insert":
                rows[key] = json.loads(event["new_value"])["value"]
            elif event["field"] == "value":
                rows[key] = json.loads(event["new_value"])
        return rows


class Restores:
    """One row whose past comes back."""
    acts = ("put", "restore")

    def __init__(self, dataset="past"):
        self.dataset, self.now, self.after, self.snapshots = dataset, None, None, {}

    def act(self, server, what, dice):
        past = sorted(self.snapshots.keys() - {self.now})
        if what == "restore" and past:
            value = dice.choice(past)
            path, body = "/restore", {"as_of": self.snapshots[value]}
            method, options = "POST", {"json": body}
        else:
            value = dice.randrange(1000000)
            method, path, options = "PUT", "/rows", {"params": {"key": "id"}, "json": [{"id": "x", "value": value}]}
        self.after = value
        answer = gone(server.request, method, f"/datasets/{self.dataset}{path}", **options)
        if answer is not None and answer.status_code == 200:
            self.now, self.after = value, None
            if answer.json().get("snapshot_id"):
                self.snapshots[value] = answer.json()["snapshot_id"]
        elif answer is not None and answer.status_code < 500:
            self.after = None
        return answer

    def check(self, server):
        if server.get(f"/catalog/datasets/{self.dataset}").status_code == 404:
            assert self.now is None
            self.after = None
            return
        value = server.sql(f"SELECT value FROM {self.dataset}")[0]["value"]
        assert value in (self.now, self.after), f"found {value}, acknowledged {self.now}, tried {self.after}"
        self.now, self.after = value, None
        told = self.told_by_journal(server)
        assert told in (value, None), f"the journal tells {told}, and the data is {value}"

    def told_by_journal(self, server):
        """The value, from its events alone; None while no event tells it: the
        request that made the dataset is one event without values."""
        value, at = None, {}
        for event in server.sql("SELECT operation, field, old_value, new_value, snapshot_id FROM journal "
                                "WHERE dataset = ? ORDER BY sequence, ordinal", self.dataset):
            if event["operation"] == "restore":
                value = at[int(json.loads(event["new_value"])["snapshot_id"])]
            elif event["operation"] == "insert":
                value = json.loads(event["new_value"])["value"]
            elif event["field"] == "value":
                before = json.loads(event["old_value"])
                assert value in (before, None), f"{event} follows {value}"
                at = {snapshot: before if known is None else known for snapshot, known in at.items()}
                value = json.loads(event["new_value"])
            at[int(event["snapshot_id"])] = value
        return value


SCHEMA = {"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "id", "type": "long", "required": False}]}


class Catalog:
    """Other engines' commits: to one table, to two at once, renames, namespaces."""
    acts = ("pair", "single", "rename", "space")
    ROOT = "/iceberg/v1"
    TABLES = f"{ROOT}/namespaces/default/tables"

    def __init__(self, dataset="zoo_one"):
        self.dataset, self.made = dataset, False
        self.now, self.after = {"pair": None, "single": None, "three": "zoo_three", "spaces": set()}, None

    def make(self, server):
        """The tables, as far as they are not there yet."""
        for name in ("zoo_one", "zoo_two", "zoo_three"):
            answer = gone(server.post, self.TABLES, json={"name": name, "schema": SCHEMA})
            if answer is None or answer.status_code not in (200, 409):
                return answer
        if answer.status_code == 409: # from before a crash
            answer = gone(server.get, self.TABLES)
        self.made = answer is not None and answer.status_code == 200
        return answer

    def act(self, server, what, dice):
        if not self.made:
            answer = self.make(server)
            if not self.made:
                return answer
        assert self.after is None, "check first: the last outcome is unknown"
        path, body, changed = getattr(self, what)(str(dice.randrange(1 << 30)))
        self.after = {**self.now, **changed}
        answer = gone(server.post, self.ROOT + path, json=body)
        if answer is not None and answer.status_code < 300:
            self.now, self.after = self.after, None
        elif answer is not None and answer.status_code < 500:
            self.after = None
        return answer

    def change(self, name, number):
        return {"identifier": {"namespace": ["default"], "name": name}, "requirements": [],
                "updates": [{"action": "set-properties", "updates": {"number": number}}]}

    def pair(self, number):
        body = {"table-changes": [self.change("zoo_one", number), self.change("zoo_two", number)]}
        return "/transactions/commit", body, {"pair": number}

    def single(self, number):
        name = self.now["three"]
        return f"/namespaces/default/tables/{name}", self.change(name, number), {"single": number}

    def rename(self, number):
        source, target = self.now["three"], f"zoo_three_{number}"
        return "/tables/rename", {"source": {"namespace": ["default"], "name": source},
                                  "destination": {"namespace": ["default"], "name": target}}, {"three": target}

    def space(self, number):
        return "/namespaces", {"namespace": [f"space_{number}"]}, {"spaces": self.now["spaces"] | {f"space_{number}"}}

    def number_of(self, server, name):
        answer = server.get(f"{self.TABLES}/{name}")
        assert answer.status_code == 200, answer.text
        return answer.json()["metadata"].get("properties", {}).get("number")

    def found(self, server):
        answer = server.get(self.TABLES)
        assert answer.status_code == 200, answer.text
        listed = {item["name"] for item in answer.json()["identifiers"]}
        tables = {name for name in listed if name.startswith("zoo_")}
        assert {"zoo_one", "zoo_two"} <= tables and len(tables) == 3, tables
        third, = tables - {"zoo_one", "zoo_two"}
        numbers = {self.number_of(server, "zoo_one"), self.number_of(server, "zoo_two")}
        assert len(numbers) == 1, f"a transaction in one table only: {numbers}"
        spaces = {item[0] for item in server.get(f"{self.ROOT}/namespaces").json()["namespaces"]}
        return {"pair": numbers.pop(), "single": self.number_of(server, third), "three": third,
                "spaces": {space for space in spaces if space.startswith("space_")}}

    def check(self, server):
        if not self.made:
            return
        found = self.found(server)
        allowed = [self.now] if self.after is None else [self.now, self.after]
        assert found in allowed, f"found {found}\nacknowledged {self.now}\nlast tried {self.after}"
        self.now, self.after = found, None


def works_of(lake):
    """The works that this server can do, by what its OpenAPI document offers."""
    with Server(lake) as server:
        paths = server.get("/openapi.json").json()["paths"]
    works = [Ingest]
    if "/datasets/{dataset}/rows" in paths:
        works += [Rows, Restores]
    if "/iceberg/v1/transactions/commit" in paths:
        works += [Catalog]
    return works


def dice_for(seed):
    return random.Random(seed)


def fill_disk(folder, left):
    """A file that takes all but `left` bytes. The server writes meanwhile: what has no room then is not written."""
    free = os.statvfs(folder)
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        wanted = free.f_bavail * free.f_frsize - left
        while wanted > 0:
            try:
                wanted -= file.write(bytes(min(wanted, 1 << 20)))
            except OSError as error:
                assert error.errno == errno.ENOSPC, error
                break
    return filler


def fill_inodes(folder, left):
    """A folder of files that leaves only so many more to be made."""
    filler = folder / "filler"
    filler.mkdir()
    for number in itertools.count():
        if os.statvfs(folder).f_favail <= left:
            return filler
        with contextlib.suppress(OSError): # the server took the last one
            (filler / str(number)).touch()
