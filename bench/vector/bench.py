"""Runs tarn-vector and its peers, prints and writes the comparison.

Every peer runs in its own process, one after the other, best of several rounds;
recall is by id against brute force. Rates of one thread are per second of
processor time, of two per second of wall time. hnswlib runs twice, before and
after ours, and the better of its figures counts, so that a change of the
machine's mood does not flatter us.

Sections, each startable alone (--sections) and bounded (--minutes each):
  peers    build, curves, latencies, bytes: every peer
  filter   shares x correlations against hnswlib's own filter
  churn    rounds that each replace a tenth
  insert   durable inserts, looked for after each call
  fold     searches before, during and after a fold
  cold     open and first answer with nothing in the page cache
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

import report
from report import ORDER

HERE = os.path.dirname(os.path.abspath(__file__))
SECTIONS = ["peers", "filter", "churn", "insert", "fold", "cold"]


class Clock:
    """What is left of a section's time."""

    def __init__(self, minutes):
        self.end = time.monotonic() + minutes * 60

    def left(self, most=1e9):
        return max(0.0, min(most, self.end - time.monotonic()))


def lines(command, timeout):
    """JSON lines of a command; what was printed before a timeout or an error still counts."""
    if timeout < 1:
        return [], "no time left"
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        err += "\ntimed out"
    found = []
    for line in out.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            pass  # a line that a timeout cut
    return found, "" if process.returncode == 0 else (err.strip().splitlines() or ["failed"])[-1]


def generate(a, name, rows, dims, queries, timeout):
    """The data of this name, made once; how hard it is."""
    prefix = f"{a.work}/{name}"
    if not os.path.exists(f"{prefix}.hardness.json"):
        made, problem = lines([a.binary, "generate", prefix, "--rows", str(rows), "--dims", str(dims), "--queries",
                               str(queries), "--threads", str(os.cpu_count()), "--json"], timeout)
        if not made:
            raise SystemExit(f"cannot generate {name}: {problem}")
        with open(f"{prefix}.hardness.json", "w") as f:
            json.dump(made[0], f)
    with open(f"{prefix}.hardness.json") as f:
        return prefix, json.load(f)


def generation(a, clock):
    """Our file for the data, built if this run has not (nor, with --keep, the last one); figures of the build."""
    file, kept = f"{a.data}.tvg", f"{a.data}.tvg.json"
    if a.keep and file not in a.built and os.path.exists(file) and os.path.exists(kept):
        with open(kept) as f:
            a.built[file] = json.load(f)
    if file in a.built:
        return file, a.built[file]
    built, problem = lines([a.binary, "build", f"{a.data}.base.npy", file, "--metric", a.metric, "--threads",
                            str(a.threads), "--json"], clock.left(a.timeout))
    if not built:
        raise RuntimeError(f"build: {problem}")
    info = lines([a.binary, "info", file, "--json"], 60)[0][0]
    a.built[file] = {"build_seconds": built[0]["build_seconds"], "cpu_seconds": built[0]["cpu_seconds"],
                     "bytes_per_row": info["resident_per_row"],
                     "bytes_per_row_on_disk": built[0]["bytes_on_disk"] / built[0]["rows"], "detail": built[0]}
    with open(kept, "w") as f:
        json.dump(a.built[file], f)
    return file, a.built[file]


def run_tarn(a, clock):
    file, built = generation(a, clock)
    result = {"build": built, "points": []}
    for threads in (1, 2):
        for kind in ("like", "unlike"):
            if not os.path.exists(f"{a.data}.{kind}.npy"):
                continue
            found, _ = lines([a.binary, "eval", file, f"{a.data}.{kind}.npy", "--truth", f"{a.data}.{kind}.truth.npy",
                              "--windows", "10,12,16,20,24,32,40,48,64,80,96,128,192,256,384,512,768", "--rounds",
                              str(a.rounds), "--threads", str(threads), "--json"], clock.left(a.timeout))
            for p in found:
                one = threads == 1
                result["points"].append({**p, "queries": kind, "threads": threads, "settings": {"window": p["window"]},
                                         "qps_wall": p["qps"], "qps": p["qps_of_processor"] if one else p["qps"],
                                         "p50_us": p["p50_us"] if one else None})
    return result


def run_peer(a, name, clock):
    seconds = clock.left(a.seconds)
    command = [sys.executable, f"{HERE}/peers.py", "--peer", name, "--data", a.data, "--work", a.work, "--metric", a.metric,
               "--threads", str(a.threads), "--rounds", str(a.rounds), "--seconds", str(seconds)]
    found, problem = lines(command, clock.left(a.timeout))
    if not found:
        return {"problem": problem}
    return {"build": found[0], "points": found[1:], **({"problem": problem} if problem else {})}


