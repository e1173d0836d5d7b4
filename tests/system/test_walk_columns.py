"""Columns that are called as Tarn's own statements might call something."""
import string

import pytest

NAMES = [*string.ascii_lowercase, "told", "pos", "path", "file_path", "data_index", "s_file", "s_row", "row", "rows", "key",
         "value", "list", "element", "old", "new", "count", "min", "max", "order", "select", "from", "version", "memory"]


def records(ids, text):
    return [{"id": i, **{name: f"{name} {text}" for name in NAMES}} for i in ids]


@pytest.fixture
def wide(server):
    header = ",".join(["id", *NAMES])
    lines = [",".join([str(i), *(f"{name} {i}" for name in NAMES)]) for i in range(20)]
    server.ingest("wide", "\n".join([header, *lines]) + "\n", key="id")
    return server


def test_hot_copies_of_such_datasets_follow(wide):
    assert wide.post("/datasets/wide/delete", json={"where": "id between 3 and 5"}).json()["deleted"] == 3
    assert wide.request("PUT", "/datasets/wide/rows", json=records([7, 30], "x")).status_code == 200
    cold = wide.query("select * from wide order by id")["rows"]
    answer = wide.post("/datasets/wide/pin")
    assert answer.status_code == 200, answer.text
    hot = wide.query("select * from wide order by id, 1")
    assert hot["source"] == {"wide": "cache"} and hot["rows"] == cold
    assert wide.request("PUT", "/datasets/wide/rows", json=records([8, 31], "y")).status_code == 200
    hot = wide.query("select * from wide order by id")
    version = hot["snapshots"]["wide"]
    assert hot["rows"] == wide.query(f"select * from wide at (version => {version}) order by id")["rows"]


def test_such_datasets_are_compacted_compared_and_restored(wide):
    first = wide.get("/catalog/datasets/wide").json()["snapshot_id"]
    was = wide.query("select * from wide order by id")["rows"]
    assert wide.request("PUT", "/datasets/wide/rows", json=records([7, 30], "x")).status_code == 200
    assert wide.delete("/datasets/wide/rows/9").status_code == 200
    now = wide.query("select * from wide order by id")["rows"]
    assert wide.post("/datasets/wide/compact").json()["status"] == "compacted"
    assert wide.query("select * from wide order by id")["rows"] == now
    told = wide.query(f"select change, id, b from changes('wide', {first}) order by id")["rows"]
    assert told == [["update", 7, "b x"], ["delete", 9, "b 9"], ["insert", 30, "b x"]]
    assert wide.post("/datasets/wide/restore", json={"as_of": str(first)}).status_code == 200
    assert wide.query("select * from wide order by id")["rows"] == was
