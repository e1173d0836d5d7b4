"""Rows with odd content, keys written in odd ways, and what is said about both."""
import base64

import pytest


@pytest.fixture
def bytes_table(server):
    """Keyed by text, with a column of bytes."""
    made = server.post("/iceberg/v1/namespaces/default/tables", json={
        "name": "t", "schema": {"type": "struct", "schema-id": 0, "identifier-field-ids": [1], "fields": [
            {"id": 1, "name": "id", "type": "string", "required": True},
            {"id": 2, "name": "n", "type": "long", "required": False},
            {"id": 3, "name": "b", "type": "binary", "required": False}]}})
    assert made.status_code == 200, made.text
    return server


def test_bytes_with_zeros_outlive_a_change_of_another_column(bytes_table):
    contents = {"a": b"\0\1\2\3", "b": b"AB\0CDEFGHIJ", "c": b"\0" * 40}
    rows = [{"id": key, "n": 1, "b": base64.b64encode(value).decode()} for key, value in contents.items()]
    assert bytes_table.request("PUT", "/datasets/t/rows", json=rows).status_code == 200
    for key in contents:
        answer = bytes_table.request("PATCH", f"/datasets/t/rows/{key}", json={"n": 2})
        assert answer.json()["updated"] == 1, answer.text
    found = bytes_table.query("select id, hex(b) from t where n = 2 order by id")["rows"]
    assert found == [[key, value.hex().upper()] for key, value in contents.items()]
    assert bytes_table.post("/datasets/t/delete", json={"where": "n = 2"}).json()["deleted"] == 3
    told = bytes_table.query("select entity, old_value from journal where operation = 'delete' order by entity")["rows"]
    assert [entity for entity, _ in told] == list(contents)
    for (_, old), value in zip(told, contents.values()):
        assert base64.b64encode(value).decode() in str(old)


@pytest.fixture
def people(server):
    server.ingest("people", "id,name,city\n1,Ann,Chicago\n2,Bob,Boston\n3,Cy,Boston\n", key="id")
    return server


def test_a_condition_may_name_its_dataset(people):
    answer = people.post("/datasets/people/delete", json={"where": "people.city = 'Boston'"})
    assert answer.status_code == 200 and answer.json()["deleted"] == 2, answer.text
    answer = people.post("/datasets/people/delete", json={"where": "clients.city = 'Boston'"})
    assert (answer.status_code, answer.json()["code"]) == (400, "sql_error"), answer.text


@pytest.mark.parametrize("where", ["", " \n"])
def test_an_empty_condition_is_called_so(people, where):
    answer = people.post("/datasets/people/delete", json={"where": where})
    assert answer.status_code == 400 and answer.json()["detail"] == "the condition is empty", answer.text
    assert people.query("select count(*) from people")["rows"] == [[3]]


def test_a_text_with_a_zero_character_is_refused(people):
    for row in ({"id": 4, "name": "a\0b"}, {"id": 4, "name": "\0"}):
        answer = people.request("PUT", "/datasets/people/rows", json=[row])
        assert (answer.status_code, answer.json()["code"]) == (422, "rows_rejected"), answer.text
        assert 'row 1, column "name"' in answer.json()["detail"] and "U+0000" in answer.json()["detail"]
    assert people.query("select count(*) from people")["rows"] == [[3]]


def test_history_knows_a_key_of_two_columns_as_the_other_paths_do(server):
    server.ingest("t", 'a,b,v\nEU,17,1\n"E,U",18,2\n', key="a,b")
    for key, wrote in (("EU,17", ["EU,17", '["EU",17]', '["EU", 17]']), ('["E,U",18]', ['["E,U", 18]'])):
        assert server.request("PATCH", f"/datasets/t/rows/{key}", json={"v": 9}).json()["updated"] == 1
        for path in wrote:
            items = server.get(f"/catalog/datasets/t/history/{path}").json()["items"]
            assert [(item["field"], item["new_value"]) for item in items] == [("v", "9")], path
    assert server.get("/catalog/datasets/t/history/EU").json()["items"] == []


def test_an_idempotency_key_is_for_one_body_of_rows(people):
    key = {"Idempotency-Key": "r-1"}
    first = people.post("/datasets/people/rows", json=[{"id": 7, "name": "Flo"}], headers=key)
    again = people.post("/datasets/people/rows", json=[{"id": 7, "name": "Flo"}], headers=key)
    other = people.post("/datasets/people/rows", json=[{"id": 8, "name": "Gus"}], headers=key)
    assert first.status_code == again.status_code == 200 and again.headers["Idempotency-Replayed"] == "true"
    assert other.status_code == 422, other.text
    assert people.query("select name from people where id > 6")["rows"] == [["Flo"]]
