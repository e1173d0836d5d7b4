"""The staffing workload through the real ingest, at scale 0.01."""
import csv
import io
import re

import pytest

from tests.support import tarn

ROWS = {"candidates": 1000, "clients": 20, "job_orders": 150, "placements": 500, "timesheets": 10000, "call_log": 8000,
        "email_log": 5000}


def requirement_queries():
    text = (tarn.ROOT / "tests/bench/staffing_queries.sql").read_text(encoding="utf-8")
    return dict(re.findall(r"-- query: (\w+)\n(.*?);\n", text, re.S))


def test_every_table_is_whole(staffing):
    for table, rows in ROWS.items():
        assert staffing.sql(f"SELECT count(*) AS n FROM {table}") == [{"n": rows}], table


def test_types(staffing):
    wanted = {
        "candidates": {"candidate_id": "VARCHAR", "zip": "VARCHAR", "phone": "VARCHAR", "years_experience": "BIGINT",
                       "available_from": "DATE", "resume_text": "VARCHAR"},
        "placements": {"placement_id": "BIGINT", "start_date": "DATE", "end_date": "DATE"},
        "timesheets": {"week_ending": "DATE", "hours": "DOUBLE", "bill_total": "DOUBLE", "approved": "BOOLEAN"},
        "email_log": {"email_id": "BIGINT", "opened": "BOOLEAN", "subject": "VARCHAR"},
    }
    for table, types in wanted.items():
        columns = {c["name"]: c["type"] for c in staffing.query(f"SELECT * FROM {table} LIMIT 0")["columns"]}
        assert {name: columns[name] for name in types} == types, table
    moments = staffing.query("SELECT started_at FROM call_log LIMIT 0")["columns"][0]["type"]
    assert moments.startswith("TIMESTAMP")


def test_leading_zeros_survive(staffing):
    boston = staffing.sql("SELECT DISTINCT zip FROM candidates WHERE city = 'Boston'")
    assert boston and all(re.fullmatch(r"02\d{3}", row["zip"]) for row in boston)


def test_keys_join(staffing):
    orphans = {
        "job_orders": "SELECT count(*) AS n FROM job_orders ANTI JOIN clients USING (client_id)",
        "placements": "SELECT count(*) AS n FROM placements ANTI JOIN job_orders USING (job_id)",
        "candidates": "SELECT count(*) AS n FROM placements ANTI JOIN candidates USING (candidate_id)",
        "timesheets": "SELECT count(*) AS n FROM timesheets ANTI JOIN placements USING (placement_id)",
        "call_log": "SELECT count(*) AS n FROM call_log ANTI JOIN candidates USING (candidate_id)",
        "email_log": "SELECT count(*) AS n FROM email_log ANTI JOIN candidates USING (candidate_id)",
    }
    for name, sql in orphans.items():
        assert staffing.sql(sql) == [{"n": 0}], name


@pytest.mark.parametrize("name", sorted(requirement_queries()))
def test_requirement_queries_answer(staffing, name):
    answer = staffing.query(requirement_queries()[name])
    assert answer["columns"]
    if name == "count_all":
        assert answer["rows"] == [[sum(ROWS.values())]]
    elif name not in ("candidate_filter", "cold_leads"):
        assert answer["row_count"] > 0


def test_raw_files_are_what_was_loaded(staffing, tmp_path):
    tarn.run("demo", "staffing", "--scale", "0.01", "--write-files", tmp_path)
    with open(tmp_path / "placements.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == ROWS["placements"]
    answer = staffing.post("/query/sql", headers={"Accept": "text/csv"},
                           json={"sql": "SELECT placement_id, candidate_id, start_date FROM placements ORDER BY 1"})
    ours = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert ours == [{k: row[k] for k in ("placement_id", "candidate_id", "start_date")} for row in rows]


def test_loading_again_changes_nothing(staffing_lake, staffing):
    before = staffing.query("SELECT count(*) FROM candidates")["snapshots"]
    staffing.cli("demo", "staffing", "--scale", "0.01", "--no-serve", check=False, timeout=300)
    assert staffing.query("SELECT count(*) FROM candidates")["snapshots"] == before
