"""A table of every type that Iceberg v2 has, and one for each partition transform.

PyIceberg writes them, because it can write all of them; Spark and Trino write
what they can, and everybody reads everything.
"""
import datetime as dt
import re
import uuid
from decimal import Decimal

from tests.conformance import values

UTC = dt.timezone.utc
COLUMNS = [
    ("id", "long"), ("flag", "boolean"), ("small", "int"), ("real", "float"), ("wide", "double"),
    ("money", "decimal(9,2)"), ("huge", "decimal(38,10)"), ("day", "date"), ("clock", "time"),
    ("moment", "timestamp"), ("instant", "timestamptz"), ("words", "string"), ("key", "uuid"),
    ("code", "fixed[4]"), ("blob", "binary"), ("numbers", ("list", "long")),
    ("point", ("struct", {"x": "double", "label": "string", "deep": ("struct", {"z": "decimal(38,0)"})})),
    ("tags", ("map", "string", "long")),
    ("lines", ("list", ("struct", {"sku": "string", "prices": ("list", "decimal(9,2)")}))),
    ("days", ("map", "string", ("list", "date"))),
]
ROWS = [
    (1, True, 2**31 - 1, 0.5, 0.1, Decimal("12.34"), Decimal("1234567890123456789012345678.0123456789"),
     dt.date(2024, 2, 29), dt.time(23, 59, 59, 999999), dt.datetime(2024, 2, 29, 1, 2, 3, 4),
     dt.datetime(2024, 2, 29, 1, 2, 3, 4, UTC), "grüße", uuid.UUID("01234567-89ab-cdef-8123-456789abcdef"),
     b"\x00\x01\xfe\xff", b"\x00\xff", [1, None, 3],
     {"x": 1.5, "label": "a", "deep": {"z": Decimal(10**37)}}, {"a": 1, "b": None},
     [{"sku": "s", "prices": [Decimal("1.10"), None]}, {"sku": None, "prices": []}],
     {"k": [dt.date(2024, 1, 1)], "l": []}),
    (2, False, -(2**31), -0.0, 1e300, Decimal("-0.01"), Decimal("-0.0000000001"), dt.date(1969, 12, 31), dt.time(0),
     dt.datetime(1900, 1, 1), dt.datetime(1970, 1, 1, tzinfo=UTC), "", uuid.UUID(int=0), b"\x00\x00\x00\x00", b"",
     [], {"x": None, "label": "", "deep": None}, {}, [], {}),
    # PyIceberg 0.12 writes a NULL list of structs as an empty one, so "lines" is empty.
    (3, *([None] * 17), [], None),
]


def arrow_type(kind):
    import pyarrow as pa
    if isinstance(kind, tuple):
        if kind[0] == "list":
            return pa.list_(pa.field("element", arrow_type(kind[1])))
        if kind[0] == "map":
            return pa.map_(arrow_type(kind[1]), arrow_type(kind[2]))
        return pa.struct([(name, arrow_type(inner)) for name, inner in kind[1].items()])
    if kind.startswith("decimal"):
        precision, scale = kind[8:-1].split(",")
        return pa.decimal128(int(precision), int(scale))
    if kind.startswith("fixed"):
        return pa.binary(int(kind[6:-1]))
    return {"long": pa.int64(), "int": pa.int32(), "boolean": pa.bool_(), "float": pa.float32(), "double": pa.float64(),
            "date": pa.date32(), "time": pa.time64("us"), "timestamp": pa.timestamp("us"),
            "timestamptz": pa.timestamp("us", "UTC"), "string": pa.string(), "uuid": pa.uuid(),
            "binary": pa.binary()}[kind]


def arrow(columns, rows):
    import pyarrow as pa
    arrays = []
    for place, (_, kind) in enumerate(columns):
        column = [row[place] for row in rows]
        if kind == "uuid":
            storage = pa.array([None if value is None else value.bytes for value in column], pa.binary(16))
            arrays.append(pa.ExtensionArray.from_storage(pa.uuid(), storage))
        else:
            arrays.append(pa.array(column, arrow_type(kind)))
    return pa.table(arrays, names=[name for name, _ in columns])


