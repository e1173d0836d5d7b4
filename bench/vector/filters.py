"""The grid of filters: ours against hnswlib's own, in C++ and at the same recall.

A cell is a share of rows that pass and how passing goes with the queries: at
random, drawn from the half of the rows near to them, or from the far half. Its
queries are the hundred nearest to one of them. hnswlib walks its graph with a
functor that reads the same bitmap (hnswlib_filter.cpp, its own headers), so
that no interpreter is called for a row.
"""

import glob
import os
import subprocess
import sys
import tarfile

import numpy as np

SHARES = [0.5, 0.1, 0.01, 0.001]
KINDS = ["random", "near", "far"]
HERE = os.path.dirname(os.path.abspath(__file__))


def program(work):
    """hnswlib_filter, compiled for this CPU from the pinned source."""
    out = f"{work}/hnswlib_filter"
    source = f"{HERE}/hnswlib_filter.cpp"
    if os.path.exists(out) and os.path.getmtime(out) > os.path.getmtime(source):
        return out
    if not glob.glob(f"{work}/source/hnswlib-*/hnswlib/hnswlib.h"):
        with open(f"{HERE}/requirements.txt") as f:
            pinned = next(line.strip() for line in f if line.startswith("hnswlib=="))
        subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "hnswlib", "-d",
                        f"{work}/source", pinned], check=True, timeout=300)
        for archive in glob.glob(f"{work}/source/hnswlib-*.tar.gz"):
            with tarfile.open(archive) as f:
                f.extractall(f"{work}/source", filter="data")
    headers = os.path.dirname(os.path.dirname(glob.glob(f"{work}/source/hnswlib-*/hnswlib/hnswlib.h")[0]))
    subprocess.run(["g++", "-O3", "-march=native", "-std=c++17", f"-I{headers}", source, "-o", out], check=True, timeout=300)
    return out


def cell_files(a, rows, queries, share, kind, prefix):
    """Bitmap, queries and truth of one cell."""
    rng = np.random.default_rng(5)
    pivot = queries[7 % len(queries)]
    near_queries = queries[np.argsort(-(queries @ pivot))[:100]]
    if kind == "random":
        passes = rng.random(len(rows)) < share
    else:
        order = np.argsort(-(rows @ near_queries.mean(axis=0)))
        half = order[: len(rows) // 2] if kind == "near" else order[len(rows) // 2 :]
        passes = np.zeros(len(rows), dtype=bool)
        passes[half[rng.random(len(half)) < min(1.0, 2 * share)]] = True
    chosen = np.flatnonzero(passes)
    if len(chosen) < 10:
        return False
    scores = near_queries @ rows[chosen].T
    top = np.argpartition(-scores, 9, axis=1)[:, :10]
    np.save(f"{prefix}.bits.npy", np.packbits(passes, bitorder="little"))
    np.save(f"{prefix}.queries.npy", near_queries)
    np.save(f"{prefix}.truth.npy", chosen[top].astype(np.int64))
    return True


def at_recall(points, recall):
    """The most queries a second of hnswlib at this recall or more; None when it never gets there."""
    good = [p["qps"] for p in points if p["recall"] >= recall - 0.002]
    return max(good) if good else None


def run(a, file, clock, lines):
    if a.metric != "cosine":
        raise RuntimeError("the grid of filters is made for cosine")
    tool = program(a.work)
    graph = f"{a.data}.hnswlib.bin"
    if not os.path.exists(graph):
        lines([sys.executable, f"{HERE}/peers.py", "--peer", "hnswlib", "--data", a.data, "--work", a.work, "--metric",
               a.metric, "--threads", str(a.threads), "--seconds", "0"], clock.left(a.timeout))
    rows = np.load(f"{a.data}.base.npy")
    queries = np.load(f"{a.data}.like.npy")
    out = []
    for share in SHARES:
        for kind in KINDS:
            prefix = f"{a.work}/cell"
            if not cell_files(a, rows, queries, share, kind, prefix):
                continue
            cell = {"share": share, "kind": kind}
            ours, problem = lines([a.binary, "eval", file, f"{prefix}.queries.npy", "--truth", f"{prefix}.truth.npy", "--filter",
                                   f"{prefix}.bits.npy", "--recall", "0.95", "--rounds", str(a.rounds), "--json"],
                                  clock.left(120))
            theirs, theirs_problem = lines([tool, graph, str(rows.shape[1]), f"{prefix}.queries.npy", f"{prefix}.truth.npy",
                                            f"{prefix}.bits.npy", str(min(20.0, a.seconds))], clock.left(120))
            if ours:
                cell.update(recall=ours[0]["recall"], qps=ours[0]["qps_of_processor"], p50_us=ours[0]["p50_us"],
                            p99_us=ours[0]["p99_us"], strategy=ours[0]["strategy"])
                cell["hnswlib_qps"] = at_recall(theirs, ours[0]["recall"])
                cell["hnswlib_best_recall"] = max((p["recall"] for p in theirs), default=None)
            cell["hnswlib_points"] = theirs
            cell["problem"] = " ".join(x for x in (problem, theirs_problem) if x) or None
            out.append(cell)
    return out


def table(cells):
    out = ["| passes | | ours: recall | a second | p99 us | way | hnswlib at that recall | times |", "|---|---|---|---|---|---|---|---|"]
    for c in cells:
        if "qps" not in c:
            out.append(f"| {c['share']} | {c['kind']} | {c['problem']} | | | | | |")
            continue
        best = c["hnswlib_best_recall"]
        theirs = f"{c['hnswlib_qps']:,.0f}" if c["hnswlib_qps"] else f"never (best {best:.3f})" if best is not None else "not run"
        times = f"**{c['qps'] / c['hnswlib_qps']:.1f} x**" if c["hnswlib_qps"] else ""
        out.append(f"| {c['share']} | {c['kind']} | {c['recall']:.3f} | {c['qps']:,.0f} | {c['p99_us']:,.0f} | {c['strategy']} | "
                   f"{theirs} | {times} |")
    return "\n".join(out)
