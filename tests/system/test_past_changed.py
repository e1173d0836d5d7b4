"""Moments of a dataset that has become another one since: its key, its types, its name, all of
its contents, or another dataset under its name."""
import json
import time

import pytest

from tests.support import tarn
from tests.support.history import FLAGS
from tests.system.test_past_back import SELECT, TABLE, Told


@pytest.fixture
def told(lake):
    with tarn.Server(lake, *FLAGS) as server:
        yield Told(server)


def restores(told, snapshot):
    answer = told.server.post("/datasets/t/restore", json={"as_of": snapshot})
    assert answer.status_code == 200, answer.text
    now = told.rows()  # in the columns of today: those that were dropped since are not brought back
    assert now == [row[: len(now[0])] for row in told.states[snapshot]]


def test_another_key(told):
    """Replay finds rows by the key of then."""
    told.server.request("PUT", "/datasets/t/rows", json=[{"id": n, "name": f"first{n}"} for n in range(7)])
    told.note()
    early = told.put(6)
    assert told.server.request("PATCH", "/catalog/datasets/t", json={"key": ["id", "name"]}).status_code == 200
    for n in range(6):
        answer = told.server.request("PUT", "/datasets/t/rows", json=[{"id": 1, "name": f"again{n}"}])
        assert answer.status_code == 200, answer.text
        told.note()
    middle = told.current()
    for n in range(4):
        assert told.server.post("/datasets/t/delete", json={"where": f"name = 'again{n}'"}).status_code == 200
        told.note()
    assert told.server.request("PATCH", "/catalog/datasets/t", json={"key": ["name"]}).status_code == 200
    for n in range(75):
        told.server.request("PUT", "/datasets/t/rows", json=[{"id": n, "name": f"v{n % 5}"}])
        if n < 5:
            told.note()
    told.thin()
    told.check()
    got = told.server.query(f"select change, id, name from changes('t', {early}, {middle}) order by all")["rows"]
    was, now = ({row[1]: row for row in told.states[at]} for at in (early, middle))  # by the key of today
    assert len(was) == len(told.states[early]) and len(now) == len(told.states[middle])
    want = [["insert", *now[k]] for k in now.keys() - was.keys()] + [["delete", *was[k]] for k in was.keys() - now.keys()]
    want += [["update", *now[k]] for k in was.keys() & now.keys() if was[k] != now[k]]
    assert sorted(got) == sorted(want)


def test_another_name(told):
    early = told.put(4)
    answer = told.server.post("/iceberg/v1/tables/rename", json={
        "source": {"namespace": ["default"], "name": "t"}, "destination": {"namespace": ["default"], "name": "u"}})
    assert answer.status_code == 204, answer.text
    for n in range(90):
        assert told.server.request("PUT", "/datasets/u/rows", json=[{"id": n % 5, "name": f"u{n}"}]).status_code == 200
    kept = lambda: [item["snapshot_id"] for item in told.server.get("/catalog/datasets/u/snapshots").json()["items"]]
    tarn.wait_for("most are thinned", lambda: len(kept()) <= 60)
    assert early not in kept()
    for snapshot, rows in told.states.items():
        assert told.server.query(SELECT.replace(" t ", " u "), as_of=snapshot)["rows"] == rows
    for moment, rows in told.times:
        assert told.server.query(SELECT.replace(" t ", " u "), as_of=moment)["rows"] == rows
    assert told.server.post("/datasets/u/restore", json={"as_of": early}).json()["status"] == "restored"
    assert told.server.query(SELECT.replace(" t ", " u "))["rows"] == told.states[early]
    done = told.server.cli("--lake", told.server.lake, "history", "u", "1")
    assert '"v1"' in done.stdout.replace('"""', '"'), done.stdout + done.stderr


def test_another_dataset_under_its_name(told):
    old = told.put(5)
    before = told.times[-1][0]
    told.thin()
    answer = told.server.delete("/catalog/datasets/t")
    assert answer.status_code in (200, 204), answer.text
    between = told.times[-1][0]
    told.states.clear()
    told.times.clear()
    time.sleep(0.01)
    told.server.ingest("t", "id,name\n77,new\n", key="id")
    told.note()
    told.put(5)
    told.thin()
    told.check()
    for as_of in (old, before, between):
        for answer in (told.server.post("/query/sql", json={"sql": SELECT, "as_of": as_of}),
                       told.server.post("/datasets/t/restore", json={"as_of": as_of})):
            assert answer.status_code == 404 and answer.json()["code"] == "snapshot_not_found", answer.text
    refused = told.server.post("/query/sql", json={"sql": f"select * from changes('t', {old})"})
    assert refused.status_code == 404, refused.text


def test_other_contents_and_types(told):
    schema = told.server.get(TABLE).json()["metadata"]["schemas"][0]
    fields = schema["fields"] + [{"id": 3, "name": "n", "type": "int", "required": False},
                                 {"id": 4, "name": "d", "type": "decimal(9, 2)", "required": False},
                                 {"id": 5, "name": "b", "type": "binary", "required": False},
                                 {"id": 6, "name": "at", "type": "timestamptz", "required": False}]
    told.commit({"action": "add-schema", "schema": {**schema, "schema-id": 1, "fields": fields}},
                {"action": "set-current-schema", "schema-id": -1})
    def rows(times):
        for n in range(times):
            row = {"id": n % 4, "name": f"x{n}", "n": 2**31 - 1 - n, "d": f"-{n}.05", "at": f"2026-01-01T00:00:0{n % 10}.000001Z"}
            answer = told.server.request("PUT", "/datasets/t/rows", json=[row])
            assert answer.status_code == 200, answer.text
            told.note()
        return told.current()
    early = rows(5)
    fields = [{**field, "type": {"int": "long", "decimal(9, 2)": "decimal(18, 2)"}.get(field["type"], field["type"])}
              for field in fields]
    told.commit({"action": "add-schema", "schema": {**schema, "schema-id": 2, "fields": fields}},
                {"action": "set-current-schema", "schema-id": -1})
    wide = rows(5)
    told.server.ingest("t", "id,name,n\n1,replaced,9000000000\n", mode="replace")
    told.note()
    replaced = told.current()
    told.put(5)
    told.thin()
    told.check()
    assert early not in told.kept() and wide not in told.kept()
    for snapshot in (early, wide, replaced):
        restores(told, snapshot)
    changed = told.server.query(f"select change, id, n from changes('t', {early}, {wide}) order by all")["rows"]
    assert len(changed) == sum(row not in told.states[early] for row in told.states[wide])


def test_history_of_a_record_across_going_back(told):
    """The journal tells all of it: what was changed, that somebody went back, and what came then."""
    base = told.put(3)
    told.put(4)
    told.move(base)
    told.put(3)
    restored = told.server.post("/datasets/t/restore", json={"as_of": base})
    assert restored.status_code == 200
    told.thin()
    events = told.server.get("/journal", params={"dataset": "t", "limit": 1000}).json()["items"]
    back = [json.loads(e["new_value"]) if isinstance(e["new_value"], str) else e["new_value"]
            for e in events if e["operation"] == "rollback"]
    assert [str(value["snapshot_id"]) for value in back] == [base]
    order = [e["operation"] for e in reversed(events)]
    assert order.index("rollback") < order.index("restore")
    done = told.server.cli("--lake", told.server.lake, "history", "t", "3")
    assert done.returncode == 0 and '"v3"' in done.stdout.replace('"""', '"'), done.stdout
