"""A folder of documents: what is taken, what is not, and that each is told of."""
import json
import os

import pytest


@pytest.fixture
def papers(tmp_path):
    folder = tmp_path / "papers"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.md").write_text("# A")
    return folder


def ingest(server, folder, status):
    done = server.cli("--json", "ingest", str(folder), "papers", check=False)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


def paths(server):
    return [row["path"] for row in server.sql("select path from papers order by path")]


def test_links_that_lead_out_are_not_read(server, papers, tmp_path):
    outside = tmp_path / "papers-secret"
    outside.mkdir()
    (outside / "secret.txt").write_text("not theirs")
    (papers / "file.txt").symlink_to(outside / "secret.txt")
    (papers / "sub" / "up.txt").symlink_to("../../papers-secret/secret.txt")
    (papers / "chain.txt").symlink_to("file.txt")
    (papers / "folder").symlink_to(outside)
    answer = ingest(server, papers, 1)
    assert paths(server) == ["papers/a.md"] and answer["failed"] == 4 and answer["files"] == 5
    assert {os.path.relpath(e["path"], papers) for e in answer["errors"]} == {"file.txt", "sub/up.txt", "chain.txt", "folder"}
    assert all("a link that leads out of the folder" in e["detail"] and e["hint"] for e in answer["errors"])
    done = server.cli("ingest", str(papers), "papers", check=False)
    assert "file.txt: it is a link that leads out of the folder" in done.stderr and "4 failed" in done.stdout


def test_links_within_are_other_names_and_no_loops(server, papers):
    (papers / "rel.md").symlink_to("a.md")
    (papers / "sub" / "abs.md").symlink_to(papers / "a.md")
    (papers / "sub" / "loop").symlink_to("..")
    (papers / "nothing.md").symlink_to("gone.md")
    (papers / "self.md").symlink_to("self.md")
    answer = ingest(server, papers, 0)
    assert paths(server) == ["papers/a.md", "papers/rel.md", "papers/sub/abs.md"]
    assert {os.path.relpath(f["path"], papers) for f in answer["skipped_files"]} == {"sub/loop", "nothing.md", "self.md"}


def test_a_folder_named_by_a_link_is_that_folder(server, papers, tmp_path):
    (tmp_path / "way").symlink_to(papers)
    assert ingest(server, tmp_path / "way", 0)["ingested"] == 1


def test_what_is_skipped_is_named(server, papers):
    for name in ("x.xlsx", "pic.mp4", "sub/t.csv", "odd", ".DS_Store"):
        (papers / name).write_bytes(b"PK")
    (papers / ".git").mkdir()
    (papers / ".git" / "c.md").write_text("no")
    os.mkfifo(papers / "pipe.txt")
    with open(os.fsencode(papers) + b"/bad\xff.bin", "wb"):
        pass
    answer = ingest(server, papers, 0)
    skipped = {os.path.relpath(f["path"], papers): f for f in answer["skipped_files"]}
    assert set(skipped) == {"x.xlsx", "pic.mp4", "sub/t.csv", "odd", "pipe.txt", "bad?.bin"}
    assert (answer["skipped"], answer["hidden"], answer["failed"]) == (6, 2, 0)
    assert "CSV" in skipped["x.xlsx"]["hint"] and f"tarn ingest {papers}/sub/t.csv" in skipped["sub/t.csv"]["hint"]
    done = server.cli("ingest", str(papers), "papers")
    assert "6 files were skipped:" in done.stderr and "x.xlsx: a spreadsheet" in done.stderr
    assert "2 hidden files or folders were passed by" in done.stderr


def test_the_list_is_bounded(server, papers):
    for i in range(130):
        (papers / f"f{i:03}.bin").touch()
    answer = ingest(server, papers, 0)
    assert answer["skipped"] == 130 and len(answer["skipped_files"]) == 100
    assert "and 110 more" in server.cli("ingest", str(papers), "papers").stderr
