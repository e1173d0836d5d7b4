"""Messy files through the real binary: formats, encodings, types, names,
rejects and repetition, as a user meets them."""
import gzip
import json
from concurrent.futures import ThreadPoolExecutor

import pytest


def ingest(server, dataset, body, status=200, **options):
    if isinstance(body, str):
        body = body.encode()
    answer = server.post("/ingest/file", params={"dataset": dataset, **options}, data=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def types(answer):
    return {column["name"]: column["type"] for column in answer["schema"]}


def column(server, dataset, name):
    return [row["v"] for row in server.sql(f'select "{name}" as v from {dataset}')]


# One column, its values, the type they get, and what comes out (None: as typed).
COLUMNS = [
    ("integers", ["1", "-7", "0"], "BIGINT", [1, -7, 0]),
    ("zip codes", ["02134", "90210"], "VARCHAR", None),
    ("agent numbers", ["007", "008"], "VARCHAR", None),
    ("long ids", ["12345678901234567890", "1"], "VARCHAR", None),
    ("phones", ["+15551234567", "(555) 123-4567"], "VARCHAR", None),
    ("versions", ["1.2.3", "1.2.4"], "VARCHAR", None),
    ("decimals", ["1.5", "2", "-0.25"], "DOUBLE", [1.5, 2.0, -0.25]),
    ("thousands", ["1,234", "5,678"], "VARCHAR", None),
    ("percent", ["12%", "7%"], "VARCHAR", None),
    ("booleans", ["true", "FALSE"], "BOOLEAN", [True, False]),
    ("yes and no", ["yes", "no"], "BOOLEAN", [True, False]),
    ("Norway", ["NO", "NO"], "VARCHAR", None),
    ("iso dates", ["2024-01-31", "1999-12-31"], "DATE", None),
    ("day first", ["03/04/2024", "25/12/2024"], "DATE", ["2024-04-03", "2024-12-25"]),
    ("month first", ["03/04/2024", "12/25/2024"], "DATE", ["2024-03-04", "2024-12-25"]),
    ("either", ["03/04/2024", "05/06/2024"], "VARCHAR", None),
    ("both", ["25/12/2024", "12/25/2024"], "VARCHAR", None),
    ("no such day", ["2024-02-30", "2024-01-01"], "VARCHAR", None),
    ("mixed", ["1", "two"], "VARCHAR", None),
    ("numbers and nothing", ["1", "NA", "N/A", "null", "\\N", ""], "BIGINT", [1, None, None, None, None, None]),
    ("countries", ["DE", "NA", ""], "VARCHAR", ["DE", "NA", None]),
]


@pytest.mark.parametrize("values,kind,want", [c[1:] for c in COLUMNS], ids=[c[0] for c in COLUMNS])
def test_types(server, values, kind, want):
    lines = ["n,v"] + [f'{n},"{v}"' if "," in v else f"{n},{v}" for n, v in enumerate(values)]
    answer = ingest(server, "t", "\n".join(lines) + "\n")
    assert types(answer)["v"] == kind
    got = [row["v"] for row in server.sql("select v from t order by n")]
    assert got == (values if want is None else want)


def test_the_odd_value_of_a_mixed_column_is_named(server):
    body = "id,amount\n" + "".join(f"{n},{n}\n" for n in range(50)) + "50,abc\n"
    warning, = ingest(server, "m", body)["warnings"]
    assert '"amount"' in warning and "line 52" in warning and '"abc"' in warning


def test_ambiguous_dates_come_with_a_hint(server):
    answer = ingest(server, "d", "hired\n03/04/2024\n05/06/2024\n")
    assert "types=hired:date:%d/%m/%Y" in answer["warnings"][0]
    assert types(ingest(server, "d2", "hired\n03/04/2024\n", types="hired:date:%d/%m/%Y")) == {"hired": "DATE"}
    assert column(server, "d2", "hired") == ["2024-04-03"]


TEXT = "name,city\nJos\u00e9,K\u00f6ln\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
def test_encodings(server, encoding):
    answer = ingest(server, "e", TEXT.encode(encoding))
    assert types(answer) == {"name": "VARCHAR", "city": "VARCHAR"}
    assert server.sql("select * from e") == [{"name": "Jos\u00e9", "city": "K\u00f6ln"}]


def test_a_late_byte_makes_the_whole_file_windows_1252(server):
    body = b"id,name\n" + b"".join(b"%d,abcdefghij\n" % n for n in range(200000)) + "200000,\u20ac5\n".encode("cp1252")
    assert "Windows-1252" in ingest(server, "late", body)["warnings"][0]
    assert server.sql("select name from late where id = 200000") == [{"name": "\u20ac5"}]
    assert server.sql("select count(*) as n from late") == [{"n": 200001}]


def test_invalid_utf8_that_was_said_to_be_utf8(server):
    problem = ingest(server, "x", TEXT.encode("latin-1"), 422, encoding="utf-8")
    assert problem["code"] == "unreadable_file" and "line 2" in problem["detail"]


SHAPES = [
    ("quoted line break", 'a,b\n"x\ny",2\n', [["x\ny", 2]]),
    ("doubled quotes", 'a,b\n"say ""hi""",2\n', [['say "hi"', 2]]),
    ("short line", "a,b\n1,2\n3\n", [[1, 2], [3, None]]),
    ("trailing delimiters", "a,b,\n1,2,\n3,4,\n", [[1, 2], [3, 4]]),
    ("title", "Report of March\na,b,c\n1,2,3\n", [[1, 2, 3]]),
    ("no header", "1,x\n2,y\n", [[1, "x"], [2, "y"]]),
    ("tab", "a\tb\n1\tx, y\n", [[1, "x, y"]]),
    ("semicolon", "a;b\n1,5;x\n", [["1,5", "x"]]),
    ("crlf", "a,b\r\n1,x\r\n", [[1, "x"]]),
    ("quoted empty is text", 'a,b\n1,""\n2,\n', [[1, ""], [2, None]]),
    ("only a header", "a,b,c\n", []),
]


@pytest.mark.parametrize("body,rows", [s[1:] for s in SHAPES], ids=[s[0] for s in SHAPES])
def test_shapes(server, body, rows):
    ingest(server, "s", body)
    got = [list(row.values()) for row in server.sql("select * from s")]
    assert got == rows


def test_empty_file(server):
    assert ingest(server, "none", b"", 422)["code"] == "unreadable_file"


def test_names(server):
    header = ["id", "id", "", "x" * 300, "\U0001F389", "2019", "First Name"]
    answer = ingest(server, "n", ",".join(header) + "\n1,2,3,4,5,6,b\n")
    names = [c["name"] for c in answer["schema"]]
    assert names[:3] == ["id", "id_2", "column_3"] and names[4:] == ["column_5", "_2019", "First_Name"]
    assert len(set(names)) == 7 and all(len(name) <= 63 for name in names)
    assert [c["original_name"] for c in answer["schema"]][6] == "First Name"
    noted = server.get("/catalog/datasets/n").json()["schema"]
    assert [c["original_name"] for c in noted][6] == "First Name"


def test_json(server):
    records = [{"id": 1, "address": {"city": "Bonn", "geo": {"lat": 1.5}}, "tags": ["a", 'b "q"'], "n": [1, 2],
                "mix": [1, "a"], "s": "1", "big": 2 ** 70},
               {"id": 2, "tags": [], "seen": "2024-01-01T10:00:00Z", "big": 1}]
    want = {"id": "BIGINT", "address.city": "VARCHAR", "address.geo.lat": "DOUBLE", "tags": "VARCHAR[]",
            "n": "BIGINT[]", "mix": "VARCHAR", "s": "VARCHAR", "big": "VARCHAR", "seen": "TIMESTAMP WITH TIME ZONE"}
    for name, text in (("in_array", json.dumps(records)), ("in_lines", "\n".join(map(json.dumps, records))),
                       ("indented", json.dumps(records, indent=2))):
        assert types(ingest(server, name, text)) == want
        first, second = server.sql(f"select * from {name} order by id")
        assert first["tags"] == ["a", 'b "q"'] and first["n"] == [1, 2] and first["address.city"] == "Bonn"
        assert json.loads(first["mix"]) == [1, "a"] and first["big"] == str(2 ** 70)
        assert second["tags"] == [] and second["address.city"] is None


@pytest.mark.parametrize("pack", [gzip.compress, lambda b: gzip.compress(b[:6]) + gzip.compress(b[6:])])
def test_gzip(server, pack):
    ingest(server, "g", pack(b"a,b\n1,2\n"))
    assert server.sql("select * from g") == [{"a": 1, "b": 2}]


def test_cut_off_archives_are_refused(server):
    problem = ingest(server, "g", gzip.compress(b"a,b\n1,2\n" * 100)[:-9], 422)
    assert problem["code"] == "unreadable_file" and "ends too early" in problem["detail"]


def test_parquet(server):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table({"id": pyarrow.array([1, 2], pyarrow.int8()), "Full Name": ["a", None],
                                       "tags": [["x"], []]}), sink)
    answer = ingest(server, "p", sink.getvalue().to_pybytes())
    assert types(answer) == {"id": "INTEGER", "Full_Name": "VARCHAR", "tags": "VARCHAR[]"}
    assert server.sql("select * from p order by id")[0] == {"id": 1, "Full_Name": "a", "tags": ["x"]}


