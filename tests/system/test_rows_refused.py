"""A write that is refused leaves nothing behind: no key, no snapshot, no event."""
import pytest


@pytest.fixture
def plain(server):
    server.ingest("t", "id,name\n1,Ann\n2,Bob\n")
    return server


def state(server):
    table = server.get("/catalog/datasets/t").json()
    return (table["key"], [s["snapshot_id"] for s in server.get("/catalog/datasets/t/snapshots").json()["items"]],
            len(server.get("/journal").json()["items"]), server.query("select * from t order by all")["rows"])


@pytest.mark.parametrize("rows, query, headers, status", [
    ([{"id": "nine", "name": "x"}], "id", {}, 422),
    ([{"id": 3, "name": "x"}, {"id": 3, "name": "y"}], "id", {}, 422),
    ([{"id": None, "name": "x"}], "id", {}, 422),
    ([{"name": "x"}], "id", {}, 422),
    ([{"id": 3, "nosuch": "x"}], "id", {}, 400),
    ([{"id": 3, "name": "x"}], "nosuch", {}, 400),
    ([{"id": 3, "name": "x"}], "id", {"If-Match": '"77"'}, 412),
    ([], "id", {}, 400),
])
def test_an_upsert_that_brings_the_key(plain, rows, query, headers, status):
    before = state(plain)
    answer = plain.request("PUT", "/datasets/t/rows", json=rows, params={"key": query}, headers=headers)
    assert answer.status_code // 100 == 4, answer.text
    assert state(plain) == before, answer.text
    assert answer.status_code == status, answer.text


def test_rows_that_are_there_may_refuse_the_key(plain):
    plain.ingest("t", "id,name\n2,Bobby\n")
    before = state(plain)
    answer = plain.request("PUT", "/datasets/t/rows", json=[{"id": 3, "name": "x"}], params={"key": "id"})
    assert answer.status_code == 422 and "2" in answer.json()["detail"], answer.text
    assert state(plain) == before


def test_the_key_and_a_condition_go_together(plain):
    newest = plain.get("/catalog/datasets/t/snapshots").json()["items"][0]["snapshot_id"]
    answer = plain.request("PUT", "/datasets/t/rows", json=[{"id": 2, "name": "x"}], params={"key": "id"},
                           headers={"If-Match": f'"{newest}"'})
    assert answer.status_code == 200 and answer.json()["updated"] == 1, answer.text
    assert plain.get("/catalog/datasets/t").json()["key"] == ["id"]


def test_a_table_partitioned_as_we_cannot_is_left_as_it_is(server):
    """By a field inside a struct; the table is read, not written, and a refusal changes nothing."""
    made = server.post("/iceberg/v1/namespaces/default/tables", json={
        "name": "t", "schema": {"type": "struct", "schema-id": 0, "fields": [
            {"id": 1, "name": "id", "type": "long", "required": True},
            {"id": 2, "name": "name", "type": "string", "required": False},
            {"id": 3, "name": "place", "required": False, "type": {"type": "struct", "fields": [
                {"id": 4, "name": "city", "type": "string", "required": False}]}}]},
        "partition-spec": {"spec-id": 0, "fields": [
            {"source-id": 4, "field-id": 1000, "name": "city", "transform": "identity"}]}})
    assert made.status_code == 200, made.text
    before = state(server)
    for answer in (
            server.request("PUT", "/datasets/t/rows", json=[{"id": 1, "name": "x"}], params={"key": "id"}),
            server.request("PUT", "/datasets/t/rows", json=[{"id": 1, "name": "x"}]),
            server.post("/datasets/t/rows", json=[{"id": 1, "name": "x"}]),
            server.post("/datasets/t/delete", json={"where": "id = 1"}),
            server.ingest("t", "id,name\n1,x\n", check=False),
            server.ingest("t", "id,name\n1,x\n", check=False, mode="upsert", key="id"),
            server.ingest("t", "id,name\n1,x\n", check=False, mode="replace")):
        assert answer.status_code == 422 and "city" in answer.json()["detail"], answer.text
        assert state(server) == before
    found = server.cli("--lake", server.lake, "doctor", "--deep")
    assert "0 errors" in found.stderr or "All is well" in found.stderr, found.stdout
