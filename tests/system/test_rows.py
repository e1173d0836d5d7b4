"""Rows appended, upserted, patched and deleted over HTTP."""
import json
import threading

import pytest

PEOPLE = "id,name,city,rate\n1,Ann,Chicago,10.5\n2,Bob,Austin,20.25\n3,Cy,Boston,30\n"


@pytest.fixture
def people(server):
    server.ingest("people", PEOPLE, key="id")
    return server


def upsert(server, rows, status=200, dataset="people", headers=None, **params):
    answer = server.request("PUT", f"/datasets/{dataset}/rows", json=rows, params=params, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


def counts(answer):
    return tuple(answer[word] for word in ("inserted", "updated", "unchanged", "deleted"))


def table(server, columns="id, name, city, rate", dataset="people"):
    return server.query(f"select {columns} from {dataset} order by 1")["rows"]


def test_upsert_counts_and_is_visible_to_the_next_query(people):
    answer = upsert(people, [{"id": 2, "name": "Bob", "city": "Dallas", "rate": 20.25},
                             {"id": 3, "name": "Cy", "city": "Boston", "rate": 30},
                             {"id": 4, "name": "Di"}])
    assert counts(answer) == (1, 1, 1, 0)
    assert table(people) == [[1, "Ann", "Chicago", 10.5], [2, "Bob", "Dallas", 20.25], [3, "Cy", "Boston", 30],
                             [4, "Di", None, None]]
    newest = people.query("select 1 from people limit 1")["snapshots"]["people"]
    assert answer["snapshot_id"] == newest


def test_an_equal_row_writes_nothing(people):
    before = people.query("select 1 from people limit 1")["snapshots"]["people"]
    answer = upsert(people, {"id": 1, "name": "Ann", "city": "Chicago", "rate": 10.5})
    assert counts(answer) == (0, 0, 1, 0)
    assert answer["snapshot_id"] == before


def test_append_refuses_a_key_that_is_there(people):
    answer = people.post("/datasets/people/rows", json=[{"id": 9, "name": "Ed"}, {"id": 2, "name": "Eve"}])
    assert (answer.status_code, answer.json()["code"]) == (422, "refused")
    assert "2" in answer.json()["detail"]
    assert len(table(people)) == 3
    assert people.post("/datasets/people/rows", json={"id": 9, "name": "Ed"}).json()["inserted"] == 1


def test_a_key_twice_in_one_request_is_refused(people):
    answer = upsert(people, [{"id": 7, "name": "x"}, {"id": 7, "name": "y"}], status=422)
    assert "7" in answer["detail"]
    assert len(table(people)) == 3


def test_patch_changes_the_given_fields_only(people):
    answer = people.request("PATCH", "/datasets/people/rows/2", json={"city": "Dallas"})
    assert counts(answer.json()) == (0, 1, 0, 0)
    assert table(people)[1] == [2, "Bob", "Dallas", 20.25]
    gone = people.request("PATCH", "/datasets/people/rows/77", json={"city": "Dallas"})
    assert (gone.status_code, gone.json()["code"]) == (404, "not_found")


def test_delete_by_key_and_by_predicate(people):
    assert counts(people.delete("/datasets/people/rows/1").json()) == (0, 0, 0, 1)
    assert people.delete("/datasets/people/rows/1").status_code == 404
    answer = people.post("/datasets/people/delete", json={"where": "rate > 25", "reason": "too dear"})
    assert counts(answer.json()) == (0, 0, 0, 1)
    assert table(people, "id") == [[2]]


@pytest.mark.parametrize("where, code", [
    ("nosuch > 1", "sql_error"),
    ("rate >", "sql_error"),
    ("(select count(*) from people) > 0", None),
    ("read_text('/etc/passwd') = ''", "sql_refused"),
    ("1) or (1=1", "sql_error"),
])
def test_a_predicate_is_parsed_not_pasted(people, where, code):
    answer = people.post("/datasets/people/delete", json={"where": where})
    if code:
        assert answer.json()["code"] == code, answer.text
    assert 400 <= answer.status_code < 500, answer.text
    assert len(table(people)) == 3


def test_one_bad_row_refuses_all(people):
    answer = upsert(people, [{"id": 5, "name": "ok"}, {"id": "six", "name": "bad"}], status=422)
    assert "row 2" in answer["detail"] and "id" in answer["detail"]
    assert len(table(people)) == 3


def test_unknown_field_is_named_with_the_nearest(people):
    answer = upsert(people, {"id": 5, "nmae": "x"}, status=400)
    assert answer["code"] == "unknown_field"
    assert "nmae" in answer["detail"] and "name" in answer["detail"] + answer.get("hint", "")


def test_if_match(people):
    first = upsert(people, {"id": 1, "name": "Ann 2"})
    later = upsert(people, {"id": 2, "name": "Bob 2"}, headers={"If-Match": f'"{first["snapshot_id"]}"'})
    answer = upsert(people, {"id": 3, "name": "Cy 2"}, status=412, headers={"If-Match": f'"{first["snapshot_id"]}"'})
    assert answer["code"] == "precondition_failed"
    assert table(people, "id, name")[2] == [3, "Cy"]
    deleted = people.delete("/datasets/people/rows/3", headers={"If-Match": f'"{later["snapshot_id"]}"'})
    assert deleted.status_code == 200
    assert upsert(people, {"id": 1, "name": "x"}, status=400, headers={"If-Match": "first"})["code"] == "bad_request"


def test_the_first_upsert_brings_the_key(server):
    server.ingest("plain", PEOPLE)
    refused = upsert(server, {"id": 1, "name": "x"}, status=422, dataset="plain")
    assert "key" in refused["detail"]
    answer = upsert(server, {"id": 1, "name": "x"}, dataset="plain", key="id")
    assert counts(answer) == (0, 1, 0, 0)
    assert server.get("/catalog/datasets/plain").json()["key"] == ["id"]
    made = upsert(server, [{"k": "a", "n": 1}, {"k": "b", "n": 2}], dataset="made", key="k")
    assert counts(made)[0] == 2
    assert table(server, "k, n", "made") == [["a", 1], ["b", 2]]


def test_ndjson_and_composite_keys(server):
    server.ingest("pairs", "region,no,v\nEU,1,a\nEU,2,b\nUS,1,c\n", key="region,no")
    lines = "\n".join(json.dumps(row) for row in [{"region": "EU", "no": 1, "v": "A"}, {"region": "US", "no": 2, "v": "d"}])
    answer = server.request("PUT", "/datasets/pairs/rows", data=lines.encode(),
                            headers={"Content-Type": "application/x-ndjson"})
    assert counts(answer.json()) == (1, 1, 0, 0), answer.text
    assert server.delete("/datasets/pairs/rows/EU,2").json()["deleted"] == 1
    assert server.query("select * from pairs order by all")["rows"] == [["EU", 1, "A"], ["US", 1, "c"], ["US", 2, "d"]]


def test_types_survive(server):
    server.ingest("t", 'id,d,ts,m,b,s\n1,2024-01-31,2024-01-31 10:00:00.25,12.30,true,"x"\n', key="id",
                  types="m:decimal(12,2)")
    row = {"id": 2, "d": "2025-02-28", "ts": "2025-02-28T10:00:00.123456", "m": "99999999.99", "b": False, "s": "é\n\"\\"}
    upsert(server, row, dataset="t")
    got = server.query("select d, ts, m, b, s from t where id = 2")
    assert got["rows"] == [["2025-02-28", "2025-02-28T10:00:00.123456", 99999999.99, False, "é\n\"\\"]]
    assert counts(upsert(server, row, dataset="t")) == (0, 0, 1, 0)


def test_writers_of_one_key_are_serialised(people):
    def write(n):
        for i in range(20):
            upsert(people, {"id": 1, "name": f"w{n}-{i}"})
    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    events = people.sql("select old_value, new_value from journal where entity = '1' and field = 'name' "
                        "order by \"sequence\", \"ordinal\"")
    assert len(events) == 80
    for before, after in zip(events, events[1:]):
        assert before["new_value"] == after["old_value"]
    assert json.loads(events[-1]["new_value"]) == table(people, "id, name")[0][1]


def test_upsert_of_a_file(people):
    rows = "id,name,city,rate\n1,Ann,Chicago,10.5\n2,Bob,Dallas,20.25\n" + "".join(f"{n},N{n},X,1\n" for n in range(10, 2010))
    answer = people.ingest("people", rows, mode="upsert")
    assert (answer["inserted"], answer["updated"], answer["unchanged"]) == (2000, 1, 1)
    assert people.query("select count(*), count(distinct id) from people")["rows"] == [[2003, 2003]]
    twice = people.ingest("people", "id,name\n5,a\n5,b\n", mode="upsert", check=False)
    assert twice.status_code == 422 and "5" in twice.json()["detail"]


def test_the_command_line(people, tmp_path):
    rows = tmp_path / "rows.ndjson"
    rows.write_text('{"id": 5, "name": "Ed"}\n{"id": 6, "name": "Flo"}\n')
    assert "2 inserted" in people.cli("rows", "upsert", "people", rows).stderr
    assert "1 updated" in people.cli("rows", "patch", "people", "5", '{"city": "Oslo"}', "--reason", "moved").stderr
    assert "1 deleted" in people.cli("rows", "delete", "people", "6").stderr
    assert "1 deleted" in people.cli("rows", "delete", "people", "--where", "id = 1").stderr
    history = people.cli("history", "people", "5").stdout
    assert "insert" in history and "Oslo" in history and "moved" in history
    assert people.cli("rows", "frobnicate", "people", check=False).returncode == 2


def test_a_key_set_afterwards(server):
    server.ingest("late", "id,v\n1,a\n2,b\n")
    answer = server.request("PATCH", "/catalog/datasets/late", json={"key": "id", "owner": "ops"})
    assert answer.status_code == 200 and answer.json()["key"] == ["id"] and answer.json()["owner"] == "ops"
    assert counts(upsert(server, {"id": 2, "v": "B"}, dataset="late")) == (0, 1, 0, 0)
    server.ingest("twice", "id,v\n1,a\n1,b\n")
    refused = server.request("PATCH", "/catalog/datasets/twice", json={"key": ["id"]})
    assert refused.status_code == 422 and "1" in refused.json()["detail"]


def test_append_by_ingest_upholds_the_key(people):
    refused = people.ingest("people", "id,name\n3,again\n", check=False)
    assert refused.status_code == 422 and "3" in refused.json()["detail"]
    assert len(table(people)) == 3


def test_debt_is_visible(people):
    for n in range(3):
        upsert(people, {"id": 1, "name": f"v{n}"})
    debt = people.get("/catalog/datasets/people").json()["debt"]
    assert debt["small_files"] == 4 and debt["deleted_rows"] == 3
    system = people.get("/system").json()
    assert system["debt"]["small_files"] >= 4 and system["upkeep"]["failures"] == 0
    assert system["cache"]["budget_bytes"] > 0
    assert "tarn_compactions_total" in people.get("/metrics").text


def test_answers_are_the_same_hot_cold_and_in_an_engine_of_their_own(people):
    def answers():
        text = "select id, name, city, rate from people order by id"
        return [people.query(text)["rows"], people.query(text, memory_bytes=64 << 20)["rows"]]
    people.post("/datasets/people/pin")
    for n in range(6):
        upsert(people, [{"id": n % 4, "name": f"v{n}"}, {"id": 20 + n, "name": "new"}])
        people.delete(f"/datasets/people/rows/{19 + n}")
        hot = people.query("select id, name, city, rate from people order by id")
        assert hot["source"] == {"people": "cache"}
        assert answers() == [hot["rows"]] * 2
    people.delete("/datasets/people/pin")
    assert answers() == [hot["rows"]] * 2
