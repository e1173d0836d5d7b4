"""Pages of scans read several at once: in their order, each once, within what jobs may have."""
import json
import os
import shutil
import time
import zlib

import pytest

from tests.support import papers, tarn
from tests.system.test_documents import send, send_one
from tests.system.test_ocr import MANUAL, MANY, dies_after, eventually, job, ocr, texts

pytestmark = [
    pytest.mark.skipif(not (shutil.which("tesseract") and shutil.which("pdftoppm")),
                       reason="tesseract-ocr and poppler-utils are not installed"),
    pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one CPU reads one page at a time"),
]
TWO = (*MANUAL, "--set", "jobs.memory=1600MB", "--set", "jobs.cpus=2", "--set", "documents.memory=512MB")


def page_words(document, count):
    return [f"Document {document} has a page of number {page}" for page in range(1, count + 1)]


def reading(server):
    """How many of tesseract read a page for this server."""
    children, count = {}, 0
    for entry in os.listdir("/proc"):
        try:
            with open(f"/proc/{entry}/stat") as stat:
                name, rest = stat.read().rsplit(")", 1)
            children[int(entry)] = (name.split("(", 1)[1], int(rest.split()[1]))
        except (OSError, ValueError, IndexError):
            continue
    for name, parent in children.values():
        while name == "tesseract" and parent in children and parent != server.process.pid:
            parent = children[parent][1]
        count += name == "tesseract" and parent == server.process.pid
    return count


def written(server):
    """Which commits wrote each page, the oldest page first."""
    events = server.get("/journal", params={"dataset": "papers__pages", "operation": "update", "limit": 1000}).json()
    pages = {}
    for event in reversed(events["items"]):
        pages.setdefault(tuple(json.loads(event["entity"])), set()).add(event["snapshot_id"])
    return pages


@pytest.mark.parametrize("cpus", [1, 2])
def test_in_their_order_and_no_more_at_once_than_allowed(lake, cpus):
    with tarn.Server(lake, *TWO[:-3], f"jobs.cpus={cpus}", *TWO[-2:]) as server:
        files = {f"{n}.pdf": papers.scan(page_words(n, 3)) for n in range(2)}
        files["3.tif"] = papers.tiff(page_words(3, 2))
        send(server, files)
        id = server.post("/datasets/papers/ocr").json()["job_id"]
        while job(server, id, 0)["state"] in ("queued", "running"):
            assert reading(server) <= cpus
            time.sleep(0.05)
        result = job(server, id)["result"]
        assert (result["pages"], result["failed"], result["documents"]) == (8, 0, 3), result
        for n in range(2):
            assert texts(server, f"{n}.pdf") == page_words(n, 3)
        assert texts(server, "3.tif") == page_words(3, 2)
        rows = server.sql("select doc_id, page from papers__pages order by doc_id, page")
        assert list(written(server)) == [(row["doc_id"], row["page"]) for row in rows]
        assert all(len(snapshots) == 1 for snapshots in written(server).values()), "a commit each"


def test_two_at_once(lake):
    with tarn.Server(lake, *TWO) as server:
        send_one(server, "scan.pdf", papers.scan(page_words(1, 1) * MANY, dpi=60))
        id = server.post("/datasets/papers/ocr").json()["job_id"]
        eventually(lambda: reading(server) == 2)
        server.delete(f"/jobs/{id}")
        assert job(server, id)["state"] == "cancelled"


def test_killed_with_two_readers(lake):
    count = 6
    id = dies_after(lake, 2, TWO, {"scan.pdf": papers.scan(page_words(1, count))})
    with tarn.Server(lake, *TWO) as server:
        done = job(server, id)
        assert done["state"] == "done" and done["result"]["documents"] == 1, done
        assert done["result"]["pages"] == count - 2
        assert texts(server) == page_words(1, count)
        assert [len(snapshots) for snapshots in written(server).values()] == [1] * count, "each once"


def test_cancelled_with_two_readers(lake):
    with tarn.Server(lake, *TWO) as server:
        send_one(server, "scan.pdf", papers.scan(page_words(1, 1) * MANY, dpi=60))
        id = server.post("/datasets/papers/ocr").json()["job_id"]
        eventually(lambda: job(server, id, 0)["progress"]["done"] >= 1)
        server.delete(f"/jobs/{id}")
        assert job(server, id)["state"] == "cancelled"
        eventually(lambda: reading(server) == 0)
        assert server.get("/system").json()["jobs"]["memory_reserved_bytes"] == 0


def test_a_page_that_needs_more_is_read_alone(lake):
    """Its pixels do not fit into half of the memory; beside it are pages that do."""
    side = 7700
    blank = papers.png(side, side, zlib.compress((b"\0" + b"\xff" * side) * side, 1))
    with tarn.Server(lake, *TWO) as server:
        assert 400 << 20 < side * side * 8 < 512 << 20
        send(server, {"a.pdf": papers.scan(page_words(1, 2)), "b.png": blank, "c.pdf": papers.scan(page_words(2, 2))})
        result = ocr(server)
        assert (result["pages"], result["failed"], result["documents"]) == (5, 0, 3), result
