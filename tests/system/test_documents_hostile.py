"""Files that mean harm, or mean nothing: each costs a clear error or is read, and the others go on."""
import io
import os
import zipfile

import pytest

from tests.support import papers
from tests.system.test_documents import counts, document, send, send_one


def nested_mail(depth):
    out = "From: a@b.c\r\nTo: d@e.f\r\nSubject: deep\r\nDate: Wed, 31 Jan 2024 12:00:00 +0100\r\nMIME-Version: 1.0\r\n"
    for level in range(depth):
        out += f"Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"
    out += "Content-Type: text/plain\r\n\r\nthe deep body\r\n"
    return (out + "".join(f"--b{level}--\r\n" for level in reversed(range(depth)))).encode()


def patched(archive, *patches):
    """An archive with (signature, offset, bytes) written over it."""
    out = bytearray(archive)
    for signature, offset, data in patches:
        at = out.rfind(signature) + offset
        out[at:at + len(data)] = data
    return bytes(out)


def docx(definition, reference):
    return papers.archive({"word/document.xml": f"{definition}<w:document {papers.W}><w:body><w:p><w:r><w:t>hi {reference}"
                                                "</w:t></w:r></w:p></w:body></w:document>"})


def test_each_costs_one_clear_error(server):
    laughs = "<!DOCTYPE l [<!ENTITY a 'lol'>" + "".join(
        f"<!ENTITY {chr(98 + i)} '{('&' + chr(97 + i) + ';') * 10}'>" for i in range(9)) + "]>"
    plain = papers.archive({"x.txt": "secret words"})
    files = {
        "deep.eml": (nested_mail(10000), "nested deeper"),
        "laughs.docx": (docx(laughs, "&j;"), "document type definition"),
        "outside.docx": (docx('<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]>', "&x;"), "document type definition"),
        "locked.zip": (patched(plain, (b"PK\3\4", 6, b"\1"), (b"PK\1\2", 8, b"\1")), "password"),
        "lies.zip": (patched(plain, (b"PK\1\2", 20, b"\xff" * 8)), "beyond 4 GB"),
        "ends.zip": (patched(plain, (b"PK\5\6", 8, b"\xff" * 12)), "zip64"),
        "deep.html": (b"<html><body>" + b"<div>" * 1000000 + b"words" + b"</div>" * 1000000, "deeper in each other"),
        "empty.txt": (b"", "empty"),
        "zeros.txt": (bytes(5000), "neither text"),
    }
    answer = send(server, {name: data for name, (data, _) in files.items()} | {"fine.txt": b"all is well"})
    assert counts(answer) == (1, 0, len(files))
    errors = {error["path"].split("/")[0]: error["detail"] for error in answer["errors"]}
    for name, (_, words) in files.items():
        assert words in errors[name], (name, errors[name])
    assert "root:" not in "".join(errors.values()) and document(server, "fine.txt")["text"] == "all is well"


def test_odd_ones_are_read(server):
    files = {
        "ticks.md": (b"".join(b"`" * i + b" " for i in range(1, 1000)), "` `` ```"),
        "stars.md": (b"*a **b " * 100000, "*a **b"), "brackets.md": (b"[" * 300000, "[[["), "quotes.md": (b"> " * 300000 + b"x", "> >"),
        "wide.txt": ("Grüße aus Köln".encode("utf-16"), "Grüße aus Köln"),
        "latin.txt": ("Grüße aus Köln".encode("latin-1"), "Grüße aus Köln"),
        "broken.txt": (b"fine \xff\xfe\xc3\x28 words \xed\xa0\x80 end", "fine "),
        "half.html": (b"<p>Before it.</p>" + b"<div>" * 3000 + b"lost", "Before it."),
    }
    assert counts(send(server, {name: data for name, (data, _) in files.items()})) == (len(files), 0, 0)
    for name, (_, words) in files.items():
        assert document(server, name)["text"].startswith(words), name
    assert "left out" in document(server, "half.html")["warnings"]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_in_an_archive(server):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in (("a.txt", "first"), ("a.txt", "second"), ("../../up.txt", "up"), ("/abs.txt", "abs"),
                           ("c\\d.txt", "back"), ("new\nline.txt", "line")):
            archive.writestr(name, text)
    send_one(server, "all.zip", out.getvalue())
    rows = server.sql("select path, text from papers order by path")
    assert {row["path"]: row["text"] for row in rows} == {
        "all.zip/a.txt": "second", "all.zip/abs.txt": "abs", "all.zip/c/d.txt": "back", "all.zip/new/line.txt": "line",
        "all.zip/up.txt": "up"}


def test_a_folder_of_odd_files(server, tmp_path):
    folder = tmp_path / "odd"
    (folder / "sub").mkdir(parents=True)
    (folder / "fine.txt").write_text("all is well")
    (folder / "sub" / "up").symlink_to("..")
    (folder / "self.txt").symlink_to("self.txt")
    (folder / "round").symlink_to(folder)
    os.mkfifo(folder / "pipe.txt")
    (folder / "empty.md").write_bytes(b"")
    for name in (b"bad\xff\xfe.txt", b"two\nlines.txt"):
        with open(os.path.join(os.fsencode(folder), name), "wb") as file:
            file.write(b"by another name")
    done = server.cli("ingest", str(folder), "papers", check=False)
    assert done.returncode == 1 and "not valid UTF-8" in done.stderr and "empty.md: the file is empty" in done.stderr
    rows = server.sql("select path, text, error from papers order by path")
    assert [row["text"] for row in rows if row["error"] is None] == ["all is well", "by another name"], rows


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_told(server, tmp_path):
    folder = tmp_path / "odd"
    (folder / "shut").mkdir(parents=True)
    (folder / "fine.txt").write_text("all is well")
    (folder / "locked.txt").write_text("not for you")
    (folder / "locked.txt").chmod(0)
    (folder / "shut").chmod(0)
    done = server.cli("ingest", str(folder), "papers", check=False)
    (folder / "shut").chmod(0o700)
    assert done.returncode == 1 and "1 document" in done.stdout
    assert "locked.txt: the file may not be read" in done.stderr and "shut: the folder cannot be opened" in done.stderr
