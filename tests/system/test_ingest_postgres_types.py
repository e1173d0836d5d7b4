"""Values of PostgreSQL in datasets: each type holds exactly what the server
says it holds, on every version that is here."""
import json
import struct

import pytest

from tests.support import postgres
from tests.system.test_ingest_postgres import ask, refuse


@pytest.fixture(params=list(postgres.VERSIONS))
def every_database(request):
    return postgres.shared(request.param).database()


@pytest.fixture
def database():
    return postgres.shared("18").database()


# declaration: (values as SQL, the type here, the SQL there and here whose texts must be equal)
SAME = "{c}::text"
PLAIN = {
    "bool": (["true", "false"], "BOOLEAN", SAME, "{c}::VARCHAR"),
    "smallint": (["-32768", "0", "32767"], "INTEGER", SAME, "{c}::VARCHAR"),
    "integer": (["-2147483648", "2147483647"], "INTEGER", SAME, "{c}::VARCHAR"),
    "bigint": (["-9223372036854775808", "9007199254740993", "9223372036854775807"], "BIGINT", SAME, "{c}::VARCHAR"),
    "oid": (["0", "4294967295"], "BIGINT", SAME, "{c}::VARCHAR"),
    "real": (["0.1", "-0", "1e-45", "3.4028235e38", "'NaN'", "'Infinity'", "'-Infinity'", "16777217"], "FLOAT",
             "encode(float4send({c}), 'hex')", None),
    "double precision": (["0.1", "1e-320", "1.7976931348623157e308", "'NaN'", "'-Infinity'", "9007199254740993"], "DOUBLE",
                         "encode(float8send({c}), 'hex')", None),
    "numeric(4,1)": (["-999.9", "0", "0.1"], "DECIMAL(4,1)", SAME, "{c}::VARCHAR"),
    "numeric(9,4)": (["12345.6789", "-0.0001"], "DECIMAL(9,4)", SAME, "{c}::VARCHAR"),
    "numeric(18,6)": (["999999999999.999999", "-1"], "DECIMAL(18,6)", SAME, "{c}::VARCHAR"),
    "numeric(38,10)": (["9999999999999999999999999999.9999999999", "-0.0000000001", "1e27"], "DECIMAL(38,10)", SAME, "{c}::VARCHAR"),
    "numeric(20)": (["99999999999999999999", "-5"], "DECIMAL(20,0)", SAME, "{c}::VARCHAR"),
    "text": (["''", "'x'", "E'tab\\tquote\"backslash\\\\'", "'Grüße 🐘'", "repeat('long ', 20000)"], "VARCHAR", SAME, "{c}"),
    "varchar(10)": (["'abc'"], "VARCHAR", SAME, "{c}"),
    "char(5)": (["'ab'"], "VARCHAR", "format('%s', {c})", "{c}"),
    "\"char\"": (["'x'"], "VARCHAR", SAME, "{c}"),
    "name": (["'pg_class'"], "VARCHAR", SAME, "{c}"),
    "bytea": (["''", "'\\x00ff10'", "decode(repeat('ab', 5000), 'hex')"], "BLOB", "upper(encode({c}, 'hex'))", "hex({c})"),
    "date": (["'2026-11-21'", "'0001-01-01'", "'9999-12-31'", "'20000-01-01'", "'infinity'", "'-infinity'"], "DATE", SAME, "{c}::VARCHAR"),
    "time": (["'00:00'", "'23:59:59.999999'", "'24:00:00'", "'12:00:00.5'"], "TIME", SAME, "{c}::VARCHAR"),
    "timetz": (["'10:00:00+02'", "'23:59:59.5-05:30'", "'00:00:00+00'", "'12:00:00+01:02:03'"], "VARCHAR", SAME, "{c}"),
    "timestamp": (["'2026-11-21 10:11:12.123456'", "'0001-01-01'", "'9999-12-31 23:59:59.999999'", "'infinity'", "'-infinity'"], "TIMESTAMP",
                  SAME, "{c}::VARCHAR"),
    "timestamptz": (["'2026-11-21 10:11:12.5+02'", "'1969-12-31 23:59:59.999999Z'", "'infinity'", "'-infinity'"], "TIMESTAMP WITH TIME ZONE",
                    SAME, "{c}::VARCHAR"),
    "interval": (["'1 year 2 mons 3 days 04:05:06.7'", "'0'", "'-1 day +02:00'", "'1 mon -3 days -00:00:00.000001'", "'-13 mons 5 days'",
                  "'200:00:00'", "'-00:30'"], "VARCHAR", SAME, "{c}"),
    "uuid": (["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'", "'00000000-0000-0000-0000-000000000000'"], "UUID",
             SAME, "{c}::VARCHAR"),
    "json": (["'{\"b\": 1,  \"a\": [null]}'", "'null'"], "VARCHAR", SAME, "{c}"),
    "jsonb": (["'{\"b\": 1,  \"a\": [null]}'", "'1e3'"], "VARCHAR", SAME, "{c}"),
    "inet": (["'10.0.0.1'", "'10.0.0.0/8'", "'::1'"], "VARCHAR", "host({c}) || CASE WHEN {c}::text LIKE '%/8' THEN '/8' ELSE '' END", "{c}"),
    "cidr": (["'10.0.0.0/8'"], "VARCHAR", SAME, "{c}"),
    "macaddr": (["'08:00:2b:01:02:03'"], "VARCHAR", SAME, "{c}"),
    "int4range": (["'[1,5)'", "'empty'"], "VARCHAR", SAME, "{c}"),
    "bit(5)": (["B'10101'"], "VARCHAR", SAME, "{c}"),
    "point": (["'(1.5,2)'"], "VARCHAR", SAME, "{c}"),
    "money": (["12.34"], "VARCHAR", SAME, "{c}"),
    "tsvector": (["'a fat cat'"], "VARCHAR", SAME, "{c}"),
    "mood": (["'sad'", "'so \"so\"'"], "VARCHAR", SAME, "{c}"),
    "positive": (["12.50"], "DECIMAL(8,2)", SAME, "{c}::VARCHAR"),
}
SETUP = """CREATE TYPE mood AS ENUM ('sad', 'so "so"'); CREATE DOMAIN positive AS numeric(8,2) CHECK (VALUE > 0);
SET datestyle = 'ISO'; SET timezone = 'UTC'; SET intervalstyle = 'postgres'; SET extra_float_digits = 3;
"""


