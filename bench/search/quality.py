#!/usr/bin/env python3
"""How good the answers of a search are, by mode and by weight: make bench-quality.

Asks the question set (tests/quality) by words, by meaning and by both, and
writes docs/benchmarks/search-quality.md. The default weight is judged by
cross-validation: for each part of the questions the weight is taken that is
best on all the others, and what it scores on the part is what counts.

    bench/search/quality.py [--no-docs]
"""
import argparse
import collections
import pathlib
import random
import re
import statistics
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.quality import ask, quality  # noqa: E402

PAGE = ROOT / "docs" / "benchmarks" / "search-quality.md"
WEIGHTS = [step / 20 for step in range(21)]
FOLDS, ROUNDS, RESAMPLES = 10, 20, 10_000
MEASURES = {"nDCG@10": quality.ndcg, "recall@10": quality.recall, "MRR@10": quality.reciprocal}


def default_weight():
    """What the program itself takes."""
    text = (ROOT / "src" / "index" / "index.h").read_text(encoding="utf-8")
    return float(re.search(r"#define INDEX_WEIGHT +([\d.]+)", text)[1])


def asked(server, questions):
    """{name: [ids found] of each question}."""
    modes = {"words": {"mode": "keyword"}, "meaning": {"mode": "vector"}, "default": {"mode": "hybrid"},
             "rrf": {"mode": "hybrid", "fusion": "rrf"}}
    modes.update({weight: {"mode": "hybrid", "weight": weight} for weight in WEIGHTS})
    return {name: ask.found(server, questions, **fields) for name, fields in modes.items()}


def scores(found, questions, measure=quality.ndcg):
    return {name: [measure(ids, question.grades) for ids, question in zip(lists, questions)] for name, lists in found.items()}


def cross_validated(ndcg, questions):
    """For each question the mean, over the rounds, of its score under a weight
    that was chosen without it; and how often each weight was chosen."""
    dice, chosen = random.Random(1), collections.Counter()
    held = [[] for _ in questions]
    for _ in range(ROUNDS):
        order = sorted(range(len(questions)), key=lambda i: (questions[i].kind, dice.random()))
        for fold in range(FOLDS):
            out = set(order[fold::FOLDS])
            best = max(WEIGHTS, key=lambda w: sum(ndcg[w][i] for i in range(len(questions)) if i not in out))
            chosen[best] += 1
            for i in out:
                held[i].append(ndcg[best][i])
    return [statistics.fmean(seen) for seen in held], chosen


def interval(values):
    """The middle 95 % of the means of resampled questions."""
    dice = random.Random(2)
    means = sorted(statistics.fmean(dice.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return means[RESAMPLES // 40], means[-RESAMPLES // 40]


def row(name, found, questions, ndcg):
    cells = [name] + [f"{statistics.fmean(v for v, q in zip(ndcg, questions) if q.kind == kind):.3f}" for kind in quality.KINDS]
    low, high = interval(ndcg)
    cells.append(f"**{statistics.fmean(ndcg):.3f}** ({low:.3f} to {high:.3f})")
    for measure in (quality.recall, quality.reciprocal):
        cells.append(f"{statistics.fmean(measure(ids, q.grades) for ids, q in zip(found, questions)):.3f}" if found else "")
    return "| " + " | ".join(cells) + " |"


def lead(name, ours, theirs):
    gains = [a - b for a, b in zip(ours, theirs)]
    low, high = interval(gains)
    better, worse = sum(gain > 1e-9 for gain in gains), sum(gain < -1e-9 for gain in gains)
    return f"| {name} | {statistics.fmean(gains):+.3f} ({low:+.3f} to {high:+.3f}) | {better} | {worse} | {'yes' if low > 0 else 'NO'} |"


def page(questions, found):
    ndcg = scores(found, questions)
    held, chosen = cross_validated(ndcg, questions)
    kinds = collections.Counter(question.kind for question in questions)
    lines = [
        "# How good the answers are", "",
        f"`make bench-quality`; how: `bench/search/quality.py`. {len(questions)} questions ({', '.join(f'{kinds[k]} {k}' for k in quality.KINDS)}) over "
        f"{len(quality.WRITTEN)} written passages", f"and {quality.RESUMES} résumés of the demo, [as described there](../../tests/quality/README.md), "
        "with the built-in model; over HTTP, k = 10.", "",
        "| | " + " | ".join(quality.KINDS) + " | all, nDCG@10 (95 %) | recall@10 | MRR@10 |", "|---|" + "---:|" * (len(quality.KINDS) + 3),
        row("words (`keyword`)", found["words"], questions, ndcg["words"]),
        row("meaning (`vector`)", found["meaning"], questions, ndcg["meaning"]),
        row("both, reciprocal ranks (`rrf`)", found["rrf"], questions, ndcg["rrf"]),
        row(f"both, blended, weight {default_weight():g} (the default)", found["default"], questions, ndcg["default"]),
        row("both, blended, weight chosen on the other questions", None, questions, held), "",
        "The columns of kinds are nDCG@10. The last row is the one that says what blending is worth: "
        f"{ROUNDS} times, the questions are", f"parted in {FOLDS}, and each part is asked with the weight that is best on the other "
        f"{FOLDS - 1}. Weights so chosen: " + ", ".join(f"{w:g} ({n} of {FOLDS * ROUNDS})" for w, n in sorted(chosen.items())) + ".", "",
        "Differences of that row to the others, question by question, with 95 % intervals (bootstrap):", "",
        "| against | nDCG@10 | better | worse | surely ahead |", "|---|---:|---:|---:|---|",
        lead("words", held, ndcg["words"]), lead("meaning", held, ndcg["meaning"]), lead("reciprocal ranks", held, ndcg["rrf"]), "",
        "## By weight", "", "| weight of meaning | " + " | ".join(quality.KINDS) + " | all |", "|---:|" + "---:|" * (len(quality.KINDS) + 1)]
    for weight in WEIGHTS[::2] if default_weight() in WEIGHTS[::2] else WEIGHTS:
        of = [statistics.fmean(v for v, q in zip(ndcg[weight], questions) if q.kind == kind) for kind in quality.KINDS]
        lines.append(f"| {weight:g} | " + " | ".join(f"{value:.3f}" for value in of) + f" | {statistics.fmean(ndcg[weight]):.3f} |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-docs", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ask.library(pathlib.Path(folder)) as (server, corpus):
        questions = quality.questions(corpus)
        lines = page(questions, asked(server, questions))
    print("\n".join(lines))
    if not options.no_docs:
        PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
