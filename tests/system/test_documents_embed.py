"""Documents that are searchable by themselves: ?auto_embed= of POST /ingest/documents."""
import pytest

from tests.support import tarn
from tests.system.test_auto_embed import indexes
from tests.system.test_documents import send, send_one
from tests.system.test_search import eventually, search

GUIDE = ("# Setup\n" + "Install the windmill on the roof and turn it towards the sea. " * 4 +
         "\n# Care\n" + "Grease the bearings of the pump each spring, before the first storm. " * 4).encode()


def wish(server, dataset):
    return server.get(f"/catalog/datasets/{dataset}").json()["auto_embed"]


def test_pages_become_searchable(server):
    answer = send_one(server, "guide.md", GUIDE, auto_embed="true")
    assert answer["auto_embed"] is True and [i["name"] for i in answer["indexes"]] == ["papers__pages"]
    # A hit names a page, so the pages have the index; the documents' own rows would only say it again.
    assert wish(server, "papers__pages") is True and wish(server, "papers") is None
    eventually(lambda: indexes(server) == {"papers__pages": "ready"})
    (hit,) = search(server, "bearings", index="papers__pages", mode="keyword", rows=True)["hits"]
    assert (hit["row"]["path"], hit["row"]["page"]) == ("guide.md", 2), hit


def test_a_form_may_say_so_and_others_not(lake):
    with tarn.Server(lake, "--set", "index.auto_embed=true") as server:
        answer = server.post("/ingest/documents", files=[("dataset", (None, "papers")), ("auto_embed", (None, "false")),
                                                         ("file", ("guide.md", GUIDE))]).json()
        assert (answer["auto_embed"], answer["indexes"]) == (False, [])
        assert wish(server, "papers__pages") is False and wish(server, "papers") is False
        assert send(server, {"guide.md": GUIDE}, check=False, auto_embed="perhaps").status_code == 400


def test_nothing_to_read_is_no_error(server):
    answer = send_one(server, "photo.bin", bytes(500), auto_embed="true")
    assert (answer["failed"], answer["auto_embed"], answer["indexes"]) == (1, True, [])


@pytest.mark.parametrize("word", ["true", "false"])
def test_by_the_command_line(server, tmp_path, word):
    (tmp_path / "guide.md").write_bytes(GUIDE)
    server.cli("ingest", str(tmp_path / "guide.md"), "--dataset", "papers", "--auto-embed", word)
    assert wish(server, "papers__pages") is (word == "true")