def write(engine, name, columns=COLUMNS, rows=ROWS):
    """PyIceberg makes a table of all types with these rows."""
    from tests.conformance.engines import NAMESPACE
    table = engine.catalog.create_table((NAMESPACE, name), arrow(columns, rows).schema)
    table.append(arrow(columns, rows))
    return values.normal_rows(columns, rows)


SPREAD = [("id", "long"), ("word", "string"), ("day", "date"), ("moment", "timestamp"), ("instant", "timestamptz"),
          ("n", "int"), ("money", "decimal(9,2)"), ("blob", "binary")]
START = dt.datetime(2023, 12, 30, 22, 30)
SPREAD_ROWS = [
    (place, ["ada", "bob", "éve", "", None][place % 5], (START + dt.timedelta(hours=11 * place)).date(),
     START + dt.timedelta(hours=11 * place), (START + dt.timedelta(hours=11 * place)).replace(tzinfo=UTC),
     place * 7 - 20, Decimal(place * 111 - 300) / 100, bytes([place, 255 - place]))
    for place in range(12)] + [(99, *([None] * 7))]
# What is held against the partitions: a condition in Tarn's SQL, and the rows it holds for.
TRANSFORMS = {
    "identity": ("word", "word = 'ada'", lambda row: row[1] == "ada"),
    "identity of money": ("money", "money = 0.33", lambda row: row[6] == Decimal("0.33")),
    "identity of day": ("day", "day = DATE '2024-01-01'", lambda row: row[2] == dt.date(2024, 1, 1)),
    "bucket[4]": ("id", "id = 5", lambda row: row[0] == 5),
    "bucket[8]": ("word", "word = 'éve'", lambda row: row[1] == "éve"),
    "truncate[10]": ("n", "n >= -6 AND n < 9", lambda row: row[5] is not None and -6 <= row[5] < 9),
    "truncate[1]": ("word", "word = 'éve'", lambda row: row[1] == "éve"),
    "year": ("day", "day >= DATE '2024-01-01'", lambda row: row[2] is not None and row[2] >= dt.date(2024, 1, 1)),
    "month": ("moment", "moment < TIMESTAMP '2024-01-01 00:00:00'",
              lambda row: row[3] is not None and row[3] < dt.datetime(2024, 1, 1)),
    "day": ("instant", "instant >= TIMESTAMP '2024-01-02 00:00:00'",
            lambda row: row[4] is not None and row[4] >= dt.datetime(2024, 1, 2, tzinfo=UTC)),
    "hour": ("moment", "moment = TIMESTAMP '2023-12-31 09:30:00'",
             lambda row: row[3] == dt.datetime(2023, 12, 31, 9, 30)),
    "void": ("word", "word = 'bob'", lambda row: row[1] == "bob"),
}


def pyiceberg_filter(condition):
    """The same condition in PyIceberg's own words."""
    zone = "+00:00" if condition.startswith("instant") else ""
    text = re.sub(r"TIMESTAMP '(\S+) (\S+)'", rf"'\1T\2{zone}'", condition)
    return re.sub(r"DATE ('\S+')", r"\1", text)


def write_spread(engine, name, transform):
    """A table partitioned by one transform, written by PyIceberg in two appends."""
    from pyiceberg.transforms import parse_transform
    from tests.conformance.engines import NAMESPACE
    made = arrow(SPREAD, SPREAD_ROWS)
    table = engine.catalog.create_table((NAMESPACE, name), made.schema)
    with table.update_spec() as update:
        update.add_field(TRANSFORMS[transform][0], parse_transform(transform.split(" ")[0]), "part")
    table.append(made.slice(0, 7))
    table.append(made.slice(7))
    return values.normal_rows(SPREAD, SPREAD_ROWS)