def section_peers(a, clock, results):
    wanted = a.peers.split(",")
    peers = results.setdefault("peers", {}) if a.keep else results.update(peers={}) or results["peers"]
    for peer in [x for x in ORDER if x in wanted] + (["hnswlib"] if "hnswlib" in wanted else []):
        print(f"{time.strftime('%H:%M:%S')} {a.name} {peer}", flush=True)
        got = run_tarn(a, clock) if peer == "tarn" else run_peer(a, peer, clock)
        if "build" in got and "build" in peers.get(peer, {}):
            got["points"] += peers[peer]["points"]
            for key in ("build_seconds", "cpu_seconds"):
                got["build"][key] = min(got["build"][key], peers[peer]["build"][key])
        elif "build" in peers.get(peer, {}):
            got = peers[peer]
        peers[peer] = got
        if "problem" in got:
            print(f"         {peer}: {got['problem']}", flush=True)


def section_filter(a, clock, results):
    import filters

    results["filter"] = filters.run(a, generation(a, clock)[0], clock, lines)
    print(filters.table(results["filter"]))


def fresh_index(a, name, rows_file, limit, clock):
    path = f"{a.work}/{name}.index"
    shutil.rmtree(path, ignore_errors=True)
    made, problem = lines([a.binary, "build", rows_file, path, "--metric", a.metric, "--threads", str(a.threads), "--limit",
                           str(limit), "--json"], clock.left())
    if not made:
        raise RuntimeError(f"build: {problem}")
    return path