def test_each_type_is_exact(server, every_database):
    """One row for each value, one column for each type; NULL everywhere else."""
    database = every_database
    names = {declared: f"c{i}" for i, declared in enumerate(PLAIN)}
    columns = ", ".join(f"{name} {declared}" for declared, name in names.items())
    inserts, number = [], 0
    for declared, (values, *_) in PLAIN.items():
        for value in values:
            number += 1
            inserts.append(f"INSERT INTO t (id, {names[declared]}) VALUES ({number}, {value});")
    database.run(f"{SETUP} CREATE TABLE t (id int PRIMARY KEY, {columns});" + "\n".join(inserts))
    answer = ask(server, database.url, tables=["t"])
    types = {column["name"]: column["type"] for column in answer["schema"]}
    for declared, (values, wanted, there, here) in PLAIN.items():
        name = names[declared]
        assert types[name] == wanted, declared
        rows = server.sql(f"SELECT id, {(here or '{c}').format(c=name)} AS v FROM t WHERE {name} IS NOT NULL ORDER BY id")
        text = database.run(SETUP[SETUP.index("SET "):] + f"COPY (SELECT {there.format(c=name)} FROM t WHERE {name} IS NOT NULL ORDER BY id) TO STDOUT;")
        expected = [unescape(line) for line in text.split("\n")[:-1]]
        got = [row["v"] if here else floats(row["v"], declared) for row in rows]
        assert got == expected, f"{declared}: {got} is not {expected}"
        assert len(rows) == len(values), declared
    warned = " ".join(answer["warnings"])
    for declared in ("int4range", "bit", "point", "money", "tsvector"):
        assert f"type {declared} comes as text" in warned, warned
    assert "inet" not in warned and "mood" not in warned


def unescape(text):
    return text.replace("\\\\", "\0").replace("\\t", "\t").replace("\\n", "\n").replace("\0", "\\")


def floats(value, declared):
    """The bytes of a float, as the server would send them."""
    value = float(value)
    return struct.pack(">f" if declared == "real" else ">d", value).hex()


