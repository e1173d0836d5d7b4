"""The journal, time travel, restore, compaction, expiry."""
import json
import time
from datetime import datetime, timezone

import pytest

from tests.support import tarn

PEOPLE = "id,name,city\n1,Ann,Chicago\n2,Bob,Austin\n3,Cy,Boston\n"


@pytest.fixture
def people(server):
    server.ingest("people", PEOPLE, key="id")
    return server


def put(server, *rows, **params):
    answer = server.request("PUT", "/datasets/people/rows", json=list(rows), params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["snapshot_id"]


def rows(server, **fields):
    return server.query("select id, name, city from people order by id", **fields)["rows"]


def names(server, **fields):
    return [row[1] for row in rows(server, **fields)]


def test_history_of_a_record(people):
    put(people, {"id": 2, "name": "Bob", "city": "Dallas"}, reason="moved", workspace="w1")
    people.request("PATCH", "/datasets/people/rows/2", json={"name": "Bobby"})
    people.delete("/datasets/people/rows/2")
    events = people.get("/catalog/datasets/people/history/2").json()["items"]
    assert [(e["operation"], e["field"], e["old_value"], e["new_value"]) for e in events[:2]] == [
        ("update", "city", '"Austin"', '"Dallas"'), ("update", "name", '"Bob"', '"Bobby"')]
    assert events[2]["operation"] == "delete"
    assert json.loads(events[2]["old_value"]) == {"id": 2, "name": "Bobby", "city": "Dallas"}
    assert (events[0]["reason"], events[0]["workspace"], events[0]["actor"]) == ("moved", "w1", "first")
    assert events[0]["source"] == "api" and events[0]["request_id"]


def test_journal_lists_filters_and_pages(people):
    for n in range(25):
        put(people, {"id": 100 + n, "name": f"n{n}"})
    seen, cursor = [], None
    while True:
        page = people.get("/journal", params={"dataset": "people", "limit": 10, **({"cursor": cursor} if cursor else {})}).json()
        seen += page["items"]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert len(seen) == 26 and len({e["event_id"] for e in seen}) == 26
    times = [datetime.fromisoformat(e["ts"]) for e in seen]
    assert times == sorted(times, reverse=True)
    assert seen[-1]["operation"] == "ingest" and json.loads(seen[-1]["new_value"])["rows"] == 3
    only = people.get("/journal", params={"entity": "107"}).json()["items"]
    assert [e["operation"] for e in only] == ["insert"]
    assert people.get("/journal", params={"since": "tomorrow"}).status_code == 400


def test_the_journal_is_sql_under_the_guard(people):
    put(people, {"id": 2, "name": "Bob", "city": "Dallas"})
    got = people.sql("select p.name, j.old_value from journal j join people p on j.entity = p.id::varchar "
                     "where j.field = 'city'")
    assert got == [{"name": "Bob", "old_value": '"Austin"'}]
    refused = people.post("/query/sql", json={"sql": "select * from tarn_journal_tail"})
    assert refused.json()["code"] in ("dataset_not_found", "sql_refused")
    assert people.ingest("journal", "a\n1\n", check=False).status_code == 400


def test_events_survive_kill_and_restart(lake):
    with tarn.Server(lake) as server:
        server.ingest("people", PEOPLE, key="id")
        put(server, {"id": 2, "name": "B2"})
        server.kill()
        server.start()
        put(server, {"id": 2, "name": "B3"})
        events = server.get("/catalog/datasets/people/history/2").json()["items"]
        assert [e["new_value"] for e in events if e["field"] == "name"] == ['"B2"', '"B3"']


def test_as_of_and_at(people):
    first = people.query("select 1 from people limit 1")["snapshots"]["people"]
    time.sleep(0.01)
    moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
    time.sleep(0.01)
    put(people, {"id": 1, "name": "Ann 2"}, {"id": 4, "name": "Di"})
    people.delete("/datasets/people/rows/3")
    assert names(people) == ["Ann 2", "Bob", "Di"]
    assert names(people, as_of=first) == names(people, as_of=moment) == ["Ann", "Bob", "Cy"]
    both = people.query(f"select n.id, o.name, n.name from people n join people o at (version => {first}) "
                        "on n.id = o.id where n.name <> o.name")
    assert both["rows"] == [[1, "Ann", "Ann 2"]]


def test_restore(people):
    first = people.query("select 1 from people limit 1")["snapshots"]["people"]
    put(people, {"id": 1, "name": "wrong"})
    bad = people.query("select 1 from people limit 1")["snapshots"]["people"]
    answer = people.post("/datasets/people/restore", json={"as_of": first, "reason": "bad import"}).json()
    assert answer["status"] == "restored" and answer["rows"] == 3
    assert names(people) == ["Ann", "Bob", "Cy"]
    assert names(people, as_of=bad)[0] == "wrong"  # nothing is destroyed
    event = people.get("/journal", params={"operation": "restore"}).json()["items"][0]
    assert event["reason"] == "bad import" and json.loads(event["new_value"])["snapshot_id"] == first
    assert people.post("/datasets/people/restore", json={"as_of": 12345}).status_code == 404
    assert people.post("/datasets/people/restore", json={"as_of": "yesterday"}).status_code == 404  # a tag could be called so
    assert people.post("/datasets/people/restore", json={"as_of": ""}).status_code == 400
    put(people, {"id": 1, "name": "goes on"})
    assert names(people)[0] == "goes on"


def test_compaction_changes_no_answer(people):
    for n in range(12):
        put(people, {"id": 1, "name": f"v{n}"}, {"id": 50 + n, "name": f"n{n}"})
    people.delete("/datasets/people/rows/2")
    before = rows(people)
    answer = people.post("/datasets/people/compact").json()
    assert answer["status"] == "compacted" and answer["files_after"] == 1 and answer["files_before"] == 13
    assert rows(people) == before
    again = people.post("/datasets/people/compact").json()
    assert again["status"] == "unchanged"
    put(people, {"id": 1, "name": "after"})
    assert names(people)[0] == "after"
    assert "All is well" in people.cli("--lake", people.lake, "doctor", "--deep").stderr


def test_upkeep_compacts_by_itself(lake):
    with tarn.Server(lake, "--set", "upkeep.interval=50ms", "--set", "upkeep.compact_files=10") as server:
        server.ingest("people", PEOPLE, key="id")
        for n in range(40):
            put(server, {"id": n % 7, "name": f"v{n}"})
        want = {n % 7: f"v{n}" for n in range(40)}
        tarn.wait_for("few files", lambda: server.get("/catalog/datasets/people").json()["files"] <= 10)
        assert {row[0]: row[1] for row in rows(server)} == want


def test_expire_previews_and_forgets(people):
    for n in range(5):
        put(people, {"id": 1, "name": f"v{n}"})
    ids = [item["snapshot_id"] for item in people.get("/catalog/datasets/people/snapshots").json()["items"]]
    later = "2100-01-01T00:00:00Z"
    preview = people.post("/datasets/people/expire", json={"older_than": later, "keep": 2, "preview": True}).json()
    assert (preview["status"], preview["snapshots"], preview["kept"]) == ("preview", 4, 2)
    assert len(people.get("/catalog/datasets/people/snapshots").json()["items"]) == 6
    done = people.post("/datasets/people/expire", json={"older_than": later, "keep": 2}).json()
    assert (done["status"], done["snapshots"]) == ("expired", 4)
    assert len(people.get("/catalog/datasets/people/snapshots").json()["items"]) == 2
    # What was forgotten is told again by the journal, as far as it tells row by row.
    events = people.get("/catalog/datasets/people/history/1").json()["items"]
    assert len([e for e in events if e["field"] == "name"]) == 5
    assert names(people)[0] == "v4" and len(ids) == 6


def test_thinned_moments_are_replayed_exactly(lake):
    """Snapshots beyond the newest ten are forgotten; every moment still answers as it was."""
    flags = ("--set", "upkeep.interval=20ms", "--set", "retention.snapshots=10", "--set", "retention.hourly=0s",
             "--set", "retention.daily=0s")
    with tarn.Server(lake, *flags) as server:
        server.ingest("people", PEOPLE, key="id")
        states = {}
        for n in range(150):
            if n % 10 == 9:
                gone = server.delete(f"/datasets/people/rows/{n - 1}")
                assert gone.status_code in (200, 404)
                snapshot = gone.json().get("snapshot_id")
            else:
                snapshot = put(server, {"id": n % 40, "name": f"v{n}", "city": None if n % 3 else f"c{n}"})
            if snapshot:
                states[snapshot] = rows(server)
        tarn.wait_for("few snapshots", lambda: len(server.get("/catalog/datasets/people/snapshots").json()["items"]) <= 80)
        kept = {item["snapshot_id"] for item in server.get("/catalog/datasets/people/snapshots").json()["items"]}
        forgotten = [snapshot for snapshot in states if snapshot not in kept]
        assert forgotten
        for snapshot in forgotten[:: max(1, len(forgotten) // 12)]:
            answer = server.query("select id, name, city from people order by id", as_of=snapshot)
            assert answer["rows"] == states[snapshot]


def test_content_is_known_again_after_compaction_and_restore(people):
    assert people.ingest("people", PEOPLE, key="id")["status"] == "unchanged"
    first = people.query("select 1 from people limit 1")["snapshots"]["people"]
    more = "id,name,city\n8,Hal,Ulm\n"
    people.ingest("people", more)
    people.post("/datasets/people/compact")
    assert people.ingest("people", more)["status"] == "unchanged"
    people.post("/datasets/people/restore", json={"as_of": first})
    assert people.ingest("people", more)["status"] == "ingested"
    assert names(people) == ["Ann", "Bob", "Cy", "Hal"]


def test_an_upserted_file_is_applied_again_after_other_changes(people):
    rows_of_file = "id,name,city\n1,Ann B,Chicago\n"
    assert people.ingest("people", rows_of_file, mode="upsert")["status"] == "ingested"
    assert people.ingest("people", rows_of_file, mode="upsert")["status"] == "unchanged"
    put(people, {"id": 1, "name": "other"})
    assert people.ingest("people", rows_of_file, mode="upsert")["updated"] == 1
    assert names(people)[0] == "Ann B"


def test_changes_between_two_snapshots(people):
    first = people.query("select 1 from people limit 1")["snapshots"]["people"]
    put(people, {"id": 2, "name": "Bobby", "city": "Austin"}, {"id": 4, "name": "Di"})
    people.delete("/datasets/people/rows/3")
    people.post("/datasets/people/compact")
    changes = f"changes('people', {first})"
    got = people.query(f"select change, id, name, before.name from {changes} order by id")["rows"]
    assert got == [["update", 2, "Bobby", "Bob"], ["delete", 3, "Cy", "Cy"], ["insert", 4, "Di", None]]
    last = people.query("select 1 from people limit 1")["snapshots"]["people"]
    assert people.query(f"select count(*) from changes('people', {last}, {last})")["rows"] == [[0]]
    back = people.query(f"select c.change, c.id from changes('people', {last}, {first}) as c join people p "
                        "on p.id = c.id order by c.id")["rows"]
    assert back == [["update", 2], ["delete", 4]]
    for text, code in [("changes('people')", "sql_error"), ("changes('people', 1)", "snapshot_not_found"),
                       ("changes('nosuch', 1, 2)", "dataset_not_found"), ("changes('people', (select 1))", "sql_refused"),
                       ("changes('people', 'soon')", "snapshot_not_found"), ("changes('people', 2.5)", "sql_error")]:
        assert people.post("/query/sql", json={"sql": f"select * from {text}"}).json()["code"] == code
