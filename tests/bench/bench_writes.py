#!/usr/bin/env python3
"""What writing costs, beside LanceDB and PyIceberg: make bench-writes.

Every side writes the same rows on this machine, in this run. Tarn is asked over
HTTP and answers when a write is on disk (fsync), journaled and visible to the
next query; LanceDB and PyIceberg write without fsync, in this process. Prints
one table and keeps it in docs/benchmarks/writes.md.

    tests/bench/bench_writes.py [--only PART] [--no-docs] [--commits 20000]

Parts: one clients upsert append history journal deltas hot past load.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from bench_lake import BINARY, LOAD, WORK, Server, machine, timed  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "benchmarks" / "writes.md"
PARTS = ["one", "clients", "upsert", "append", "history", "journal", "deltas", "hot", "past", "load"]
OLD = WORK / "writes-old"
ROWS = []


def note(what, seen, bar, peer="", holds=None):
    ROWS.append((what, seen, peer, bar, "" if holds is None else "yes" if holds else "NO"))
    print("  ".join(str(cell) for cell in ROWS[-1]), file=sys.stderr, flush=True)


def quantile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * q))]


def fresh(name, **settings):
    lake = WORK / "writes" / name
    lake.parent.mkdir(parents=True, exist_ok=True)
    if lake.exists():
        # Removed in the end: ext4 without a journal looks past every inode that was freed in the last minutes, for
        # each file that is made, and the first figures of a run would be those of the removal.
        OLD.mkdir(parents=True, exist_ok=True)
        lake.rename(OLD / f"{name}-{time.time_ns()}")
    subprocess.run([BINARY, "init", lake], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if settings:
        with open(lake / "tarn.yaml", "a", encoding="utf-8") as page:
            for key, value in settings.items():
                section, name = key.split("__")
                page.write(f"\n{section}:\n  {name}: {value}\n")
    return lake


def csv_of(rows, start=0):
    return "id,name,city,rate\n" + "".join(f"{i},name {i},city {i % 50},{i % 97}.5\n" for i in range(start, start + rows))


def ingest(server, dataset, text, **params):
    query = "&".join(f"{key}={value}" for key, value in {"dataset": dataset, **params}.items())
    return json.loads(server.request("POST", f"/ingest/file?{query}", text.encode(), "application/octet-stream"))


def put(server, dataset, row):
    return json.loads(server.request("PUT", f"/datasets/{dataset}/rows", json.dumps(row)))


def warm(server, dataset, rows):
    server.request("POST", f"/datasets/{dataset}/pin")
    for i in range(30):
        put(server, dataset, {"id": i * 31 % rows, "name": f"warm {i}", "city": "x", "rate": 1})


def fsync_ms():
    path, seen = WORK / "fsync", []
    for _ in range(40):
        handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.write(handle, b"x" * 4096)
        seen.append(timed(os.fsync, handle)[0])
        os.close(handle)
    path.unlink()
    return statistics.median(seen)


# ---- one row ---------------------------------------------------------------------------


def lance_table(rows):
    import lancedb
    import pyarrow as pa
    shutil.rmtree(WORK / "writes" / "lance", ignore_errors=True)
    peer = lancedb.connect(str(WORK / "writes" / "lance"))
    table = peer.create_table("t", pa.table({
        "id": pa.array(range(rows), pa.int64()), "name": [f"name {i}" for i in range(rows)],
        "city": [f"city {i % 50}" for i in range(rows)], "rate": [i % 97 + .5 for i in range(rows)]}))
    return table


def lance_merge(table, i):
    table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(
        [{"id": i, "name": f"new {i}", "city": "x", "rate": 1.0}])


def bench_one(_options):
    rows, seen, visible = 100_000, [], []
    with Server(fresh("one")) as server:
        ingest(server, "t", csv_of(rows), key="id")
        warm(server, "t", rows)
        for i in range(300):
            key = i * 7919 % rows
            seen.append(timed(put, server, "t", {"id": key, "name": f"new {i}", "city": "x", "rate": 2})[0])
            took, answer = timed(server.sql, f"select name from t where id = {key}")
            visible.append(took)
            assert json.loads(answer)["rows"] == [[f"new {i}"]]
    lance = lance_table(rows)
    lance_merge(lance, 5)
    peer = statistics.median(timed(lance_merge, lance, i * 7919 % rows)[0] for i in range(40))
    p50, p99 = quantile(seen, .5), quantile(seen, .99)
    note("update one row of 100,000: p50", f"{p50:.1f} ms (fsync {fsync_ms():.2f} ms)", "< 6 ms at fsync 0.15 ms, ahead of the peer",
         f"LanceDB merge_insert {peer:.1f} ms, no fsync", p50 < 6 and p50 < peer)
    note("the same: p99", f"{p99:.1f} ms", "< 30 ms", holds=p99 < 30)
    note("the next query by its key: p50", f"{quantile(visible, .5):.1f} ms", "")


# ---- many clients -------------------------------------------------------------------------

SCRIPT = """
local n = 0
function setup(thread) thread:set("id", counter) counter = counter + 1 end
counter = 0
function init() math.randomseed(id * 7919 + 1) end
function request()
  n = n + 1
  local body = string.format('{"id":%d,"name":"w%d-%d","city":"x","rate":1.5}', math.random(0, 99999), id, n)
  return wrk.format("PUT", "/datasets/t/rows", {["Authorization"]="Bearer TOKEN", ["Content-Type"]="application/json"}, body)
