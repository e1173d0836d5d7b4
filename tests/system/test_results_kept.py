"""A query asked again of the same snapshots is answered from memory, and never with anything else."""
import json

import pytest

from tests.support import tarn

COUNT = "select count(*) as n, sum(id) as s from people"


def ask(server, sql, headers=None, **fields):
    answer = server.post("/query/sql", json={"sql": sql, **fields}, headers=headers or {})
    assert answer.status_code == 200, answer.text
    return answer


def kept(answer):
    return answer.headers.get("X-Tarn-Result") == "kept"


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    with tarn.Server(tmp_path_factory.mktemp("kept") / "lake") as server:
        server.ingest("people", "id,name\n" + "".join(f"{i},n{i}\n" for i in range(100)), key="id")
        yield server


def test_the_same_again_is_kept(people):
    first = ask(people, COUNT).json()
    again = ask(people, COUNT)
    assert kept(again) and again.json()["kept"] is True
    assert "kept" not in first
    for member in ("columns", "rows", "row_count", "truncated", "snapshots"):
        assert again.json()[member] == first[member]


@pytest.mark.parametrize("media", ["application/x-ndjson", "text/csv", "application/vnd.apache.arrow.stream"])
def test_every_streamed_form(people, media):
    sql = "select id, name, id / 3.0 as third from people order by id"
    first, again = (ask(people, sql, {"Accept": media}) for _ in range(2))
    assert not kept(first) and kept(again)
    assert first.content == again.content
    assert first.headers["Content-Type"] == again.headers["Content-Type"]


@pytest.mark.parametrize("write", ["upsert", "delete", "append", "restore"])
def test_a_write_is_seen_at_once(people, write):
    if write == "restore":
        first = ask(people, COUNT).json()["snapshots"]["people"]
        assert people.request("DELETE", "/datasets/people/rows/3").status_code == 200
    if write == "delete":
        people.request("PUT", "/datasets/people/rows", json=[{"id": 5000, "name": "new"}])
    before = ask(people, COUNT).json()
    assert kept(ask(people, COUNT))
    version = before["snapshots"]["people"]
    if write == "upsert":
        changed = people.request("PUT", "/datasets/people/rows", json=[{"id": 5000, "name": "new"}])
    elif write == "delete":
        changed = people.request("DELETE", "/datasets/people/rows/5000")
    elif write == "append":
        changed = people.post("/datasets/people/rows", json=[{"id": 6000, "name": "newer"}])
    else:
        changed = people.post("/datasets/people/restore", json={"as_of": first, "reason": "as it was"})
    assert changed.status_code in (200, 201), changed.text
    after = ask(people, COUNT)
    exact = ask(people, COUNT, {"Cache-Control": "no-store"})
    assert after.json()["rows"] == exact.json()["rows"] != before["rows"]
    assert not kept(after)
    assert ask(people, COUNT, as_of=version).json()["rows"] == before["rows"]


def test_another_parameter_limit_or_moment_is_another_question(people):
    sql = "select id from people where id < ? order by id"
    assert len(ask(people, sql, params=[10]).json()["rows"]) == 10
    assert len(ask(people, sql, params=[11]).json()["rows"]) == 11
    cut = ask(people, sql, params=[11], limit=3).json()
    assert cut["row_count"] == 3 and cut["truncated"]
    assert ask(people, sql, params=[11], limit=3).json()["truncated"]
    whole = ask(people, sql, params=[11])
    assert kept(whole) and whole.json()["row_count"] == 11 and not whole.json()["truncated"]
    assert not kept(ask(people, sql, params=["11"])) # text is not the number


@pytest.mark.parametrize("varying", [
    "now()", "current_date", "current_timestamp", "today()", "random()", "gen_random_uuid()", "age(timestamp '2000-01-01')",
    "(select max(ts) from journal)", "(select count(*) from journal)", "localtimestamp",
])
def test_time_chance_and_the_journal_are_asked_anew(people, varying):
    sql = f"select count(*) as n, any_value({varying}) as v from people" if "select" not in varying \
        else f"select {varying} as v from people limit 1"
    assert not kept(ask(people, sql))
    assert not kept(ask(people, sql))


def test_a_sample_is_drawn_anew(people):
    for _ in range(2):
        assert not kept(ask(people, "select id from people using sample 10"))


def test_a_dataset_of_the_same_name_is_another(people):
    people.ingest("brief", "a\n1\n")
    assert ask(people, "select a from brief").json()["rows"] == [[1]]
    assert kept(ask(people, "select a from brief"))
    assert people.delete("/catalog/datasets/brief").status_code in (200, 204)
    gone = people.post("/query/sql", json={"sql": "select a from brief"})
    assert gone.status_code == 404
    people.ingest("brief", "a\n2\n")
    assert ask(people, "select a from brief").json()["rows"] == [[2]]


def test_a_renamed_column_is_not_forgotten(people):
    """Another schema of the same snapshot, as another engine makes it."""
    people.ingest("shape", "a\n1\n")
    sql = "select * from shape"
    assert ask(people, sql).json()["columns"][0]["name"] == "a" and kept(ask(people, sql))
    place = "/iceberg/v1/namespaces/default/tables/shape"
    schema = people.get(place).json()["metadata"]["schemas"][0]
    schema["fields"][0]["name"] = "b"
    schema["schema-id"] = -1
    answer = people.post(place, json={"requirements": [], "updates": [
        {"action": "add-schema", "schema": schema}, {"action": "set-current-schema", "schema-id": -1}]})
    assert answer.status_code == 200, answer.text
    assert ask(people, sql).json()["columns"][0]["name"] == "b"


def test_who_wants_no_kept_answer_says_so(people):
    sql = "select min(id) from people"
    ask(people, sql)
    assert not kept(ask(people, sql, {"Cache-Control": "no-cache"}))
    assert kept(ask(people, sql))
    other = "select max(id) from people"
    ask(people, other, {"Cache-Control": "no-store"})
    assert not kept(ask(people, other))


def test_an_error_is_not_kept(people):
    for _ in range(2):
        answer = people.post("/query/sql", json={"sql": "select error('no') from people"})
        assert answer.status_code == 400


def test_a_long_answer_is_not_kept(people):
    sql = "select a.id, b.id, a.name || b.name from people a, people b, range(10)"
    for _ in range(2):
        assert not kept(ask(people, sql, {"Accept": "text/csv"}))


def test_system_and_metrics_tell(people):
    before = people.get("/system").json()["results"]
    ask(people, "select 7 * count(*) from people")
    ask(people, "select 7 * count(*) from people")
    after = people.get("/system").json()["results"]
    assert after["hits"] == before["hits"] + 1 and after["answers"] == before["answers"] + 1
    assert 0 < after["bytes"] <= after["budget_bytes"]
    assert f"tarn_results_hits_total {after['hits']}" in people.get("/metrics").text


def test_without_a_budget_nothing_is_kept(tmp_path):
    with tarn.Server(tmp_path / "lake", "--set", "sql.results=0") as server:
        server.ingest("people", "id\n1\n")
        for _ in range(2):
            assert not kept(ask(server, "select id from people"))
        assert json.loads(server.get("/system").text)["results"]["answers"] == 0
