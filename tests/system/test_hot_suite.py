"""Every query of the suite from memory and from files: as loaded, with small
writes that are not compacted, and after both kinds of compaction."""
import re
import shutil

import pytest

from tests.support import tarn

TABLES = ["candidates", "clients", "job_orders", "placements", "timesheets", "call_log", "email_log"]
WRITTEN = {"candidates": "candidate_id", "placements": "placement_id", "timesheets": "timesheet_id"}
# Shapes that the requirements' queries do not have.
SHAPES = {
    "whole_rows": "SELECT * FROM placements ORDER BY placement_id",
    "no_columns": "SELECT count(*) FROM timesheets",
    "one_key": "SELECT * FROM timesheets WHERE placement_id = 77 ORDER BY ALL",
    "ranges": "SELECT count(*), min(hours), max(hours) FROM timesheets WHERE week_ending BETWEEN '2024-01-01' AND '2025-06-30' AND hours >= 38.5",
    "nulls": "SELECT count(*) FROM placements WHERE end_date IS NULL",
    "text": "SELECT status, count(*) FROM candidates WHERE city LIKE 'B%' OR city IN ('Chicago', 'Miami') GROUP BY ALL ORDER BY ALL",
    "window": "SELECT placement_id, week_ending, row_number() OVER (PARTITION BY placement_id ORDER BY week_ending, timesheet_id) AS n "
              "FROM timesheets QUALIFY n = 3 ORDER BY ALL",
    "outer_join": "SELECT count(*), count(p.placement_id) FROM candidates c LEFT JOIN placements p USING (candidate_id)",
    "self_join": "SELECT count(*) FROM placements a JOIN placements b ON a.candidate_id = b.candidate_id AND a.placement_id < b.placement_id",
    "set_operation": "SELECT candidate_id FROM candidates EXCEPT SELECT candidate_id FROM placements ORDER BY 1",
    "with_clause": "WITH big AS (SELECT placement_id, sum(hours) AS h FROM timesheets GROUP BY 1) SELECT count(*) FROM big WHERE h > 500",
    "top": "SELECT timesheet_id FROM timesheets ORDER BY bill_total DESC, timesheet_id LIMIT 25 OFFSET 5",
    "bench_filter": "SELECT candidate_id, first_name, desired_rate FROM candidates WHERE city = 'Chicago' AND status = 'active' "
                    "AND years_experience > 10 ORDER BY desired_rate DESC, candidate_id LIMIT 100",
    "bench_join": "SELECT p.status, count(*), sum(t.hours) FROM timesheets t JOIN placements p USING (placement_id) "
                  "WHERE t.approved GROUP BY p.status ORDER BY 1",
}


def suite():
    text = (tarn.ROOT / "tests/bench/staffing_queries.sql").read_text(encoding="utf-8")
    return {**dict(re.findall(r"-- query: (\w+)\n(.*?);\n", text, re.S)), **SHAPES}


def plain(rows):
    """Sums of doubles depend on the order of the rows in their last digits."""
    return [[float(f"{value:.9g}") if isinstance(value, float) else value for value in row] for row in rows]


def tables_of(text):
    return {table for table in TABLES if re.search(rf"\b{table}\b", text)}


def ask_both_ways(server):
    """All from files, then all from memory."""
    files = {}
    for name, text in suite().items():
        for table in tables_of(text):  # repeated use fills
            server.delete(f"/datasets/{table}/pin")
        answer = server.query(text)
        assert set(answer["source"].values()) == {"parquet"}, (name, answer["source"])
        files[name] = plain(answer["rows"])
    for table in TABLES:
        server.post(f"/datasets/{table}/pin")
    for name, text in suite().items():
        answer = server.query(text)
        assert set(answer["source"].values()) == {"cache"}, (name, answer["source"])
        assert plain(answer["rows"]) == files[name], name
    return files


@pytest.fixture(scope="module")
def busy(staffing_lake, tmp_path_factory):
    """A copy of the staffing lake that is written to, and keeps no order by itself."""
    lake = tmp_path_factory.mktemp("busy") / "lake"
    shutil.copytree(staffing_lake, lake, ignore=shutil.ignore_patterns("tarn.lock", "state"))
    with tarn.Server(lake, "--set", "upkeep.enabled=false") as server:
        yield server


def change(server, seed):
    """One-row and larger writes to tables of each size, most on rows that are there."""
    for table, key in WRITTEN.items():
        known = server.sql(f"SELECT * FROM {table} ORDER BY {key} LIMIT 400 OFFSET {seed * 13}")
        for n in range(12):
            row = {**known[n * 17], **({"status": "active"} if table != "timesheets" else {"hours": seed + n})}
            answer = server.request("PUT", f"/datasets/{table}/rows", params={"key": key}, json=row)
            assert answer.status_code == 200, answer.text
        gone = server.delete(f"/datasets/{table}/rows/{known[399][key]}")
        assert gone.status_code == 200, gone.text


def test_as_loaded(busy):
    ask_both_ways(busy)


def test_with_small_writes_and_after_each_compaction(busy):
    loaded = busy.query("SELECT count(*) FROM timesheets")["snapshots"]["timesheets"]
    change(busy, 1)
    changed = ask_both_ways(busy)
    for table in WRITTEN:
        answer = busy.post(f"/datasets/{table}/compact")
        assert answer.status_code == 200 and answer.json()["status"] == "compacted", answer.text
    assert ask_both_ways(busy) == changed
    text = SHAPES["top"].replace("LIMIT 25 OFFSET 5", "")
    assert busy.query(text, as_of=loaded)["rows"] != busy.query(text)["rows"]


def fills(server):
    return server.get("/system").json()["cache"]["fills"]


def test_hot_copies_go_along_with_upkeep(staffing_lake, tmp_path):
    """Compactions come by themselves; the copy answers right behind them."""
    lake = tmp_path / "lake"
    shutil.copytree(staffing_lake, lake, ignore=shutil.ignore_patterns("tarn.lock", "state"))
    with tarn.Server(lake, "--set", "upkeep.interval=20ms", "--set", "upkeep.compact_files=20") as server:
        for table in WRITTEN:
            server.post(f"/datasets/{table}/pin")
        filled = fills(server)
        for seed in range(1, 4):
            change(server, seed)
        for table in WRITTEN:
            tarn.wait_for(f"a compaction of {table}",
                          lambda table=table: server.get(f"/catalog/datasets/{table}").json()["debt"]["last_compaction"])
            # Who asks between a commit and the copy's hearing of it is answered from files.
            tarn.wait_for(f"the copy of {table}",
                          lambda table=table: server.query(f"SELECT count(*) FROM {table}")["source"] == {table: "cache"})
        assert fills(server) == filled, "they followed, and were not made anew"
        ask_both_ways(server)
