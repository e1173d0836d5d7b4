"""Files that were taken into a table as they lay: their columns have names and no field ids."""
from pathlib import Path

import pytest

pytest.importorskip("pyiceberg", reason="the client pyiceberg is not installed here")
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from pyiceberg.partitioning import PartitionField, PartitionSpec  # noqa: E402
from pyiceberg.schema import Schema  # noqa: E402
from pyiceberg.transforms import IdentityTransform  # noqa: E402
from pyiceberg.types import IntegerType, LongType, NestedField, StringType, StructType  # noqa: E402

from tests.conformance import suite  # noqa: E402

pytestmark = pytest.mark.light
SCHEMA = Schema(NestedField(1, "id", LongType(), required=True), NestedField(2, "region", StringType()),
                NestedField(3, "n", IntegerType()), NestedField(4, "st", StructType(NestedField(5, "x", LongType()))),
                identifier_field_ids=[1])
ARROW = pa.schema([pa.field("id", pa.int64(), nullable=False), ("region", pa.string()), ("n", pa.int32()),
                   ("st", pa.struct([("x", pa.int64())]))])
PARTED = PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "region"))


@pytest.fixture
def lake(server):
    lake = suite.Lake(server)
    yield lake
    suite.doctor(lake)


def rows_of(*ids, region="EU"):
    return [{"id": i, "region": region, "n": i * 10, "st": {"x": i}} for i in ids]


def add(table, name, rows, schema=ARROW):
    """Writes a file beside the table's own, as any program would, and has it taken in."""
    path = f"{table.location().removeprefix('file://')}/data/{name}.parquet"
    Path(path).parent.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    table.add_files([f"file://{path}"])


def told(server, name="t", moment=""):
    return server.sql(f"SELECT * FROM {name} {moment} ORDER BY id")


@pytest.fixture(params=["whole", "divided"])
def table(lake, request):
    spec = {"partition_spec": PARTED} if request.param == "divided" else {}
    table = lake.client("pyiceberg").catalog.create_table("default.t", schema=SCHEMA, **spec)
    table.append(pa.Table.from_pylist(rows_of(1, 2), schema=ARROW))
    return table


def test_added_files_are_read_and_changed(lake, table):
    server = lake.server
    add(table, "added", rows_of(3, 4))
    assert told(server) == rows_of(1, 2, 3, 4)
    assert server.sql("SELECT id FROM t WHERE n = 40 AND st.x = 4") == [{"id": 4}]
    answer = server.request("PUT", "/datasets/t/rows", json=rows_of(4, region="US") + rows_of(5))
    assert (answer.json()["updated"], answer.json()["inserted"]) == (1, 1), answer.text
    want = rows_of(1, 2, 3) + rows_of(4, region="US") + rows_of(5)
    assert told(server) == want
    changed = server.sql("SELECT field, old_value, new_value FROM journal WHERE entity = '4' AND operation = 'update'")
    assert changed == [{"field": "region", "old_value": '"EU"', "new_value": '"US"'}]
    assert server.post("/datasets/t/pin").status_code == 200
    assert told(server) == want
    suite.compact(lake, "t")
    assert told(server) == want
    assert sorted(table.refresh().scan().to_arrow().to_pylist(), key=lambda row: row["id"]) == want


def test_a_column_that_was_renamed_is_found_in_files_of_before(lake, table):
    server = lake.server
    add(table, "before", rows_of(3))
    made = lake.snapshot("t")
    with table.update_schema() as update:
        update.rename_column("n", "number")
        update.add_column("note", StringType())
    later = pa.schema([field if field.name != "n" else pa.field("number", pa.int32()) for field in ARROW]
                      + [("note", pa.string())])
    add(table, "after", [{"id": 4, "region": "EU", "number": 40, "st": None, "note": "late"}], later)
    now = server.sql("SELECT id, number, note FROM t ORDER BY id")
    assert now == [{"id": i, "number": i * 10, "note": "late" if i == 4 else None} for i in (1, 2, 3, 4)]
    assert told(server, moment=f"AT (VERSION => {made})") == rows_of(1, 2, 3)
    assert server.delete("/datasets/t/rows/3").json()["deleted"] == 1
    assert [row["id"] for row in told(server)] == [1, 2, 4]


def test_many_small_files_that_were_added(lake, table):
    for i in range(3, 15):
        add(table, f"small{i}", rows_of(i))
    assert told(lake.server) == rows_of(*range(1, 15))
    assert lake.server.post("/datasets/t/delete", json={"where": "id % 2 = 0"}).json()["deleted"] == 7
    assert told(lake.server) == rows_of(*range(1, 15, 2))


def test_without_a_mapping_nothing_is_written_down(lake):
    """The columns read as NULL then, as the format says; a compaction would make that last."""
    server = lake.server
    table = lake.client("pyiceberg").catalog.create_table("default.t", schema=Schema(*(
        NestedField(i + 1, name, LongType()) for i, name in enumerate("ab"))))
    columns = pa.schema([("a", pa.int64()), ("b", pa.int64())])
    for name in ("one", "two"):
        add(table, name, [{"a": 1, "b": 2}], columns)
    assert server.sql("SELECT sum(b) AS b FROM t") == [{"b": 4}]
    with table.transaction() as change:
        change.remove_properties("schema.name-mapping.default")
    answer = server.post("/datasets/t/compact")
    assert answer.status_code >= 400, answer.text
    assert "no field ids" in answer.text and "schema.name-mapping.default" in answer.text
    with table.transaction() as change:
        change.set_properties({"schema.name-mapping.default":
                               '[{"field-id": 1, "names": ["a"]}, {"field-id": 2, "names": ["b"]}]'})
    suite.compact(lake, "t")
    assert server.sql("SELECT sum(b) AS b FROM t") == [{"b": 4}]
