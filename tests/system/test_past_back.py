"""Moments around somebody who went back: main pointed elsewhere by another engine,
branches, explicit expiry. Each is told exactly as it was, also when its snapshot was thinned."""
import json
import time

import pytest
import requests

from tests.support import tarn
from tests.support.history import FLAGS

TABLE = "/iceberg/v1/namespaces/default/tables/t"
SELECT = "select * from t order by all"


class Told:
    """A dataset `t` with the key `id`, and what it held after each commit and move of main."""

    def __init__(self, server):
        self.server, self.states, self.times, self.number = server, {}, [], 0
        server.ingest("t", "id,name\n1,a\n2,b\n", key="id")
        self.note()

    def rows(self, **moment):
        return self.server.query(SELECT, **moment)["rows"]

    def current(self):
        return self.server.query("select 1 from t limit 1")["snapshots"]["t"]

    def note(self):
        """The rows of now under the snapshot's id, and under the time of now."""
        self.states[self.current()] = self.rows()
        time.sleep(0.003)  # so that no commit has this millisecond, before or after
        self.times.append((time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now := time.time())) +
                           f".{int(now * 1000) % 1000:03d}Z", self.rows()))
        time.sleep(0.003)

    def change(self):
        self.number += 1
        row = {"id": self.number % 7, "name": f"v{self.number}"}
        answer = self.server.request("PUT", "/datasets/t/rows", json=[row])
        assert answer.status_code == 200, answer.text

    def put(self, times=1):
        for _ in range(times):
            self.change()
            self.note()
        return self.current()

    def commit(self, *updates):
        answer = self.server.post(TABLE, json={"requirements": [], "updates": list(updates)})
        assert answer.status_code == 200, answer.text

    def move(self, snapshot, ref="main", kind="branch"):
        self.commit({"action": "set-snapshot-ref", "ref-name": ref, "type": kind, "snapshot-id": int(snapshot)})
        self.note()

    def kept(self):
        return [item["snapshot_id"] for item in self.server.get("/catalog/datasets/t/snapshots").json()["items"]]

    def thin(self):
        """More commits, until most of what came before is thinned."""
        for _ in range(75):
            self.change()
        tarn.wait_for("most are thinned", lambda: len(self.kept()) <= 60 or self.change())

    def check(self, expired=()):
        for snapshot, rows in self.states.items():
            if snapshot not in expired:
                assert self.rows(as_of=snapshot) == rows, snapshot
        for moment, rows in self.times:
            answer = self.server.post("/query/sql", json={"sql": SELECT, "as_of": moment})
            if answer.status_code == 200:
                assert answer.json()["rows"] == rows, moment
            else:
                assert expired and answer.json()["code"] == "snapshot_not_found", answer.text


@pytest.fixture
def told(lake):
    with tarn.Server(lake, *FLAGS) as server:
        yield Told(server)


def moves(told):
    return [item["new_value"] for item in
            told.server.get("/journal", params={"operation": "rollback", "limit": 100}).json()["items"]]


def test_there_and_back_again(told):
    """Main is pointed at an older snapshot, then again at the newest one, and goes on from that."""
    old = told.put(5)
    new = told.put(5)
    told.move(old)
    told.move(new)
    told.thin()
    assert new not in told.kept()  # nothing hinders: its neighbours follow from each other
    told.check()
    assert len(moves(told)) == 2


def test_a_move_to_where_main_is_is_none(told):
    here = told.put(5)
    told.move(here)
    told.thin()
    assert here not in told.kept()
    told.check()
    assert moves(told) == []


def test_back_and_on_from_there(told):
    old = told.put(5)
    told.put(5)
    told.move(old)
    told.put(3)
    told.thin()
    told.check()
    assert len(moves(told)) == 1


def expire(told, *snapshots):
    """As other engines do it."""
    told.commit({"action": "remove-snapshots", "snapshot-ids": [int(snapshot) for snapshot in snapshots]})


def snapshot_of(told, like, parent, sequence, at):
    """A snapshot with the files of `like` on top of `parent`."""
    of = {str(snapshot["snapshot-id"]): snapshot for snapshot in told.server.get(TABLE).json()["metadata"]["snapshots"]}
    return {"snapshot-id": time.time_ns(), "parent-snapshot-id": int(parent), "sequence-number": sequence,
            "timestamp-ms": at, "manifest-list": of[like]["manifest-list"], "schema-id": of[like]["schema-id"],
            "summary": {**{key: value for key, value in of[like]["summary"].items() if key.startswith("total-")},
                        "operation": "overwrite"}}


def foreign(told, like, parent, branch="main"):
    """Another engine's commit: the files of `like` on top of `parent`."""
    metadata = told.server.get(TABLE).json()["metadata"]
    snapshot = snapshot_of(told, like, parent, metadata["last-sequence-number"] + 1,
                           max(int(time.time() * 1000), metadata["last-updated-ms"]))
    told.commit({"action": "add-snapshot", "snapshot": snapshot},
                {"action": "set-snapshot-ref", "ref-name": branch, "type": "branch",
                 "snapshot-id": snapshot["snapshot-id"]})
    told.note()
    return str(snapshot["snapshot-id"])


def test_an_expired_restore_cuts_the_past_there_alone(told):
    old = told.put(3)
    told.put(3)
    assert told.server.post("/datasets/t/restore", json={"as_of": old}).status_code == 200
    told.note()
    restored = told.current()
    told.put(5)
    expire(told, restored)
    told.thin()
    told.check(expired=[restored])
    refused = told.server.post("/query/sql", json={"sql": SELECT, "as_of": restored})
    assert refused.status_code == 404 and "states next to it" in refused.json()["hint"], refused.text
    refused = told.server.post("/datasets/t/restore", json={"as_of": restored})
    assert refused.status_code == 404 and "expired" in refused.json()["detail"]


