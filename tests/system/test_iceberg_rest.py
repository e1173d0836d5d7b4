"""/iceberg/v1: reading, byte for byte, and tokens. Writing: test_iceberg_rest_write.py."""
import base64

import pytest

CSV = "id,name\n1,a\n2,b\n"


@pytest.fixture
def table(server):
    server.ingest("calls", CSV)
    return "/iceberg/v1/namespaces/default/tables/calls"


def error(answer, status, kind):
    assert answer.status_code == status
    body = answer.json()["error"]
    assert (body["code"], body["type"]) == (status, kind)
    return body["message"]


def test_config(server):
    body = server.get("/iceberg/v1/config?warehouse=any").json()
    assert body["defaults"] == {} and body["overrides"] == {}
    assert "GET /v1/{prefix}/namespaces/{namespace}/tables/{table}" in body["endpoints"]
    assert "POST /v1/{prefix}/transactions/commit" in body["endpoints"]
    assert not any("views" in endpoint for endpoint in body["endpoints"])


def test_namespaces(server):
    assert server.get("/iceberg/v1/namespaces").json() == {"namespaces": [["default"]]}
    assert server.get("/iceberg/v1/namespaces?parent=").json() == {"namespaces": [["default"]]}
    assert server.get("/iceberg/v1/namespaces?parent=default&pageToken=").json() == {"namespaces": []}
    assert server.get("/iceberg/v1/namespaces/default").json() == {"namespace": ["default"], "properties": {}}
    assert server.request("HEAD", "/iceberg/v1/namespaces/default").status_code == 204
    assert server.request("HEAD", "/iceberg/v1/namespaces/other").status_code == 404
    message = error(server.get("/iceberg/v1/namespaces/a%1Fb"), 404, "NoSuchNamespaceException")
    assert message == "Namespace does not exist: a.b"
    error(server.get("/iceberg/v1/namespaces?parent=x"), 404, "NoSuchNamespaceException")


def test_tables(server, table):
    server.ingest("people", CSV)
    listed = server.get("/iceberg/v1/namespaces/default/tables?pageToken=").json()
    assert listed == {"identifiers": [{"namespace": ["default"], "name": "calls"},
                                      {"namespace": ["default"], "name": "people"}]}
    page = server.get("/iceberg/v1/namespaces/default/tables?pageSize=1").json()
    assert page["next-page-token"] == "calls" and len(page["identifiers"]) == 1
    page = server.get("/iceberg/v1/namespaces/default/tables?pageSize=1&pageToken=calls").json()
    assert page["identifiers"][0]["name"] == "people" and "next-page-token" not in page
    error(server.get("/iceberg/v1/namespaces/system/tables"), 404, "NoSuchNamespaceException")


def test_load(server, table):
    answer = server.get(table + "?snapshots=all", headers={"X-Iceberg-Access-Delegation": "vended-credentials"})
    body = answer.json()
    location = body["metadata-location"]
    assert location.startswith("file:///") and body["config"] == {}
    with open(location.removeprefix("file://"), encoding="utf-8") as file:
        assert file.read().strip() in answer.text, "the metadata is the file's, byte for byte"
    assert body["metadata"]["format-version"] == 2
    tag = answer.headers["ETag"]
    again = server.get(table, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    server.ingest("calls", "id,name\n3,c\n")
    fresh = server.get(table, headers={"If-None-Match": tag})
    assert fresh.status_code == 200 and fresh.headers["ETag"] != tag
    assert server.request("HEAD", table).status_code == 204


def test_what_is_not_there(server, table):
    message = error(server.get("/iceberg/v1/namespaces/default/tables/nosuch"), 404, "NoSuchTableException")
    assert message == "Table does not exist: default.nosuch"
    error(server.get("/iceberg/v1/namespaces/default/tables/Calls"), 404, "NoSuchTableException")
    error(server.get("/iceberg/v1/namespaces/default/tables/..%2F..%2Fx"), 404, "NoSuchTableException")
    error(server.get("/iceberg/v1/namespaces/x/tables/calls"), 404, "NoSuchTableException")
    assert server.request("HEAD", "/iceberg/v1/namespaces/default/tables/nosuch").status_code == 404


def test_tokens_for_clients_of_oauth(server):
    path = "/iceberg/v1/oauth/tokens"
    none = {"Authorization": None}
    form = {"grant_type": "client_credentials", "client_id": "me", "client_secret": server.token, "scope": "catalog"}
    body = server.post(path, data=form, headers=none).json()
    assert body["token_type"] == "bearer" and body["expires_in"] > 0
    bearer = {"Authorization": f"Bearer {body['access_token']}"}
    assert server.get("/iceberg/v1/config", headers=bearer).status_code == 200
    basic = base64.b64encode(f"me:{server.token}".encode()).decode()
    answer = server.post(path, data={"grant_type": "client_credentials"}, headers={"Authorization": f"Basic {basic}"})
    assert answer.json()["access_token"]
    for wrong, status, word in (({"client_secret": "x"}, 401, "invalid_client"),
                                ({"grant_type": "password"}, 400, "unsupported_grant_type")):
        answer = server.post(path, data={**form, **wrong}, headers=none) # in OAuth's words, RFC 6749 5.2
        assert (answer.status_code, answer.json()["error"]) == (status, word)
    error(server.get("/iceberg/v1/config", headers=none), 401, "NotAuthorizedException")
    exchange = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": server.token}
    assert server.post(path, data=exchange, headers=none).json()["access_token"] == server.token
    error(server.request("PUT", "/iceberg/v1/namespaces"), 405, "UnsupportedOperationException")
