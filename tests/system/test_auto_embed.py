"""Datasets that are searchable without a call, because they or their lake say so."""
from tests.support import tarn
from tests.system.test_search import as_csv, eventually, ids, rows, search


def indexes(server):
    return {item["name"]: item["state"] for item in server.get("/vectors/indexes").json()["items"]}


def patch(server, value, status=200):
    answer = server.request("PATCH", "/catalog/datasets/people", json={"auto_embed": value})
    assert answer.status_code == status, answer.text
    return answer.json()


def test_at_ingest(lake):
    with tarn.Server(lake) as server:
        answer = server.ingest("people", as_csv(rows(20)), key="id", auto_embed="true")
        assert answer["auto_embed"] is True
        (index,) = answer["indexes"]
        assert (index["name"], index["text_columns"]) == ("people", ["summary"])
        eventually(lambda: indexes(server) == {"people": "ready"})
        assert ids(search(server, "number7", mode="keyword")) == ["7"]
        about = server.get("/catalog/datasets/people").json()
        assert about["auto_embed"] is True and about["indexes"] == answer["indexes"]
        # Numbers and codes are no prose: the wish stays, there is nothing to index yet.
        codes = server.ingest("codes", "id,code\n1,AB\n", key="id", auto_embed="true")
        assert (codes["auto_embed"], codes["indexes"]) == (True, [])
        silent = server.ingest("others", as_csv(rows(5)), key="id")
        assert "auto_embed" not in silent
        assert server.get("/catalog/datasets/others").json()["auto_embed"] is None
        assert set(indexes(server)) == {"people"}
        refused = server.ingest("people", as_csv(rows(5)), check=False, auto_embed="perhaps")
        assert refused.status_code == 400


def test_by_a_patch_and_until_another(lake):
    with tarn.Server(lake) as server:
        server.ingest("people", as_csv(rows(10)), key="id")
        assert patch(server, True)["indexes"][0]["text_columns"] == ["summary"]
        eventually(lambda: indexes(server) == {"people": "ready"})
        # Dropped, it is not made again by itself, also not after a restart,
        server.delete("/vectors/indexes/people")
        server.ingest("people", as_csv(rows(11)), mode="upsert")
        assert indexes(server) == {}
    with tarn.Server(lake) as server:
        server.ingest("people", as_csv(rows(12)), mode="upsert")
        assert indexes(server) == {}
        # until somebody says so again.
        assert patch(server, True)["auto_embed"] is True
        eventually(lambda: indexes(server) == {"people": "ready"})
        assert patch(server, None)["auto_embed"] is None
        assert patch(server, "yes", 400)["code"] == "bad_request"


def test_one_dataset_may_stand_aside(lake):
    with tarn.Server(lake, "--set", "index.auto_embed=true") as server:
        answer = server.ingest("people", as_csv(rows(10)), key="id", auto_embed="false")
        assert (answer["auto_embed"], answer["indexes"]) == (False, [])
        server.ingest("others", as_csv(rows(10)), key="id")
        eventually(lambda: indexes(server) == {"others": "ready"})


def test_by_the_command_line(server, tmp_path):
    file = tmp_path / "people.csv"
    file.write_text(as_csv(rows(8)))
    server.cli("ingest", str(file), "--key", "id", "--auto-embed", "true")
    eventually(lambda: indexes(server) == {"people": "ready"})
    server.cli("datasets", "set", "people", "--auto-embed", "false")
    assert server.get("/catalog/datasets/people").json()["auto_embed"] is False
    assert server.cli("datasets", "set", "people", "--auto-embed", "maybe", check=False).returncode == 2
