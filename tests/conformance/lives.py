"""One table's life in the hands of each client, and what it must hold after every step.

    create, append, delete, upsert, evolve, append again

A client is either a list of statements per step (those that speak SQL) or a
function per step (PyIceberg). The rows expected are the same for all.
"""
import datetime as dt
from decimal import Decimal

from tests.conformance import values

BEFORE = [("id", "long"), ("name", "string"), ("n", "int"), ("amount", "decimal(12,2)"), ("day", "date")]
AFTER = [("id", "long"), ("title", "string"), ("n", "long"), ("amount", "decimal(12,2)"), ("day", "date"), ("note", "string")]
STILL = [("id", "long"), ("amount", "decimal(12,2)")]  # columns that never change, for looking back
FIRST = [(1, "ada", 10, Decimal("1.50"), dt.date(2024, 1, 31)), (2, "bob", None, Decimal("2.25"), None),
         (3, "cyd", 30, None, dt.date(2024, 2, 1)), (4, None, 40, Decimal("-4.00"), dt.date(2024, 2, 2)),
         (5, "ève", 50, Decimal("5.00"), dt.date(1969, 12, 31))]
CHANGED = [(3, "cyd2", 33, Decimal("3.30"), dt.date(2024, 2, 1)), (6, "fay", 60, Decimal("6.00"), dt.date(2024, 3, 1))]
LATE = (7, "gus", 7_000_000_000, Decimal("7.77"), dt.date(2024, 3, 1), "late")

DIVIDERS = ["pyiceberg", "spark", "trino"]  # who can partition a table that is there ("divide")
STEPS = ["create", "append", "delete", "upsert", "evolve", "append again"]


def expected():
    """Step -> (columns, rows) in the normal form."""
    rows = {row[0]: row for row in FIRST}
    held = {"create": (BEFORE, []), "append": (BEFORE, list(rows.values()))}
    del rows[2]
    held["delete"] = (BEFORE, list(rows.values()))
    rows |= {row[0]: row for row in CHANGED}
    held["upsert"] = (BEFORE, list(rows.values()))
    rows = {key: (*row, None) for key, row in rows.items()}
    held["evolve"] = (AFTER, list(rows.values()))
    held["append again"] = (AFTER, [*rows.values(), LATE])
    return {step: (columns, values.normal_rows(columns, made)) for step, (columns, made) in held.items()}


def literal(value, date="DATE '{}'"):
    if value is None:
        return "NULL"
    if isinstance(value, dt.date):
        return date.format(value)
    return f"'{value}'" if isinstance(value, str) else str(value)


def tuples(rows, date="DATE '{}'"):
    return ", ".join("(" + ", ".join(literal(value, date) for value in row) + ")" for row in rows)


MERGE = ("MERGE INTO {t} t USING (%s) u ON t.id = u.id "
         "WHEN MATCHED THEN UPDATE SET name = u.name, n = u.n, amount = u.amount, day = u.day "
         "WHEN NOT MATCHED THEN INSERT (id, name, n, amount, day) VALUES (u.id, u.name, u.n, u.amount, u.day)")
TYPED = ("SELECT CAST(id AS bigint) AS id, CAST(name AS {text}) AS name, CAST(n AS {number}) AS n, "
         "CAST(amount AS decimal(12,2)) AS amount, CAST(day AS date) AS day FROM (VALUES {rows}) v(id, name, n, amount, day)")

