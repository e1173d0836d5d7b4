"""Answers are good enough: floors under the table of `make bench-quality`."""
import statistics

import pytest

from tests.quality import ask, quality


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    with ask.library(tmp_path_factory.mktemp("quality")) as (server, corpus):
        yield server, quality.questions(corpus), corpus


@pytest.fixture(scope="module")
def scores(library):
    """nDCG@10 of each question, by mode."""
    server, questions, _ = library
    modes = {"default": {}, "words": {"mode": "keyword"}, "meaning": {"mode": "vector"}, "rrf": {"fusion": "rrf"}, "0.45": {"weight": 0.45},
             "0.75": {"weight": 0.75}}
    return {name: [quality.ndcg(ids, q.grades) for ids, q in zip(ask.found(server, questions, **fields), questions)]
            for name, fields in modes.items()}


def mean(questions, values, kind=None):
    return statistics.fmean(value for value, question in zip(values, questions) if kind in (None, question.kind))


def test_the_questions_are_what_they_are_said_to_be(library):
    _, questions, corpus = library
    assert len(questions) >= 150 and len({question.text for question in questions}) == len(questions)
    kinds = [question.kind for question in questions]
    assert all(kinds.count(kind) >= 0.3 * len(questions) for kind in quality.KINDS)
    for question in questions:
        answers = [name for name, grade in question.grades.items() if grade == 2]
        assert answers, question
        if question.kind == "paraphrase":
            told = [name for name in answers if quality.shared(question.text, corpus[name]) > quality.SHARED]
            assert not told, (question.text, told)


def test_both_together_are_ahead_of_each(library, scores):
    _, questions, _ = library
    ours = mean(questions, scores["default"])
    assert ours >= 0.84
    for other in ("words", "meaning", "rrf"):
        assert ours > mean(questions, scores[other]) + 0.08, other


@pytest.mark.parametrize("kind, floor", [("paraphrase", 0.64), ("term", 0.96), ("mixed", 0.92)])
def test_no_kind_of_question_is_left_behind(library, scores, kind, floor):
    _, questions, _ = library
    ours = mean(questions, scores["default"], kind)
    assert ours >= floor
    assert ours >= max(mean(questions, scores[leg], kind) for leg in ("words", "meaning")) - 0.04


def test_the_default_weight_is_a_good_one(library, scores):
    _, questions, _ = library
    ours = mean(questions, scores["default"])
    assert all(ours > mean(questions, scores[weight]) for weight in ("0.45", "0.75"))


def test_what_answers_is_among_the_ten(library):
    server, questions, _ = library
    lists = ask.found(server, questions)
    assert statistics.fmean(quality.recall(ids, q.grades) for ids, q in zip(lists, questions)) >= 0.9
