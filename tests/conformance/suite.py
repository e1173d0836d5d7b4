"""What the conformance tests of writes do, whichever clients are there."""
import base64
import json

from tests.conformance import engines, kinds, lakes, lives, values
from tests.support import tarn


class Lake:
    """One server, its catalog, and a client of each kind for it (made when first wanted)."""

    def __init__(self, server):
        self.server = server
        self.catalog = engines.Catalog.of(server)
        self.tarn = engines.Tarn(server)
        self.clients = {"tarn": self.tarn}

    def client(self, name):
        if name not in self.clients:
            self.clients[name] = engines.ENGINES[name](self.catalog)
        return self.clients[name]

    def metadata(self, table):
        answer = self.server.get(f"/iceberg/v1/namespaces/{engines.NAMESPACE}/tables/{table}")
        assert answer.status_code == 200, answer.text
        return answer.json()["metadata"]

    def snapshot(self, table):
        return self.metadata(table).get("current-snapshot-id")

    def has_route(self, method, path):
        return method in self.server.get("/openapi.json").json()["paths"].get(path, {})


def doctor(lake):
    """The strict validator finds nothing that is wrong in any table."""
    done = tarn.run("--json", "doctor", "--deep", "--lake", lake.server.lake, check=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found, done.stderr
    wrong = [f"{item['check']}: {item['finding']}" for item in found if item["level"] == "error"]
    assert not wrong, "\n".join(wrong)


# ClickHouse has no NULL list, map or struct: it reads an empty one.
HOLLOW = {"clickhouse"}


def all_read(lake, readers, table, columns, want, snapshot=None):
    """Every reader has these rows; all that differ are named."""
    wrong = []
    for name in readers:
        got, held = lake.client(name).rows(table, columns, snapshot), want
        if name in HOLLOW:
            held = sorted(([values.hollow(kind, value) for (_, kind), value in zip(columns, row)] for row in want),
                          key=values.order)
        if got != held:
            wrong.append(f"{name}: has {[row for row in got if row not in held]} and lacks "
                         f"{[row for row in held if row not in got]}")
    assert not wrong, f"{table}, snapshot {snapshot}: " + "\n".join(wrong)


# DuckDB marks INT32 columns as such in Parquet, and Spark's vectorised reader
# then fails on a column that became a long. With that reader off it is right.
WIDENED_BY_DUCKDB = {"duckdb"}


def prepare_readers(lake, writer, readers, table):
    if writer in WIDENED_BY_DUCKDB and "spark" in readers:
        spark = lake.client("spark")
        spark.sql(f"ALTER TABLE {spark.table(table)} SET TBLPROPERTIES ('read.parquet.vectorization.enabled' = 'false')")


def live(lake, writer, readers):
    """One client leads a table through its life; Tarn looks after every step, the
    others in the end, and at the past as it was."""
    table, client, expected = f"life_{writer}", lake.client(writer), lives.expected()
    past = {}
    for step in lives.STEPS:
        lives.step(client, table, step)
        columns, want = expected[step]
        all_read(lake, ["tarn", writer], table, columns, want)
        past[step] = lake.snapshot(table)
    prepare_readers(lake, writer, readers, table)
    columns, want = expected["append again"]
    all_read(lake, readers, table, columns, want)
    for step in ("append", "delete"):
        then = [[row[0], row[3]] for row in expected[step][1]]
        all_read(lake, readers, table, lives.STILL, then, past[step])
    return table, columns, want


def divide(lake, writer, readers):
    """A table partitioned after its first rows, so that two specs are in use, with
    deletes in both. Tarn reads it, changes rows of either and compacts it."""
    table, client, expected = f"divided_{writer}", lake.client(writer), lives.expected()
    for step in ("create", "append", "divide", "delete", "upsert"):
        lives.step(client, table, step)
    columns, want = expected["upsert"]
    all_read(lake, ["tarn", *readers], table, columns, want)
    change_by_tarn(lake, readers, table, columns, want)


TARN_ROWS = [{"id": 1, "title": "ada2", "n": 11, "amount": "1.75", "day": "2024-01-31", "note": "by tarn"},
             {"id": 8, "title": "hal", "n": -8, "amount": None, "day": None, "note": None}]


def upsert_by_tarn(lake, table, columns, want):
    """Tarn's own change to a foreign table; the rows that are there then."""
    key = {"key": "id"} if not lake.server.get(f"/catalog/datasets/{table}").json().get("key") else {}
    given = [{name: row["title" if name == "name" else name] for name, _ in columns} for row in TARN_ROWS]
    answer = lake.server.request("PUT", f"/datasets/{table}/rows", params=key, json=given)
    assert answer.status_code == 200, answer.text
    rows = {row[0]: row for row in want}
    for row in values.normal_rows(columns, given):
        rows[row[0]] = row
    return sorted(rows.values(), key=values.order)


def change_by_tarn(lake, readers, table, columns, want):
    """Tarn upserts into a foreign table and compacts it; everybody has the rows."""
    want = upsert_by_tarn(lake, table, columns, want)
    all_read(lake, ["tarn", *readers], table, columns, want)
    compact(lake, table)
    all_read(lake, ["tarn", *readers], table, columns, want)


def compact(lake, table):
    answer = lake.server.post(f"/datasets/{table}/compact")
    assert answer.status_code == 200, answer.text


# Spark refuses a table with a column of times of day, which it has no type for;
# ClickHouse 26.9 reads them as whole seconds.
WITHOUT_TIME = {"spark", "clickhouse"}
TIMELESS = [place for place, (name, _) in enumerate(kinds.COLUMNS) if name != "clock"]


def read_kinds(lake, readers):
    """Two tables by PyIceberg: of all types, and of those that Spark knows too."""
    client = lake.client("pyiceberg")
    want = kinds.write(client, "kinds", kinds.COLUMNS, kinds.ROWS)
    all_read(lake, ["tarn", *(name for name in readers if name not in WITHOUT_TIME)], "kinds", kinds.COLUMNS, want)
    columns = [kinds.COLUMNS[place] for place in TIMELESS]
    want = kinds.write(client, "kinds_timeless", columns, [[row[place] for place in TIMELESS] for row in kinds.ROWS])
    all_read(lake, ["tarn", *readers], "kinds_timeless", columns, want)
    return columns, want


def copy_kinds(lake, writer, readers):
    """The same rows through a client's own CREATE TABLE AS SELECT."""
    columns = [kinds.COLUMNS[place] for place in TIMELESS]
    want = values.normal_rows(columns, [[row[place] for place in TIMELESS] for row in kinds.ROWS])
    client, table = lake.client(writer), f"kinds_by_{writer}"
    place = {"spark": "USING iceberg ", "trino": f"WITH (location = 'file://{client.tables / table}') "}.get(writer, "")
    client.sql(f"CREATE TABLE {client.table(table)} {place}"
               f"AS SELECT * FROM {client.table('kinds_timeless')}")
    all_read(lake, ["tarn", *readers], table, columns, want)


# Whose SQL has the conditions' literals.
FILTERS = {"tarn", "pyiceberg", "duckdb", "spark"}


def read_spread(lake, writer, readers, transform):
    """All rows, and those that a condition on the partitioned column wants: a
    transform misread would leave out files that matter. So would a row that Tarn
    put where the transform does not, or a delete of it."""
    table = "spread_" + "".join(letter for letter in transform if letter.isalnum())
    want = kinds.write_spread(lake.client(writer), table, transform)
    rows = kinds.SPREAD_ROWS
    read_spread_rows(lake, readers, table, transform, rows, want)
    rows = change_spread(lake, table, rows)
    want = values.normal_rows(kinds.SPREAD, rows)
    read_spread_rows(lake, readers, table, transform, rows, want)
    compact(lake, table)
    read_spread_rows(lake, readers, table, transform, rows, want)


def read_spread_rows(lake, readers, table, transform, rows, want):
    all_read(lake, ["tarn", *readers], table, kinds.SPREAD, want)
    _, condition, holds = kinds.TRANSFORMS[transform]
    some = sorted(row[0] for row in rows if holds(row))
    for name in FILTERS & {"tarn", *readers}:
        got = lake.client(name).ids_where(table, condition)
        assert got == some, f"{name}, {table} WHERE {condition}: {got} instead of {some}"


def plain(column, value):
    """A value of the spread table as a request has it."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value if value is None or isinstance(value, (str, int)) else str(value)


def change_spread(lake, table, rows):
    """By Tarn: rows that move to other partitions, new ones, one from a file, and two that go."""
    names = [name for name, _ in kinds.SPREAD]
    held = {row[0]: row for row in rows}
    given = [(place, *held[other][1:]) for place, other in ((0, 11), (5, 99), (99, 5), (20, 3), (21, 99), (22, 10))]
    body = [dict(zip(names, (plain(name, value) for name, value in zip(names, row)))) for row in given]
    answer = lake.server.request("PUT", f"/datasets/{table}/rows", params={"key": "id"}, json=body)
    assert answer.status_code == 200, answer.text
    held.update({row[0]: row for row in given})
    loaded = [(30, *held[2][1:]), (1, *held[7][1:])]
    lake.server.ingest(table, lakes.parquet_bytes(kinds.arrow(kinds.SPREAD, loaded)), format="parquet", mode="upsert")
    held.update({row[0]: row for row in loaded})
    assert lake.server.delete(f"/datasets/{table}/rows/3").status_code == 200
    answer = lake.server.post(f"/datasets/{table}/delete", json={"where": "n = 15"})
    assert answer.status_code == 200, answer.text
    return [row for row in held.values() if row[0] != 3 and row[5] != 15]
