"""Documents that are read beside each other give what they give one after another."""
import contextlib
import http.client
import pathlib
import shutil
import socket
import threading
import urllib.parse

import pytest
import requests

from tests.support import papers, tarn
from tests.system.test_documents import counts, document, pages, send
from tests.system.test_search import eventually

needs_poppler = pytest.mark.skipif(shutil.which("pdftotext") is None, reason="poppler-utils is not installed")
ONE = ("--set", "jobs.cpus=1")


def mixture():
    """Files of all kinds, in an order that tells: archives and mails among others, bad ones among good ones."""
    inner = papers.archive({f"deep{i}.md": f"# Deep {i}\ntext {i}" for i in range(5)} | {"bad.bin": bytes(300)})
    files = {}
    for i in range(6):
        files[f"{i}a.md"] = f"# Head {i}\nbody {i}".encode()
        files[f"{i}b.bin"] = bytes(200 + i)
        files[f"{i}c.eml"] = papers.mail(f"Body {i}", [(f"inside{i}.txt", f"attached {i}"), ("odd.bin", "PAR1 of another kind")])
        files[f"{i}d.docx"] = papers.docx([(1, f"Findings {i}"), "All is well."])
        files[f"{i}e.zip"] = papers.archive({f"m{n}.txt": f"member {n} of {i}" for n in range(7)} | {"in.zip": inner})
        files[f"{i}f.zip"] = papers.archive({"x.txt": "x"})[:-8]
        files[f"{i}g.docx"] = papers.archive({"no_document.txt": f"an archive by another name {i}"})
    return files


def rows_of(server):
    return (server.sql("select * from papers order by path"), server.sql("select * from papers__pages order by path, page"))


def test_the_same_rows_and_errors_in_the_same_order(tmp_path):
    seen, files = [], mixture()
    for name, options in (("one", ONE), ("many", ())):
        with tarn.Server(tmp_path / name, *options) as server:
            answer = send(server, files)
            seen.append((counts(answer), answer["errors"], rows_of(server)))
            assert counts(send(server, files))[0] == 0, "what could be read is unchanged"
    assert seen[0] == seen[1]
    errors = [error["path"] for error in seen[0][1]]
    assert errors[:2] == ["0b.bin", "0c.eml/odd.bin"] and errors[-1] == "5f.zip" and errors == sorted(errors)


def test_a_path_that_comes_again_while_it_is_read(server):
    form = [("file", (f"{n % 3}.md", f"# Version {n}\n".encode())) for n in range(30)]
    answer = server.post("/ingest/documents", params={"dataset": "papers"}, files=form)
    assert answer.status_code == 200, answer.text
    assert [document(server, f"{n}.md")["title"] for n in range(3)] == ["Version 27", "Version 28", "Version 29"]


@needs_poppler
def test_a_hostile_one_keeps_no_other_out(lake):
    with tarn.Server(lake, "--set", "documents.timeout=20s") as server:
        files = {f"{n:02}.pdf": papers.pdf([f"page of {n}"]) for n in range(20)}
        files["05.pdf"] = papers.endless_pdf()
        answer = send(server, files)
        assert counts(answer) == (19, 0, 1)
        assert [(error["path"], error["code"]) for error in answer["errors"]] == [("05.pdf", "timed_out")]
        assert pages(server, "19.pdf")[0]["text"] == "page of 19"


def below(pid):
    """All processes below this one, by name."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            name, rest = entry.read_text().rsplit(")", 1)
            if int(rest.split()[1]) == pid:
                found += [name.split("(")[1]] + below(int(entry.parent.name))
        except (OSError, ValueError):
            pass
    return found


@needs_poppler
def test_who_hangs_up_leaves_nobody_at_work(lake):
    with tarn.Server(lake) as server:
        form = [("file", (f"{n}.pdf", papers.endless_pdf())) for n in range(40)]
        request = requests.Request("POST", f"{server.url}/ingest/documents", params={"dataset": "papers"}, files=form,
                                   headers=dict(server.session.headers)).prepare()
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc)
        connection.connect()

        def upload():
            with contextlib.suppress(OSError): # cut off in its midst
                connection.request("POST", request.path_url, body=request.body, headers=dict(request.headers))

        thread = threading.Thread(target=upload)
        thread.start()
        eventually(lambda: "pdftotext" in below(server.process.pid))
        connection.sock.shutdown(socket.SHUT_RDWR)
        thread.join()
        eventually(lambda: below(server.process.pid) == [])
        # Given up, and not read to the end.
        assert server.get("/catalog/datasets/papers").status_code == 404
