"""Runs tarn-vector and its peers, prints and writes the comparison.

Every peer runs in its own process, one after the other, best of several rounds;
recall is by id against brute force. Rates are per second of processor time. hnswlib runs twice, before and after ours,
and the better of its figures counts, so that a change of the machine's mood
does not flatter us.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ORDER = ["hnswlib", "tarn", "usearch", "usearch-i8", "faiss-hnsw", "faiss-hnsw-sq8", "faiss-ivfpq-fastscan",
         "faiss-rabitq", "lancedb-ivf-rq", "lancedb-hnsw-sq"]
COLOURS = ["#d1495b", "#00798c", "#edae49", "#c79a3a", "#30638e", "#5f9ea0", "#8f5bb5", "#4f772d", "#888888", "#555555"]


def lines(command, timeout):
    """JSON lines of a command; what was printed before a timeout or an error still counts."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        err += "\ntimed out"
    found = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    return found, ("" if process.returncode == 0 else err.strip().splitlines()[-1:] or ["failed"])


def run_tarn(a):
    file = f"{a.data}.tvg"
    built, _ = lines([a.binary, "build", f"{a.data}.base.npy", file, "--metric", a.metric, "--threads", str(a.threads), "--json"],
                     a.timeout)
    built = built[0]
    info = lines([a.binary, "info", file, "--json"], 60)[0][0]
    result = {"build": {"build_seconds": built["build_seconds"], "cpu_seconds": built["cpu_seconds"],
                        "bytes_per_row": info["resident_per_row"], "detail": built}, "points": []}
    for kind in ("like", "unlike"):
        if not os.path.exists(f"{a.data}.{kind}.npy"):
            continue
        found, _ = lines([a.binary, "eval", file, f"{a.data}.{kind}.npy", "--truth", f"{a.data}.{kind}.truth.npy",
                          "--windows", "10,12,16,20,24,32,40,48,64,80,96,128,192,256,384", "--rounds", str(a.rounds),
                          "--threads", "1", "--json"], a.timeout)
        for p in found:
            result["points"].append({**p, "queries": kind, "settings": {"window": p["window"]}, "qps_wall": p["qps"],
                                     "qps": p["qps_of_processor"]})
    with open(file, "rb") as f:
        os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    cold, _ = lines([a.binary, "search", file, f"{a.data}.like.npy", "--limit", "1", "--cold", "--json"], 120)
    result["cold_first_answer_seconds"] = cold[0]["first_answer_seconds"] if cold else None
    return result


def run_peer(a, name):
    command = [sys.executable, f"{HERE}/peers.py", "--peer", name, "--data", a.data, "--work", a.work, "--metric", a.metric,
               "--threads", str(a.threads), "--rounds", str(a.rounds), "--seconds", str(a.seconds)]
    found, problem = lines(command, a.timeout)
    if not found:
        return {"problem": " ".join(problem)}
    return {"build": found[0], "points": found[1:], **({"problem": " ".join(problem)} if problem else {})}


def qps_at(points, kind, recall):
    """The most queries a second at a recall: interpolated along the curve."""
    curve = pareto(points, kind)
    best = None
    for left, right in zip(curve, curve[1:]):
        if left["recall"] <= recall <= right["recall"] and right["recall"] > left["recall"]:
            t = (recall - left["recall"]) / (right["recall"] - left["recall"])
            best = left["qps"] ** (1 - t) * right["qps"] ** t
    if best is None and curve and curve[0]["recall"] >= recall:
        best = curve[0]["qps"]
    return best


def pareto(points, kind):
    mine = sorted((p for p in points if p["queries"] == kind), key=lambda p: (p["recall"], p["qps"]))
    kept = []
    for p in reversed(mine):
        if not kept or p["qps"] > kept[-1]["qps"]:
            kept.append(p)
    return kept[::-1]