def section_churn(a, clock, results):
    """On a set of its own: rows outside the index are half as many as inside."""
    inside = a.churn_rows
    prefix, _ = generate(a, f"churn-{inside}x{a.dimensions}", inside * 3 // 2, a.dimensions, 200, clock.left())
    index = fresh_index(a, f"churn-{a.name}", f"{prefix}.base.npy", inside, clock)
    found, problem = lines([a.binary, "measure-churn", index, f"{prefix}.base.npy", f"{prefix}.like.npy", "--rounds", "20",
                            "--threads", str(a.threads), "--queries", "200", "--json"], clock.left())
    results["churn"] = {"rounds": found, **({"problem": problem} if problem else {})}
    shutil.rmtree(index, ignore_errors=True)
    if found:
        print(f"churn: {len(found) - 1} rounds; recall at first {found[0]['recall']:.3f}, at last {found[-1]['recall']:.3f}, "
              f"least {min(r['recall'] for r in found):.3f}")


def section_insert(a, clock, results):
    index = fresh_index(a, f"insert-{a.name}", f"{a.data}.base.npy", min(a.rows, 20000), clock)
    out = []
    for threads in (1, 2):
        for batch, count in ((1, 100 if a.quick else 500), (16, 800 if a.quick else 4000), (256, 10240), (1024, 10240)):
            found, problem = lines([a.binary, "measure-insert", index, f"{a.data}.base.npy", "--threads", str(threads),
                                    "--batch", str(batch), "--limit", str(count), "--json"], clock.left())
            out += found or [{"threads": threads, "rows_per_call": batch, "problem": problem}]
            if not a.quick:
                lines([a.binary, "fold", index, "--json"], clock.left())
    results["insert"] = out
    shutil.rmtree(index, ignore_errors=True)
    for r in out:
        print(f"insert: {r['threads']} threads, {r['rows_per_call']} a call: "
              + (r["problem"] if "problem" in r else f"{r['rows_per_second_of_a_thread']:,.0f} a second of a thread, "
                 f"scan {r['scan_ns_per_delta_row']:.0f} ns a row"))


def section_fold(a, clock, results):
    index = fresh_index(a, f"fold-{a.name}", f"{a.data}.base.npy", a.rows, clock)
    out = []
    # Searchers that leave no CPU idle leave a fold of low priority next to nothing.
    for threads in (1, 2)[: max(1, os.cpu_count() - 1)]:
        found, problem = lines([a.binary, "measure-fold", index, f"{a.data}.like.npy", f"{a.data}.unlike.npy", "--threads",
                                str(threads), "--seconds", "5", "--json"], clock.left())
        out += found or [{"searching_threads": threads, "problem": problem}]
    results["fold"] = out
    shutil.rmtree(index, ignore_errors=True)
    for r in out:
        print(f"fold: {r['searching_threads']} searching: " + (r["problem"] if "problem" in r else
              f"p99 {r['quiet_p99_us']:.0f} us alone, {r['fold_p99_us']:.0f} beside a fold of {r['fold_seconds']:.1f} s"))


def section_cold(a, clock, results):
    import numpy as np

    file, _ = generation(a, clock)
    queries = np.load(f"{a.data}.like.npy", mmap_mode="r")
    times = []
    for i in range(min(20, len(queries))):
        np.save(f"{a.work}/one.npy", np.array(queries[i : i + 1]))
        with open(file, "rb") as f:
            os.fsync(f.fileno())
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        found, _ = lines([a.binary, "search", file, f"{a.work}/one.npy", "--cold", "--json"], clock.left(120))
        times += [found[0]["first_answer_seconds"] * 1000] if found else []
    if times:
        results["cold"] = {"milliseconds": times, "median": statistics.median(times), "worst": max(times)}
        print(f"cold: first answer in {results['cold']['median']:.1f} ms, worst of {len(times)} {max(times):.1f} ms")


def run_data(a, dims):
    """All sections for one set of rows."""
    a.built, a.dimensions, given, results, hardness = {}, dims, a.given, {}, {}
    a.name = f"{a.label}-{dims}" if a.label else (os.path.basename(given) if given else f"{a.rows}x{dims}")
    a.data = given
    if not given:
        print(f"{time.strftime('%H:%M:%S')} data {a.name}", flush=True)
        a.data, hardness = generate(a, a.name, a.rows, dims, a.queries, a.minutes * 60)
    kept = f"{a.work}/results-{a.name}.json"
    if os.path.exists(kept):
        with open(kept) as f:
            results = json.load(f).get("sections", {})
    for section in a.sections.split(","):
        clock = Clock(a.minutes)
        start = time.monotonic()
        try:
            globals()[f"section_{section}"](a, clock, results)
        except (RuntimeError, OSError, KeyError, ValueError, AssertionError) as problem:
            print(f"{section}: {problem}", flush=True)
            results[section] = {**(results.get(section) if isinstance(results.get(section), dict) else {}),
                                "problem": str(problem)}
            a.failed.append(f"{a.name} {section}")
        print(f"{time.strftime('%H:%M:%S')} {a.name} {section}: {time.monotonic() - start:.0f} s", flush=True)
        document = {"machine": report.machine(), "load": os.getloadavg(), "threads_to_build": a.threads,
                    "hardness": hardness, "sections": results}
        for path in (kept, f"{a.report}/vector-{a.name}.json"):
            with open(path, "w") as f:
                json.dump(document, f, indent=1)
    report.write(a, hardness, results)
    if not a.keep_data and not given and dims != 768:
        for end in ("base.npy", "tvg", "hnswlib.bin", "hnswlib.json", "hardness.json"):
            if os.path.exists(f"{a.data}.{end}"):
                os.unlink(f"{a.data}.{end}")


def convert_hdf5(path, work):
    """The train, test and neighbors of an ann-benchmarks file as our .npy files."""
    try:
        import h5py
    except ImportError as problem:
        raise SystemExit(f"{path} is HDF5: install h5py into {work}/venv first") from problem
    import numpy as np

    prefix = f"{work}/{os.path.splitext(os.path.basename(path))[0]}"
    with h5py.File(path) as f:
        np.save(f"{prefix}.base.npy", f["train"][:].astype(np.float32))
        np.save(f"{prefix}.like.npy", f["test"][:].astype(np.float32))
        np.save(f"{prefix}.like.truth.npy", f["neighbors"][:].astype(np.int64))
    return prefix


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--binary", required=True)
    p.add_argument("--work", required=True)
    p.add_argument("--data", help="PREFIX of .base.npy, .like.npy, .like.truth.npy, or an .hdf5 file")
    p.add_argument("--rows", type=int, default=100000)
    p.add_argument("--dims", default="768", help="one or several: 128,384,768,1536")
    p.add_argument("--queries", type=int, default=1000)
    p.add_argument("--threads", type=int, default=2, help="to build")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--metric", default="cosine")
    p.add_argument("--sections", default=",".join(SECTIONS))
    p.add_argument("--peers", default=",".join(ORDER))
    p.add_argument("--churn-rows", type=int, default=50000)
    p.add_argument("--seconds", type=float, default=120, help="for one peer's sweep")
    p.add_argument("--timeout", type=float, default=1800, help="for one peer, build included")
    p.add_argument("--minutes", type=float, default=120, help="for one section of one set of rows")
    p.add_argument("--report", default="docs/benchmarks")
    p.add_argument("--keep", action="store_true", help="add peers to the figures of the last run, over its files")
    p.add_argument("--keep-data", action="store_true", help="keep large files of sets other than 768 dimensions")
    p.add_argument("--label", help="name of the report")
    p.add_argument("--quick", action="store_true", help="20,000 rows: shows that everything runs, in minutes")
    a = p.parse_args()
    if a.quick:
        a.rows, a.queries, a.rounds, a.seconds, a.timeout, a.minutes = 20000, 200, 1, 3, 40, 2.5
        a.churn_rows, a.report, a.dims = 1500, f"{a.work}/quick", "768,128"
    for section in a.sections.split(","):
        if section not in SECTIONS:
            p.error(f"no section {section}: {', '.join(SECTIONS)}")
    os.makedirs(a.report, exist_ok=True)
    a.failed = []
    a.given = convert_hdf5(a.data, a.work) if a.data and a.data.endswith((".hdf5", ".h5")) else a.data
    for i, dims in enumerate(int(d) for d in a.dims.split(",")):
        if a.quick and i:
            a.peers, a.sections = "hnswlib,tarn,usearch", "peers"
        run_data(a, dims)
        if a.given:
            break
    if a.failed:
        raise SystemExit("failed: " + ", ".join(a.failed))


if __name__ == "__main__":
    main()
