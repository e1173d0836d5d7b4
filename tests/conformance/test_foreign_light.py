"""Tarn changes rows of tables whose types it would not choose itself; those who made them read on."""
import base64
import datetime as dt
from decimal import Decimal

import pytest

pytest.importorskip("pyiceberg", reason="the client pyiceberg is not installed here")
pytest.importorskip("duckdb_extension_iceberg", reason="DuckDB's Iceberg extension is not installed here")
from tests.conformance import kinds, suite, values  # noqa: E402

pytestmark = pytest.mark.light
ALL = ["tarn", "pyiceberg", "duckdb"]
UTC = dt.timezone.utc


@pytest.fixture
def lake(server):
    lake = suite.Lake(server)
    yield lake
    suite.doctor(lake)


def without(name):
    """The table of all types, but for one column."""
    at = [column for column, _ in kinds.COLUMNS].index(name)
    return [c for c in kinds.COLUMNS if c[0] != name], [row[:at] + row[at + 1:] for row in kinds.ROWS]


GIVEN = {"id": 2, "flag": True, "clock": "01:02:03.000004", "key": "01234567-89ab-cdef-8123-456789abcdef", "blob": "AAD/",
         "instant": "2024-01-01T00:00:00Z", "huge": "1.5", "numbers": [1, None], "tags": {"z": None},
         "point": {"x": 1, "label": "q", "deep": {"z": "3"}}, "lines": [{"sku": "a", "prices": ["1.00"]}, None],
         "days": {"a": ["2024-01-01", None], "b": []}}
MEANT = {"id": 2, "flag": True, "clock": dt.time(1, 2, 3, 4), "key": "01234567-89ab-cdef-8123-456789abcdef", "blob": b"\0\0\xff",
         "instant": dt.datetime(2024, 1, 1, tzinfo=UTC), "huge": Decimal("1.5"), "numbers": [1, None], "tags": {"z": None},
         "point": {"x": 1.0, "label": "q", "deep": {"z": Decimal(3)}}, "lines": [{"sku": "a", "prices": [Decimal(1)]}, None],
         "days": {"a": [dt.date(2024, 1, 1), None], "b": []}}


def test_rows_of_every_type_are_changed(lake):
    columns, rows = without("code")
    first = kinds.write(lake.client("pyiceberg"), "every", columns, rows)
    made = lake.snapshot("every")
    answer = lake.server.request("PUT", "/datasets/every/rows", params={"key": "id"}, json=[GIVEN, {**GIVEN, "id": 7}])
    assert answer.json()["updated"] == 1 and answer.json()["inserted"] == 1, answer.text
    assert lake.server.request("PATCH", "/datasets/every/rows/1", json={"point": None, "day": "1969-07-20"}).status_code == 200
    assert lake.server.delete("/datasets/every/rows/3").json()["deleted"] == 1
    names = [name for name, _ in columns]
    changed = {**dict(zip(names, rows[0])), "point": None, "day": dt.date(1969, 7, 20)}
    want = values.normal_rows(columns, [[row.get(name) for name in names] for row in (changed, MEANT, {**MEANT, "id": 7})])
    suite.all_read(lake, ALL, "every", columns, want)
    suite.compact(lake, "every")
    suite.all_read(lake, ALL, "every", columns, want)
    found = lake.server.sql(f"SELECT change, id FROM changes('every', {made}) ORDER BY id")
    assert [(row["change"], row["id"]) for row in found] == [("update", 1), ("update", 2), ("delete", 3), ("insert", 7)]
    assert lake.server.post("/datasets/every/restore", json={"as_of": str(made)}).status_code == 200
    suite.all_read(lake, ALL, "every", columns, first)


def test_bytes_of_a_fixed_length(lake):
    """Rows that the engine would have to write are refused: it knows no such bytes."""
    columns = [("id", "long"), ("code", "fixed[4]")]
    rows = [(1, b"\x00\x01\xfe\xff"), (2, None), (3, b"abcd")]
    kinds.write(lake.client("pyiceberg"), "codes", columns, rows)
    put = [{"id": 2, "code": base64.b64encode(b"efgh").decode()}, {"id": 4, "code": None}]
    assert lake.server.request("PUT", "/datasets/codes/rows", params={"key": "id"}, json=put).status_code == 200
    assert lake.server.delete("/datasets/codes/rows/1").json()["deleted"] == 1
    want = values.normal_rows(columns, [(2, b"efgh"), (3, b"abcd"), (4, None)])
    suite.all_read(lake, ALL, "codes", columns, want)
    short = lake.server.request("PUT", "/datasets/codes/rows", json=[{"id": 5, "code": "YWJj"}])
    assert short.status_code == 422 and "another length" in short.json()["detail"], short.text
    for answer in (lake.server.post("/datasets/codes/compact"),
                   lake.server.ingest("codes", "id\n9\n", check=False, mode="upsert"),
                   lake.server.ingest("codes", "id\n9\n", check=False)):
        assert answer.status_code == 422 and "fixed[4]" in answer.json()["detail"], answer.text
    suite.all_read(lake, ALL, "codes", columns, want)


