"""Words that look alike find each other; Chinese, Japanese and Korean without spaces."""
import subprocess

from tests.support import tarn
from tests.system.test_search import as_csv, ids, index, opened, search

TEXTS = {
    "wide": "The ＡＢＣ model of the pump", "ligature": "An oﬃce with a ﬁle of letters", "composed": "A Caf\u00e9 by the sea",
    "apart": "Another Cafe\u0301 by the lake", "sharp": "Die Straße zum Hafen", "hyphen": "They use Kuber\u00adnetes daily",
    "japanese": "東京都の天気は晴れです。", "kyoto": "京都には古い寺が多い。", "chinese": "我们在北京大学学习数学。",
    "korean": "서울에서 한국어를 배웁니다", "half": "ｶﾞｲﾄﾞﾌﾞｯｸ", "plain": "Nothing but plain words here",
}
QUESTIONS = {
    "abc": {"wide"}, "office": {"ligature"}, "file": {"ligature"}, "ｆｉｌｅ": {"ligature"}, "cafe": {"composed", "apart"},
    "Cafe\u0301": {"composed", "apart"}, "CAF\u00c9": {"composed", "apart"}, "strasse": {"sharp"}, "STRASSE": {"sharp"},
    "kubernetes": {"hyphen"}, "kuber*": {"hyphen"}, "東京の天気": {"japanese"}, "\"京都\"": {"japanese", "kyoto"},
    "\"東京都\"": {"japanese"}, "寺": {"kyoto"}, "北京": {"chinese"}, "数学を学習": {"chinese"}, "한국어": {"korean"},
    "ガイド": {"half"}, "words": {"plain"}, "京都 NOT 天気": {"kyoto"},
}


def lake_of(server):
    server.ingest("people", as_csv([[name, "x", "y", text] for name, text in TEXTS.items()]), key="id")
    index(server)


def test_each_finds_the_other(server):
    lake_of(server)
    for question, names in QUESTIONS.items():
        assert set(ids(search(server, question, mode="keyword", k=20))) == names, question
        hybrid = ids(search(server, question, mode="hybrid", weight=0.05, k=12))
        assert hybrid[0] in names and len(hybrid) == len(TEXTS), (question, hybrid)


def test_a_whole_question_finds_the_best_first(server):
    lake_of(server)
    answer = search(server, "東京都の今日の天気はどうですか", mode="keyword", k=5)
    assert ids(answer)[0] == "japanese" and set(ids(answer)) <= {"japanese", "kyoto"}
    assert ids(search(server, "北京大学の数学", mode="keyword", k=5))[0] == "chinese"


def test_an_index_of_before_is_cut_again(lake):
    """Its words are as an earlier version cut them; at the next start they are as this one does."""
    with tarn.Server(lake) as server:
        lake_of(server)
        (words,) = lake.rglob("words.db")
        vectors = sorted((path.name, path.stat().st_mtime_ns) for path in words.parent.rglob("generation*"))
    script = ("import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute('pragma writable_schema=on');"
              "db.execute(\"update sqlite_master set sql = replace(sql, 'tarn1 porter', 'porter') where name = 'words'\");"
              "db.commit()")
    subprocess.run(["python3", "-c", script, str(words)], check=True)
    with tarn.Server(lake) as server:
        opened(server)
        for question in ("abc", "寺", "words"):
            assert set(ids(search(server, question, mode="keyword", k=20))) == QUESTIONS[question], question
        assert "index.remade" not in server.log_text()
        assert vectors == sorted((path.name, path.stat().st_mtime_ns) for path in words.parent.rglob("generation*"))
