"""The doors of writes: conditions, repetitions, bodies and what is said of them."""
import json

import pytest


@pytest.fixture
def people(server):
    server.ingest("people", "id,name,age\n1,Ann,40\n2,Bob,0\n3,Cy,50\n", key="id")
    return server


def put(server, body, dataset="people", query="", **headers):
    if not isinstance(body, (bytes, str)):
        body = json.dumps(body)
    return server.request("PUT", f"/datasets/{dataset}/rows{query}", data=body, headers=headers)


def test_a_repeated_write_answers_with_its_etag(people):
    headers = {"Idempotency-Key": "once"}
    first = people.post("/datasets/people/rows", json=[{"id": 9}], headers=headers)
    again = people.post("/datasets/people/rows", json=[{"id": 9}], headers=headers)
    assert again.headers["Idempotency-Replayed"] == "true" and again.text == first.text
    assert again.headers["ETag"] == first.headers["ETag"]
    assert put(people, [{"id": 9, "age": 1}], **{"If-Match": again.headers["ETag"]}).status_code == 200


@pytest.mark.parametrize("condition", ["*", '"77"'])
def test_a_condition_makes_no_dataset(server, condition):
    answer = put(server, [{"id": 1}], "fresh", "?key=id", **{"If-Match": condition})
    assert (answer.status_code, answer.json()["code"]) == (404, "dataset_not_found")
    assert server.get("/catalog/datasets/fresh").status_code == 404
    assert put(server, [{"id": 1}], "fresh", "?key=id").json()["inserted"] == 1
    assert put(server, [{"id": 1}], "fresh", "?key=id", **{"If-Match": "*"}).json()["unchanged"] == 1


@pytest.mark.parametrize("key", [["id", 1], ["id", None], [["id"]], [5]])
def test_a_key_is_a_list_of_names(server, key):
    server.ingest("plain", "id,name\n1,x\n")
    answer = server.request("PATCH", "/catalog/datasets/plain", json={"key": key})
    assert answer.status_code == 400 and "list of names" in answer.json()["detail"], answer.text
    assert server.get("/catalog/datasets/plain").json()["key"] is None


@pytest.mark.parametrize("body", ['[{"id": 7, "name": "Zo\u00eb"}]', '{"id": 7, "name": "Zo\u00eb"}\n{"id": 8}\n'])
def test_a_byte_order_mark_is_no_part_of_the_rows(people, body):
    answer = put(people, b"\xef\xbb\xbf" + body.encode())
    assert answer.status_code == 200, answer.text
    assert people.query("select name from people where id = 7")["rows"] == [["Zo\u00eb"]]
    assert put(people, b"\xef\xbb\xbf").json()["detail"] == "the request has no rows"


def test_the_description_knows_each_kind_of_event(people):
    told = people.get("/openapi.json").json()["paths"]["/journal"]["get"]["parameters"]
    words = next(one["schema"]["enum"] for one in told if one["name"] == "operation")
    refused = people.get("/journal?operation=nothing").json()["hint"]
    assert all(word in refused for word in words)
    for word in refused.removeprefix("it has ").split(", "):
        assert people.get(f"/journal?operation={word}").status_code == 200 and word in words, word


@pytest.mark.parametrize("header", ["#,name", "-\u00b2,id", "%", "\u00a0,x"])
def test_a_file_whose_first_column_has_no_letter(server, header):
    """Numbers of rows are often called so; this ended the server."""
    answer = server.ingest("sheet", f"{header}\n1,2\n" if "," in header else f"{header}\n1\n", header="yes")
    assert answer["schema"][0]["name"] == "column_1" and answer["rows"] == 1
    assert server.post("/ingest/preview", params={"header": "yes", "dataset": "sheet"}, data=f"{header}\n1\n".encode()).status_code == 200
    assert server.get("/health").status_code == 200


def test_a_file_that_changes_nothing_counts_its_rows(people):
    """The same rows in other bytes: the answer says what became of them."""
    answer = people.ingest("people", "id,name,age\n3,Cy,50\n1,Ann,40\n", mode="upsert")
    assert [answer[word] for word in ("status", "inserted", "updated")] == ["unchanged", 0, 0] and answer["unchanged"] == 2


def test_a_text_without_a_character_is_a_key(server):
    assert put(server, [{"id": "", "v": "a"}, {"id": "x", "v": "b"}], "texts", "?key=id").status_code == 200
    assert server.request("PATCH", "/datasets/texts/rows/", json={"v": "c"}).json()["updated"] == 1
    history = server.get("/catalog/datasets/texts/history/").json()["items"]
    assert [item["operation"] for item in history] == ["insert", "update"] and history[0]["entity"] == ""
    assert "update" in server.cli("history", "texts", "").stdout
    assert server.delete("/datasets/texts/rows/").json()["deleted"] == 1
    assert server.query("select id from texts")["rows"] == [["x"]]


def test_no_key_is_none_where_keys_are_numbers(people):
    answer = people.delete("/datasets/people/rows/")
    assert answer.status_code == 400 and "does not fit" in answer.json()["detail"], answer.text
    assert people.query("select count(*) from people")["rows"] == [[3]]


def test_debt_is_told_wherever_somebody_looks(people):
    for key in range(4):
        put(people, [{"id": key, "name": "n", "age": key}])
    debt = people.get("/system").json()["debt"]
    assert debt["last_compaction"] is None and debt["small_files"] > 1
    assert people.post("/datasets/people/compact").json()["files_before"] > 1
    put(people, [{"id": 1, "name": "m", "age": 7}])
    debt = people.get("/catalog/datasets/people").json()["debt"]
    assert debt["last_compaction"] and people.get("/system").json()["debt"] == debt
    told = dict(line.rsplit(" ", 1) for line in people.get("/metrics").text.splitlines() if line[:1] not in ("", "#"))
    for word in ("data_files", "small_files", "delete_files", "deleted_rows", "deleted_share", "bytes"):
        assert float(told[f"tarn_debt_{word}"]) == pytest.approx(debt[word]), word
    assert float(told["tarn_last_compaction_timestamp_seconds"]) > 1.7e9
