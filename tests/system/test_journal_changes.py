"""What is no commit of rows is journaled too: drops, descriptions, renames, namespaces."""
import json

import pytest

from tests.support import tarn

PEOPLE = "id,name\n1,Ann\n2,Bob\n"
ONE = "/iceberg/v1/namespaces"


@pytest.fixture
def people(server):
    server.ingest("people", PEOPLE, key="id")
    return server


def events(server, **params):
    return server.get("/journal", params=params).json()["items"]


def test_a_drop_is_told_and_the_history_stays(people):
    people.request("PUT", "/datasets/people/rows", json=[{"id": 1, "name": "Anna"}])
    snapshot = people.query("select 1 from people")["snapshots"]["people"]
    assert people.delete("/catalog/datasets/people", params={"reason": "not ours"}).status_code == 200
    drop = events(people, operation="drop")[0]
    assert (drop["dataset"], drop["reason"], drop["actor"], drop["source"]) == ("people", "not ours", "first", "api")
    assert drop["snapshot_id"] is None and drop["request_id"]
    for _ in range(2):
        life = people.get("/catalog/datasets/people/history/1").json()["items"]
        assert [(e["operation"], e["new_value"], e["snapshot_id"]) for e in life] == [("update", '"Anna"', snapshot)]
        assert [e["operation"] for e in events(people, dataset="people")] == ["drop", "update", "ingest"]
        people.stop()
        people.start()
    assert people.get("/catalog/datasets/nosuch/history/1").status_code == 404
    people.ingest("people", PEOPLE, key="id")  # another one of that name
    assert people.get("/catalog/datasets/people/history/1").json()["items"] == []
    assert len(events(people, dataset="people")) == 4


def test_a_kill_after_the_drop_loses_nothing(lake):
    with tarn.Server(lake) as server:
        server.ingest("people", PEOPLE, key="id")
        server.request("PUT", "/datasets/people/rows", json=[{"id": 1, "name": "Anna"}])
        server.delete("/catalog/datasets/people")
        server.kill()
        server.start()
        assert [e["operation"] for e in events(server, dataset="people")] == ["drop", "update", "ingest"]


def test_descriptions_are_told_with_what_stood_there(people):
    path = "/catalog/datasets/people"
    assert people.request("PATCH", path, json={"owner": "HR", "tags": ["a"], "reason": "new team"}).status_code == 200
    assert people.request("PATCH", path, json={"owner": "Ops", "tags": ["a"]}).status_code == 200
    assert people.request("PATCH", path, json={"columns": {"name": {"sensitivity": "pii"}}}).status_code == 200
    told = [(e["field"], e["old_value"], e["new_value"], e["reason"]) for e in events(people, operation="describe")]
    assert ("owner", "null", '"HR"', "new team") in told and ("tags", "null", '["a"]', "new team") in told
    assert ("owner", '"HR"', '"Ops"', None) in told and len(told) == 4  # the tags of the second call changed nothing
    columns = next(e for e in events(people, operation="describe") if e["field"] == "columns")
    assert "pii" in columns["new_value"] and "pii" not in columns["old_value"]
    assert people.request("PATCH", path, json={"owner": 7}).status_code == 400
    assert len(events(people, operation="describe")) == 4


def test_a_new_key_is_told(server):
    server.ingest("people", PEOPLE)
    server.request("PATCH", "/catalog/datasets/people", json={"key": "id"})
    told = events(server, operation="schema")
    assert [json.loads(e["new_value"]) for e in told] == [{"old_key": [], "key": ["id"]}]


