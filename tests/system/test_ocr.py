"""Scanned pages: listed, read by a job, found. Skipped where tesseract is not installed."""
import json
import shutil
import time

import pytest

from tests.support import papers, tarn
from tests.system.test_documents import counts, document, pages, send, send_one

pytestmark = pytest.mark.skipif(not (shutil.which("tesseract") and shutil.which("pdftoppm")),
                                reason="tesseract-ocr and poppler-utils are not installed")

WINDMILL = ("The windmill stands upon the roof\nand turns towards the northern sea.\n"
            "Whoever climbs the ladder should hold\non to the rail and never look down.")
BEARINGS = ("Grease the bearings of the pump\nbefore the first storm of spring.\n"
            "Water that freezes in the pipes will\nbreak them, so let it out in autumn.")
MANUAL = ("--set", "documents.ocr=manual")


# So many pages that they are not all read when a test has seen the first of them, however late it looks.
MANY = 400


def job(server, id, wait=600):
    """A job once it has ended, or as it is now."""
    answer = server.get(f"/jobs/{id}", params={"wait": wait}, timeout=660)
    assert answer.status_code == 200, answer.text
    return answer.json()


def ocr(server, status=200, **parameters):
    answer = server.post("/datasets/papers/ocr", params={"wait": 600, **parameters}, timeout=660)
    assert answer.status_code == status, answer.text
    return answer.json()


def dies_after(lake, pages, settings, files):
    """A job whose server dies when it has written so many pages; its id."""
    with tarn.Server(lake, *settings, env={"TARN_FAULT": f"ocr.after_page:{pages}"}) as server:
        send(server, files)
        id = server.post("/datasets/papers/ocr").json()["job_id"]
        server.process.wait(5 * tarn.PATIENCE)
    return id


def eventually(question):
    tarn.wait_for("it comes to that", question)


def kept(lake):
    return sorted(p.name for p in (lake / "buckets/primary/scans").rglob("*") if p.is_file())


def texts(server, path="scan.pdf"):
    return [" ".join((page["text"] or "").split()) for page in pages(server, path)]


def test_a_scan_is_found_by_its_words(lake):
    with tarn.Server(lake) as server:
        answer = send(server, {"scan.pdf": papers.scan([WINDMILL, BEARINGS]), "fine.pdf": papers.pdf(["plain text"])},
                      auto_embed="true")
        assert answer["needs_ocr"] == 1
        done = job(server, answer["ocr_job"])
        assert (done["kind"], done["subject"], done["state"]) == ("ocr", "papers", "done"), done
        assert done["progress"]["done"] == done["progress"]["total"] == 2 and done["progress"]["unit"] == "pages"
        result = done["result"]
        assert (result["pages"], result["failed"], result["documents"], result["errors"]) == (2, 0, 1, [])
        assert texts(server) == [" ".join(WINDMILL.split()), " ".join(BEARINGS.split())]
        row = document(server, "scan.pdf")
        assert row["needs_ocr"] is False and "windmill" in row["text"] and row["text"].count("\f") == 1
        (about,) = server.sql("select distinct ocr, needs_ocr, ocr_error from papers__pages where path = 'scan.pdf'")
        assert about["ocr"].startswith("tesseract ") and about["ocr"].endswith(", eng")
        assert (about["needs_ocr"], about["ocr_error"]) == (False, None)
        assert all(p["c"] > 50 for p in server.sql("select ocr_confidence c from papers__pages where path = 'scan.pdf'"))
        assert kept(lake) == [], "a scan that was read is let go"

        def hits():
            answer = server.post("/search", json={"query": "bearings", "index": "papers__pages", "mode": "keyword",
                                                  "rows": True})
            return [(hit["row"]["path"], hit["row"]["page"]) for hit in answer.json().get("hits", [])]
        eventually(lambda: hits() == [("scan.pdf", 2)])
        events = server.get("/journal", params={"dataset": "papers__pages", "operation": "update"}).json()["items"]
        assert {event["source"] for event in events} == {"ocr"}
        # The same bytes again change nothing, and bring no job.
        again = send(server, {"scan.pdf": papers.scan([WINDMILL, BEARINGS])})
        assert counts(again) == (0, 1, 0) and again["ocr_job"] is None
        assert texts(server)[1].startswith("Grease")


