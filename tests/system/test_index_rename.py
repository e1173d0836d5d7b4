"""An index belongs to its dataset, whatever that is called."""
from tests.support import tarn
from tests.system.test_search import as_csv, eventually, ids, index, rows, search

REST = "/iceberg/v1"


def rename(server, before, after):
    body = {"source": {"namespace": ["default"], "name": before}, "destination": {"namespace": ["default"], "name": after}}
    answer = server.post(f"{REST}/tables/rename", json=body)
    assert answer.status_code == 204, answer.text


def shown(server, name="people"):
    return server.get(f"/vectors/indexes/{name}").json()


def metric(server, name):
    return next(int(float(line.split()[1])) for line in server.get("/metrics").text.splitlines() if line.startswith(name + " "))


def put(server, dataset, id, words):
    answer = server.request("PUT", f"/datasets/{dataset}/rows",
                            json=[{"id": id, "city": "Rome", "trade": "baker", "summary": f"Bakes bread {words}."}])
    assert answer.status_code in (200, 201), answer.text


def test_a_rename_is_followed(lake):
    with tarn.Server(lake) as server:
        server.ingest("people", as_csv(rows(100)), key="id")
        index(server)
        embedded = metric(server, "tarn_index_embedded_total")
        rename(server, "people", "staff")
        answer = search(server, "number42", mode="keyword", index="people")
        assert ids(answer) == ["42"] and answer["dataset"] == "staff"
        assert ids(search(server, "number42", mode="keyword", index="people", filter="id < 50")) == ["42"]
        answer = server.post("/rag", json={"dataset": "staff", "question": "Who is number42?"})
        assert answer.status_code == 200, answer.text
        assert shown(server)["dataset"] == "staff" and shown(server)["problem"] is None and shown(server)["state"] == "ready"
        put(server, "staff", 42, "zebra")
        assert ids(search(server, "number42", mode="keyword", index="people")) == []
        eventually(lambda: ids(search(server, "zebra", mode="keyword", index="people")) == ["42"])
        assert metric(server, "tarn_index_embedded_total") == embedded + 1, "nothing is embedded again"
    with tarn.Server(lake) as server:
        rename(server, "staff", "people")
        # A search waits a second for the files of an index that are just being opened, and says so then.
        found = tarn.wait_for("the files", lambda: (answer := server.post("/search", json={
            "query": "zebra", "mode": "keyword", "index": "people"})).status_code != 503 and answer)
        assert found.status_code == 200 and ids(found.json()) == ["42"], found.text


def test_another_dataset_under_the_old_name(server):
    """The index goes with its rows and not with their name."""
    server.ingest("people", as_csv(rows(50)), key="id")
    index(server)
    rename(server, "people", "staff")
    server.ingest("people", "id,city,trade,summary\n1,Rome,baker,Bakes bread number7.\n", key="id")
    answer = search(server, "number7", mode="keyword", index="people")
    assert ids(answer) == ["7"] and answer["dataset"] == "staff"
    assert shown(server)["dataset"] == "staff"
    assert server.post("/rag", json={"dataset": "people", "question": "Who bakes bread?"}).status_code == 404


def test_a_dropped_dataset_is_a_problem(server):
    server.ingest("people", as_csv(rows(20)), key="id")
    index(server)
    assert server.request("DELETE", "/catalog/datasets/people").status_code in (200, 204)
    assert "dropped" in shown(server)["problem"]
    listed = server.get("/vectors/indexes").json()
    assert "dropped" in listed["items"][0]["problem"]
    search(server, "number7", status=404, index="people")
    server.ingest("people", "id,city,trade,summary\n1,Rome,baker,Bakes bread number7.\n", key="id")
    eventually(lambda: ids(search(server, "bread", mode="keyword", index="people")) == ["1"])
    eventually(lambda: shown(server)["problem"] is None)