@pytest.mark.parametrize("by", ["another engine", "tarn expire"])
def test_an_abandoned_line_is_expired(told, by):
    base = told.put(5)
    told.commit({"action": "set-snapshot-ref", "ref-name": "keep", "type": "tag", "snapshot-id": int(base)})
    before = set(told.states)
    told.put(4)
    abandoned = [snapshot for snapshot in told.states if snapshot not in before]
    told.move(base)
    told.put(5)
    if by == "tarn expire":
        answer = told.server.post("/datasets/t/expire", json={"older_than": "2100-01-01T00:00:00Z", "keep": 3})
        assert answer.status_code == 200, answer.text
        abandoned = [snapshot for snapshot in told.states if snapshot not in told.kept()]
    else:
        expire(told, *abandoned)
    told.thin()
    told.check(expired=abandoned)


def test_a_branch_is_no_part_of_the_datasets_past(told):
    old = told.put(3)
    base = told.put(3)
    branched = foreign(told, old, base, "dev")
    told.put(2)
    again = foreign(told, old, branched, "dev")
    told.put(2)

    def sources():
        return [item["source"] for item in told.server.get("/journal", params={"limit": 200}).json()["items"]
                if item["snapshot_id"] in (branched, again)]

    tarn.wait_for("both are told", lambda: sources().count("iceberg branch") >= 2)
    assert set(sources()) == {"iceberg branch"}, told.server.log_text()
    told.thin()
    told.check()
    told.commit({"action": "remove-snapshot-ref", "ref-name": "dev"})
    expire(told, branched, again)
    told.thin()
    told.check(expired=[branched, again])


def test_another_engine_forks_in_one_commit(told):
    """Its commit goes on from an older snapshot than the newest one."""
    base = told.put(4)
    newest = told.put(4)
    forked = foreign(told, newest, base)
    told.put(4)
    expire(told, forked)
    told.thin()
    told.check(expired=[forked])


def test_a_limit_leaves_the_state_that_later_moments_are_told_from(told):
    """`expire --older-than` forgets what is older, also where what is younger was thinned."""
    told.put(3)
    base = told.current()
    told.commit({"action": "set-snapshot-ref", "ref-name": "keep", "type": "tag", "snapshot-id": int(base)})
    limit = told.times[-1][0]
    told.thin()
    told.commit({"action": "remove-snapshot-ref", "ref-name": "keep"})
    before = list(told.states)[:list(told.states).index(base)]
    assert told.server.post("/datasets/t/expire", json={"older_than": limit}).status_code == 200
    told.check(expired=before)
    for moment, rows in told.times:
        if moment >= limit:
            assert told.rows(as_of=moment) == rows


def test_a_moment_without_a_change_is_restored(told):
    """A compaction was thinned; what it begins with is the state that is told."""
    base = told.put(5)
    told.commit({"action": "set-snapshot-ref", "ref-name": "keep", "type": "tag", "snapshot-id": int(base)})
    assert told.server.post("/datasets/t/compact").json()["status"] == "compacted"
    compacted = told.current()
    told.note()
    told.thin()
    assert compacted not in told.kept()
    answer = told.server.post("/datasets/t/restore", json={"as_of": compacted})
    assert answer.status_code == 200, answer.text
    assert told.rows() == told.states[base]


def test_a_move_that_a_crash_left_without_a_note(lake):
    """Power fails right after main was moved: the note is made up for before the log is cut."""
    with tarn.Server(lake, *FLAGS, env={"TARN_FAULT": "rest.after_pointer:1"}) as server:
        told = Told(server)
        base = told.put(4)
        told.put(4)
        with pytest.raises(requests.exceptions.RequestException):
            told.move(base)
        assert server.process.wait(tarn.PATIENCE) == -9
    with tarn.Server(lake, *FLAGS) as server:
        told.server = server
        assert told.current() == base
        told.note()
        told.put(3)
        told.thin()
        told.check()
        assert len(moves(told)) == 1 and json.loads(moves(told)[0])["snapshot_id"] == base
        expire(told, *[s for s in told.kept() if s != told.current()][-3:])
        assert len(moves(told)) == 1  # it is not noted twice


def test_two_snapshots_of_one_commit(told):
    """Some engines overwrite by a snapshot that deletes and one that appends; nobody saw the first alone."""
    old = told.put(3)
    base = told.put(3)
    metadata = told.server.get(TABLE).json()["metadata"]
    sequence, now = metadata["last-sequence-number"] + 1, max(int(time.time() * 1000), metadata["last-updated-ms"])
    first = snapshot_of(told, old, base, sequence, now + 20)
    second = snapshot_of(told, base, first["snapshot-id"], sequence + 1, now + 60)
    told.commit({"action": "add-snapshot", "snapshot": first}, {"action": "add-snapshot", "snapshot": second},
                {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": second["snapshot-id"]})
    time.sleep(0.1)
    told.note()
    between = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime((now + 40) / 1000)) + f".{(now + 40) % 1000:03d}Z"
    assert told.rows(as_of=between) == told.states[base]
    told.put(3)
    told.thin()
    told.check()
    assert told.rows(as_of=between) == told.states[base]
    assert told.rows(as_of=str(first["snapshot-id"])) == told.states[old]