end
function done(summary, latency, requests)
  print(string.format("RESULT %d %d %d %f", summary.requests, summary.errors.status + summary.errors.timeout, summary.duration,
    latency:percentile(99) / 1000))
end
"""


def many_clients(server, clients, seconds=8):
    script = WORK / "upsert.lua"
    script.write_text(SCRIPT.replace("TOKEN", server.token))
    done = subprocess.run(["wrk", "-t", "2" if clients > 1 else "1", "-c", str(clients), "-d", f"{seconds}s", "--timeout", "30s", "-s",
                           str(script), f"http://{server.host}:{server.port}"], capture_output=True, text=True, check=True)
    requests, errors, microseconds, p99 = next(
        line.split()[1:] for line in done.stdout.splitlines() if line.startswith("RESULT"))
    assert int(errors) == 0, done.stdout
    return int(requests) / int(microseconds) * 1e6, float(p99)


def bench_clients(_options):
    with Server(fresh("clients")) as server:
        ingest(server, "t", csv_of(100_000), key="id")
        warm(server, "t", 100_000)
        one, _ = many_clients(server, 1)
        eight, p99 = many_clients(server, 8)
        more, more_p99 = many_clients(server, 32)
    note("1 client upserting single rows", f"{one:,.0f} rows/s", "")
    note("8 clients", f"{eight:,.0f} rows/s, p99 {p99:.0f} ms", ">= 1,500 rows/s", holds=eight >= 1500)
    note("32 clients", f"{more:,.0f} rows/s, p99 {more_p99:.0f} ms", "more than 8", holds=more > eight)


# ---- a file ----------------------------------------------------------------------------------


def peak_mb(server):
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def iceberg_table(rows):
    import pyarrow as pa
    from pyiceberg.catalog.sql import SqlCatalog
    home = WORK / "writes" / "pyiceberg"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    catalog = SqlCatalog("peer", uri=f"sqlite:///{home}/catalog.db", warehouse=f"file://{home}")
    catalog.create_namespace("n")
    data = arrow_rows(0, rows)
    table = catalog.create_table("n.t", schema=data.schema)
    table.append(data)
    return table, pa


def arrow_rows(start, rows, tag="name"):
    import pyarrow as pa
    ids = range(start, start + rows)
    return pa.table({"id": pa.array(ids, pa.int64()), "name": [f"{tag} {i}" for i in ids],
                     "city": [f"city {i % 50}" for i in ids], "rate": [i % 97 + .5 for i in ids]})


def bench_upsert(_options):
    rows, changed = 1_000_000, 100_000
    text = csv_of(changed, 450_000).replace(",name ", ",other ")
    with Server(fresh("upsert")) as server:
        ingest(server, "t", csv_of(rows), key="id")
        took, answer = timed(lambda: ingest(server, "t", text, mode="upsert"))
        peak = peak_mb(server)
    assert answer["updated"] == changed and answer["inserted"] == 0, answer
    table, _ = iceberg_table(rows)
    small = arrow_rows(450_000, 10_000, "other")
    peer, _ = timed(lambda: table.upsert(small, join_cols=["id"]))
    note("upsert a file of 100,000 rows into 1,000,000", f"{took / 1000:.2f} s, peak {peak:.0f} MB", "< 3 s, < 1 GB",
         f"PyIceberg, 10,000 rows only: {peer / 1000:.2f} s", took < 3000 and peak < 1024)
    ours, theirs = changed / took, 10_000 / peer
    note("rows of it a second, against PyIceberg's", f"{ours / theirs:.1f} x", ">= 3 x", holds=ours >= 3 * theirs)


def bench_append(_options):
    import pyarrow  # noqa: F401
    with Server(fresh("append")) as server:
        ingest(server, "t", csv_of(10_000))
        ours = statistics.median(timed(lambda i=i: ingest(server, "t", csv_of(10_000, i * 10_000)))[0] for i in range(1, 16))
    lance = lance_table(10_000)
    lance_ms = statistics.median(timed(lance.add, arrow_rows(i * 10_000, 10_000))[0] for i in range(1, 16))
    table, _ = iceberg_table(10_000)
    iceberg_ms = statistics.median(timed(table.append, arrow_rows(i * 10_000, 10_000))[0] for i in range(1, 16))
    note("append of 10,000 rows (CSV over HTTP)", f"{ours:.0f} ms", "< 30 ms",
         f"LanceDB {lance_ms:.0f} ms, PyIceberg {iceberg_ms:.0f} ms (Arrow, no fsync)", ours < 30)


# ---- a long history -------------------------------------------------------------------------------


def bench_history(options):
    first, last = [], []
    with Server(fresh("history")) as server:
        ingest(server, "t", csv_of(1000), key="id")
        warm(server, "t", 1000)
        for i in range(options.commits):
            took, _ = timed(put, server, "t", {"id": i % 1000, "name": f"v{i}", "city": "x", "rate": 1})
            if i < 100:
                first.append(took)
            elif i >= options.commits - 100:
                last.append(took)
        snapshots = len(json.loads(server.request("GET", "/catalog/datasets/t/snapshots"))["items"])
        load = statistics.median(timed(server.request, "GET", "/iceberg/v1/namespaces/default/tables/t")[0] for _ in range(20))
        newest = max((WORK / "writes/history/buckets/primary/datasets/t/metadata").glob("*.metadata.json"),
                     key=lambda path: path.stat().st_mtime).stat().st_size
    ratio = statistics.median(last) / statistics.median(first)
    note(f"commit after {options.commits:,} single-row commits", f"{statistics.median(last):.1f} ms, {ratio:.2f} x the first 100",
         "<= 1.5 x", holds=ratio <= 1.5)
    note("its metadata file", f"{newest / 1e6:.2f} MB, {snapshots} snapshots", "< 2 MB", holds=newest < 2e6)
    note("load of that table through REST", f"{load:.1f} ms", "< 20 ms", holds=load < 20)


# ---- one record's life among a million events -----------------------------------------------------


def bench_journal(options):
    del options
    with Server(fresh("journal")) as server:
        ingest(server, "t", csv_of(1), key="id")
        for part in range(10):
            lines = (json.dumps({"id": 10 + part * 100_000 + n, "name": f"n{n}", "city": "x", "rate": 1})
                     for n in range(100_000))
            server.request("PUT", "/datasets/t/rows", "\n".join(lines))
        for n in range(5):
            put(server, "t", {"id": 777_777, "name": f"v{n}", "city": "x", "rate": 1})
        server.request("POST", "/datasets/t/expire",  # rolls the journal
                       json.dumps({"older_than": "2000-01-01T00:00:00Z", "preview": False}))
        path = "/catalog/datasets/t/history/777777"
        events = len(json.loads(server.request("GET", path))["items"])
        one = statistics.median(timed(server.request, "GET", path)[0] for _ in range(20))
        page = statistics.median(timed(server.request, "GET", "/journal?limit=100")[0] for _ in range(10))
    note("one record's history among 1,000,000 events", f"{one:.1f} ms for {events} events", "< 50 ms", holds=one < 50)
    note("the newest 100 of 1,000,000 events", f"{page:.0f} ms", "")


# ---- reading what was written -------------------------------------------------------------------------

QUERY = "select city, count(*), avg(rate) from t where id % 3 = 0 group by city order by city"


def median_sql(server, text, **more):
    def once():
        return server.request("POST", "/query/sql", json.dumps({"sql": text, **more}))
    for _ in range(8):
        once()
    return statistics.median(timed(once)[0] for _ in range(40))


def in_turns(server, ways, rounds=40):
    """Medians of each way to ask, all asked in each round, so that what the machine does meanwhile meets all alike.

    Answered from files, and nothing else: a copy in memory that is filled in between would answer for one of them.
    """
    seen, answers, dice = {name: [] for name in ways}, {}, random.Random(1)
    for number in range(rounds + 5):
        for name in dice.sample(list(ways), len(ways)):
            body = json.dumps(ways[name])
            took, answer = timed(lambda body=body: server.request("POST", "/query/sql", body))
            answers[name] = json.loads(answer)
            assert set(answers[name]["source"].values()) == {"parquet"}, answers[name]["source"]
            if number >= 5:
                seen[name].append(took)
    return {name: statistics.median(times) for name, times in seen.items()}, {name: a["rows"] for name, a in answers.items()}


def changed_rows(rows, number):
    return [{"id": (number * 1009 + k * 7) % rows, "name": f"d{number}", "city": "x", "rate": 1} for k in range(10)]


def bench_deltas(_options):
    rows = 1_000_000
    lines = csv_of(rows).splitlines()
    with Server(fresh("deltas", upkeep__enabled="false", cache__memory="0")) as server:
        for dataset in ("written", "compacted"):
            ingest(server, dataset, "\n".join(lines), key="id")
            for number in range(100):
                put(server, dataset, changed_rows(rows, number))
        for row in (row for number in range(100) for row in changed_rows(rows, number)):
            lines[row["id"] + 1] = ",".join(str(value) for value in row.values())
        ingest(server, "loaded", "\n".join(lines), key="id")
        server.request("POST", "/datasets/compacted/compact", "{}")
        took, told = in_turns(server, {name: {"sql": QUERY.replace(" t ", f" {name} ")}
                                       for name in ("written", "compacted", "loaded")})
    assert told["written"] == told["compacted"] == told["loaded"]
    note("query over 1,000,000 rows with 100 uncompacted writes",
         f"{took['written']:.1f} ms, {took['written'] / took['compacted']:.2f} x compacted", "<= 1.5 x",
         holds=took["written"] <= 1.5 * took["compacted"])
    note("the same compacted, against a fresh load of the same rows",
         f"{took['compacted']:.1f} ms, {took['compacted'] / took['loaded']:.2f} x", "<= 1.05 x",
         holds=took["compacted"] <= 1.05 * took["loaded"])


HOT = {
    "hot filter on 100,000 candidates": (
        "select candidate_id, first_name, desired_rate from candidates where city = 'Chicago' and status = 'active' "
        "and years_experience > 10 order by desired_rate desc, candidate_id limit 100", 3),
    "hot aggregate over 1,000,000 timesheets with a join": (
        "select p.status, count(*), sum(t.hours), sum(t.bill_total - t.pay_total) from timesheets t "
        "join placements p using (placement_id) where t.approved group by p.status order by 1", 15),
}


def bench_hot(_options):
    import duckdb
    lake = WORK / "staffing-1"
    subprocess.run([BINARY, "--lake", lake, "demo", "staffing", "--scale", "1", "--no-serve"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peer = duckdb.connect(":memory:")
    for table in ("candidates", "timesheets", "placements"):
        files = [str(path) for path in (lake / "buckets/primary/datasets" / table / "data").rglob("*.parquet")]
        peer.execute(f"CREATE TABLE {table} AS SELECT * FROM read_parquet({files})")
    with Server(lake) as server:
        for table in ("candidates", "timesheets", "placements"):
            server.request("POST", f"/datasets/{table}/pin")
        for what, (text, bar) in HOT.items():
            ours = median_sql(server, text)
            source = json.loads(server.sql(text))["source"]
            assert set(source.values()) == {"cache"}, source
            theirs = statistics.median(timed(lambda t=text: peer.execute(t).fetchall())[0] for _ in range(40))
            note(what, f"{ours:.2f} ms over HTTP", f"< {bar} ms, <= native + 1 ms", f"native DuckDB table {theirs:.2f} ms",
                 ours < bar and ours <= theirs + 1)
    with Server(lake, results="64MB") as server:
        for what, (text, _bar) in HOT.items():
            again = median_sql(server, text)
            assert json.loads(server.sql(text))["kept"] is True
            note(f"{what}, asked again", f"{again:.2f} ms over HTTP", "")


def bench_past(_options):
    with Server(fresh("past", upkeep__enabled="false", cache__memory="0")) as server:
        answer = ingest(server, "t", csv_of(1_000_000), key="id")
        ingest(server, "t", csv_of(1000, 1_000_000))
        took, told = in_turns(server, {"now": {"sql": QUERY}, "then": {"sql": QUERY, "as_of": answer["snapshot_id"]}})
    assert told["now"] != told["then"]
    note("as_of query against the present one", f"{took['then'] / took['now']:.2f} x ({took['then']:.1f} against {took['now']:.1f} ms)",
         "<= 1.2 x", holds=took["then"] <= 1.2 * took["now"])


def bench_load(_options):
    """A point read beside a compaction."""
    with Server(fresh("load", upkeep__enabled="false")) as server:
        ingest(server, "t", csv_of(1_000_000), key="id")
        for i in range(20):
            put(server, "t", [{"id": (i * 1009 + k) % 1_000_000, "name": "d", "city": "x", "rate": 1} for k in range(50)])
        warm(server, "t", 1_000_000)
        alone = [timed(server.sql, f"select name from t where id = {i * 997}")[0] for i in range(300)]
        other = Server.__new__(Server)
        other.host, other.port, other.token = server.host, server.port, server.token
        other.connect()
        worker = threading.Thread(target=lambda: other.request("POST", "/datasets/t/compact", "{}"))
        beside = []
        worker.start()
        while worker.is_alive():
            beside.append(timed(server.sql, f"select name from t where id = {len(beside) * 997 % 1_000_000}")[0])
        worker.join()
    ratio = quantile(beside, .99) / quantile(alone, .99)
    note("point read while compacting: p99", f"{quantile(beside, .99):.1f} ms, {ratio:.1f} x that without ({len(beside)} reads)",
         "<= 3 x", holds=ratio <= 3)


def keep():
    lines = ["# What writing costs", "", "`make bench-writes`; how: `tests/bench/bench_writes.py`. Tarn over HTTP, every write on disk (fsync),",
             "journaled and visible to the next query; the peers in the same run, in process, without fsync.", "", machine(), "",
             "| what | seen | peer | bar | holds |", "|---|---|---|---|---|"]
    lines += ["| " + " | ".join(row) + " |" for row in ROWS]
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--commits", type=int, default=20_000)
    parser.add_argument("--no-docs", action="store_true")
    options = parser.parse_args()
    if LOAD > os.cpu_count() / 2:
        print(f"bench: the machine is busy (load average {LOAD:.1f}); the figures will be worse than it can do", file=sys.stderr)
    WORK.mkdir(parents=True, exist_ok=True)
    started = time.time()
    for part in options.only or PARTS:
        print(f"bench: {part}", file=sys.stderr, flush=True)
        globals()[f"bench_{part}"](options)
    shutil.rmtree(OLD, ignore_errors=True)
    print(f"bench: {time.time() - started:.0f} s", file=sys.stderr)
    if not options.no_docs and not options.only:
        keep()


if __name__ == "__main__":
    main()
