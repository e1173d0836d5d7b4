"""Who, through which door, why and for whose work: the same words whatever changed, and at once."""
import pytest


@pytest.fixture
def people(server):
    server.ingest("people", "id,name,age\n1,Ann,40\n2,Bob,0\n", key="id")
    return server


def last(server, operation):
    events = server.sql("select * from journal where operation = ? order by ts desc, sequence desc, ordinal desc limit 1", operation)
    assert events, f"no event says {operation}"
    return events[0]


def test_each_change_names_its_request(people):
    first = people.get("/catalog/datasets/people").json()["snapshot_id"]
    people.request("PUT", "/datasets/people/rows", json=[{"id": 3}])
    words = {"reason": "r", "workspace": "w"}
    asked = {
        "compact": people.post("/datasets/people/compact", json={"reason": "r"}),
        "restore": people.post("/datasets/people/restore", json={"as_of": str(first), **words}),
        "schema": people.request("PATCH", "/catalog/datasets/people", json={"key": "name", "reason": "r"}),
        "expire": people.post("/datasets/people/expire", json={"older_than": "2100-01-01T00:00:00Z", **words}),
        "describe": people.request("PATCH", "/catalog/datasets/people", json={"owner": "me", "reason": "r"}),
        "ingest": people.post("/ingest/file", params={"dataset": "people", **words}, data="id,name,age\n9,Zoe,1\n"),
        "drop": people.delete("/catalog/datasets/people", json={"reason": "r"}),
    }
    for operation, answer in asked.items():
        assert answer.status_code == 200, answer.text
        event = last(people, operation)
        assert (event["request_id"], event["reason"], event["actor"]) == (answer.headers["X-Request-Id"], "r", "first"), event
        assert event["workspace"] == ("w" if operation in ("restore", "expire", "ingest") else None), event


def test_a_compaction_is_in_the_journal_when_it_is_answered(people):
    for key in range(5):
        people.request("PUT", "/datasets/people/rows", json=[{"id": key}])
    done = people.post("/datasets/people/compact", json={"reason": "tidy"})
    assert done.json()["files_before"] > 1
    items = people.get("/journal?operation=compact").json()["items"]
    assert [(item["reason"], item["snapshot_id"]) for item in items] == [("tidy", done.json()["snapshot_id"])]


def test_the_command_line_is_a_door_of_its_own(people):
    people.cli("rows", "patch", "people", "1", '{"age": 41}', "--reason", "birthday", "--workspace", "w1")
    people.cli("datasets", "set", "people", "--owner", "me", "--reason", "she left")
    people.cli("ingest", "-", "people", "--format", "csv", "--workspace", "w2", stdin="id,name,age\n7,Gil,1\n")
    first = people.get("/catalog/datasets/people/snapshots").json()["items"][-1]["snapshot_id"]
    people.cli("restore", "people", "--as-of", first, "--workspace", "w3")
    people.cli("drop", "people", "--yes", "--reason", "done")
    told = {event: last(people, event) for event in ("update", "describe", "ingest", "restore", "drop")}
    assert {word: told[word]["source"] for word in told} == {
        "update": "cli", "describe": "cli", "ingest": "ingest", "restore": "restore", "drop": "cli"}
    assert (told["update"]["reason"], told["update"]["workspace"]) == ("birthday", "w1")
    assert [told[word]["reason"] for word in ("describe", "drop")] == ["she left", "done"]
    assert [told[word]["workspace"] for word in ("ingest", "restore")] == ["w2", "w3"]
    people.request("PUT", "/datasets/more/rows?key=id", json=[{"id": 1}])
    assert last(people, "insert")["source"] == "api"


def test_the_first_upsert_is_told_row_by_row(server):
    """As any other: a record's history begins with it."""
    body = [{"id": 1, "v": "a", "n": [1]}, {"id": 2, "v": None, "n": None}]
    made = server.request("PUT", "/datasets/fresh/rows?key=id&reason=why", json=body)
    assert made.json()["inserted"] == 2
    server.request("PATCH", "/datasets/fresh/rows/1", json={"v": "b"})
    items = server.get("/catalog/datasets/fresh/history/1").json()["items"]
    assert [item["operation"] for item in items] == ["insert", "update"]
    assert (items[0]["source"], items[0]["reason"], items[0]["request_id"]) == ("api", "why", made.headers["X-Request-Id"])
    assert items[0]["snapshot_id"] == made.json()["snapshot_id"]
    assert '"v":"a"' in items[0]["new_value"]
    server.cli("rows", "upsert", "other", '{"id": 5}', "--key", "id")
    assert server.get("/catalog/datasets/other/history/5").json()["items"][0]["source"] == "cli"
