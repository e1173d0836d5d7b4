"""Columns that are called as the reader of files, or Tarn, calls the place of a row."""
import json

import pytest

TAKEN = ["file_index", "file_row_number", "tarn_path", "tarn_pos", "tarn_file"]


def foreign(server, column, *more):
    """A table as another engine makes it, with the name as it is."""
    made = server.post("/iceberg/v1/namespaces/default/tables", json={
        "name": "t", "schema": {"type": "struct", "schema-id": 0, "identifier-field-ids": [1], "fields": [
            {"id": 1, "name": "id", "type": "long", "required": True},
            {"id": 2, "name": "v", "type": "long", "required": False},
            {"id": 3, "name": column, "type": "long", "required": False}, *more]}})
    assert made.status_code == 200, made.text


def rows(server):
    return server.query("select * from t order by id")["rows"]


@pytest.mark.parametrize("column", ["file_index", "File_Row_Number", "filename", "rowid", "pos"])
def test_rows_are_changed_and_not_doubled(server, column):
    foreign(server, column)
    put = [{"id": 1, "v": 3, column: 8}, {"id": 2, "v": 3, column: 80}, {"id": 3, "v": 3, column: 5}]
    first = server.request("PUT", "/datasets/t/rows", json=put).json()["snapshot_id"]
    for value in (4, 5):
        assert server.request("PATCH", "/datasets/t/rows/1", json={"v": value}).json()["updated"] == 1
        assert rows(server) == [[1, value, 8], [2, 3, 80], [3, 3, 5]]
    assert server.post("/datasets/t/delete", json={"where": f'"{column}" = 80'}).json()["deleted"] == 1
    assert rows(server) == [[1, 5, 8], [3, 3, 5]]
    changes = server.query(f"select change, id, v, \"{column}\" from changes('t', {first}) order by id")["rows"]
    assert changes == [["update", 1, 5, 8], ["delete", 2, 3, 80]]
    compacted = server.post("/datasets/t/compact")
    assert compacted.status_code == 200, compacted.text
    assert rows(server) == [[1, 5, 8], [3, 3, 5]]
    assert server.post("/datasets/t/restore", json={"as_of": first}).status_code == 200
    assert rows(server) == [[1, 3, 8], [2, 3, 80], [3, 3, 5]]


@pytest.mark.parametrize("column", ["file_index", "File_Row_Number"])
def test_files_are_upserted_and_compacted(server, column):
    """With a list, so that the engine writes the files and finds the rows."""
    nested = {"id": 4, "name": "l", "required": False,
              "type": {"type": "list", "element-id": 5, "element": "long", "element-required": False}}
    foreign(server, column, nested)

    def upsert(*values):
        lines = [json.dumps({"id": key, "v": v, column: place, "l": items}) for key, v, place, items in values]
        return server.ingest("t", "\n".join(lines) + "\n", mode="upsert", format="ndjson")

    upsert((1, 3, 8, [1]), (2, 3, 80, [2]), (3, 3, 5, None))
    for number in range(3):
        told = upsert((2, 3, 80, [2]), (3, 7, 50 + number, [number]), (10 + number, 1, 0, []))
        assert [told[word] for word in ("inserted", "updated", "unchanged")] == [1, 1, 1], told
    want = [[1, 3, 8, [1]], [2, 3, 80, [2]], [3, 7, 52, [2]], [10, 1, 0, []], [11, 1, 0, []], [12, 1, 0, []]]
    assert rows(server) == want
    answer = server.post("/datasets/t/compact")
    assert answer.status_code == 200 and answer.json()["status"] == "compacted", answer.text
    assert rows(server) == want
    assert server.request("PATCH", "/datasets/t/rows/3", json={column: 9}).json()["updated"] == 1
    assert rows(server)[2] == [3, 7, 9, [2]]


@pytest.mark.parametrize("column", ["tarn_path", "tarn_pos", "Tarn_File"])
def test_what_cannot_be_changed_is_refused_and_can_be_read(server, column):
    foreign(server, column)
    row = {"id": 1, "v": 3, column: 8}
    server.request("PUT", "/datasets/t/rows", json=[row])
    before = rows(server)
    for answer in (server.request("PUT", "/datasets/t/rows", json=[{**row, "v": 4}]),
                   server.request("PATCH", "/datasets/t/rows/1", json={"v": 4}), server.post("/datasets/t/compact"),
                   server.post("/datasets/t/delete", json={"where": "v = 3"})):
        if answer.status_code != 200:
            assert answer.status_code < 500 and column in answer.json()["detail"], answer.text
        assert len(rows(server)) <= 1
    assert before in ([], [[1, 3, 8]])


def test_files_bring_such_columns_under_another_name(server):
    server.ingest("t", "id,v," + ",".join(TAKEN) + "\n1,3,5,6,7,8,9\n2,3,5,6,7,8,9\n", key="id")
    shown = server.get("/catalog/datasets/t").json()["schema"][2:]
    assert [(column["name"], column["original_name"]) for column in shown] == [(name + "_", name) for name in TAKEN]
    assert server.request("PATCH", "/datasets/t/rows/1", json={"v": 4, "file_index": 55}).json()["updated"] == 1
    server.ingest("t", "id,v," + ",".join(TAKEN) + "\n2,9,5,6,7,8,9\n", mode="upsert")
    assert server.post("/datasets/t/compact").status_code == 200
    assert rows(server) == [[1, 4, 55, 6, 7, 8, 9], [2, 9, 5, 6, 7, 8, 9]]
