"""Documents: what becomes of them, what hostile ones cost, and doing it again."""
import shutil

import pytest
import requests

from tests.support import papers, tarn

needs_poppler = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler-utils is not installed")


def send(server, files, check=True, **parameters):
    """A form of files: {path: bytes}."""
    form = [("file", (name, data)) for name, data in files.items()]
    answer = server.post("/ingest/documents", params={"dataset": "papers", **parameters}, files=form)
    if not check:
        return answer
    assert answer.status_code == 200, answer.text
    return answer.json()


def send_one(server, name, data, **parameters):
    answer = server.post("/ingest/documents", params={"dataset": "papers", "name": name, **parameters}, data=data)
    assert answer.status_code == 200, answer.text
    return answer.json()


def counts(answer):
    return answer["ingested"], answer["unchanged"], answer["failed"]


def document(server, path):
    rows = server.sql("select * from papers where path = ?", path)
    assert len(rows) == 1, (path, rows)
    return rows[0]


def pages(server, path):
    return server.sql("select page, heading, text, needs_ocr, title from papers__pages where path = ? order by page",
                      path)


def test_each_kind(server):
    answer = send(server, {
        "guide.md": b"---\ntitle: The guide\n---\n# Setup\nInstall it.\n## Linux\nUse apt.\n",
        "notes.txt": "Grüße\n".encode("latin-1"),
        "page.html": b"<html><head><title>A page</title></head><body><h1>Top</h1><p>Some <b>text</b>.</body></html>",
        "report.docx": papers.docx([(1, "Findings"), "All is well."]),
        "hello.eml": papers.mail("The body of the mail.", [("inside.txt", "attached text")]),
    })
    assert counts(answer) == (6, 0, 0) and answer["errors"] == []
    kinds = {row["path"]: (row["type"], row["title"]) for row in server.sql("select path, type, title from papers")}
    assert kinds == {"guide.md": ("markdown", "The guide"), "notes.txt": ("text", None), "page.html": ("html", "A page"),
                     "report.docx": ("docx", "A report"), "hello.eml": ("eml", "Hello"),
                     "hello.eml/inside.txt": ("text", None)}
    assert document(server, "notes.txt")["text"] == "Grüße"
    assert document(server, "report.docx")["author"] == "Ann"
    assert document(server, "hello.eml")["created"].startswith("2024-01-31T12:00:00")
    assert [(p["page"], p["heading"]) for p in pages(server, "guide.md")] == [(1, "Setup"), (2, "Setup > Linux")]
    assert pages(server, "hello.eml/inside.txt")[0]["text"] == "attached text"


@needs_poppler
def test_pdf_has_pages(server):
    answer = send_one(server, "a/b.pdf", papers.pdf(["Page one speaks", "Page two\nanswers"], title="Talk", author="Ann"))
    assert counts(answer) == (1, 0, 0) and answer["pages"] == 2
    row = document(server, "a/b.pdf")
    assert (row["type"], row["title"], row["author"], row["pages"], row["needs_ocr"]) == ("pdf", "Talk", "Ann", 2, False)
    assert row["created"].startswith("2024-01-31T12:00:00")
    assert [p["text"].split() for p in pages(server, "a/b.pdf")] == [["Page", "one", "speaks"], ["Page", "two", "answers"]]


@needs_poppler
def test_scanned_pages_are_listed(server):
    answer = send(server, {"scan.pdf": papers.pdf(["text here", "", ""], scanned=[2]), "fine.pdf": papers.pdf(["text"])})
    assert answer["needs_ocr"] == 1
    assert [r["path"] for r in server.sql("select path from papers where needs_ocr")] == ["scan.pdf"]
    assert [p["needs_ocr"] for p in pages(server, "scan.pdf")] == [False, True, False]


