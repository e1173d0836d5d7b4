"""Files of Spark's that Tarn would not write so: taken in as they lay, and deletes of several data files in one."""
import pytest

from tests.conformance import engines, suite

pytestmark = pytest.mark.heavy


@pytest.fixture
def lake(server):
    try:
        engines.Spark(engines.Catalog.of(server))
    except engines.Missing as missing:
        pytest.skip(str(missing))
    return suite.Lake(server)


def test_files_that_hive_divided(lake):
    """The columns that folders are named after are not in the files."""
    spark, server = lake.client("spark"), lake.server
    folder = f"{lake.catalog.tables}/calls/data/taken"
    spark.sql(f"CREATE TABLE {spark.table('calls')} (id BIGINT, note STRING, part INT, day DATE) USING iceberg "
              "PARTITIONED BY (part, day)")
    rows = "SELECT id, CAST(id % 2 AS INT) part, CONCAT('n', id) note, DATE '2024-01-31' day FROM RANGE(6)"
    engines.Spark.session.sql(rows).write.partitionBy("part", "day").parquet(str(folder))
    spark.sql(f"CALL {spark.alias}.system.add_files(table => 'default.calls', source_table => '`parquet`.`{folder}`')")
    want = [[i, f"n{i}", i % 2, "2024-01-31"] for i in range(6)]
    assert server.query("SELECT * FROM calls ORDER BY id")["rows"] == want
    changed = [{"id": 1, "note": "new", "part": 1, "day": "2024-01-31"}]
    answer = server.request("PUT", "/datasets/calls/rows", params={"key": "id"}, json=changed)
    assert answer.json()["updated"] == 1, answer.text
    want[1][1] = "new"
    assert server.query("SELECT * FROM calls ORDER BY id")["rows"] == want
    suite.compact(lake, "calls")
    assert server.query("SELECT * FROM calls ORDER BY id")["rows"] == want
    read = spark.sql(f"SELECT id, note, part, CAST(day AS STRING) FROM {spark.table('calls')} ORDER BY id")
    assert [list(row) for row in read] == want


def test_deletes_of_several_files_are_counted_and_go(lake):
    spark, server = lake.client("spark"), lake.server
    table = spark.table("visits")
    modes = ", ".join(f"'write.{what}.mode' = 'merge-on-read'" for what in ("delete", "update", "merge"))
    spark.sql(f"CREATE TABLE {table} (id BIGINT, note STRING) USING iceberg "
              f"TBLPROPERTIES ({modes}, 'write.delete.granularity' = 'partition')")
    for first in (0, 10, 20):
        spark.sql(f"INSERT INTO {table} SELECT id, CONCAT('n', id) FROM RANGE({first}, {first + 10})")
    spark.sql(f"DELETE FROM {table} WHERE id % 5 = 0")
    deletes = spark.sql(f"SELECT record_count FROM {table}.delete_files")
    assert [row[0] for row in deletes] == [6], "Spark wrote one delete file for three data files"
    debt = server.get("/catalog/datasets/visits").json()["debt"]
    assert (debt["delete_files"], debt["deleted_rows"], debt["deleted_share"]) == (1, 6, 0.2)
    suite.compact(lake, "visits")
    assert spark.sql(f"SELECT count(*) FROM {table}.delete_files")[0][0] == 0
    debt = server.get("/catalog/datasets/visits").json()["debt"]
    assert (debt["data_files"], debt["delete_files"], debt["deleted_rows"]) == (1, 0, 0)
    want = [i for i in range(30) if i % 5]
    assert [row[0] for row in spark.sql(f"SELECT id FROM {table} ORDER BY id")] == want
    assert [row[0] for row in server.query("SELECT id FROM visits ORDER BY id")["rows"]] == want
    suite.doctor(lake)
