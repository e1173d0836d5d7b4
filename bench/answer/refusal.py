#!/usr/bin/env python3
"""When to refuse: what questions with an answer and questions without one look like.

    TARN_BINARY=build/release/tarn build/venv-system/bin/python bench/answer/refusal.py

Asks /rag without a language model and without a limit, and prints how many of
each kind the limits of src/answer/weak.c refuse, and what limits chosen on one
half of the questions do on the other.
"""
import csv
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
from tests.quality import ask, quality  # noqa: E402

NEAR, SURE, WORDS = (0.20, 0.28, 0.5) if len(sys.argv) < 4 else map(float, sys.argv[1:4])


def without_answer():
    lines = (ROOT / "bench/answer/unanswerable.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def evidence(server, question):
    answer = server.post("/rag", json={"question": question, "index": "passages", "model": "none"})
    assert answer.status_code == 200, answer.text
    seen = answer.json()["evidence"]
    return seen["similarity"], seen["words"]


def weak(seen, near, sure, words):
    return seen[0] < near or (seen[0] < sure and seen[1] < words)


def share(seen, *limits):
    return sum(weak(one, *limits) for one in seen) / len(seen)


def main():
    kinds = {}
    with tempfile.TemporaryDirectory() as folder, ask.library(pathlib.Path(folder)) as (server, corpus):
        for question in quality.questions(corpus):
            kinds.setdefault(question.kind, []).append(evidence(server, question.text))
        for kind, text in without_answer():
            kinds.setdefault(kind, []).append(evidence(server, text))
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["kind", "questions", "similarity p5", "p50", "p95", "words p50", "refused"])
    for kind, seen in kinds.items():
        near = sorted(one[0] for one in seen)
        words = sorted(one[1] for one in seen)
        at = [near[min(len(near) - 1, int(len(near) * p))] for p in (0.05, 0.5, 0.95)]
        out.writerow([kind, len(seen), *(f"{value:.2f}" for value in at), f"{words[len(words) // 2]:.2f}",
                      f"{share(seen, NEAR, SURE, WORDS):.2f}"])
    held_out(kinds)


GRID = [(near / 100, sure / 100, words) for near in range(16, 37, 2) for sure in range(20, 47, 2)
        for words in (0.25, 0.34, 0.5) if sure >= near]


def gain(kinds, limits):
    """One refused question that has an answer costs as much as ten that have none."""
    answered = kinds["paraphrase"] + kinds["term"] + kinds["mixed"]
    return share(kinds["far"], *limits) + 0.5 * share(kinds["near"], *limits) - 10 * share(answered, *limits)


def held_out(kinds):
    """Limits chosen on one half of the questions, measured on the other, both ways."""
    print("\nchosen on,near,sure,words,refused with an answer,refused without: far,near the matter")
    for half in (0, 1):
        learn = {kind: seen[half::2] for kind, seen in kinds.items()}
        test = {kind: seen[1 - half::2] for kind, seen in kinds.items()}
        best = max(GRID, key=lambda limits: gain(learn, limits))
        for name, limits in (("even" if half == 0 else "odd", best), ("as built", (NEAR, SURE, WORDS))):
            answered = test["paraphrase"] + test["term"] + test["mixed"]
            print(f"{name},{limits[0]},{limits[1]},{limits[2]},{share(answered, *limits):.3f},"
                  f"{share(test['far'], *limits):.2f},{share(test['near'], *limits):.2f}")


if __name__ == "__main__":
    main()
