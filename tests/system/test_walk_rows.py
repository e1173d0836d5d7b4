"""Writes of rows off the common road: what is refused, and that nothing is lost without a word."""
import json

import pytest


@pytest.fixture
def people(server):
    server.ingest("people", "id,name,age,active\n1,Ann,40,true\n2,Bob,0,true\n3,Cy,50,false\n", key="id")
    return server


def count(server, dataset="people"):
    return server.query(f"select count(*) from {dataset}")["rows"][0][0]


@pytest.mark.parametrize("where", ["1", "42", "'x'", "age", "age + 1", "upper(name)"])
def test_a_condition_that_is_a_value_deletes_nothing(people, where):
    answer = people.post("/datasets/people/delete", json={"where": where})
    assert (answer.status_code, answer.json()["code"]) == (400, "sql_error"), answer.text
    assert answer.json()["hint"]
    assert count(people) == 3


@pytest.mark.parametrize("where, deleted", [("active", 2), ("not active", 1), ("null", 0), ("true", 3), ("name like 'A%' or null", 1)])
def test_a_condition_that_is_true_or_false_is_taken(people, where, deleted):
    assert people.post("/datasets/people/delete", json={"where": where}).json()["deleted"] == deleted


def test_a_delete_takes_its_reason_from_the_body_too(people):
    words = {"reason": "asked to be forgotten", "workspace": "w7"}
    assert people.delete("/datasets/people/rows/1", json=words).json()["deleted"] == 1
    told = people.query("select distinct reason, workspace from journal where operation = 'delete'")["rows"]
    assert told == [["asked to be forgotten", "w7"]]
    refused = people.delete("/datasets/people/rows/2", json={"why": "x"})
    assert (refused.status_code, refused.json()["code"]) == (400, "unknown_field")
    assert people.post("/datasets/people/delete", json={"where": "id = 2", "workspace": "w8"}).json()["deleted"] == 1
    assert people.query("select distinct workspace from journal where entity = '2'")["rows"] == [["w8"]]
    assert people.delete("/catalog/datasets/people", json={"reason": "done with it"}).status_code == 200
    assert people.query("select reason from journal where operation = 'drop'")["rows"] == [["done with it"]]


def test_a_body_where_none_is_taken_is_told(people):
    answer = people.post("/datasets/people/pin", json={"memory": "1 GB"})
    assert answer.status_code == 400 and "takes no body" in answer.json()["detail"]
    assert people.post("/datasets/people/pin", json={}).status_code == 200


def test_a_reason_has_an_end(people):
    for answer in (people.post("/datasets/people/delete", json={"where": "true", "reason": "x" * 5000}),
                   people.delete("/datasets/people/rows/1?reason=" + "x" * 5000),
                   people.request("PATCH", "/catalog/datasets/people", json={"owner": "me", "reason": 5})):
        assert answer.status_code == 400 and "reason" in answer.json()["detail"], answer.text
    assert count(people) == 3


@pytest.mark.parametrize("method, path, body", [
    ("POST", "/datasets/people/compact", None), ("DELETE", "/catalog/datasets/people", None),
    ("PATCH", "/catalog/datasets/people", {"owner": "me"}), ("POST", "/datasets/people/expire", {"older_than": "2020-01-01"})])
def test_a_condition_that_would_not_be_looked_at_is_refused(people, method, path, body):
    for header in ({"If-Match": '"1"'}, {"If-None-Match": "*"}):
        answer = people.request(method, path, json=body, headers=header)
        assert answer.status_code == 400 and "does not know" in answer.json()["detail"], answer.text
    assert people.request("PUT", "/datasets/people/rows", json=[{"id": 1}], headers={"If-None-Match": "*"}).status_code == 400
    assert count(people) == 3


def test_a_restore_may_be_conditional(people):
    first = people.get("/catalog/datasets/people").json()["snapshot_id"]
    second = people.delete("/datasets/people/rows/1").json()["snapshot_id"]
    late = people.post("/datasets/people/restore", json={"as_of": first}, headers={"If-Match": f'"{first}"'})
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed"), late.text
    well = people.post("/datasets/people/restore", json={"as_of": first}, headers={"If-Match": f'"{second}"'})
    assert well.status_code == 200 and well.headers["ETag"] == f'"{well.json()["snapshot_id"]}"'
    assert count(people) == 3


@pytest.mark.parametrize("body", ['{"id": 1}\n{"id": 2, "v": {"a":', '{"id": 1}\n[2]\n', '[{"id": 1}, 7]'])
def test_a_first_upsert_is_all_or_nothing(server, body):
    answer = server.request("PUT", "/datasets/new/rows?key=id", data=body)
    assert answer.status_code in (400, 422), answer.text
    assert server.get("/catalog/datasets/new").status_code == 404


def test_a_first_upsert_tells_its_workspace(server):
    assert server.request("PUT", "/datasets/new/rows?key=id&workspace=w1&reason=r1", json=[{"id": 1}]).status_code == 200
    assert server.query("select reason, workspace from journal")["rows"] == [["r1", "w1"]]


