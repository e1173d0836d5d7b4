"""Tags and branches as moments: made here or by other engines, moved, deleted, kept from thinning; and the names of
states that an answer gave."""
import json
import os
import random
import threading
from urllib.parse import quote

import pytest

from tests.support import faults, tarn
from tests.support.history import FLAGS, History

SELECT = "select id, name from {} order by id"
REST = "/iceberg/v1/namespaces/default/tables/"
ODD = ["q3", "Q3 2026", "it's", 'say "so"', "a;b--", "überprüft", "日本 🦆", "x" * 255, "a/b", "100%", "%41", "v1.0", "1.0",
       "-", "2026-02-30", "2026-01-31 or so", "null", "now", "replay", "replay-", "replay-x", "dup\\", "$1", "?", "#", " lead ",
       "MAIN"]
RESERVED = ["5", "0", "-7", "9223372036854775808", "9" * 60, "2026-01-31", "2026-01-31T12:00:00Z", "2026-01-31 12:00:00.5",
            "replay-5", "replay-0", "replay-99999999999999999999"]


def refs(server, dataset, *updates):
    answer = server.post(REST + dataset, json={"requirements": [], "updates": list(updates)})
    assert answer.status_code == 200, answer.text


def point(server, name, snapshot, dataset="people", kind="tag"):
    """As another engine does it."""
    refs(server, dataset, {"action": "set-snapshot-ref", "ref-name": name, "type": kind, "snapshot-id": int(snapshot)})


def remove(server, name, dataset="people"):
    refs(server, dataset, {"action": "remove-snapshot-ref", "ref-name": name})


def rows(server, dataset="people", at="", **fields):
    return server.query(SELECT.format(dataset + at), **fields)["rows"]


def current(server, dataset="people"):
    return server.query(f'select 1 from "{dataset}" limit 1')["snapshots"][dataset]


def change(server, id, name, dataset="people"):
    answer = server.request("PUT", f"/datasets/{dataset}/rows", json=[{"id": id, "name": name}])
    assert answer.status_code == 200, answer.text
    return answer.json()["snapshot_id"]


def ask(server, sql, **fields):
    return server.post("/query/sql", json={"sql": sql, **fields})


def refused(answer, status, code):
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert problem["code"] == code, problem
    return problem


def path(name, dataset="people"):
    return f"/datasets/{dataset}/tags/{quote(name, safe='')}"


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def events(server):
    return server.query("select operation, field, old_value, new_value, actor, source, reason, workspace from journal "
                        "where operation like 'tag.%' order by ts")["rows"]


@pytest.fixture
def people(server):
    """Three states; the first is FIRST, the second SECOND."""
    server.ingest("people", "id,name\n1,Ann\n2,Bob\n", key="id")
    server.first = current(server)
    server.second = change(server, 1, "Anna")
    change(server, 3, "Cy")
    return server


FIRST, SECOND, NOW = ([[1, "Ann"], [2, "Bob"]], [[1, "Anna"], [2, "Bob"]], [[1, "Anna"], [2, "Bob"], [3, "Cy"]])


# ---- wherever a moment is named --------------------------------------------------------