ARRAYS = {
    "int[]": ("'{1,NULL,-3}'", "INTEGER[]", [1, None, -3]),
    "bigint[]": ("'{9223372036854775807}'", "BIGINT[]", ["9223372036854775807"]),
    "bool[]": ("'{t,f,NULL}'", "BOOLEAN[]", [True, False, None]),
    "text[]": ("ARRAY['a', NULL, 'b\"c', 'NULL', '', 'Ü']", "VARCHAR[]", ["a", None, 'b"c', "NULL", "", "Ü"]),
    "real[]": ("'{0.1,NaN}'", "FLOAT[]", [0.1, "NaN"]),
    "float8[]": ("'{0.1,Infinity}'", "DOUBLE[]", [0.1, "Infinity"]),
    "numeric(10,2)[]": ("'{12345678.90,-0.01}'", "DECIMAL(10,2)[]", [12345678.90, -0.01]),
    "numeric[]": ("'{1.10,123456789012345678901234567890.5}'", "VARCHAR[]", ["1.10", "123456789012345678901234567890.5"]),
    "date[]": ("'{2026-11-21,infinity}'", "DATE[]", ["2026-11-21", "infinity"]),
    "timestamptz[]": ("'{2026-11-21 10:00:00.5+02}'", "TIMESTAMP WITH TIME ZONE[]", ["2026-11-21T08:00:00.5Z"]),
    "uuid[]": ("'{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'", "UUID[]", ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]),
    "mood[]": ("'{sad}'", "VARCHAR[]", ["sad"]),
    "jsonb[]": ("ARRAY['{\"a\": 1}'::jsonb]", "VARCHAR[]", ['{"a": 1}']),
    "bytea[]": ("ARRAY['\\x00ff'::bytea]", "VARCHAR[]", ["\\x00ff"]),
    "int[][]": ("'{{1,2},{3,NULL}}'", "INTEGER[][]", [[1, 2], [3, None]]),
    "text[][][]": ("'{{{a},{b}}}'", "VARCHAR[][][]", [[["a"], ["b"]]]),
    "vector(3)": ("'[1,-2.5,0.1]'", "FLOAT[]", [1, -2.5, 0.1]),
}


def test_arrays_and_vectors(server, every_database):
    database, arrays = every_database, dict(ARRAYS)
    if database.server.version != "16.2": # pgvector 0.6 has none
        arrays["halfvec(2)"] = ("'[0.5,-3]'", "FLOAT[]", [0.5, -3])
        arrays["sparsevec(5)"] = ("'{1:1.5,3:2}/5'", "VARCHAR", "{1:1.5,3:2}/5")
    columns = ", ".join(f"c{i} {declared}" for i, declared in enumerate(arrays))
    values = ", ".join(value for value, _, _ in arrays.values())
    database.run(f"{SETUP} CREATE TABLE t (id int PRIMARY KEY, {columns}, e int[], n int[]); INSERT INTO t VALUES (1, {values}, '{{}}', NULL)")
    answer = ask(server, database.url, tables=["t"])
    row = list(server.sql("SELECT * FROM t")[0].values())[1:]
    for (declared, (_, wanted, expected)), column, got in zip(arrays.items(), answer["schema"][1:], row):
        assert (column["type"], got) == (wanted, expected), declared
    assert row[-2:] == [[], None]


def test_arrays_of_different_depths_come_as_json(server, database):
    database.run("CREATE TABLE t (id int PRIMARY KEY, a int[]); INSERT INTO t VALUES (1, '{1,2}'), (2, '{{1},{2}}'), (3, '{}')")
    answer = ask(server, database.url, tables=["t"])
    assert answer["schema"][1]["type"] == "VARCHAR" and "dimensions" in answer["warnings"][0]
    assert [row["a"] for row in server.sql("SELECT a FROM t ORDER BY id")] == ["[1,2]", "[[1],[2]]", "[]"]


