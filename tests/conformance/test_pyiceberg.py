"""PyIceberg, the reference implementation in Python, reads what Tarn wrote.

It is strict where engines are lenient: a manifest without field ids, a union
in the wrong order or a codec that is not named fails here.
"""
import pyarrow as pa
import pytest

pytest.importorskip("pyiceberg", reason="the client pyiceberg is not installed here")
from pyiceberg.catalog import load_catalog  # noqa: E402
from pyiceberg.exceptions import NoSuchTableError  # noqa: E402
from pyiceberg.expressions import EqualTo, GreaterThanOrEqual  # noqa: E402
from pyiceberg.table import StaticTable  # noqa: E402

from tests.conformance import lakes  # noqa: E402

pytestmark = pytest.mark.light


def attach(server):
    return load_catalog("tarn", type="rest", uri=f"{server.url}/iceberg", token=server.token)


@pytest.fixture(scope="module")
def catalog(staffing):
    return attach(staffing)


def test_all_datasets_are_listed(catalog):
    assert catalog.list_namespaces() == [("default",)]
    assert {name for _, name in catalog.list_tables("default")} >= set(lakes.STAFFING)


@pytest.mark.parametrize("name", lakes.STAFFING)
def test_rows_and_sums_agree(staffing, catalog, name):
    expected = lakes.fingerprint(staffing, name)
    rows = catalog.load_table(f"default.{name}").scan().to_arrow()
    assert rows.num_rows == expected.pop("n")
    for column, total in expected.items():
        assert sum(value for value in rows[column].to_pylist() if value is not None) == total, column


@pytest.mark.parametrize("name", lakes.STAFFING)
def test_by_path_without_a_catalog(staffing, name):
    described = lakes.describe(staffing, name)
    table = StaticTable.from_metadata(described["metadata_location"])
    assert table.scan().count() == described["rows"]


def test_every_type_arrives_unchanged(server):
    lakes.add_every_type(server)
    read = attach(server).load_table("default.every_type").scan().to_arrow()
    for field in lakes.EVERY_TYPE.schema:
        assert read[field.name].to_pylist() == lakes.EVERY_TYPE[field.name].to_pylist(), field.name
    assert pa.types.is_timestamp(read.schema.field("instant").type) and read.schema.field("instant").type.tz == "UTC"
    assert read.schema.field("moment").type.tz is None


def test_columns_that_came_later(server):
    expected = lakes.add_growing(server)
    rows = attach(server).load_table("default.growing").scan().to_arrow().to_pylist()
    assert sorted((r["id"], r["n"], r["note"]) for r in rows) == expected


def test_every_snapshot_can_be_read(server):
    lakes.add_growing(server)
    table = attach(server).load_table("default.growing")
    counts = [table.scan(snapshot_id=snapshot.snapshot_id).count() for snapshot in table.snapshots()]
    assert counts == [2, 3, 4]


def test_summaries_carry_every_total(server):
    lakes.add_growing(server)
    for snapshot in attach(server).load_table("default.growing").snapshots():
        for key in ("records", "data-files", "delete-files", "position-deletes", "equality-deletes", "files-size"):
            assert int(snapshot.summary[f"total-{key}"]) >= 0, key


def test_bounds_prune_files(server):
    for day in range(5):
        server.ingest("log", "day,n\n" + "".join(f"2024-01-{day + 1:02},{day * 10 + i}\n" for i in range(10)), format="csv")
    table = attach(server).load_table("default.log")
    assert len(list(table.scan().plan_files())) == 5
    assert len(list(table.scan(row_filter=EqualTo("day", "2024-01-03")).plan_files())) == 1
    assert len(list(table.scan(row_filter=GreaterThanOrEqual("n", 35)).plan_files())) == 2
    assert table.scan(row_filter=GreaterThanOrEqual("n", 35)).count() == 15


def test_an_unknown_table_is_said_so(server):
    catalog = attach(server)
    assert not catalog.table_exists("default.nothing")
    with pytest.raises(NoSuchTableError):
        catalog.load_table("default.nothing")


def test_a_replaced_dataset_keeps_its_past(server):
    server.ingest("people", "id\n1\n2\n3\n", format="csv")
    server.ingest("people", "id\n9\n", format="csv", mode="replace")
    table = attach(server).load_table("default.people")
    assert table.scan().to_arrow()["id"].to_pylist() == [9]
    assert table.scan(snapshot_id=table.snapshots()[0].snapshot_id).count() == 3