def test_again_and_changed(server):
    files = {"a.md": b"# One\nx\n# Two\ny\n# Three\nz\n", "b.md": b"# B\n"}
    assert counts(send(server, files)) == (2, 0, 0)
    before = server.query("select 1 from papers, papers__pages")["snapshots"]
    assert counts(send(server, files)) == (0, 2, 0)
    assert server.query("select 1 from papers, papers__pages")["snapshots"] == before
    old = document(server, "a.md")
    assert counts(send(server, {**files, "a.md": b"# One\nx\n# Zwei\nother\n"})) == (1, 1, 0)
    new = document(server, "a.md")
    assert new["doc_id"] == old["doc_id"] and new["hash"] != old["hash"] and new["sections"] == 2
    assert [p["heading"] for p in pages(server, "a.md")] == ["One", "Zwei"]
    assert [p["heading"] for p in pages(server, "b.md")] == ["B"]


def test_the_same_path_twice_in_one_call(server):
    form = [("file", ("a.md", b"# One\n# Two\nb\n")), ("file", ("a.md", b"# Later\n"))]
    answer = server.post("/ingest/documents", params={"dataset": "papers"}, files=form)
    assert answer.status_code == 200, answer.text
    assert document(server, "a.md")["title"] == "Later"
    assert [p["heading"] for p in pages(server, "a.md")] == ["Later"]


def test_archives(server):
    inner = papers.archive({"deep.txt": "deep"})
    answer = send_one(server, "all.zip", papers.archive({
        "a/one.md": "# Eins", "../../two.txt": "zwei", "__MACOSX/a/._one.md": "x", "inner.zip": inner,
        "photo.png": b"\x89PNG\r\n\x1a\n" + bytes(100)}))
    assert counts(answer) == (3, 0, 1)
    assert answer["errors"][0]["path"] == "all.zip/photo.png" and "PNG" in answer["errors"][0]["detail"]
    paths = [r["path"] for r in server.sql("select path from papers where error is null order by path")]
    assert paths == ["all.zip/a/one.md", "all.zip/inner.zip/deep.txt", "all.zip/two.txt"]


def test_a_damaged_archive_and_then_a_sound_one(server):
    sound = papers.archive({"one.md": "# Eins"})
    assert counts(send_one(server, "x.zip", sound[:-10])) == (0, 0, 1)
    assert "damaged" in document(server, "x.zip")["error"]
    assert counts(send_one(server, "x.zip", sound)) == (1, 0, 0)
    assert [r["path"] for r in server.sql("select path from papers")] == ["x.zip/one.md"]


def test_a_zip_bomb_is_one_error(server):
    bomb = papers.archive({"bomb.txt": bytes(200_000_000), "fine.txt": "fine"})
    answer = send_one(server, "bomb.zip", bomb)
    assert counts(answer) == (1, 0, 1)
    assert answer["errors"][0]["path"] == "bomb.zip/bomb.txt" and "bomb" in answer["errors"][0]["detail"]


@needs_poppler
def test_hostile_files_cost_one_error_each(lake):
    hostile = {
        "cut.pdf": papers.pdf(["one", "two"])[:400],
        "locked.pdf": papers.locked_pdf(),
        "loop.pdf": papers.looping_pdf(),
        "noise.pdf": b"%PDF-1.7\n" + bytes(range(256)) * 50,
        "many.pdf": papers.pdf(["p"] * 60),
        "old.doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        "empty.pdf": b"",
        "entities.docx": papers.archive({
            "[Content_Types].xml": "<T/>",
            "word/document.xml": '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'}),
        "long.txt": b"word " * 30_000,
    }
    with tarn.Server(lake, "--set", "documents.max_pages=50", "--set", "documents.max_text=100KB") as server:
        answer = send(server, {**hostile, "fine.pdf": papers.pdf(["fine"]), "fine.txt": b"fine"})
        assert answer["ingested"] == 2 and answer["failed"] == len(hostile), answer["errors"]
        errors = {e["path"]: e["detail"] for e in answer["errors"]}
        assert set(errors) == set(hostile)
        assert "password" in errors["locked.pdf"] and "60 pages" in errors["many.pdf"]
        assert "empty" in errors["empty.pdf"] and "Office" in errors["old.doc"]
        assert "document type" in errors["entities.docx"] and "100" in errors["long.txt"]
        rows = server.sql("select path from papers where error is not null")
        assert {r["path"] for r in rows} == set(hostile)
        assert server.get("/health").status_code == 200


@needs_poppler
def test_time_is_limited(lake):
    with tarn.Server(lake, "--set", "documents.timeout=1s") as server:
        answer = send(server, {"endless.pdf": papers.endless_pdf()})
        assert counts(answer) == (0, 0, 1), answer
        assert answer["errors"][0]["code"] == "timed_out"