def test_bytes_of_a_fixed_length_beside_nested_columns(lake):
    want = kinds.write(lake.client("pyiceberg"), "every")
    put = lake.server.request("PUT", "/datasets/every/rows", params={"key": "id"}, json=[{"id": 9, "code": None}])
    assert put.status_code == 422 and "\"code\" has the type fixed[4]" in put.json()["detail"], put.text
    suite.all_read(lake, ALL, "every", kinds.COLUMNS, want)


def nested_table(lake, name):
    import pyarrow as pa
    table = pa.table({"id": pa.array([1, 2], pa.int64()), "p": [{"x": 1, "y": "a"}, {"x": 2, "y": None}], "l": [[{"k": 1}], []]})
    made = lake.client("pyiceberg").catalog.create_table(("default", name), table.schema)
    made.append(table.slice(0, 1))
    made.append(table.slice(1))
    return made


def test_fields_that_came_later_inside_of_structs(lake):
    from pyiceberg.types import DoubleType, StringType
    with nested_table(lake, "grown").update_schema() as update:
        update.add_column(("p", "z"), DoubleType())
        update.add_column(("l", "m"), StringType())
        update.delete_column(("p", "y"))
    lake.client("tarn")
    put = [{"id": 2, "p": {"x": 9, "z": 1.5}, "l": [{"k": 4, "m": "q"}]}]
    assert lake.server.request("PUT", "/datasets/grown/rows", params={"key": "id"}, json=put).status_code == 200
    want = [{"id": 1, "p": {"x": 1, "z": None}, "l": [{"k": 1, "m": None}]}, put[0]]
    for compacted in (False, True):
        assert lake.server.sql("SELECT * FROM grown ORDER BY id") == want
        read = lake.client("pyiceberg").load("grown").scan().to_arrow().to_pylist()
        assert sorted(read, key=lambda row: row["id"]) == want
        if not compacted:
            suite.compact(lake, "grown")


def rename(update):
    update.rename_column(("p", "x"), "xx")


def replace(update):
    from pyiceberg.types import LongType
    update.delete_column(("p", "x"))
    update.add_column(("p", "other"), LongType())


def take_all(update):
    from pyiceberg.types import LongType
    update.add_column(("p", "z"), LongType())
    update.delete_column(("p", "x"))
    update.delete_column(("p", "y"))


def in_a_list(update):
    update.rename_column(("l", "k"), "kk")


@pytest.mark.parametrize("change, told", [(rename, '"xx"'), (replace, None), (take_all, '"z"'), (in_a_list, '"kk"')])
def test_fields_that_were_renamed_inside_of_structs(lake, change, told):
    """Their values lie in the files under the old names: they are named, and never read as NULL or as another's."""
    from pyiceberg.types import LongType
    made = nested_table(lake, "t")
    before = lake.metadata("t")["snapshots"][0]["snapshot-id"]
    rows = lake.server.sql("SELECT * FROM t WHERE id = 1")
    with made.update_schema() as update:
        change(update)
    if change is replace:  # by another field of the same name
        told = '"x"'
        with lake.client("pyiceberg").load("t").update_schema() as update:
            update.add_column(("p", "x"), LongType())
    for answer in (lake.server.post("/query/sql", json={"sql": "SELECT * FROM t"}), lake.server.post("/datasets/t/compact"),
                   lake.server.request("PUT", "/datasets/t/rows", params={"key": "id"}, json=[{"id": 1}])):
        assert answer.status_code == 422 and told in answer.json()["detail"], answer.text
    assert lake.server.sql(f"SELECT * FROM t AT (VERSION => {before}) ORDER BY id") == rows, "the past had those names"
    assert lake.client("pyiceberg").load("t").scan().to_arrow().num_rows == 2
