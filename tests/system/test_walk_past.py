"""The past across changes of the key: told exactly, or refused, and never in another way."""
import pytest


@pytest.fixture
def kept(lake):
    """A server that forgets nothing by itself."""
    from tests.support import tarn
    with tarn.Server(lake, env={"TARN_UPKEEP_ENABLED": "false"}) as server:
        yield server


def rows(server, **fields):
    return server.query("select id, n, v from things order by all", **fields)["rows"]


def upsert(server, **row):
    return server.request("PUT", "/datasets/things/rows", json=[row])


def set_key(server, key):
    return server.request("PATCH", "/catalog/datasets/things", json={"key": key})


def told_or_refused(server, steps):
    """The states after each step, once their snapshots are gone; the first one has a tag and stays."""
    first = server.get("/catalog/datasets/things").json()["snapshot_id"]
    tag = {"action": "set-snapshot-ref", "ref-name": "first", "type": "tag", "snapshot-id": int(first)}
    made = server.post("/iceberg/v1/namespaces/default/tables/things", json={"requirements": [], "updates": [tag]})
    assert made.status_code == 200, made.text
    states = {}
    for step in steps:
        answer = step()
        assert answer.status_code == 200, answer.text
        states[server.get("/catalog/datasets/things").json()["snapshot_id"]] = rows(server)
    server.post("/datasets/things/expire", json={"older_than": "2100-01-01T00:00:00Z", "keep": 1})
    told = 0
    for moment, state in states.items():
        answer = server.post("/query/sql", json={"sql": "select id, n, v from things order by all", "as_of": str(moment)})
        if answer.status_code == 200:
            assert answer.json()["rows"] == state, moment
            told += 1
        else:
            assert answer.json()["code"] == "snapshot_not_found", answer.text
    return told


def test_another_key_of_the_same_type(kept):
    kept.ingest("things", "id,n,v\n1,3,x\n2,2,y\n3,1,z\n", key="id")
    assert told_or_refused(kept, [
        lambda: upsert(kept, id=1, n=3, v="before"), lambda: set_key(kept, "n"), lambda: upsert(kept, id=9, n=1, v="by n"),
        lambda: kept.request("PATCH", "/datasets/things/rows/3", json={"v": "n is 3"}), lambda: kept.delete("/datasets/things/rows/1"),
    ]) >= 2


def test_a_key_of_more_columns(kept):
    kept.ingest("things", "id,n,v\n1,3,x\n2,2,y\n3,1,z\n", key="id")
    assert told_or_refused(kept, [
        lambda: set_key(kept, "id,n"), lambda: upsert(kept, id=1, n=4, v="new"), lambda: kept.delete("/datasets/things/rows/2,2"),
        lambda: upsert(kept, id=1, n=3, v="changed")]) >= 1


def test_the_first_key(kept):
    kept.ingest("things", "id,n,v\n1,3,x\n2,2,y\n3,1,z\n")
    assert told_or_refused(kept, [
        lambda: kept.post("/datasets/things/rows", json=[{"id": 4, "n": 4, "v": "q"}]),
        lambda: kept.post("/datasets/things/delete", json={"where": "id = 2"}), lambda: set_key(kept, "id"),
        lambda: upsert(kept, id=1, n=3, v="changed"), lambda: kept.delete("/datasets/things/rows/4")]) >= 2


def test_a_restore_upholds_the_key_of_today(kept):
    """Rows of a time with another key, or with none, may have today's key twice, or not at all."""
    kept.ingest("things", "id,n,v\n1,3,x\n2,2,y\n3,1,z\n", key="id")
    good = kept.get("/catalog/datasets/things").json()["snapshot_id"]
    assert set_key(kept, "n").status_code == 200
    twice = upsert(kept, id=2, n=7, v="id 2 again").json()["snapshot_id"]
    kept.post("/datasets/things/delete", json={"where": "n = 7"})
    assert set_key(kept, "id").status_code == 200
    before = kept.get("/catalog/datasets/things").json()["snapshot_id"]
    refused = kept.post("/datasets/things/restore", json={"as_of": twice})
    assert (refused.status_code, refused.json()["code"]) == (422, "refused"), refused.text
    assert "the key 2 is there more than once" in refused.json()["detail"]
    assert kept.get("/catalog/datasets/things").json()["snapshot_id"] == before
    assert kept.post("/datasets/things/restore", json={"as_of": good}).status_code == 200
    assert upsert(kept, id=2, n=5, v="one").json()["updated"] == 1
    assert [row[0] for row in rows(kept)] == [1, 2, 3]
