"""The question set: passages, questions with judgements, measures.

    corpus = passages(csv_of_candidates)    {id: text}
    for question in questions(corpus):      .kind .text .grades {id: 2 or 1}
        ndcg([ids found], question.grades)
"""
import csv
import math
import pathlib
import re
from typing import NamedTuple

HERE = pathlib.Path(__file__).resolve().parent
# Of the candidates of `tarn demo staffing --seed 1`; as many résumés as this scale makes.
SCALE, SEED, RESUMES = 0.004, 1, 400
DEPTH = 10
KINDS = ["paraphrase", "term", "mixed"]
# A paraphrase may share at most this part of its words that carry meaning with
# any one passage that answers it.
SHARED = 0.25


class Question(NamedTuple):
    kind: str
    text: str
    grades: dict


def written():
    """The passages of corpus/: {id: heading and text}."""
    found = {}
    for page in sorted(HERE.glob("corpus/*.md")):
        for section in page.read_text(encoding="utf-8").split("\n## ")[1:]:
            head, text = section.split("\n", 1)
            name, heading = head.split(" ", 1)
            if name in found:
                raise ValueError(f"{page.name}: a second {name}")
            found[name] = heading + "\n\n" + text.strip()
    return found


def passages(candidates):
    """The written passages and the résumés of a candidates.csv."""
    found = written()
    with open(candidates, encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            found[row["candidate_id"]] = row["resume_text"]
    return found


def judged(corpus, listed, line):
    """The passages that a cell names: ids, and ~words for every résumé with those words."""
    for item in filter(None, (part.strip() for part in listed.split(";"))):
        named = [item] if not item.startswith("~") else [
            name for name, text in corpus.items() if item[1:] in text.replace("\n", " ") and name not in WRITTEN]
        if not named or named[0] not in corpus:
            raise ValueError(f"questions.tsv:{line}: nothing is {item!r}")
        yield from named


WRITTEN = frozenset(written())


def questions(corpus):
    found = []
    for number, line in enumerate((HERE / "questions.tsv").read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("#"):
            continue
        kind, text, answers, related = (line.split("\t") + [""])[:4]
        if kind not in KINDS:
            raise ValueError(f"questions.tsv:{number}: a kind is one of {KINDS}")
        grades = dict.fromkeys(judged(corpus, related, number), 1)
        grades.update(dict.fromkeys(judged(corpus, answers, number), 2))
        found.append(Question(kind, text, grades))
    return found


# ---- words in common ---------------------------------------------------------------------

EMPTY = frozenset("""a about above after again all also am an and any anybody are as at away back be because been before being below
between both but by can could did do does during each else few for from further get gets got had has have he her here him his how i if in into
is it its just let like may me might more most must my no nobody nor not of off on once one only onto or other our out over own per
same she should so some somebody someone somewhere still such than that the their them then there these they this those through to too
under until up us very was we were what when where which while who whom whose why will with within without would yet you your""".split())


def stem(word):
    """Crude on purpose: it takes too much for the same rather than too little."""
    for ending in ("ingly", "ings", "ing", "edly", "ied", "ies", "ed", "es", "ers", "er", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[:-len(ending)]
            break
    return word[:-1] if len(word) > 4 and word[-1] == word[-2] else word


def meaning_words(text):
    return {stem(word) for word in re.findall(r"[^\W_]+", text.lower()) if word not in EMPTY and len(word) > 1}


def shared(question, text):
    """The part of the question's words that the passage has too."""
    asked = meaning_words(question)
    return len(asked & meaning_words(text)) / max(1, len(asked))


# ---- measures ------------------------------------------------------------------------------

def gain(grade, rank):
    return (2 ** grade - 1) / math.log2(rank + 1)


def ndcg(found, grades):
    best = sum(gain(grade, rank) for rank, grade in enumerate(sorted(grades.values(), reverse=True)[:DEPTH], 1))
    return sum(gain(grades.get(name, 0), rank) for rank, name in enumerate(found[:DEPTH], 1)) / best


def recall(found, grades):
    """Of the passages that answer, as many as ten hits can hold."""
    right = {name for name, grade in grades.items() if grade == 2}
    return len(right.intersection(found[:DEPTH])) / min(DEPTH, len(right))


def reciprocal(found, grades):
    return next((1 / rank for rank, name in enumerate(found[:DEPTH], 1) if grades.get(name) == 2), 0.0)
