#!/usr/bin/env python3
r"""A table of PostgreSQL into a dataset, beside `psql \copy (SELECT ...) TO file` alone.

Both read the same table of the same server in the same run, in turns; the
figure that counts is the ratio of their times. Memory is the peak of the
process that ingests (VmHWM), the server of the lake among it.

    bench/postgres/run.py [--rows 1000000] [--runs 5] [--binary build/release/tarn] [--memory-rows 10000000]
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

TABLE = """CREATE TABLE orders (id bigint PRIMARY KEY, customer int, city text, status varchar(12), amount numeric(12,2), quantity smallint,
    weight double precision, paid boolean, ordered timestamptz, due date);
INSERT INTO orders SELECT i, (i::bigint * 7919) % 90001, (ARRAY['Berlin','Paris','Oslo','Porto','Wien','Lyon','Turin'])[1 + i % 7],
    (ARRAY['new','paid','sent','returned'])[1 + i % 4], (i % 1000000) / 100.0, i % 40, i / 7.0, i % 3 = 0,
    timestamptz '2020-01-01' + i * interval '97 seconds', date '2020-01-01' + i % 2500 FROM generate_series(1, {rows}) i;
VACUUM ANALYZE orders;
"""


def cpu_of(pid):
    """Seconds of processor time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_of(pid):
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return int(lines["VmHWM"].split()[0]) * 1024


def psql_copy(database, folder, select):
    """Seconds of psql alone, file in page cache."""
    target = folder / "orders.out"
    started = time.monotonic()
    done = database.psql("-c", f"\\copy ({select}) TO '{target}'")
    took = time.monotonic() - started
    assert done.returncode == 0, done.stderr
    size = target.stat().st_size
    target.unlink()
    return took, size


def ingest(server, database, number, **body):
    cpu, started = cpu_of(server.process.pid), time.monotonic()
    answer = server.post("/ingest/postgres", params={"wait": 3600}, timeout=3600,
                         json={"url": database.url, "tables": ["orders"], "dataset": f"orders_{number}", **body})
    took = time.monotonic() - started
    assert answer.status_code == 200, answer.text
    return took, cpu_of(server.process.pid) - cpu, answer.json()["tables"][0]


def measure(database, rows, runs, folder):
    from tests.support.tarn import Server
    select = "SELECT * FROM orders"
    copies, ingests, processor = [], [], []
    with Server(folder / "lake") as server:
        psql_copy(database, folder, select)
        ingest(server, database, "warm")
        for run in range(runs):
            copies.append(psql_copy(database, folder, select)[0])
            took, cpu, table = ingest(server, database, run)
            assert table["rows"] == rows
            ingests.append(took)
            processor.append(cpu)
    ratios = [c / i for c, i in zip(copies, ingests)]
    return {"rows": rows, "runs": runs, "copy_s": round(statistics.median(copies), 3), "ingest_s": round(statistics.median(ingests), 3),
            "copy_rows_s": round(rows / statistics.median(copies)), "ingest_rows_s": round(rows / statistics.median(ingests)),
            "ratio_median": round(statistics.median(ratios), 3), "ratio_each": [round(r, 3) for r in ratios],
            "ingest_cpu_s": round(statistics.median(processor), 3)}


def memory(database, rows, folder):
    from tests.support.tarn import Server
    with Server(folder / "lake_memory") as server:
        before = peak_of(server.process.pid)
        took, _, table = ingest(server, database, "memory")
        return {"rows": table["rows"], "seconds": round(took, 1), "peak_before_mb": before >> 20, "peak_mb": peak_of(server.process.pid) >> 20}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--memory-rows", type=int, default=0, help="then the peak memory at so many rows")
    parser.add_argument("--postgres", default="16")
    parser.add_argument("--binary", default=str(ROOT / "build" / "release" / "tarn"))
    options = parser.parse_args()
    os.environ["TARN_BINARY"] = options.binary
    from tests.support.postgres import Postgres
    with tempfile.TemporaryDirectory() as name, Postgres(options.postgres, shared_buffers="512MB") as server:
        database = server.database()
        database.run(TABLE.format(rows=options.rows))
        print(json.dumps({"postgres": server.version, **measure(database, options.rows, options.runs, Path(name))}), flush=True)
        if options.memory_rows:
            database.run("DROP TABLE orders;" + TABLE.format(rows=options.memory_rows))
            print(json.dumps(memory(database, options.memory_rows, Path(name))), flush=True)


if __name__ == "__main__":
    main()
