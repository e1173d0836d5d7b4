"""PyIceberg in a process of its own, for tests that run without it: one line of
JSON asks, one answers (tests/support/peer.py).
"""
import json
import sys

import pyarrow as pa
import pyarrow.compute as pc
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, TableAlreadyExistsError
from pyiceberg.expressions import EqualTo
from pyiceberg.schema import Schema
from pyiceberg.types import LongType, NestedField, StringType

SPACE = "default"
SCHEMA = Schema(NestedField(1, "id", StringType(), required=True), NestedField(2, "batch", LongType(), required=False),
                identifier_field_ids=[1])


def rows_of(table, batch, count):
    return pa.table({"id": [f"{batch}-{i}" for i in range(count)], "batch": [batch] * count},
                    schema=table.schema().as_arrow())


def make(catalog, table):
    try:
        catalog.create_table((SPACE, table), SCHEMA)
    except TableAlreadyExistsError:
        pass # from before a crash


def append(catalog, table, batch, count):
    loaded = catalog.load_table((SPACE, table))
    loaded.append(rows_of(loaded, batch, count))


def delete(catalog, table, old):
    catalog.load_table((SPACE, table)).delete(EqualTo("batch", old))


def overwrite(catalog, table, old, batch, count):
    loaded = catalog.load_table((SPACE, table))
    loaded.overwrite(rows_of(loaded, batch, count), overwrite_filter=EqualTo("batch", old))


def figure_of(column):
    """A number that changes when a value does, and that SQL can tell too."""
    if pa.types.is_integer(column.type):
        return pc.sum(column).as_py() or 0
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return pc.sum(pc.utf8_length(column)).as_py() or 0
    return None


def read(catalog):
    """{table: [rows, {column: figure}]} of all there is."""
    found = {}
    for space, name in catalog.list_tables(SPACE):
        try:
            rows = catalog.load_table((space, name)).scan().to_arrow()
        except NoSuchTableError:
            continue
        figures = {column: figure_of(rows.column(column)) for column in rows.column_names}
        found[name] = [rows.num_rows, {column: value for column, value in figures.items() if value is not None}]
    return found


DOES = {function.__name__: function for function in (make, append, delete, overwrite, read)}


def answer(uri, token, do, **options):
    try:
        catalog = load_catalog("peer", type="rest", uri=uri, token=token, warehouse="tarn")
        return {"done": DOES[do](catalog, **options)}
    except CommitFailedException as error:
        return {"conflict": str(error)}
    except Exception as error: # whatever it is, the test judges
        return {"error": f"{type(error).__name__}: {error}"}


for line in sys.stdin:
    print(json.dumps(answer(**json.loads(line))), flush=True)