def test_a_tag_of_another_engine_is_a_moment_everywhere(people):
    point(people, "q3", people.first)
    point(people, "later", people.second)
    assert rows(people, as_of="q3") == FIRST and rows(people) == NOW
    assert rows(people, at=" at (version => 'q3')") == FIRST
    assert rows(people, at=" at (version => 'q' || 3)", as_of="later") == FIRST
    answer = people.query(f"{SELECT.format('people')}", as_of="q3")
    assert answer["snapshots"] == {"people": people.first}
    joined = people.query("select o.name, n.name from people o at (version => 'q3') join people n using (id) order by 1")
    assert joined["rows"] == [["Ann", "Anna"], ["Bob", "Bob"]]
    changes = "select change, id, name from changes('people', {}) order by id"
    assert people.query(changes.format("'q3'"))["rows"] == [["update", 1, "Anna"], ["insert", 3, "Cy"]]
    assert people.query(changes.format("'q3', 'later'"))["rows"] == [["update", 1, "Anna"]]
    assert people.query(changes.format("0, 'q3'"))["rows"] == [["insert", 1, "Ann"], ["insert", 2, "Bob"]]
    assert people.query(changes.format("'q3'"), as_of="later")["rows"] == [["update", 1, "Anna"]]
    sample = people.get("/catalog/datasets/people/sample", params={"as_of": "q3"})
    assert sorted(sample.json()["rows"]) == FIRST
    assert people.post("/query/explain", json={"sql": "select * from people", "as_of": "q3"}).status_code == 200
    csv = people.post("/query/sql", json={"sql": SELECT.format("people"), "as_of": "q3"}, headers={"Accept": "text/csv"})
    assert csv.text.splitlines() == ["id,name", "1,Ann", "2,Bob"]
    small = people.query(SELECT.format("people"), as_of="q3", memory_bytes=64 << 20)
    assert small["rows"] == FIRST
    assert people.cli("sql", "--as-of", "q3", "-c", SELECT.format("people")).stdout.splitlines() == [
        "id,name", "1,Ann", "2,Bob"]
    restored = people.post("/datasets/people/restore", json={"as_of": "q3", "reason": "as reported"}).json()
    assert restored["status"] == "restored" and rows(people) == FIRST
    event = people.get("/journal", params={"operation": "restore"}).json()["items"][0]
    assert json.loads(event["new_value"])["as_of"] == "q3"
    assert "the state of later is the newest one again" in people.cli("restore", "people", "--as-of", "later").stderr
    assert rows(people) == SECOND


def test_a_tag_that_moves_is_the_new_state_at_once(people):
    """Also where answers are kept, and where the dataset is held in memory."""
    assert people.request("POST", "/datasets/people/pin").status_code == 200
    want = {people.first: FIRST, people.second: SECOND, current(people): NOW}
    for snapshot in [*want, *want, people.first, people.first]:
        point(people, "moving", snapshot)
        for _ in range(2):
            answer = people.query(SELECT.format("people"), as_of="moving")
            assert (answer["rows"], answer["snapshots"]["people"]) == (want[snapshot], snapshot)
            assert rows(people, at=" at (version => 'moving')") == want[snapshot]
    assert people.query(SELECT.format("people"), as_of="moving")["kept"] is True  # by the snapshot, not by the tag


def test_a_tag_that_is_gone_is_told(people):
    for name in ("one", "two"):
        point(people, name, people.first)
    assert rows(people, as_of="one") == FIRST
    remove(people, "one")
    for answer in (ask(people, SELECT.format("people"), as_of="one"),
                   ask(people, SELECT.format("people at (version => 'one')")),
                   ask(people, "select * from changes('people', 'one')"),
                   people.post("/datasets/people/restore", json={"as_of": "one"}),
                   people.get("/catalog/datasets/people/sample", params={"as_of": "one"})):
        problem = refused(answer, 404, "snapshot_not_found")
        assert 'no tag or branch "one"' in problem["detail"] and "people" in problem["detail"]
        assert '"two"' in problem["hint"] and '"one"' not in problem["hint"] and "snapshot id" in problem["hint"]
    said = people.cli("sql", "--as-of", "one", "-c", "select * from people", check=False)
    assert said.returncode == 1 and 'no tag or branch "one"' in said.stderr and '"two"' in said.stderr
    assert ask(people, SELECT.format("people at (version => 'one')")).json()["line"] == 1
    assert rows(people) == NOW


def test_each_of_several_datasets_must_have_it(people):
    people.ingest("teams", "id,name\n7,red\n", key="id")
    point(people, "q3", people.first)
    both = "select p.name, t.name from people p, teams t order by 1"
    problem = refused(ask(people, both, as_of="q3"), 404, "snapshot_not_found")
    assert 'dataset "teams" has no tag or branch "q3"' in problem["detail"]
    assert people.query("select p.name from people p, teams t at (version => 'main') order by 1", as_of="q3")["rows"] == [
        ["Ann"], ["Bob"]]
    point(people, "q3", current(people, "teams"), dataset="teams")
    change(people, 7, "blue", dataset="teams")
    assert people.query(both, as_of="q3")["rows"] == [["Ann", "red"], ["Bob", "red"]]
    remove(people, "q3")
    assert 'dataset "people"' in refused(ask(people, both, as_of="q3"), 404, "snapshot_not_found")["detail"]


@pytest.mark.parametrize("table", ["journal", "model_outcomes", "model_stats", "trials"])
def test_what_has_no_tags_says_so(people, table):
    point(people, "q3", people.first)
    problem = refused(ask(people, f"select count(*) from people, {table}", as_of="q3"), 404, "snapshot_not_found")
    assert table in problem["detail"] and "no tags" in problem["detail"]