@pytest.fixture
def typed(server):
    fields = [("id", "long"), ("d", "decimal(38,10)"), ("day", "date")]
    columns = [{"id": i + 1, "name": name, "type": kind, "required": name == "id"} for i, (name, kind) in enumerate(fields)]
    columns.append({"id": 10, "name": "m", "required": False, "type": {
        "type": "map", "key-id": 11, "key": "string", "value-id": 12, "value": "double", "value-required": False}})
    columns.append({"id": 20, "name": "s", "required": False, "type": {"type": "struct", "fields": [
        {"id": 21, "name": "a", "type": "string", "required": True}]}})
    made = server.post("/iceberg/v1/namespaces/default/tables", json={
        "name": "t", "schema": {"type": "struct", "schema-id": 0, "identifier-field-ids": [1], "fields": columns}})
    assert made.status_code == 200, made.text
    fixed = [{"id": 1, "name": "id", "type": "long", "required": True}, {"id": 2, "name": "fx", "type": "fixed[3]", "required": False}]
    made = server.post("/iceberg/v1/namespaces/default/tables", json={
        "name": "f", "schema": {"type": "struct", "schema-id": 0, "identifier-field-ids": [1], "fields": fixed}})
    assert made.status_code == 200, made.text
    return server


@pytest.mark.parametrize("written, kept", [
    ("1e-05", "0.0000100000"), ("1E+2", "100.0000000000"), ("-12.5e-3", "-0.0125000000"), ("1.23456789012e11", "123456789012.0000000000"),
    ("0e99", "0.0000000000"), ("12345678901234567890.1234567891", "12345678901234567890.1234567891")])
def test_a_decimal_may_have_an_exponent(typed, written, kept):
    answer = typed.request("PUT", "/datasets/t/rows", data='{"id": 1, "d": %s}' % written)
    assert answer.status_code == 200, answer.text
    assert typed.query("select d::varchar from t")["rows"] == [[kept]]


@pytest.mark.parametrize("column, written, why", [
    ("d", "1e28", "is not a DECIMAL(38,10)"), ("d", "1e-11", "is not a DECIMAL(38,10)"), ("d", "1e", "Malformed"),
    ("d", "1e999999999999999999999", "is not a DECIMAL(38,10)"), ("id", "9223372036854775808", "out of the range of 64 bits"),
    ("day", '"2024-02-30"', "is not a date (2024-01-31)"), ("fx", '"AAE="', "is of another length"),
    ("m", '{"a": 1, "a": 2}', 'is a map with the key "a" twice'), ("s", "{}", 'is an object without "a"'),
    ("s", '{"a": "x", "b": 1}', 'is an object with the member "b"'), ("s", '{"a": "x", "a": "y"}', 'with the member "a" twice')])
def test_why_a_value_does_not_fit(typed, column, written, why):
    row = '{"id": 1, "%s": %s}' % (column, written) if column != "id" else '{"id": %s}' % written
    table = "f" if column == "fx" else "t"
    answer = typed.request("PUT", f"/datasets/{table}/rows", data=row)
    assert answer.status_code in (400, 422) and why in json.dumps(answer.json()).replace('\\"', '"'), answer.text
    assert count(typed, table) == 0


def test_a_restore_of_the_present_tells_its_rows(people):
    now = people.delete("/datasets/people/rows/1").json()["snapshot_id"]
    answer = people.post("/datasets/people/restore", json={"as_of": now}).json()
    assert (answer["status"], answer["rows"], answer["snapshot_id"]) == ("unchanged", 2, now)


def test_an_upsert_into_nothing_tells_how_it_would_be_made(server):
    answer = server.request("PUT", "/datasets/new/rows", json=[{"id": 1}])
    assert answer.status_code == 404 and "key=" in answer.json()["hint"], answer.text


@pytest.mark.parametrize("kind, written, asked", [
    ("timestamptz", "2024-01-01T02:00:00+02:00", "2024-01-01T02%3A00%3A00%2B02%3A00"), ("decimal(20,3)", "1.5", "1.5"),
    ("uuid", "00000000-0000-0000-0000-00000000000A", "0000000000000000000000000000000A"), ("string", "a/b", "a%2Fb"),
    ("date", "2024-02-29", "2024-02-29")])
def test_a_history_knows_the_key_in_every_spelling(server, kind, written, asked):
    made = server.post("/iceberg/v1/namespaces/default/tables", json={
        "name": "t", "schema": {"type": "struct", "schema-id": 0, "identifier-field-ids": [1], "fields": [
            {"id": 1, "name": "k", "type": kind, "required": True}, {"id": 2, "name": "v", "type": "string", "required": False}]}})
    assert made.status_code == 200, made.text
    assert server.request("PUT", "/datasets/t/rows", json=[{"k": written, "v": "1"}]).status_code == 200
    assert server.request("PATCH", f"/datasets/t/rows/{asked}", json={"v": "2"}).json()["updated"] == 1
    items = server.get(f"/catalog/datasets/t/history/{asked}").json()["items"]
    assert [item["operation"] for item in items] == ["insert", "update"]