def test_one_page_among_others(server):
    """Pages with text keep it; those without are read, in the order of the document's text."""
    mixed = papers.scan(["Only a picture of words"])
    assert send_one(server, "a.pdf", mixed)["ocr_job"]
    eventually(lambda: document(server, "a.pdf")["needs_ocr"] is False)
    assert "picture" in document(server, "a.pdf")["text"]
    # Another version replaces all of it, also what was read.
    assert counts(send_one(server, "a.pdf", papers.pdf(["Typed words"]))) == (1, 0, 0)
    assert texts(server, "a.pdf") == ["Typed words"]


def test_a_page_that_cannot_be_read_keeps_no_other_out(lake):
    with tarn.Server(lake, *MANUAL) as server:
        answer = send_one(server, "scan.pdf", papers.scan([WINDMILL, BEARINGS]))
        assert answer["needs_ocr"] == 1 and answer["ocr_job"] is None and len(kept(lake)) == 1
        send_one(server, "other.pdf", papers.scan(["Some other letter"]))
        # The kept file of one is another now: as if a disk had lost it.
        (id,) = [r["doc_id"] for r in server.sql("select doc_id from papers where path = 'other.pdf'")]
        next((lake / "buckets/primary/scans").rglob(id)).write_bytes(b"%PDF-1.4 nothing")
        result = ocr(server)
        assert (result["pages"], result["failed"], result["documents"]) == (2, 1, 1)
        (error,) = result["errors"]
        assert error["path"] == "other.pdf" and "another version" in error["detail"] and "again" in error["hint"]
        assert document(server, "other.pdf")["needs_ocr"] is True
        # Ingested again it would be unchanged; so its file is kept anew only after it is gone.
        next((lake / "buckets/primary/scans").rglob(id)).unlink()
        assert ocr(server)["errors"][0]["detail"] == "the file of this scan is not kept"
        assert counts(send_one(server, "other.pdf", papers.scan(["Some other letter"]))) == (0, 1, 0)
        assert (ocr(server)["pages"], texts(server, "other.pdf")) == (1, ["Some other letter"])


def test_a_limit_is_a_page_s_error(lake):
    with tarn.Server(lake, *MANUAL, "--set", "documents.memory=256MB") as server:
        send_one(server, "scan.pdf", papers.scan(["A wall", WINDMILL], posters=[1]))
        result = ocr(server)
        assert (result["pages"], result["failed"], result["documents"]) == (1, 1, 0), result
        (error,) = result["errors"]
        assert (error["path"], error["page"]) == ("scan.pdf", 1)
        rows = server.sql("select needs_ocr, ocr_error, text from papers__pages order by page")
        assert [row["needs_ocr"] for row in rows] == [True, False] and "windmill" in rows[1]["text"]
        assert rows[0]["ocr_error"] == error["detail"] and rows[1]["ocr_error"] is None
        row = document(server, "scan.pdf")
        assert row["needs_ocr"] is True and "windmill" in row["text"] and len(kept(lake)) == 1


def test_too_little_memory_for_the_program(lake):
    with tarn.Server(lake, *MANUAL, "--set", "documents.memory=64MB") as server:
        send_one(server, "scan.pdf", papers.scan([WINDMILL]))
        assert "documents.memory" in ocr(server, 422)["hint"]