def svg(results, kind, title, path):
    import math

    width, height, left, bottom, top = 760, 480, 70, 50, 40
    curves = [(n, [p for p in pareto(r.get("points", []), kind) if p["recall"] >= 0.8]) for n, r in results.items()]
    curves = [(n, c) for n, c in curves if c]
    if not curves:
        return
    qps = [p["qps"] for _, c in curves for p in c]
    low, high = math.floor(math.log10(min(qps))), math.ceil(math.log10(max(qps)))
    x_of = lambda r: left + (width - left - 170) * (math.log10(0.2) - math.log10(max(1.0005 - r, 0.0005))) / (
        math.log10(0.2) - math.log10(0.0005))
    y_of = lambda q: height - bottom - (height - bottom - top) * (math.log10(q) - low) / max(1, high - low)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
           f'<rect width="{width}" height="{height}" fill="white"/><text x="{left}" y="22" font-size="15">{title}</text>']
    for r in (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999):
        out.append(f'<line x1="{x_of(r):.1f}" x2="{x_of(r):.1f}" y1="{top}" y2="{height - bottom}" stroke="#ddd"/>'
                   f'<text x="{x_of(r):.1f}" y="{height - bottom + 16}" text-anchor="middle">{r}</text>')
    for d in range(low, high + 1):
        out.append(f'<line x1="{left}" x2="{width - 170}" y1="{y_of(10 ** d):.1f}" y2="{y_of(10 ** d):.1f}" stroke="#ddd"/>'
                   f'<text x="{left - 6}" y="{y_of(10 ** d) + 4:.1f}" text-anchor="end">{10 ** d}</text>')
    out.append(f'<text x="{(left + width - 170) / 2}" y="{height - 12}" text-anchor="middle">recall@10</text>'
               f'<text x="16" y="{height / 2}" transform="rotate(-90 16 {height / 2})" text-anchor="middle">queries a second of one processor</text>')
    for i, (name, curve) in enumerate(curves):
        colour = COLOURS[ORDER.index(name) % len(COLOURS)]
        at = " ".join(f"{x_of(p['recall']):.1f},{y_of(p['qps']):.1f}" for p in curve)
        heavy = 3 if name == "tarn" else 1.5
        out.append(f'<polyline points="{at}" fill="none" stroke="{colour}" stroke-width="{heavy}"/>')
        out += [f'<circle cx="{x_of(p["recall"]):.1f}" cy="{y_of(p["qps"]):.1f}" r="3" fill="{colour}"/>' for p in curve]
        y = top + 16 + 18 * i
        out.append(f'<line x1="{width - 160}" x2="{width - 140}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}" stroke-width="{heavy}"/>'
                   f'<text x="{width - 134}" y="{y}">{name}</text>')
    with open(path, "w") as f:
        f.write("\n".join(out) + "\n</svg>\n")


def cell(value, form="{:,.0f}"):
    return form.format(value) if value is not None else "never"


def table(results):
    columns = [(k, r) for k in ("like", "unlike") for r in (0.95, 0.99)]
    out = ["| index | build s (wall) | build s (processor) | bytes a row | "
           + " | ".join(f"{'in' if k == 'like' else 'out of'} distribution .{int(r * 100)}" for k, r in columns) + " |",
           "|" + "---|" * (4 + len(columns))]
    for name, r in results.items():
        if "build" not in r:
            out.append(f"| {name} | {r.get('problem', 'not run')} |" + " |" * (2 + len(columns)))
            continue
        b = r["build"]
        out.append(f"| {name} | {b['build_seconds']:.1f} | {b['cpu_seconds']:.1f} | {b['bytes_per_row']:,.0f} | "
                   + " | ".join(cell(qps_at(r["points"], k, v)) for k, v in columns) + " |")
    if "tarn" in results and "build" in results.get("hnswlib", {}):
        t, h = results["tarn"], results["hnswlib"]
        ratio = lambda x, y: cell(x / y if x and y else None, "**{:.1f} x**")
        out.append(f"| tarn over hnswlib | {ratio(h['build']['build_seconds'], t['build']['build_seconds'])} | "
                   f"{ratio(h['build']['cpu_seconds'], t['build']['cpu_seconds'])} | "
                   f"{ratio(h['build']['bytes_per_row'], t['build']['bytes_per_row'])} | "
                   + " | ".join(ratio(qps_at(t["points"], k, v), qps_at(h["points"], k, v)) for k, v in columns) + " |")
    return "\n".join(out)


