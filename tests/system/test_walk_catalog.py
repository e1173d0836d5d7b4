"""The REST catalog and the framing of requests, off the common road."""
import gzip

import pytest
import requests

ICEBERG = "/iceberg/v1"
SCHEMA = {"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "id", "type": "long", "required": False}]}


@pytest.mark.parametrize("form, status, error", [
    ({"grant_type": "client_credentials", "client_id": "x", "client_secret": "no token"}, 401, "invalid_client"),
    ({"grant_type": "client_credentials"}, 401, "invalid_client"),
    ({"grant_type": "password"}, 400, "unsupported_grant_type"), ({"grant_type": ""}, 400, "invalid_request"),
    ({"client_secret": "x"}, 400, "invalid_request")])
def test_a_refused_token_is_told_as_oauth_does(server, form, status, error):
    answer = requests.post(server.url + ICEBERG + "/oauth/tokens", data=form, timeout=60)
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert answer.json()["error_description"]


def test_a_page_of_nothing_is_refused(server):
    for path in ("/namespaces", "/namespaces/default/tables"):
        assert server.get(f"{ICEBERG}{path}?pageSize=0").status_code == 400


def test_a_drop_that_cannot_be_read_drops_nothing(server):
    assert server.post(f"{ICEBERG}/namespaces/default/tables", json={"name": "t", "schema": SCHEMA}).status_code == 200
    table = f"{ICEBERG}/namespaces/default/tables/t"
    assert server.delete(table + "?purgeRequested=maybe").status_code == 400
    assert server.get(table).status_code == 200
    assert server.delete(table + "?purgeRequested=True").status_code == 204


def test_a_compressed_body_is_called_so(server):
    server.ingest("t", "id,v\n1,a\n", key="id")
    packed = {"Content-Encoding": "gzip"}
    for answer in (
            server.post("/query/sql", data=gzip.compress(b'{"sql":"select 1"}'), headers=packed),
            server.request("PUT", "/datasets/t/rows", data=gzip.compress(b'{"id":1}'), headers=packed),
            server.post(f"{ICEBERG}/namespaces", data=gzip.compress(b'{"namespace":["n"]}'), headers=packed)):
        assert answer.status_code == 415 and "Content-Encoding gzip" in answer.text, answer.text
    assert server.post("/ingest/file?dataset=u", data=gzip.compress(b"a\n1\n"), headers=packed).status_code == 200
    assert server.post("/query/sql", json={"sql": "select 1"}, headers={"Content-Encoding": "identity"}).status_code == 200
