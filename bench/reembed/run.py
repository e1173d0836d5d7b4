#!/usr/bin/env python3
"""What `tarn reembed` itself costs: a real server, a model that answers at once.

    ninja -C build/release reembed_bench
    build/venv-system/bin/python bench/reembed/run.py [BUILD] [ROWS] > table.md

"bare" is the yardstick of the same minutes: the same UPDATE of 128 rows at a
time, vectors made before, nothing read; runs and yardstick take turns.
"""
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from tests.support.postgres import Postgres  # noqa: E402

BUILD = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "release")
ROWS = sys.argv[2] if len(sys.argv) > 2 else "20000"
PROGRAM = BUILD / "src" / "reembed" / "reembed_bench"


def server_cpu(server):
    """Seconds of the server's processes, those that ended among them."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8").rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(path.parent.name) == server.process.pid:
            ticks += sum(map(int, fields[11:15]))
        elif int(fields[1]) == server.process.pid:
            ticks += sum(map(int, fields[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(server, url, mode):
    """One run over the table as it is."""
    before = server_cpu(server)
    done = subprocess.run([PROGRAM, url, "0", "1024", "1024", mode], check=True, stdout=subprocess.PIPE, text=True)
    return {**json.loads(done.stdout), "server_seconds": server_cpu(server) - before}


def main():
    settings = {"fsync": "on", "shared_buffers": "128MB", "max_wal_size": "1GB"}
    with Postgres("16", **settings) as server:
        url = server.database().url
        subprocess.run([PROGRAM, url, ROWS, "1024", "1024"], check=True)
        runs = []
        for mode in ("bare", "in-place", "bare", "staged", "bare", "in-place", "bare", "staged", "bare"):
            if mode != "bare":  # a new table: what rows wrote before is not carried along
                subprocess.run([PROGRAM, url, ROWS, "1024", "1024"], check=True)
            runs.append(measure(server, url, mode))
        bare = statistics.median(run["bare_rows_per_second"] for run in runs if "bare_rows_per_second" in run)
        print(f"{ROWS} rows, 1,024 dimensions, PostgreSQL 16.14, {os.cpu_count()} CPUs, load average "
              f"{os.getloadavg()[0]:.1f}\n")
        print("| | rows/s | of bare | with the switch, rows/s | client's CPU, us/row | server's CPU, us/row | "
              "readers wait, us/row | peak memory, MB |")
        print("|---|---:|---:|---:|---:|---:|---:|---:|")
        print(f"| bare | {bare:,.0f} | 1.00 | | | | | |")
        for run in runs:
            if "report" not in run:
                continue
            report, rows = run["report"], run["report"]["rows_updated"]
            name = f"{report['mode']}, to the last batch" if report["mode"] == "staged" else "in place"
            print(f"| {name} | {run['without_switch']:,.0f} | {run['without_switch'] / bare:.2f} | "
                  f"{run['rows_per_second']:,.0f} | {run['cpu_seconds'] * 1e6 / rows:.1f} | "
                  f"{run['server_seconds'] * 1e6 / rows:.0f} | {report['locked_secs'] * 1e6 / rows:.0f} | "
                  f"{run['peak_kb'] / 1024:.0f} |")


main()