def test_many_tags_are_told_in_part(people):
    for n in range(40):
        point(people, f"{n:02}" + "ü" * 120, people.first)
    problem = refused(ask(people, "select * from people", as_of="nope"), 404, "snapshot_not_found")
    assert "more" in problem["hint"] and len(problem["hint"].encode()) < 500 and "�" not in problem["hint"]
    refused(ask(people, "select * from people", as_of="z" * 100_000), 404, "snapshot_not_found")


def test_a_branch_goes_on_with_todays_columns(people):
    """A tag has the columns of its time, a branch those of today, as other engines read them."""
    point(people, "q3", people.first)
    point(people, "side", people.first, kind="branch")
    people.ingest("people", "id,name,city\n9,Zed,Ulm\n")
    columns = {name: [c["name"] for c in people.query("select * from people", as_of=name)["columns"]]
               for name in ("q3", "side", "main")}
    assert columns == {"q3": ["id", "name"], "side": ["id", "name", "city"], "main": ["id", "name", "city"]}
    assert rows(people, as_of="side") == FIRST and rows(people, as_of="main") == rows(people)
    assert people.query("select city from people", as_of="side")["rows"] == [[None], [None]]


def test_main_of_a_dataset_without_rows_is_there(server):
    server.post("/iceberg/v1/namespaces/default/tables", json={"name": "empty", "schema": {
        "type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "id", "required": False, "type": "long"}]}})
    assert server.query("select * from empty", as_of="main")["rows"] == []
    assert "has none" in refused(ask(server, "select * from empty", as_of="q3"), 404, "snapshot_not_found")["hint"]
    refused(server.request("PUT", path("q3", "empty")), 404, "snapshot_not_found")


def test_a_dataset_without_rows_that_is_made_again_has_its_own_columns(server):
    """No snapshot tells the two apart: whoever had compiled the first must not answer for the second."""
    for name, kind in (("id", "long"), ("word", "string"), ("id", "string")):
        made = server.post("/iceberg/v1/namespaces/default/tables", json={"name": "empty", "schema": {
            "type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": name, "required": False, "type": kind}]}})
        assert made.status_code == 200, made.text
        want = [{"name": name, "type": {"long": "BIGINT", "string": "VARCHAR"}[kind]}]
        for _ in range(4):
            assert server.query("select * from empty")["columns"] == want
            assert server.query("select * from empty at (version => 'main')")["columns"] == want
        assert server.delete("/catalog/datasets/empty").status_code == 200


# ---- names -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ODD)
def test_odd_names(people, name):
    """Whoever made them, and whatever stands in them."""
    point(people, name, people.first)
    assert rows(people, as_of=name) == FIRST
    assert rows(people, at=f" at (version => {quoted(name)})") == FIRST
    remove(people, name)
    refused(ask(people, "select * from people", as_of=name), 404, "snapshot_not_found")
    made = people.request("PUT", path(name), json={"as_of": people.second})
    assert made.status_code == 200 and made.json()["name"] == name, made.text
    assert rows(people, as_of=name) == SECOND
    assert people.get(path(name)).json()["snapshot_id"] == people.second
    assert people.query(f"select count(*) from changes('people', {quoted(name)})")["rows"] == [[1]]
    assert people.delete(path(name)).json()["status"] == "dropped"
    assert people.get(path(name)).status_code == 404


@pytest.mark.parametrize("name", RESERVED)
def test_names_that_mean_something_else(people, name):
    """We do not make them. Where another engine did, a date is a time as as_of, and the name in AT (VERSION)."""
    refused(people.request("PUT", path(name)), 400, "bad_request")
    point(people, name, people.first)
    assert name in [item["name"] for item in people.get("/datasets/people/tags").json()["items"]]
    answer = ask(people, SELECT.format("people"), as_of=name)
    assert answer.status_code in (400, 404), answer.text
    if name.startswith("2026"):
        assert rows(people, at=f" at (version => '{name}')") == FIRST
    assert people.delete(path(name)).status_code == 200  # to be rid of it


def test_a_time_is_a_time_and_not_the_tag(people):
    point(people, "2100-01-01", people.first)
    assert rows(people, as_of="2100-01-01") == NOW
    assert rows(people, at=" at (version => '2100-01-01')") == FIRST
    assert rows(people, at=" at (timestamp => '2100-01-01')") == NOW


@pytest.mark.parametrize("name", ["x" * 256, "a\nb", "tab\t", "\x7f", "main", "side"])
def test_names_that_are_refused(people, name):
    point(people, "side", people.first, kind="branch")
    answer = people.request("PUT", path(name))
    assert answer.status_code in (400, 422), answer.text
    assert people.delete(path(name)).status_code in (400, 404, 422)
    assert [item["name"] for item in people.get("/datasets/people/tags").json()["items"]] == ["main", "side"]


def test_an_empty_text_is_no_moment(people):
    refused(ask(people, "select * from people", as_of=""), 400, "bad_request")
    refused(people.post("/datasets/people/restore", json={"as_of": ""}), 400, "bad_request")
    for wrong in ("''", "2.5", "[1, 2]", "'99999999999999999999'"):
        answer = ask(people, f"select * from changes('people', {wrong})")
        assert answer.status_code in (400, 422), answer.text


# ---- our own door ----------------------------------------------------------------------


def test_made_listed_moved_dropped(people):
    made = people.request("PUT", path("q3"), json={"as_of": people.first, "reason": "as reported", "workspace": "w1"}).json()
    assert (made["status"], made["snapshot_id"], made["dataset"]) == ("created", people.first, "people")
    assert people.request("PUT", path("q3"), json={"as_of": people.first}).json()["status"] == "unchanged"
    problem = refused(people.request("PUT", path("q3")), 409, "already_exists")
    assert "move" in problem["hint"] and rows(people, as_of="q3") == FIRST
    moved = people.request("PUT", path("q3"), json={"as_of": people.second, "move": True}).json()
    assert moved["status"] == "moved" and rows(people, as_of="q3") == SECOND
    assert people.request("PUT", path("now")).json()["snapshot_id"] == current(people)
    assert people.request("PUT", path("same"), json={"as_of": "q3"}).json()["snapshot_id"] == people.second
    listed = people.get("/datasets/people/tags").json()
    assert [(item["name"], item["type"]) for item in listed["items"]] == [
        ("main", "branch"), ("now", "tag"), ("q3", "tag"), ("same", "tag")]
    assert listed["items"][2]["snapshot_id"] == people.second and listed["items"][2]["committed_at"]
    seen, cursor = [], None
    while True:
        page = people.get("/datasets/people/tags", params={"limit": 3, **({"cursor": cursor} if cursor else {})}).json()
        seen += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == listed["items"]
    dropped = people.delete(path("q3"), params={"reason": "over"}).json()
    assert (dropped["status"], dropped["snapshot_id"]) == ("dropped", people.second)
    refused(people.delete(path("q3")), 404, "not_found")
    refused(people.get(path("q3")), 404, "not_found")
    first, second = json.dumps(people.first), json.dumps(people.second)
    said = events(people)
    assert [event[:4] for event in said] == [
        ["tag.set", "q3", "null", first], ["tag.set", "q3", first, second],
        ["tag.set", "now", "null", json.dumps(current(people))], ["tag.set", "same", "null", second],
        ["tag.drop", "q3", second, "null"]]
    assert said[0][4:] == ["first", "api", "as reported", "w1"] and said[-1][6] == "over"
    assert len(people.get("/journal", params={"operation": "tag.set"}).json()["items"]) == 4
    assert rows(people) == NOW  # no row changed
    assert len(people.get("/catalog/datasets/people/snapshots").json()["items"]) == 3


def test_a_table_of_format_1_is_not_tagged_here(server):
    server.post("/iceberg/v1/namespaces/default/tables", json={"name": "old", "properties": {"format-version": "1"}, "schema": {
        "type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "id", "required": False, "type": "long"}]}})
    refs(server, "old", {"action": "add-snapshot", "snapshot": {
        "snapshot-id": 5, "timestamp-ms": 1 << 42, "manifests": [], "summary": {"operation": "append"}}},
         {"action": "set-snapshot-ref", "ref-name": "theirs", "type": "tag", "snapshot-id": 5},
         {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": 5})
    refused(server.request("PUT", path("q3", "old")), 422, "unsupported")
    assert server.get(path("theirs", "old")).json()["snapshot_id"] == 5
    assert events(server) == []
    assert not list((server.lake / "buckets" / "primary" / "journal" / "intended").rglob("*.parquet"))


def test_requests_that_are_wrong(people):
    for body in ({"as_of": True}, {"as_of": []}, {"move": 1}, {"snapshot": 5}):
        assert people.request("PUT", path("q3"), json=body).status_code == 400
    refused(people.request("PUT", path("q3"), json={"as_of": 12345}), 404, "snapshot_not_found")
    refused(people.request("PUT", path("q3"), json={"as_of": "nope"}), 404, "snapshot_not_found")
    refused(people.request("PUT", path("q3"), json={"as_of": "2020-01-01"}), 404, "snapshot_not_found")
    problem = refused(people.request("PUT", path("q3", "peopel")), 404, "dataset_not_found")
    assert "people" in problem["hint"]
    for parameters in ({"limit": 0}, {"limit": 1001}, {"limit": "x"}):
        assert people.get("/datasets/people/tags", params=parameters).status_code == 400
    assert people.get("/datasets/people/tags", params={"cursor": "zz"}).json() == {"items": [], "next_cursor": None}
    assert events(people) == []


def test_another_engine_sees_ours(people):
    people.request("PUT", path("q3"), json={"as_of": people.first})
    metadata = people.get(REST + "people").json()["metadata"]
    assert metadata["refs"]["q3"] == {"snapshot-id": int(people.first), "type": "tag"}
    point(people, "q3", people.second)  # and moves it
    assert people.get(path("q3")).json()["snapshot_id"] == people.second
    remove(people, "q3")
    assert people.get(path("q3")).status_code == 404


def test_the_command(people):
    def tag(*words, **options):
        return people.cli("tag", "people", *words, **options)

    assert tag("q3", "--as-of", people.first, "--reason", "as reported").stderr == f"people: q3 is snapshot {people.first}\n"
    assert "was already" in tag("q3", "--as-of", "q3").stderr
    again = tag("q3", check=False)
    assert again.returncode == 1 and "--move" in again.stderr
    tag("q3", "--as-of", people.second, "--move")
    assert json.loads(tag("two words", "--json").stdout)["status"] == "created"
    lines = tag().stdout.splitlines()
    assert [line.split(",")[:3] for line in lines] == [
        ["name", "type", "snapshot"], ["main", "branch", str(current(people))], ["q3", "tag", str(people.second)],
        ["two words", "tag", str(current(people))]]
    assert tag("q3", "--delete", "--reason", "over").stderr == (
        f"people: the tag q3 is forgotten; it was snapshot {people.second}\n")
    for wrong in (["--move"], ["--delete"], ["q3", "--delete", "--move"], ["q3", "--delete", "--as-of", "1"], [""]):
        assert tag(*wrong, check=False).returncode == 2, wrong
    assert events(people)[-1][4:7] == ["first", "cli", "over"]
    assert "tarn tag" in tarn.run("help", "tag").stdout


# ---- what keeps what -------------------------------------------------------------------


class Thinned:
    """A dataset `t` that was changed so often that most of its snapshots were thinned."""

    def __init__(self, server):
        self.server, self.states, self.number = server, {}, 0
        server.ingest("t", "id,name\n1,a\n2,b\n", key="id")
        self.note()

    def note(self):
        self.states[current(self.server, "t")] = rows(self.server, "t")

    def put(self, times=1):
        for _ in range(times):
            self.number += 1
            change(self.server, self.number % 7, f"v{self.number}", dataset="t")
            self.note()
        return current(self.server, "t")

    def kept(self):
        return [item["snapshot_id"] for item in self.server.get("/catalog/datasets/t/snapshots").json()["items"]]

    def thin(self, *gone):
        """More commits, until those are gone."""
        def look():
            self.put()
            return not set(gone) & set(self.kept())
        self.put(20)
        tarn.wait_for("snapshots to be thinned", look)


@pytest.fixture
def thinned(lake):
    with tarn.Server(lake, *FLAGS) as server:
        yield Thinned(server)


def test_a_tag_keeps_its_snapshot(thinned):
    server = thinned.server
    thinned.put(10)
    own, before = thinned.put(), current(server, "t")
    assert own == before
    server.request("PUT", path("own", "t"))
    foreign = thinned.put(2)
    point(server, "foreign", foreign, dataset="t")
    gone = thinned.put(2)
    thinned.thin(gone)
    assert own in thinned.kept() and foreign in thinned.kept()
    for name, snapshot in (("own", own), ("foreign", foreign)):
        answer = server.query(SELECT.format("t"), as_of=name)
        assert (answer["rows"], answer["snapshots"]["t"]) == (thinned.states[snapshot], snapshot)
    for snapshot, state in thinned.states.items():
        assert rows(server, "t", as_of=snapshot) == state, snapshot
    expiry = {"older_than": "2100-01-01", "keep": 1}
    preview = server.post("/datasets/t/expire", json={**expiry, "preview": True}).json()
    done = server.post("/datasets/t/expire", json=expiry).json()
    assert preview["snapshots"] == done["snapshots"] and done["kept"] == 3, (preview, done)
    assert sorted(thinned.kept()) == sorted([own, foreign, current(server, "t")])
    assert rows(server, "t", as_of="own") == thinned.states[own]
    assert server.delete(path("own", "t")).status_code == 200
    assert server.post("/datasets/t/expire", json={**expiry, "preview": True}).json()["snapshots"] == 1
    assert server.post("/datasets/t/expire", json=expiry).json()["snapshots"] == 1
    refused(ask(server, SELECT.format("t"), as_of=own), 404, "snapshot_not_found")
    assert rows(server, "t", as_of="foreign") == thinned.states[foreign]


def test_the_name_that_an_answer_gave_is_a_moment(thinned):
    server = thinned.server
    thinned.put(10)
    gone = thinned.put()
    after = thinned.put(3)
    thinned.thin(gone)
    want = thinned.states[gone]
    answer = server.query(SELECT.format("t"), as_of=gone)
    name = answer["snapshots"]["t"]
    assert name.startswith("replay-") and answer["rows"] == want

    def check():
        again = server.query(SELECT.format("t"), as_of=name)
        assert (again["rows"], again["snapshots"]["t"]) == (want, name)
        assert rows(server, "t", at=f" at (version => '{name}')") == want

    check()
    assert server.query(SELECT.format("t"), as_of=name)["kept"] is True
    change(server, 1, "after", dataset="t")
    assert server.post("/datasets/t/compact").status_code == 200
    check()
    asked = "select change, id, name from changes('t', '{}', '{}') order by all"
    assert server.query(asked.format(name, after))["rows"] == server.query(asked.format(gone, after))["rows"] != []
    assert server.query(asked.format(name, gone))["rows"] == []
    problem = refused(server.request("PUT", path("late", "t"), json={"as_of": name}), 404, "snapshot_not_found")
    assert "thinned" in problem["detail"]
    point(server, name, current(server, "t"), dataset="t")  # a tag of another engine does not take its place
    check()
    remove(server, name, dataset="t")
    server.stop()
    server.start()
    check()
    restored = server.post("/datasets/t/restore", json={"as_of": name})
    assert restored.status_code == 200 and rows(server, "t") == want
    for never in ("replay-0", "replay-999999", "replay--1", "replay-99999999999999999999"):
        assert ask(server, SELECT.format("t"), as_of=never).status_code == 404
    assert server.post("/datasets/t/expire", json={"older_than": "2100-01-01", "keep": 1}).json()["snapshots"] > 0
    problem = refused(ask(server, SELECT.format("t"), as_of=name), 404, "snapshot_not_found")
    assert "expired" in problem["detail"]


def test_the_number_of_a_snapshot_that_is_kept_is_that_snapshot(people):
    answers = {sequence: people.query(SELECT.format("people"), as_of=f"replay-{sequence}") for sequence in (1, 2, 3)}
    assert [answer["rows"] for answer in answers.values()] == [FIRST, SECOND, NOW]
    assert answers[1]["snapshots"]["people"] == people.first


def test_tags_outlive_a_restart_and_the_name(lake):
    with tarn.Server(lake) as server:
        server.ingest("people", "id,name\n1,Ann\n", key="id")
        server.request("PUT", path("ours"))
        point(server, "theirs", current(server))
        change(server, 1, "Anna")
    with tarn.Server(lake) as server:
        assert rows(server, as_of="ours") == rows(server, as_of="theirs") == [[1, "Ann"]]
        change(server, 2, "Bob")
        assert rows(server, as_of="ours") == [[1, "Ann"]]
        assert server.delete("/catalog/datasets/people").status_code == 200
        server.ingest("people", "id,name\n5,Eve\n", key="id")
        refused(ask(server, "select * from people", as_of="ours"), 404, "snapshot_not_found")
        server.request("PUT", path("ours"))
        assert rows(server, as_of="ours") == [[5, "Eve"]]  # the same words, another table


@pytest.mark.parametrize("point_name", ["commit.before_pointer", "commit.after_pointer", "journal.note_put"])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_a_crash_loses_neither_tag_nor_note(lake, point_name, method):
    """Made and told, or neither."""
    with tarn.Server(lake) as server:
        server.ingest("people", "id,name\n1,Ann\n", key="id")
        if method == "DELETE":
            assert server.request("PUT", path("q3")).status_code == 200
    told = 1 if method == "DELETE" else 0
    dying = tarn.Server(lake, env={"TARN_FAULT": point_name})
    faults.gone(dying.request, method, path("q3"), params={"reason": "why"} if method == "DELETE" else None,
                json=None if method == "DELETE" else {"reason": "why"})
    dying.kill()
    with tarn.Server(lake) as server:
        there = server.get(path("q3")).status_code == 200
        changed = there == (method == "PUT")
        assert changed == (point_name != "commit.before_pointer")
        said = events(server)[told:]
        assert [(event[0], event[1], event[6]) for event in said] == (
            [("tag.set" if method == "PUT" else "tag.drop", "q3", "why")] if changed else [])
        assert not list((lake / "buckets" / "primary" / "journal" / "intended").rglob("*.parquet"))


def test_tags_beside_writers(thinned):
    """Each names the state that its answer said, whatever was committed and thinned meanwhile."""
    server, stop, failures = thinned.server, threading.Event(), []
    named = {}

    def write():
        try:
            number = 0
            while not stop.is_set():
                number += 1
                change(server, number % 5, f"w{number}", dataset="t")
        except BaseException as failure:  # noqa: BLE001
            failures.append(failure)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for n in range(30):
            answer = server.request("PUT", path(f"n{n}", "t"))
            assert answer.status_code == 200, answer.text
            named[f"n{n}"] = answer.json()["snapshot_id"]
            if n % 3 == 2:
                assert server.delete(path(f"n{n - 1}", "t")).status_code == 200
                del named[f"n{n - 1}"]
    finally:
        stop.set()
        writer.join()
    assert not failures, failures
    kept = thinned.kept()
    for name, snapshot in named.items():
        answer = server.query(SELECT.format("t"), as_of=name)
        assert answer["snapshots"]["t"] == snapshot and snapshot in kept
        assert answer["rows"] == rows(server, "t", as_of=snapshot)
    listed = server.get("/datasets/t/tags", params={"limit": 1000}).json()["items"]
    assert {item["name"]: item["snapshot_id"] for item in listed if item["type"] == "tag"} == named
    assert len(events(server)) == 40


@pytest.mark.parametrize("key", [True, False])
def test_names_of_states_in_a_random_history(lake, key):
    """Whatever happened: the name that an answer gave a moment gives its rows again, and so does a tag."""
    seed = int(os.environ.get("TARN_TEST_SEED", "0")) or random.SystemRandom().randrange(2**32)
    print(f"TARN_TEST_SEED={seed}")
    chance = random.Random(seed)
    with tarn.Server(lake, *FLAGS) as server:
        history, tags = History(server, chance, key), {}
        while len(history.order) < 95:
            history.step()
            if chance.random() < 0.2:
                name = f"tag {len(tags)}"
                tags[name] = history.order[-1]  # not the newest one: upkeep may have made that
                made = server.request("PUT", path(name, "t"), json={"as_of": tags[name]})
                assert made.status_code == 200, made.text
        names = 0
        for snapshot in chance.sample(gone := history.thinned(), min(len(gone), 25)):
            answer = server.query("select * from t order by all", as_of=snapshot)
            name = answer["snapshots"]["t"]
            names += name != snapshot
            again = server.query("select * from t order by all", as_of=name)
            assert (again["rows"], again["columns"], again["snapshots"]) == (
                answer["rows"], answer["columns"], answer["snapshots"]), (snapshot, name)
        assert names > 0
        for name, snapshot in tags.items():
            answer = server.query("select * from t", as_of=name)
            assert answer["snapshots"]["t"] == snapshot
            assert history.at(as_of=name) == history.states[snapshot], name