def busy():
    load = os.getloadavg()[2]
    return f"the machine's load was {load:.1f} on {os.cpu_count()} CPUs, so {'the rest of it was busy: read ratios' if load > 1.5 else 'it was idle otherwise'}."


def machine():
    model = "unknown processor"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{model}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--binary", required=True)
    p.add_argument("--work", required=True)
    p.add_argument("--data")
    p.add_argument("--rows", type=int, default=100000)
    p.add_argument("--dims", type=int, default=768)
    p.add_argument("--queries", type=int, default=1000)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--metric", default="cosine")
    p.add_argument("--peers", default=",".join(ORDER))
    p.add_argument("--seconds", type=float, default=240, help="for one peer's sweep")
    p.add_argument("--timeout", type=float, default=7200, help="for one peer")
    p.add_argument("--report", default="docs/benchmarks")
    p.add_argument("--keep", action="store_true", help="add to the figures of the last run instead of starting over")
    p.add_argument("--name")
    a = p.parse_args()
    name = a.name or (os.path.basename(a.data) if a.data else f"{a.rows}x{a.dims}")
    hardness = {}
    if not a.data:
        a.data = f"{a.work}/{name}"
        if not os.path.exists(f"{a.data}.hardness.json"):
            print(f"generating {name}", flush=True)
            made, problem = lines([a.binary, "generate", a.data, "--rows", str(a.rows), "--dims", str(a.dims), "--queries",
                                   str(a.queries), "--json"], a.timeout)
            if not made:
                sys.exit(f"cannot generate: {problem}")
            with open(f"{a.data}.hardness.json", "w") as f:
                json.dump(made[0], f)
        with open(f"{a.data}.hardness.json") as f:
            hardness = json.load(f)
    wanted = a.peers.split(",")
    results = {}
    kept = f"{a.work}/results-{name}.json"
    if a.keep and os.path.exists(kept):
        with open(kept) as f:
            results = json.load(f)["results"]
    for peer in [x for x in ORDER if x in wanted] + (["hnswlib"] if "hnswlib" in wanted else []):
        print(f"{time.strftime('%H:%M:%S')} {peer}", flush=True)
        got = run_tarn(a) if peer == "tarn" else run_peer(a, peer)
        if peer in results and "build" in got and "build" in results[peer]:
            got["points"] += results[peer]["points"]
            for key in ("build_seconds", "cpu_seconds"):
                got["build"][key] = min(got["build"][key], results[peer]["build"][key])
        results[peer] = got
        with open(kept, "w") as f:
            json.dump({"machine": machine(), "hardness": hardness, "results": results}, f, indent=1)
    results = {n: results[n] for n in ORDER if n in results}
    print(table(results))
    os.makedirs(a.report, exist_ok=True)
    for kind, words in (("like", "in distribution"), ("unlike", "out of distribution")):
        svg(results, kind, f"{name}, queries {words}", f"{a.report}/vector-{name}-{kind}.svg")
    with open(f"{a.report}/vector-{name}.md", "w") as f:
        f.write(f"# {name}\n\nWritten by `bench/vector/run.sh`. {machine()}; {a.threads} threads to build, 1 to search; k = 10; "
                f"queries per second of processor time at a recall, interpolated along each curve; {busy()}\n\n{table(results)}\n\n")
        if hardness:
            f.write("Data: " + ", ".join(f"{k.replace('_', ' ')} {v:.4g}" for k, v in hardness.items()) + ".\n\n")
        cold = results.get("tarn", {}).get("cold_first_answer_seconds")
        if cold:
            f.write(f"From a cold page cache, opening and answering the first query took {cold * 1000:.1f} ms.\n\n")
        f.write(f"![in distribution](vector-{name}-like.svg)\n\n![out of distribution](vector-{name}-unlike.svg)\n")


if __name__ == "__main__":
    main()
