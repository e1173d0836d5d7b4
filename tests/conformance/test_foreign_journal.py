"""What another engine commits is in our journal, row by row."""
import json

import pytest

from tests.support.tarn import wait_for

pytestmark = pytest.mark.light


def events(server, **want):
    return server.get("/journal", params={"dataset": "people", **want}).json()["items"]


def test_rows_of_a_foreign_commit_are_journaled(server):
    import pyarrow as pa
    from pyiceberg.catalog import load_catalog
    server.ingest("people", "id,name\n1,Ann\n2,Bob\n", key="id")
    catalog = load_catalog("tarn", type="rest", uri=server.url + "/iceberg", token=server.token)
    table = catalog.load_table("default.people")
    table.append(pa.table({"id": pa.array([3], pa.int64()), "name": pa.array(["Cy"])}, schema=table.schema().as_arrow()))
    inserted = wait_for("the new row", lambda: events(server, entity="3"))
    assert [(e["operation"], e["source"]) for e in inserted] == [("insert", "iceberg client")]
    assert json.loads(inserted[0]["new_value"]) == {"id": 3, "name": "Cy"}
    assert inserted[0]["actor"] == "first" and inserted[0]["request_id"], "the name of the client's token"
    table.overwrite(pa.table({"id": pa.array([2], pa.int64()), "name": pa.array(["Bobby"])}, schema=table.schema().as_arrow()),
                    overwrite_filter="id == 2")
    wait_for("the row's new name", lambda: "Bobby" in json.dumps(events(server, entity="2")))
    assert server.query("select name from people order by id")["rows"] == [["Ann"], ["Bobby"], ["Cy"]]