SQL = {
    "duckdb": {
        "create": ["CREATE TABLE {t} (id BIGINT, name VARCHAR, n INTEGER, amount DECIMAL(12,2), day DATE)"],
        "append": [f"INSERT INTO {{t}} VALUES {tuples(FIRST)}"],
        "delete": ["DELETE FROM {t} WHERE id = 2"],
        "upsert": [MERGE % TYPED.format(text="VARCHAR", number="INTEGER", rows=tuples(CHANGED))],
        "evolve": ["ALTER TABLE {t} ADD COLUMN note VARCHAR", "ALTER TABLE {t} RENAME COLUMN name TO title",
                   "ALTER TABLE {t} ALTER COLUMN n SET DATA TYPE BIGINT"],
        "append again": [f"INSERT INTO {{t}} (id, title, n, amount, day, note) VALUES {tuples([LATE])}"],
    },
    "spark": {
        "create": ["CREATE TABLE {t} (id bigint, name string, n int, amount decimal(12,2), day date) USING iceberg "
                   "TBLPROPERTIES ('write.delete.mode' = 'merge-on-read', "
                   "'write.update.mode' = 'merge-on-read', 'write.merge.mode' = 'merge-on-read')"],
        "divide": ["ALTER TABLE {t} ADD PARTITION FIELD bucket(4, id)"],
        "append": [f"INSERT INTO {{t}} VALUES {tuples(FIRST)}"],
        "delete": ["DELETE FROM {t} WHERE id = 2"],
        "upsert": [MERGE % TYPED.format(text="string", number="int", rows=tuples(CHANGED))],
        "evolve": ["ALTER TABLE {t} ADD COLUMN note string", "ALTER TABLE {t} RENAME COLUMN name TO title",
                   "ALTER TABLE {t} ALTER COLUMN n TYPE bigint"],
        "append again": [f"INSERT INTO {{t}} (id, title, n, amount, day, note) VALUES {tuples([LATE])}"],
    },
    "trino": {
        "create": ["CREATE TABLE {t} (id bigint, name varchar, n integer, amount decimal(12,2), day date) "
                   "WITH (format_version = 2, location = 'file://{folder}')"],
        "divide": ["ALTER TABLE {t} SET PROPERTIES partitioning = ARRAY['month(day)']"],
        "append": [f"INSERT INTO {{t}} VALUES {tuples(FIRST)}"],
        "delete": ["DELETE FROM {t} WHERE id = 2"],
        "upsert": [MERGE % TYPED.format(text="varchar", number="integer", rows=tuples(CHANGED))],
        "evolve": ["ALTER TABLE {t} ADD COLUMN note varchar", "ALTER TABLE {t} RENAME COLUMN name TO title",
                   "ALTER TABLE {t} ALTER COLUMN n SET DATA TYPE bigint"],
        "append again": [f"INSERT INTO {{t}} (id, title, n, amount, day, note) VALUES {tuples([LATE])}"],
    },
    # Told where the table shall lie, as Trino is. No MERGE: an upsert is a delete and an insert.
    "clickhouse": {
        "create": ["CREATE TABLE {t} (id Nullable(Int64), name Nullable(String), n Nullable(Int32), "
                   "amount Nullable(Decimal(12, 2)), day Nullable(Date32)) ENGINE = IcebergLocal('file://{folder}/')"],
        "append": [f"INSERT INTO {{t}} VALUES {tuples(FIRST, chr(39) + '{}' + chr(39))}"],
        "delete": ["ALTER TABLE {t} DELETE WHERE id = 2"],
        "upsert": ["ALTER TABLE {t} DELETE WHERE id IN (3, 6)",
                   f"INSERT INTO {{t}} VALUES {tuples(CHANGED, chr(39) + '{}' + chr(39))}"],
        "evolve": ["ALTER TABLE {t} ADD COLUMN note Nullable(String)", "ALTER TABLE {t} RENAME COLUMN name TO title",
                   "ALTER TABLE {t} MODIFY COLUMN n Nullable(Int64)"],
        "append again": [f"INSERT INTO {{t}} (id, title, n, amount, day, note) VALUES {tuples([LATE], chr(39) + '{}' + chr(39))}"],
    },
}


def arrow(rows, columns):
    import pyarrow as pa
    kinds = {"long": pa.int64(), "int": pa.int32(), "string": pa.string(), "decimal(12,2)": pa.decimal128(12, 2),
             "date": pa.date32()}
    schema = pa.schema([pa.field(name, kinds[kind], nullable=name != "id") for name, kind in columns])
    return pa.Table.from_pylist([dict(zip(schema.names, row)) for row in rows], schema=schema)


def pyiceberg_step(engine, step, name):
    from pyiceberg.expressions import EqualTo
    from pyiceberg.transforms import TruncateTransform
    from pyiceberg.types import LongType, StringType
    from tests.conformance.engines import NAMESPACE
    if step == "create":
        schema = arrow([], BEFORE).schema
        table = engine.catalog.create_table((NAMESPACE, name), schema)
        with table.update_schema() as update:
            update.set_identifier_fields("id")
        return
    table = engine.load(name)
    if step == "divide":
        with table.update_spec() as update:
            update.add_field("name", TruncateTransform(1), "name_start")
    elif step == "append":
        table.append(arrow(FIRST, BEFORE))
    elif step == "delete":
        table.delete(EqualTo("id", 2))
    elif step == "upsert":
        done = table.upsert(arrow(CHANGED, BEFORE), join_cols=["id"])
        assert (done.rows_updated, done.rows_inserted) == (1, 1)
    elif step == "evolve":
        with table.update_schema() as update:
            update.add_column("note", StringType())
            update.rename_column("name", "title")
            update.update_column("n", LongType())
    else:
        table.append(arrow([LATE], AFTER))


def step(engine, name, which):
    """Lets the client do one step with the table."""
    if engine.name == "pyiceberg":
        pyiceberg_step(engine, which, name)
        return
    for statement in SQL[engine.name][which]:
        engine.sql(statement.format(t=engine.table(name), folder=engine.tables / name))
