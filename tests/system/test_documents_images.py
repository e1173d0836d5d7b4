"""Images as documents: listed, read by OCR, held against the limits before anything decodes them."""
import shutil
import zlib

import pytest

from tests.support import papers, tarn
from tests.system.test_documents import counts, document, pages, send, send_one
from tests.system.test_ocr import BEARINGS, MANUAL, WINDMILL, job, kept, ocr, texts

needs_poppler = pytest.mark.skipif(not shutil.which("pdftoppm"), reason="poppler-utils is not installed")
needs_ocr = pytest.mark.skipif(not (shutil.which("tesseract") and shutil.which("pdftoppm")),
                               reason="tesseract-ocr and poppler-utils are not installed")
GIF = (b"GIF89a\x02\0\x02\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x02\0\x02\0\0\x02\x03\x44\x02\x05\0;")


@needs_ocr
def test_images_are_found_by_their_words(lake):
    files = {"a.png": papers.picture(WINDMILL), "b.jpg": papers.picture(BEARINGS, "jpeg"),
             "c.bmp": papers.picture("Feed the geese before sunrise", "bmp"),
             "e.txt": papers.picture("A photograph by another name")}
    scans = papers.tiff(["First the kettle", "Then the saucer", "Last of all the spoon"])
    with tarn.Server(lake) as server:
        # A page without packing takes a 300th of itself in an archive, and would be a bomb.
        sent = {"all.zip": papers.archive(files), "d.tif": scans}
        answer = send(server, sent, auto_embed="true")
        assert counts(answer) == (5, 0, 0), answer["errors"]
        assert (answer["needs_ocr"], answer["pages"]) == (5, 7)
        result = job(server, answer["ocr_job"], 120)["result"]
        assert (result["pages"], result["failed"], result["documents"]) == (7, 0, 5), result
        assert texts(server, "all.zip/a.png") == [" ".join(WINDMILL.split())]
        assert texts(server, "all.zip/b.jpg") == [" ".join(BEARINGS.split())]
        assert texts(server, "all.zip/c.bmp") == ["Feed the geese before sunrise"]
        assert texts(server, "d.tif") == ["First the kettle", "Then the saucer", "Last of all the spoon"]
        assert texts(server, "all.zip/e.txt") == ["A photograph by another name"]
        row = document(server, "d.tif")
        assert (row["type"], row["pages"], row["needs_ocr"]) == ("image", 3, False) and "saucer" in row["text"]
        assert '"format":"TIFF"' in row["metadata"] and kept(lake) == []
        # What was read stays: the same bytes again are unchanged.
        again = send(server, sent)
        assert counts(again) == (0, 5, 0) and again["ocr_job"] is None


@needs_poppler
def test_a_folder_of_images_by_the_command_line(lake, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name, kind in {"a.png": "png", "b.jpeg": "jpeg", "d.bmp": "bmp"}.items():
        (folder / name).write_bytes(papers.picture("x", kind, dpi=40))
    (folder / "c.TIFF").write_bytes(papers.tiff(["x"], dpi=40))
    (folder / "e.gif").write_bytes(GIF)
    with tarn.Server(lake, *MANUAL) as server:
        said = server.cli("ingest", str(folder), "papers").stdout
        assert "5 documents" in said and "5 scanned without text" in said and "skipped" not in said
        rows = server.sql("select path, type, pages, needs_ocr, error from papers order by path")
        assert [r["path"] for r in rows] == [f"photos/{n}" for n in ("a.png", "b.jpeg", "c.TIFF", "d.bmp", "e.gif")]
        assert {(r["type"], r["pages"], r["needs_ocr"], r["error"]) for r in rows} == {("image", 1, True, None)}
        assert len(kept(lake)) == 5


def test_listed_without_the_programs(lake):
    """With no OCR wanted, an image is a row that says so; nothing is kept of it."""
    with tarn.Server(lake, "--set", "documents.ocr=off") as server:
        answer = send_one(server, "a.png", papers.png(1, 1, zlib.compress(b"\0\0")))
        assert (counts(answer), answer["needs_ocr"], answer["ocr_job"]) == ((1, 0, 0), 1, None)
        (page,) = pages(server, "a.png")
        assert page["needs_ocr"] is True and page["text"] == "" and kept(lake) == []


def hostile():
    small = zlib.compress(b"\0" * 1000)
    loop = bytearray(papers.tiff(["x"], dpi=20))
    loop[-4:] = loop[4:8]
    return {
        "bomb.png": (papers.png(60000, 60000, small), "60000 x 60000 pixels"),
        "large.png": (papers.png(20000, 20000, small), "20000 x 20000 pixels"),
        "none.png": (papers.png(0, 0, small), "0 x 0"),
        "cut.png": (papers.png(10, 10, small)[:-14], "cut off"),
        "half.jpg": (papers.picture("x", "jpeg", dpi=40)[:-300], "cut off"),
        "head.jpg": (b"\xff\xd8\xff\xe0\0\x10JFIF", "cut off"),
        "loop.tif": (bytes(loop), "circle"),
        "cut.tif": (papers.tiff(["x"], dpi=20)[:-5], "cut off"),
        "big.tif": (b"II+\0\x08\0\0\0" + bytes(40), "BigTIFF"),
        "cut.gif": (GIF[:-1], "cut off"),
        "text.png": (b"only words, and no image at all", None),
        "bmw.txt": (b"BMW and others build cars here", None),
    }


@needs_poppler
def test_hostile_images_cost_one_error_each(lake):
    files = hostile()
    with tarn.Server(lake, *MANUAL) as server:
        answer = send(server, {name: data for name, (data, _) in files.items()})
        errors = {e["path"]: e["detail"] for e in answer["errors"]}
        for name, (_, words) in files.items():
            assert (words in errors[name]) if words else name not in errors, (name, errors.get(name))
        assert document(server, "text.png")["type"] == document(server, "bmw.txt")["type"] == "text"
        assert kept(lake) == []


@needs_ocr
def test_what_cannot_be_decoded_is_a_page_s_error(lake):
    """Headers that are sound, and pixels that are not: the others are read."""
    files = {"rubbish.png": papers.png(400, 300, b"not packed at all"), "fine.png": papers.picture("Fine words here"),
             "dot.png": papers.png(1, 1, zlib.compress(b"\0\0"))}
    with tarn.Server(lake, *MANUAL) as server:
        assert counts(send(server, files)) == (3, 0, 0)
        result = ocr(server)
        failed = {error["path"]: error["detail"] for error in result["errors"]}
        assert "tesseract gave up" in failed["rubbish.png"] and "fine.png" not in failed
        assert texts(server, "fine.png") == ["Fine words here"]
        assert result["pages"] + result["failed"] == 3


@needs_ocr
def test_the_memory_of_ocr_holds_the_largest_that_is_let_in(lake):
    """An image of nearly as many pixels as documents.memory allows is read, one of more is refused."""
    memory, side = 256 << 20, 5700
    line = b"\0" + b"\xff" * side
    with tarn.Server(lake, *MANUAL, "--set", f"documents.memory={memory >> 20}MB") as server:
        assert side * side * 8 < memory < (side + 200) ** 2 * 8
        answer = send(server, {"blank.png": papers.png(side, side, zlib.compress(line * side, 1)),
                               "more.png": papers.png(side + 200, side + 200, b"")})
        assert [error["path"] for error in answer["errors"]] == ["more.png"]
        assert "documents.memory" in answer["errors"][0]["hint"]
        result = ocr(server)
        assert (result["pages"], result["failed"]) == (1, 0), result
