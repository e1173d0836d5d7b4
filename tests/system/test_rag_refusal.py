"""Floors under what is refused before anybody is asked (docs/decisions/0073-when-to-refuse.md)."""
import pytest

from tests.quality import ask, quality
from tests.support import tarn

pytestmark = pytest.mark.skipif(not (tarn.BINARY.parent / "all-MiniLM-L6-v2.tarn-model").is_file(),
                                reason="the build has no embedding model (tools/fetch_model.sh)")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    with ask.library(tmp_path_factory.mktemp("library")) as found:
        yield found


def refused(server, question):
    answer = server.post("/rag", json={"question": question, "index": "passages", "model": "none"})
    assert answer.status_code == 200, answer.text
    return answer.json()["refused"]


def unanswerable(kind):
    lines = (tarn.ROOT / "bench/answer/unanswerable.tsv").read_text(encoding="utf-8").splitlines()
    return [text for own, text in (line.split("\t") for line in lines if not line.startswith("#")) if own == kind]


def test_questions_with_an_answer_are_not_refused(library):
    server, corpus = library
    asked = [question.text for question in quality.questions(corpus)][::2]
    wrong = [text for text in asked if refused(server, text)]
    assert len(wrong) <= 0.03 * len(asked), wrong


def test_questions_far_from_the_matter_are(library):
    asked = unanswerable("far")
    answered = [text for text in asked if not refused(library[0], text)]
    assert len(answered) <= 0.2 * len(asked), answered