@needs_poppler
def test_memory_is_limited(server):
    answer = send(server, {"bomb.pdf": papers.flate_bomb_pdf(), "fine.txt": b"fine"})
    assert counts(answer) == (1, 0, 1), answer
    assert answer["errors"][0]["code"] in ("timed_out", "too_large", "unreadable_file")


def test_what_failed_is_tried_again(lake):
    text = b"word " * 3000
    with tarn.Server(lake, "--set", "documents.max_text=10KB") as server:
        assert counts(send(server, {"a.txt": text})) == (0, 0, 1)
    with tarn.Server(lake) as server:
        assert counts(send(server, {"a.txt": text})) == (1, 0, 0)
        assert document(server, "a.txt")["error"] is None
        assert counts(send(server, {"a.txt": text})) == (0, 1, 0)


def test_refusals(server):
    assert server.post("/ingest/documents", params={"name": "a.txt"}, data=b"x").status_code == 400
    assert server.post("/ingest/documents", params={"dataset": "d"}, data=b"x").status_code == 400
    assert send(server, {"a.txt": b"x"}, check=False, dataset="../x").status_code == 400
    server.ingest("calls", "id,name\n1,a\n")
    answer = send(server, {"a.txt": b"x"}, check=False, dataset="calls")
    assert answer.status_code == 422 and "something else" in answer.json()["detail"]
    answer = server.ingest("d", papers.pdf(["x"]), check=False)
    assert answer.status_code == 422 and "/ingest/documents" in answer.json()["hint"]


def test_command_line(server, tmp_path):
    folder = tmp_path / "My Papers"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.md").write_text("# A")
    (folder / "sub" / "b \"quoted\".txt").write_text("b")
    (folder / "sub" / "table.csv").write_text("id\n1\n")
    (folder / ".hidden.md").write_text("# no")
    done = server.cli("ingest", str(folder))
    assert "my_papers: 2 documents" in done.stdout and "1 file was skipped" in done.stderr
    rows = server.sql("select path from my_papers order by path")
    assert [r["path"] for r in rows] == ["My Papers/a.md", "My Papers/sub/b \"quoted\".txt"]
    done = server.cli("--json", "ingest", str(folder), "--dataset", "my_papers")
    assert '"unchanged":2' in done.stdout.replace(" ", "")
    (folder / "bad.pdf").write_bytes(b"%PDF-1.4\n")
    done = server.cli("ingest", str(folder), "my_papers", check=False)
    assert done.returncode == 1 and "bad.pdf" in done.stderr and "1 failed" in done.stdout


def test_many_small_files(server, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for n in range(450):
        (folder / f"{n:03}.txt").write_text(f"Document number {n}. It speaks of {n * n}.")
    done = server.cli("ingest", str(folder), "many")
    assert "450 documents" in done.stdout
    assert server.sql("select count(*) n, count(distinct doc_id) d, sum(sections) s from many") == [
        {"n": 450, "d": 450, "s": 450}]


@pytest.mark.parametrize("point", ["documents.after_pages", "documents.after_stale_pages", "documents.after_documents"])
def test_killed_between_commits(lake, point):
    """The row of the document comes last: the same call again completes."""
    old, new = {"a.md": b"# One\n# Two\n# Three\n"}, {"a.md": b"# Uno\n", "b.md": b"# B\n"}
    with tarn.Server(lake, env={"TARN_FAULT": f"{point}:2"}) as server:
        assert counts(send(server, old)) == (1, 0, 0)
        with pytest.raises(requests.exceptions.RequestException):
            send(server, new)
        server.process.wait(tarn.PATIENCE)
    with tarn.Server(lake) as server:
        done = point == "documents.after_documents"
        assert (document(server, "a.md")["title"] == "Uno") == done
        assert counts(send(server, new)) == ((0, 2, 0) if done else (2, 0, 0))
        assert [p["heading"] for p in pages(server, "a.md")] == ["Uno"]
        assert [p["heading"] for p in pages(server, "b.md")] == ["B"]
        assert document(server, "a.md")["sections"] == 1
