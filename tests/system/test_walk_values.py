"""Values that JSON has no form of its own for, through everything that carries rows as JSON."""
import datetime
import io
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

INNER = pa.struct([("day", pa.date32()), ("raw", pa.binary())])
FAR = 10 ** 15 + 253402300800000000  # in the year 10031


@pytest.fixture
def nested(server):
    """Bytes and far years inside lists, structs and maps."""
    day = datetime.date(1, 1, 1)
    table = pa.table({
        "id": pa.array([1, 2, 3], pa.int64()),
        "note": pa.array(["x", "y", "z"]),
        "st": pa.array([{"a": 1, "b": {"day": day, "raw": b"\x00"}}, {"a": None, "b": None}, None],
                       pa.struct([("a", pa.int32()), ("b", INNER)])),
        "raws": pa.array([[b"\x00\xff", None, b""], [], None], pa.list_(pa.binary())),
        "deep": pa.array([[[{"day": day, "raw": b"AA=="}], [], None], [], None], pa.list_(pa.list_(INNER))),
        "named": pa.array([[("k", b"\x01\x02"), ("", None)], [], None], pa.map_(pa.string(), pa.binary())),
        "far": pa.array([[FAR, -(10 ** 17)], [], None], pa.list_(pa.timestamp("us"))),
        "plain": pa.array([[1.5, float("inf")], [], None], pa.list_(pa.float64())),
        "moment": pa.array([FAR, 0, None], pa.timestamp("us", tz="UTC")),
    })
    file = io.BytesIO()
    pq.write_table(table, file)
    server.ingest("things", file.getvalue(), key="id")
    return server


def rows(server, where="random() >= 0"):
    """Never from a kept answer; without the column that changes."""
    answer = server.query(f"select * exclude (note) from things where {where} order by id")
    return [json.dumps(row) for row in answer["rows"]]


def change(server, note):
    for key in (1, 2, 3):
        answer = server.request("PATCH", f"/datasets/things/rows/{key}", json={"note": note})
        assert answer.json()["updated"] == 1, answer.text
    return answer.json()["snapshot_id"]


def test_a_change_of_another_column_leaves_nested_values(nested):
    before = rows(nested)
    change(nested, "first")
    assert rows(nested) == before
    assert nested.post("/datasets/things/pin").status_code == 200
    assert rows(nested) == before
    change(nested, "second")
    assert rows(nested) == before
    assert nested.post("/datasets/things/compact").status_code == 200
    assert rows(nested) == before
    assert nested.query("select distinct field from journal where operation = 'update'")["rows"] == [["note"]]


def test_nested_bytes_are_written_and_told_back_as_base64(nested):
    value = {"st": {"a": 2, "b": {"day": "2024-02-29", "raw": "/wA="}}, "raws": ["AAE="], "named": {"x": "/w=="}}
    answer = nested.request("PATCH", "/datasets/things/rows/3", json=value)
    assert answer.status_code == 200, answer.text
    told = nested.query("select hex(st.b.raw), hex(raws[1]), hex(named['x']) from things where id = 3")["rows"]
    assert told == [["FF00", "0001", "FF"]]
    again = nested.request("PATCH", "/datasets/things/rows/3", json=value).json()
    assert again["unchanged"] == 1
    refused = nested.request("PATCH", "/datasets/things/rows/3", json={"raws": ["not base64!"]})
    assert refused.status_code == 422 and "base64" in refused.text


def test_a_forgotten_moment_tells_nested_values(nested):
    value = {"raws": ["AAE="], "named": {"x": "/w=="}, "st": {"a": 2, "b": {"day": "2024-02-29", "raw": "/wA="}}}
    first = int(nested.get("/catalog/datasets/things").json()["snapshot_id"])
    tag = {"action": "set-snapshot-ref", "ref-name": "loaded", "type": "tag", "snapshot-id": first}
    assert nested.post("/iceberg/v1/namespaces/default/tables/things", json={"requirements": [], "updates": [tag]}).status_code == 200
    then = nested.request("PATCH", "/datasets/things/rows/3", json=value).json()["snapshot_id"]
    was = rows(nested)
    for note in "abc":
        change(nested, note)
    gone = nested.post("/datasets/things/expire", json={"older_than": "2100-01-01T00:00:00Z", "keep": 2}).json()
    assert gone["snapshots"] > 2
    answer = nested.query("select * exclude (note) from things order by id", as_of=str(then))
    assert answer["snapshots"]["things"].startswith("replay-")
    assert [json.dumps(row) for row in answer["rows"]] == was


def test_figures_of_files_are_of_leaves(server):
    """A list itself has none in a manifest: other engines look for its elements'."""
    server.ingest("lists", '{"id": 1, "l": ["x"]}\n{"id": 2, "l": null}\n')
    server.ingest("lists", '{"id": 3}\n')
    looked = server.cli("--lake", server.lake, "doctor", "--deep")
    assert "leaf" not in looked.stdout, looked.stdout
    assert server.query("select id from lists where l is null order by id")["rows"] == [[2], [3]]
    assert server.query("select id from lists where l is not null")["rows"] == [[1]]
    assert server.query("select id from lists where list_contains(l, 'x')")["rows"] == [[1]]


@pytest.mark.parametrize("moment, good", [
    ("9999-12-31T23:59:59-01:00", False), ("0001-01-01T00:00:00+01:00", False), ("9999-12-31T23:59:59.999999Z", True),
    ("9999-12-31T23:59:59+01:00", True), ("0001-01-01T00:00:00Z", True), ("0001-01-01T00:30:00-01:00", True)])
def test_a_zone_carries_no_moment_out_of_its_years(server, moment, good):
    """What is written is told in a form that can be written again."""
    fields = [{"id": 1, "name": "id", "type": "long", "required": True}, {"id": 2, "name": "seen", "type": "timestamptz", "required": False}]
    made = server.post("/iceberg/v1/namespaces/default/tables", json={
        "name": "t", "schema": {"type": "struct", "schema-id": 0, "identifier-field-ids": [1], "fields": fields}})
    assert made.status_code == 200, made.text
    answer = server.request("PUT", "/datasets/t/rows", json=[{"id": 1, "seen": moment}])
    assert answer.status_code == (200 if good else 422), answer.text
    if good:
        told = server.query("select seen from t")["rows"][0][0]
        assert server.request("PATCH", "/datasets/t/rows/1", json={"seen": told}).json()["unchanged"] == 1
