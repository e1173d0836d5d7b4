"""Curves, tables and pictures of what bench.py measured."""

import math
import os
import platform

ORDER = ["hnswlib", "tarn", "usearch", "usearch-i8", "faiss-hnsw", "faiss-hnsw-sq8", "faiss-ivfpq-fastscan",
         "faiss-rabitq", "lancedb-ivf-rq", "lancedb-hnsw-sq"]
COLOURS = ["#d1495b", "#00798c", "#edae49", "#c79a3a", "#30638e", "#5f9ea0", "#8f5bb5", "#4f772d", "#888888", "#555555"]


def qps_at(points, kind, recall, threads=1):
    """The most queries a second at a recall: interpolated along the curve."""
    curve = pareto(points, kind, threads)
    best = None
    for left, right in zip(curve, curve[1:]):
        if left["recall"] <= recall <= right["recall"] and right["recall"] > left["recall"]:
            t = (recall - left["recall"]) / (right["recall"] - left["recall"])
            best = left["qps"] ** (1 - t) * right["qps"] ** t
    if best is None and curve and curve[0]["recall"] >= recall:
        best = curve[0]["qps"]
    return best


def pareto(points, kind, threads=1):
    mine = sorted((p for p in points if p["queries"] == kind and p.get("threads", 1) == threads), key=lambda p: (p["recall"], p["qps"]))
    kept = []
    for p in reversed(mine):
        if not kept or p["qps"] > kept[-1]["qps"]:
            kept.append(p)
    return kept[::-1]


def svg(results, kind, title, path):
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


def cell(value, form="{:,.0f}", none="never"):
    return form.format(value) if value is not None else none


def latency_at(points, kind, recall):
    """p50 and p99 of the first setting that reaches a recall, one query a call."""
    for p in sorted((p for p in points if p["queries"] == kind and p.get("p50_us")), key=lambda p: p["recall"]):
        if p["recall"] >= recall:
            return p["p50_us"], p["p99_us"]
    return None, None


def latencies(results):
    out = ["| index | p50 us at .95 | p99 us at .95 | p99 over p50 | two threads, a second of wall time at .95 |", "|---|---|---|---|---|"]
    for name, r in results.items():
        if "build" not in r:
            continue
        p50, p99 = latency_at(r["points"], "like", 0.95)
        out.append(f"| {name} | {cell(p50)} | {cell(p99)} | {cell(p99 / p50 if p50 else None, '{:.2f}')} | "
                   f"{cell(qps_at(r['points'], 'like', 0.95, 2), none='not measured')} |")
    return "\n".join(out)


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


def change_lines(results):
    """What sections other than the peers found, in words."""
    out = []
    if "median" in results.get("cold", {}):
        c = results["cold"]
        out.append(f"From a cold page cache, opening and answering a first query took {c['median']:.1f} ms (median of "
                   f"{len(c['milliseconds'])} queries; worst {c['worst']:.1f}).")
    for r in results.get("fold", []) if isinstance(results.get("fold"), list) else []:
        if "p99_ratio" in r:
            out.append(f"{r['searching_threads']} searching, p99 {r['quiet_p99_us']:.0f} us alone and {r['fold_p99_us']:.0f} us "
                       f"beside a fold of {r['fold_seconds']:.1f} s: {r['p99_ratio']:.2f} x.")
    rounds = results.get("churn", {}).get("rounds", [])
    if rounds:
        out.append(f"Churn: after {rounds[-1]['round']} rounds that each replaced a tenth of {rounds[0]['live']:,} rows, recall "
                   f"went from {rounds[0]['recall']:.3f} to {rounds[-1]['recall']:.3f} (least {min(r['recall'] for r in rounds):.3f}), "
                   f"p50 from {rounds[0]['p50_us']:.0f} to {rounds[-1]['p50_us']:.0f} us.")
    inserts = results.get("insert", [])
    good = [r for r in inserts if "problem" not in r] if isinstance(inserts, list) else []
    if good:
        out += ["", "| inserting threads | rows a call | rows a second of a thread | call p50 us | scan of the delta, ns a row |",
                "|---|---|---|---|---|"]
        out += [f"| {r['threads']} | {r['rows_per_call']} | {r['rows_per_second_of_a_thread']:,.0f} | {r['call_p50_us']:,.0f} | "
                f"{r['scan_ns_per_delta_row']:.0f} |" for r in good]
    return out


def write(a, hardness, results):
    """The page and the pictures of one set of rows."""
    import filters

    peers = {n: results.get("peers", {})[n] for n in ORDER if n in results.get("peers", {})}
    for kind, words in (("like", "in distribution"), ("unlike", "out of distribution")):
        svg(peers, kind, f"{a.name}, queries {words}", f"{a.report}/vector-{a.name}-{kind}.svg")
    page = [f"# {a.name}", "", f"Written by `bench/vector/run.sh`. {machine()}; {a.threads} threads to build, 1 to search; k = 10; "
            f"queries per second of processor time at a recall, interpolated along each curve; {busy()}", ""]
    if peers:
        page += [table(peers), "", "One query a call (a peer's through its Python binding), and two threads:", "",
                 latencies(peers), ""]
        page += [f"{n}: {r['problem']}." for n, r in peers.items() if "problem" in r]
    if isinstance(results.get("filter"), list):
        page += ["", "## Filters", "", filters.table(results["filter"]), ""]
    page += ["", *change_lines(results), ""]
    if hardness:
        page += ["Data: " + ", ".join(f"{k.replace('_', ' ')} {v:.4g}" for k, v in hardness.items()) + ".", ""]
    if peers:
        page += [f"![in distribution](vector-{a.name}-like.svg)", "", f"![out of distribution](vector-{a.name}-unlike.svg)"]
        print(table(peers))
        print(latencies(peers))
    with open(f"{a.report}/vector-{a.name}.md", "w") as f:
        f.write("\n".join(page) + "\n")
