"""Files over HTTP: raw, as a form, in drips, with keys; what goes wrong with them."""
import threading

import pytest
import requests

from tests.support import tarn

CSV = "id,name\n1,a\n2,b\n"


def rows(server, dataset):
    return server.sql(f"select count(*) as n from {dataset}")[0]["n"]


def test_form(server):
    answer = server.post("/ingest/file", params={"dataset": "people"},
                         files={"file": ("people.csv", CSV, "text/csv")})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["status"], answer.json()["rows"]) == ("ingested", 2)
    fields = {"dataset": "others", "types": "id:text"}
    answer = server.post("/ingest/file", data=fields, files={"file": ("x.csv", CSV)})
    assert answer.json()["dataset"] == "others"
    assert answer.json()["schema"][0]["type"] == "VARCHAR"


def test_forms_that_do_not_work(server):
    assert server.post("/ingest/file", data={"colour": "red"}, files={"file": ("x.csv", CSV)}).status_code == 400
    answer = server.post("/ingest/file", files=[("a", ("a.csv", CSV)), ("b", ("b.csv", CSV))])
    assert answer.status_code == 400 and "more than one" in answer.json()["detail"]
    cut = (b'--X\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nid\n1\n')
    answer = server.post("/ingest/file", data=cut, headers={"Content-Type": "multipart/form-data; boundary=X"})
    assert answer.status_code == 400 and "closing boundary" in answer.json()["detail"]
    answer = server.post("/ingest/file", data=CSV, headers={"Content-Type": "multipart/form-data"})
    assert answer.status_code == 400
    assert server.get("/catalog/datasets").json()["items"] == []


def test_bad_options_are_refused(server):
    for parameters in ({"mode": "upsert"}, {"max_rejects": "many"}, {"format": "xls"}, {"types": "a:nosuch"},
                       {"dataset": "../x"}):
        answer = server.ingest(parameters.pop("dataset", "d"), CSV, check=False, **parameters)
        assert 400 <= answer.status_code < 500, (parameters, answer.text)
    assert server.get("/catalog/datasets").json()["items"] == []


def test_chunked_and_large(server):
    def parts():
        yield b"id,name\n"
        for block in range(300):
            yield b"".join(b"%d,row number %d\n" % (n, n) for n in range(block * 1000, block * 1000 + 1000))
    answer = server.post("/ingest/file", params={"dataset": "big"}, data=parts())
    assert answer.status_code == 200, answer.text
    assert answer.json()["rows"] == 300_000 == rows(server, "big")


def test_size_limit(lake):
    with tarn.Server(lake, "--set", "ingest.max_size=10KB") as server:
        big = CSV + "3,x\n" * 10_000
        assert server.ingest("a", big, check=False).status_code == 413
        answer = server.post("/ingest/file", params={"dataset": "a"}, data=iter([big.encode()]))
        assert answer.status_code == 413
        assert server.ingest("a", CSV)["rows"] == 2


def test_idempotency_key(server):
    key = {"Idempotency-Key": "k-1"}
    first = server.post("/ingest/file", params={"dataset": "d"}, data=CSV, headers=key)
    again = server.post("/ingest/file", params={"dataset": "d"}, data=CSV, headers=key)
    assert first.json() == again.json() and first.json()["status"] == "ingested"
    assert again.headers["Idempotency-Replayed"] == "true"
    other = server.post("/ingest/file", params={"dataset": "e"}, data=CSV, headers=key)
    assert other.status_code == 422
    patch = {"description": "x"}
    one = server.request("PATCH", "/catalog/datasets/d", json=patch, headers={"Idempotency-Key": "k-2"})
    two = server.request("PATCH", "/catalog/datasets/d", json=patch, headers={"Idempotency-Key": "k-2"})
    assert one.status_code == 200 and one.json() == two.json()
    bad = server.request("PATCH", "/catalog/datasets/d", json=patch, headers={"Idempotency-Key": "two words"})
    assert bad.status_code == 400


def test_a_client_that_leaves_in_the_middle_leaves_nothing(server):
    def parts():
        yield b"id,name\n" + b"1,a\n" * 100_000
        raise OSError("the client dies here")
    with pytest.raises((OSError, requests.exceptions.RequestException)):
        server.post("/ingest/file", params={"dataset": "half"}, data=parts())
    assert server.get("/catalog/datasets/half").status_code == 404
    assert server.get("/health").status_code == 200


def test_many_at_once(lake):
    with tarn.Server(lake, "--set", "ingest.max_running=3") as server:
        seen = []

        def one(n):
            answer = server.ingest(f"d{n}", CSV + "9,z\n" * 20_000, check=False)
            seen.append((n, answer.status_code))
        threads = [threading.Thread(target=one, args=(n,)) for n in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(seen) == 12 and {status for _, status in seen} <= {200, 429}
        assert any(status == 200 for _, status in seen)
        for n, status in seen:
            assert server.get(f"/catalog/datasets/d{n}").status_code == (200 if status == 200 else 404)


def test_preview_writes_nothing(server):
    answer = server.post("/ingest/preview", data=CSV, params={"source": "people.csv"})
    assert answer.status_code == 200, answer.text
    assert [column["name"] for column in answer.json()["schema"]] == ["id", "name"]
    assert server.get("/catalog/datasets").json()["items"] == []


def test_catalog_pages_and_patches(server):
    for n in range(5):
        server.ingest(f"d{n}", CSV)
    seen, cursor = [], None
    while True:
        page = server.get("/catalog/datasets", params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        seen += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [f"d{n}" for n in range(5)]
    told = server.request("PATCH", "/catalog/datasets/d1", json={"owner": "ann", "tags": ["x"], "reason": "test"}).json()
    assert (told["owner"], told["tags"]) == ("ann", ["x"])
    assert server.request("PATCH", "/catalog/datasets/d1", json={"colour": 1}).status_code == 400
    assert len(server.get("/catalog/datasets/d1/snapshots").json()["items"]) == 1
    assert server.get("/catalog/datasets/d1/sample?limit=1").json()["row_count"] == 1
    assert server.delete("/catalog/datasets/d1?reason=done").status_code == 200
    assert server.get("/catalog/datasets/d1").json()["code"] == "dataset_not_found"
    assert [item["name"] for item in server.get("/catalog/datasets").json()["items"]] == ["d0", "d2", "d3", "d4"]


def test_snapshots_are_reported(server):
    server.ingest("d", CSV)
    told = server.query("select a.id from d a join d b using (id)")
    snapshot = server.get("/catalog/datasets/d").json()["snapshot_id"]
    assert told["snapshots"] == {"d": snapshot} and told["source"] == {"d": "parquet"}
    server.ingest("d", "id,name\n3,c\n")
    assert server.query("select * from d", as_of=snapshot)["row_count"] == 2
    assert server.query("select * from d")["row_count"] == 3
