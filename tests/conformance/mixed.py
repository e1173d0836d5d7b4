"""Rounds of random operations by several writers on one table, with a model
that knows the right answer.

A round is one operation by one writer, then one reader, chosen anew, must have
exactly the model's rows; every tenth round all of them must. The seed stands
in each message: TARN_CONFORMANCE_SEED=N plays the same rounds again, and
TARN_CONFORMANCE_ROUNDS=N more or fewer of them.
"""
import json
import random
from decimal import Decimal

from tests.conformance import engines, kinds, suite, values

COLUMNS = [("id", "long"), ("name", "string"), ("n", "long"), ("amount", "decimal(12,2)")]
TABLE = "mixed"


def arrow(rows):
    """As PyIceberg wants them: the key's column is required in the table."""
    import pyarrow as pa
    made = kinds.arrow(COLUMNS, rows)
    return made.cast(pa.schema([field.with_nullable(field.name != "id") for field in made.schema]))


class Rows:
    """What each writer can do to the table, in its own way."""

    def __init__(self, lake):
        self.lake = lake


class ByPyIceberg(Rows):
    name = "pyiceberg"

    def insert(self, rows):
        self.lake.client("pyiceberg").load(TABLE).append(arrow(rows))

    def upsert(self, rows):
        self.lake.client("pyiceberg").load(TABLE).upsert(arrow(rows), join_cols=["id"])

    def delete(self, ids):
        from pyiceberg.expressions import In
        self.lake.client("pyiceberg").load(TABLE).delete(In("id", ids))


class ByDuckDB(Rows):
    name = "duckdb"

    def run(self, text):
        client = self.lake.client("duckdb")
        client.sql(text.format(t=client.table(TABLE)))

    @staticmethod
    def listed(rows):
        return ", ".join("(" + ", ".join(literal(value) for value in row) + ")" for row in rows)

    def insert(self, rows):
        self.run(f"INSERT INTO {{t}} VALUES {self.listed(rows)}")

    def upsert(self, rows):
        self.run(f"MERGE INTO {{t}} t USING (SELECT id::BIGINT AS id, name::VARCHAR AS name, n::BIGINT AS n, "
                 f"amount::DECIMAL(12,2) AS amount FROM (VALUES {self.listed(rows)}) v(id, name, n, amount)) u "
                 "ON t.id = u.id WHEN MATCHED THEN UPDATE SET name = u.name, n = u.n, amount = u.amount "
                 "WHEN NOT MATCHED THEN INSERT VALUES (u.id, u.name, u.n, u.amount)")

    def delete(self, ids):
        self.run(f"DELETE FROM {{t}} WHERE id IN ({', '.join(map(str, ids))})")


class ByTarn(Rows):
    """The row API, and compaction now and then."""

    name = "tarn"

    def request(self, method, path, **options):
        answer = self.lake.server.request(method, f"/datasets/{TABLE}{path}", **options)
        assert answer.status_code in (200, 202), f"{method} {path}: {answer.text}"
        return answer

    @staticmethod
    def documents(rows):
        names = [name for name, _ in COLUMNS]
        return [{name: str(value) if isinstance(value, Decimal) else value for name, value in zip(names, row)}
                for row in rows]

    def insert(self, rows):
        self.request("POST", "/rows", json=self.documents(rows))

    def upsert(self, rows):
        self.request("PUT", "/rows", json=self.documents(rows))

    def delete(self, ids):
        self.request("POST", "/delete", json={"where": f"id IN ({', '.join(map(str, ids))})"})

    def compact(self, _):
        suite.compact(self.lake, TABLE)


def literal(value):
    if value is None:
        return "NULL"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)


def new_row(dice, key):
    name = dice.choice([None, "", "ünï", "it's", "x" * 40]) if dice.random() < 0.3 else f"name {dice.randrange(1000)}"
    amount = None if dice.random() < 0.2 else Decimal(dice.randrange(-10**6, 10**6)) / 100
    return (key, name, None if dice.random() < 0.1 else dice.randrange(-(2**40), 2**40), amount)


def choose(dice, model, names):
    """An operation, its writer, and what it is about; the model is changed."""
    writer = dice.choice(names)
    word = dice.choices(["insert", "upsert", "delete", "compact"], [4, 5, 3 if len(model) > 20 else 1, 1])[0]
    if word == "compact" and writer != "tarn":
        word = "upsert"
    if word == "compact":
        return writer, word, None
    if word == "delete":
        doomed = sorted(dice.sample(sorted(model), min(len(model), dice.randrange(1, 9)))) or [0]
        for key in doomed:
            model.pop(key, None)
        return writer, word, doomed
    # There is always a row to insert, also when the first 400 keys are taken.
    unused = [key for key in range(1, 401) if key not in model]
    fresh = dice.sample(unused, min(len(unused), dice.randrange(1, 9))) or [max(model) + 1]
    known = dice.sample(sorted(model), min(len(model), dice.randrange(1, 7))) if word == "upsert" else []
    rows = [new_row(dice, key) for key in sorted({*fresh, *known})]
    model.update({row[0]: row for row in rows})
    return writer, word, rows


def lost_a_race(error):
    """Tarn's own compaction may have been first: the client was refused, and knows it."""
    told = f"{type(error).__name__} {error}"
    return any(word in told for word in ("CommitFailedException", "ValidationException", "Conflict_409"))


def attempt(writer, word, what, story):
    for tries in range(5):
        try:
            getattr(writer, word)(what)
            return
        except Exception as error:
            if tries == 4 or not lost_a_race(error):
                raise AssertionError(f"{story}\n{error}") from error


def run(lake, seed, rounds, readers):
    dice, model = random.Random(seed), {}
    writers = {writer.name: writer for writer in (ByPyIceberg(lake), ByDuckDB(lake), ByTarn(lake))}
    client = lake.client("pyiceberg")
    client.catalog.create_table((engines.NAMESPACE, TABLE), arrow([]).schema)
    model[1] = new_row(dice, 1)
    writers["tarn"].request("PUT", "/rows", params={"key": "id"}, json=ByTarn.documents(model.values()))
    for number in range(1, rounds + 1):
        writer, word, what = choose(dice, model, sorted(writers))
        story = f"seed {seed}, round {number}: {writer} {word} {json.dumps(what, default=str)}"
        attempt(writers[writer], word, what, story)
        want = values.normal_rows(COLUMNS, model.values())
        chosen = readers if number % 10 == 0 else [dice.choice(readers)]
        for reader in chosen:
            got = lake.client(reader).rows(TABLE, COLUMNS)
            assert got == want, (f"{story}\nread by {reader}: too many {[row for row in got if row not in want]}, "
                                 f"lacking {[row for row in want if row not in got]}")
    return len(model)
