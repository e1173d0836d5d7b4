"""Who made an index and who dropped it stands in the journal of its dataset."""


def events(server):
    return server.sql("SELECT operation, old_value, new_value, actor, reason FROM journal "
                      "WHERE dataset = 'pages' AND operation LIKE 'index.%' ORDER BY ts")


def test_made_and_dropped(server):
    server.ingest("pages", "id,body\n1,A page about lakes\n2,A page about hills\n", key="id")
    made = server.post("/vectors/indexes", params={"wait": 100}, json={
        "dataset": "pages", "text_columns": ["body"], "reason": "people ask for lakes"})
    assert made.status_code == 200, made.text
    assert server.delete("/vectors/indexes/pages", params={"reason": "nobody asks any more"}).status_code == 200
    first, second = events(server)
    assert (first["operation"], first["actor"], first["reason"]) == ("index.create", "first", "people ask for lakes")
    assert '"name":"pages"' in first["new_value"].replace(" ", "") and "reason" not in first["new_value"]
    assert (second["operation"], second["reason"]) == ("index.drop", "nobody asks any more")
    assert "pages" in second["old_value"]
    told = server.get("/journal", params={"operation": "index.drop"}).json()["items"]
    assert [event["dataset"] for event in told] == ["pages"]


def test_what_was_refused_is_not_told(server):
    server.ingest("pages", "id,body\n1,A page about lakes\n", key="id")
    assert server.post("/vectors/indexes", json={"dataset": "pages", "text_columns": ["no"]}).status_code >= 400
    assert server.delete("/vectors/indexes/none", params={"reason": "why not"}).status_code == 404
    assert events(server) == []