PEOPLE = "id,name\n1,a\n2,b\n"


def test_repetition(server):
    first, again = ingest(server, "p", PEOPLE), ingest(server, "p", PEOPLE)
    assert (first["status"], again["status"]) == ("ingested", "unchanged")
    assert again["snapshot_id"] == first["snapshot_id"] and again["rows"] == 2
    assert ingest(server, "p", PEOPLE, mode="replace")["status"] == "unchanged"
    assert ingest(server, "p", PEOPLE, types="id:text", mode="replace")["status"] == "ingested"
    assert server.sql("select id from p order by 1") == [{"id": "1"}, {"id": "2"}]


def test_two_clients_with_the_same_bytes(server):
    body = "id,name\n" + "".join(f"{n},row {n}\n" for n in range(50000))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ingest(server, "twice", body), range(4)))
    assert sorted(a["status"] for a in answers) == ["ingested", "unchanged", "unchanged", "unchanged"]
    assert server.sql("select count(*) as n from twice") == [{"n": 50000}]


def test_a_second_file_adds_columns_and_leaves_out_others(server):
    ingest(server, "p", PEOPLE)
    ingest(server, "p", "id,mail\n3,c@d\n")
    assert server.sql("select * from p where id = 3") == [{"id": 3, "name": None, "mail": "c@d"}]
    assert server.sql("select count(*) as n from p where mail is null") == [{"n": 2}]