def test_numeric_without_a_scale(server, database):
    database.run("""CREATE TABLE t (id int PRIMARY KEY, small numeric, big numeric, odd numeric, none numeric);
        INSERT INTO t VALUES (1, 1.5, 1e40, 'NaN', NULL), (2, -0.12345, 0.5, 1, NULL), (3, 99999999999999999999999999999999, 1, 2.5, NULL)""")
    answer = ask(server, database.url, tables=["t"])
    assert [c["type"] for c in answer["schema"]][1:] == ["DECIMAL(38,5)", "VARCHAR", "VARCHAR", "DECIMAL(38,0)"]
    assert "38 digits" in answer["warnings"][0] and "NaN" in answer["warnings"][1]
    for row in server.sql("SELECT id, small::DECIMAL(38,5)::VARCHAR AS s, big, odd FROM t"):
        there = database.sql(f"SELECT round(small, 5) AS s, big, odd FROM t WHERE id = {row['id']}")[0]
        assert (row["s"], row["big"], row["odd"]) == (there["s"], there["big"], there["odd"])
    for told, kind in (("double", "DOUBLE"), ("text", "VARCHAR")):
        answer = ask(server, database.url, tables=["t"], dataset="as_told", numeric=told, mode="replace")
        assert [c["type"] for c in answer["schema"]][1:] == [kind] * 4
    assert server.sql("SELECT odd AS o FROM as_told ORDER BY id") == [{"o": "NaN"}, {"o": "1"}, {"o": "2.5"}]
    problem = refuse(server, database.url, "refused", tables=["t"], dataset="told", numeric="30,10")
    assert '"big" of row 1' in problem["detail"] and "digits" in problem["detail"]


def test_more_digits_than_the_dataset_holds(server, database):
    """A scale that was measured once is kept; what does not fit is named, and nothing comes."""
    database.run("CREATE TABLE t (id int PRIMARY KEY, n numeric); INSERT INTO t VALUES (1, 1.25)")
    ask(server, database.url, tables=["t"], mode="upsert")
    database.run("INSERT INTO t VALUES (2, 1.5)")
    assert ask(server, database.url, tables=["t"], mode="upsert")["inserted"] == 1
    database.run("INSERT INTO t VALUES (3, 1.123456)")
    answer = ask(server, database.url, check=False, tables=["t"], mode="upsert")
    assert answer.status_code == 422 and "n" in answer.json()["detail"], answer.text
    assert server.sql("SELECT count(*) AS n FROM t") == [{"n": 2}]


def test_nan_in_a_decimal_is_named(server, database):
    database.run("CREATE TABLE t (id int, n numeric(10,2)); INSERT INTO t VALUES (1, 1), (2, 'NaN')")
    problem = refuse(server, database.url, "refused", tables=["t"])
    assert '"n" of row 2' in problem["detail"] and "NaN" in problem["detail"]


def test_moments_that_a_lake_cannot_hold(server, database):
    database.run("CREATE TABLE t (at timestamp); INSERT INTO t VALUES ('294270-01-01')")
    assert "beyond" in refuse(server, database.url, "refused", tables=["t"])["detail"]
    database.run("CREATE TABLE b (d date, at timestamp); INSERT INTO b VALUES ('0044-03-15 BC', '0044-03-15 12:00 BC')")
    ask(server, database.url, tables=["b"])
    row = server.sql("SELECT d::VARCHAR AS d, \"at\"::VARCHAR AS t FROM b")[0]
    assert row == {"d": "0044-03-15 (BC)", "t": "0044-03-15 (BC) 12:00:00"}


def test_text_that_is_not_utf8(server):
    """A SQL_ASCII database gives any bytes away."""
    database = postgres.shared("16")
    database.admin().run("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'")
    there = postgres.Database(database, "ascii")
    there.run("SET client_encoding = 'SQL_ASCII'; CREATE TABLE t (a text); INSERT INTO t VALUES (E'\\xe4\\xf6')")
    answer = ask(server, there.url, check=False, tables=["t"])
    assert answer.status_code == 422 and "UTF" in answer.text, answer.text


def test_wide_rows_within_bounds(server, database):
    database.run("CREATE TABLE wide (id int PRIMARY KEY, a text, b bytea); "
                 "INSERT INTO wide SELECT i, repeat(chr(65 + i % 26), 3000000), decode(repeat('0f', 1000000), 'hex') FROM generate_series(1, 6) i")
    ask(server, database.url, tables=["wide"])
    assert server.sql("SELECT sum(length(a)) AS a, sum(octet_length(b)) AS b FROM wide") == [{"a": 18000000, "b": 6000000}]


def test_many_columns(server, database):
    names = ", ".join(f"c{i} int DEFAULT {i}" for i in range(300))
    database.run(f"CREATE TABLE many ({names}); INSERT INTO many DEFAULT VALUES; INSERT INTO many DEFAULT VALUES")
    assert len(ask(server, database.url, tables=["many"])["schema"]) == 300
    assert json.dumps(server.sql("SELECT c0, c150, c299 FROM many LIMIT 1")) == '[{"c0": 0, "c150": 150, "c299": 299}]'