def test_renames_and_namespaces_are_told(people):
    assert people.post(ONE, json={"namespace": ["hr"], "properties": {"owner": "Ann"}}).status_code == 200
    assert people.post(f"{ONE}/hr/properties", json={"updates": {"owner": "Bob"}, "removals": []}).status_code == 200
    moved = people.post("/iceberg/v1/tables/rename", json={
        "source": {"namespace": ["default"], "name": "people"}, "destination": {"namespace": ["hr"], "name": "staff"}})
    assert moved.status_code == 204, moved.text
    rename = events(people, operation="rename")[0]
    assert json.loads(rename["old_value"]) == {"namespace": "default", "name": "people"}
    assert json.loads(rename["new_value"]) == {"namespace": "hr", "name": "staff"}
    assert people.delete(f"{ONE}/hr/tables/staff").status_code == 204
    assert people.delete(f"{ONE}/hr").status_code == 204
    told = [e["operation"] for e in events(people, dataset="hr")]
    assert told == ["namespace.drop", "namespace.update", "namespace.create"]
    assert people.sql("select distinct operation from journal where operation like 'namespace%' order by 1") == [
        {"operation": "namespace.create"}, {"operation": "namespace.drop"}, {"operation": "namespace.update"}]


def test_going_back_by_another_engine_is_told_and_moments_know_it(people):
    """main is set to an older snapshot: later the moments before and after it still answer as they were."""
    first = people.query("select 1 from people")["snapshots"]["people"]
    people.request("PUT", "/datasets/people/rows", json=[{"id": 1, "name": "wrong"}])
    bad = people.query("select 1 from people")["snapshots"]["people"]
    answer = people.post(f"{ONE}/default/tables/people", json={"requirements": [], "updates": [
        {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": int(first)}]})
    assert answer.status_code == 200, answer.text
    told = events(people, operation="rollback")[0]
    assert str(json.loads(told["new_value"])["snapshot_id"]) == first and told["source"] == "iceberg client"
    people.request("PUT", "/datasets/people/rows", json=[{"id": 2, "name": "Bobby"}])
    select = "select name from people order by id"
    assert people.query(select)["rows"] == [["Ann"], ["Bobby"]]
    assert people.query(select, as_of=told["ts"])["rows"] == [["Ann"], ["Bob"]]
    assert people.query(select, as_of=bad)["rows"] == [["wrong"], ["Bob"]]


def test_properties_by_another_engine_are_told(people):
    answer = people.post(f"{ONE}/default/tables/people", json={"requirements": [], "updates": [
        {"action": "set-properties", "updates": {"color": "green"}}]})
    assert answer.status_code == 200, answer.text
    told = events(people, operation="alter")[0]
    assert json.loads(told["new_value"]) == [{"action": "set-properties", "updates": {"color": "green"}}]


def test_an_expiry_is_told_and_a_preview_is_not(people):
    for name in ("x", "y"):
        people.request("PUT", "/datasets/people/rows", json=[{"id": 1, "name": name}])
    for preview in (True, False):
        asked = {"older_than": "2100-01-01T00:00:00Z", "keep": 1, "preview": preview, "reason": "space"}
        assert people.post("/datasets/people/expire", json=asked).status_code == 200
        told = events(people, operation="expire")
        assert len(told) == (0 if preview else 1)
    assert json.loads(told[0]["new_value"])["snapshots"] == 2 and told[0]["reason"] == "space"


def test_a_tag_keeps_a_snapshot_for_ever(people):
    first = people.query("select 1 from people")["snapshots"]["people"]
    tag = people.post(f"{ONE}/default/tables/people", json={"requirements": [], "updates": [
        {"action": "set-snapshot-ref", "ref-name": "audit", "type": "tag", "snapshot-id": int(first)}]})
    assert tag.status_code == 200, tag.text
    for n in range(3):
        people.request("PUT", "/datasets/people/rows", json=[{"id": 1, "name": f"v{n}"}])
    people.post("/datasets/people/expire", json={"older_than": "2100-01-01T00:00:00Z", "keep": 1})
    kept = [s["snapshot_id"] for s in people.get("/catalog/datasets/people/snapshots").json()["items"]]
    assert len(kept) == 2 and first in kept
    answer = people.query("select name from people order by id", as_of=first)
    assert answer["rows"] == [["Ann"], ["Bob"]] and answer["snapshots"]["people"] == first