def test_integers_widen(server):
    ingest(server, "w", "id\n1\n", types="id:int")
    assert types(ingest(server, "w", "id\n3000000000\n"))["id"] == "BIGINT"
    assert sorted(column(server, "w", "id")) == [1, 3000000000]


def test_what_does_not_fit_lists_the_differences(server):
    ingest(server, "p", "id,day\n1,2024-01-31\n")
    problem = ingest(server, "p", "id,day\nx,soon\ny,later\n", 422)
    assert problem["code"] == "schema_mismatch" and '"id"' in problem["detail"] and '"day"' in problem["detail"]


def test_rejects(server):
    ingest(server, "p", PEOPLE)
    bad = "id,name\n3,c\nx,d\n4,e,f\n5,g\n"
    problem = ingest(server, "p", bad, 422)
    assert problem["code"] == "rows_rejected" and "line 3" in problem["detail"] and "line 4" in problem["detail"]
    assert server.sql("select count(*) as n from p") == [{"n": 2}]
    identity = problem["hint"].split("tarn rejects ")[1].split()[0]
    kept = [json.loads(line) for line in server.get(f"/ingest/{identity}/rejects").text.splitlines()]
    assert [(r["line"], r["column"], r["value"]) for r in kept] == [(3, "id", "x"), (4, None, "f")]
    assert kept[0]["reason"] == "not an integer" and kept[0]["record"] == "x,d"
    done = ingest(server, "p", bad, max_rejects=2)
    assert (done["rows"], done["rejected_rows"]) == (2, 2)
    kept = server.get(f"/ingest/{done['ingest_id']}/rejects").text.splitlines()
    assert len(kept) == 2
    assert server.sql("select count(*) as n from p") == [{"n": 4}]


def test_too_long_lines_of_a_new_dataset_are_set_aside(server):
    answer = ingest(server, "r", "a,b\n1,2\n3,4,5\n6,7\n")
    assert (answer["rows"], answer["rejected_rows"]) == (2, 1)
    assert any("line 3" in warning for warning in answer["warnings"])


@pytest.mark.parametrize("body,detail", [
    (b'a,b\n1,"2\n3,4\n', "line 2 is never closed"),
    (b'[{"a":1},{"a":2}', "not closed"),
    (b'{"a":\n', "line 1"),
    (b"[]", "no records"),
])
def test_unreadable(server, body, detail):
    problem = ingest(server, "u", body, 422)
    assert problem["code"] == "unreadable_file" and detail in problem["detail"]


@pytest.mark.parametrize("body", [b"PK\x03\x04rest", b"%PDF-1.7", b"a,b\0\n1,2\n"])
def test_other_kinds_of_files(server, body):
    assert ingest(server, "u", body, 422)["code"] == "unsupported"


def test_preview_writes_nothing(server):
    ingest(server, "p", PEOPLE)
    answer = server.post("/ingest/preview", params={"dataset": "p"}, data="id,name\nx,y\n").json()
    assert answer["exists"] and '"id"' in answer["differences"] and answer["rows"] == [["x", "y"]]
    fresh = server.post("/ingest/preview", params={"dataset": "q"}, data=PEOPLE).json()
    assert types(fresh) == {"id": "BIGINT", "name": "VARCHAR"} and fresh["differences"] is None
    assert [d["name"] for d in server.get("/catalog/datasets").json()["items"]] == ["p"]


def test_many_blocks_keep_every_row_and_line(server):
    lines = [f'{n},"text, {n}\nmore",{n * 0.5}\n' for n in range(400000)]
    lines[300000] = "oops,x,1\n"
    body = "id,note,half\n" + "".join(lines)
    ingest(server, "b", body, 422, types="id:bigint")
    done = ingest(server, "b", body, types="id:bigint", max_rejects=1)
    assert (done["rows"], done["rejected_rows"]) == (399999, 1)
    kept = json.loads(server.get(f"/ingest/{done['ingest_id']}/rejects").text)
    assert kept["line"] == 600002
    assert server.sql("select sum(id)::bigint as s, count(distinct note) as n from b") == [
        {"s": sum(range(400000)) - 300000, "n": 399999}]