def test_off_keeps_nothing_and_says_how(lake):
    with tarn.Server(lake, "--set", "documents.ocr=off") as server:
        answer = send_one(server, "scan.pdf", papers.scan([WINDMILL]))
        assert (answer["needs_ocr"], answer["ocr_job"]) == (1, None) and kept(lake) == []
        result = ocr(server)
        assert result["failed"] == 1 and "documents.ocr" in result["errors"][0]["hint"]
    with tarn.Server(lake, *MANUAL) as server:
        assert counts(send_one(server, "scan.pdf", papers.scan([WINDMILL]))) == (0, 1, 0)
        assert len(kept(lake)) == 1 and ocr(server)["documents"] == 1


def test_what_is_refused(server):
    assert ocr(server, 404)["code"] == "dataset_not_found"
    server.ingest("papers", "a,b\n1,2\n")
    server.ingest("papers__pages", "a,b\n1,2\n")
    assert "no documents" in ocr(server, 422)["detail"]


def test_languages_that_are_not_there(lake):
    with tarn.Server(lake, *MANUAL) as server:
        send_one(server, "scan.pdf", papers.scan([WINDMILL]))
        missing = ocr(server, 422, languages="eng+tlh")
        assert "tlh" in missing["detail"] and "tesseract-ocr-tlh" in missing["hint"]
        assert ocr(server, 400, languages="../eng")["code"] == "bad_request"


def test_killed_it_goes_on_where_it_was(lake):
    count = 4
    scan = papers.scan([f"This is the page with number{i}" for i in range(1, count + 1)])
    id = dies_after(lake, 1, MANUAL, {"scan.pdf": scan})
    with tarn.Server(lake, *MANUAL) as server:
        done = job(server, id)
        assert done["state"] == "done", done
        assert done["result"]["documents"] == 1 and done["result"]["pages"] == count - 1
        assert [f"number{i + 1}" in text for i, text in enumerate(texts(server))] == [True] * count
        events = server.get("/journal", params={"dataset": "papers__pages", "operation": "update", "limit": 1000}).json()
        per_page = {}
        for event in events["items"]:
            per_page.setdefault(event["entity"], set()).add(event["snapshot_id"])
        assert len(per_page) == count and all(len(snapshots) == 1 for snapshots in per_page.values()), "once each"


def test_cancelled(lake):
    with tarn.Server(lake, *MANUAL) as server:
        send_one(server, "scan.pdf", papers.scan(["one"] * MANY, dpi=60))
        id = server.post("/datasets/papers/ocr").json()["job_id"]
        eventually(lambda: job(server, id, 0)["progress"]["done"] >= 1)
        budget = server.get("/system").json()["jobs"]
        (running,) = budget["running_jobs"]
        assert (running["id"], running["kind"], running["subject"]) == (id, "ocr", "papers")
        assert 0 < running["memory_reserved_bytes"] == budget["memory_reserved_bytes"] <= budget["memory_bytes"]
        assert job(server, id, 0)["memory_reserved_bytes"] == running["memory_reserved_bytes"]
        server.delete(f"/jobs/{id}")
        assert job(server, id)["state"] == "cancelled"
        assert server.get("/system").json()["jobs"]["memory_reserved_bytes"] == 0
        left = sum(p["needs_ocr"] for p in pages(server, "scan.pdf"))
        assert 0 < left < MANY
        time.sleep(0.5)
        assert sum(p["needs_ocr"] for p in pages(server, "scan.pdf")) == left, "nobody reads on"


def test_by_the_command_line(lake, tmp_path):
    (tmp_path / "scan.pdf").write_bytes(papers.scan([WINDMILL]))
    with tarn.Server(lake, *MANUAL) as server:
        said = server.cli("ingest", str(tmp_path / "scan.pdf"), "--dataset", "papers").stdout
        assert "1 scanned without text" in said and "tarn ocr papers" in said
        answer = json.loads(server.cli("ocr", "papers", "--wait", "--json").stdout)
        assert (answer["pages"], answer["documents"]) == (1, 1)
