"""Paths, methods, parameters, problem documents, request ids: what is true of every route."""
import re

import pytest

PROBLEM = {"type", "title", "status", "code", "detail", "request_id"}


def problem(answer, status, code):
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert PROBLEM <= set(body) <= PROBLEM | {"hint", "line", "column"}
    assert (body["status"], body["code"]) == (status, code)
    assert body["request_id"] == answer.headers["X-Request-Id"]
    return body


def test_unknown_path_suggests(server):
    body = problem(server.get("/catalog/dataset"), 404, "not_found")
    assert "/catalog/datasets" in body["hint"]
    for path in ("/health/", "//health", "/Health", "/catalog/datasets/"):
        problem(server.get(path), 404, "not_found")


def test_wrong_method_lists_the_right_ones(server):
    answer = server.delete("/catalog/datasets")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD"
    answer = server.get("/query/sql")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "POST, DELETE"  # DELETE of the query called "sql"
    answer = server.request("PUT", "/catalog/datasets/x")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, HEAD, PATCH, DELETE"


def test_head_is_get_without_a_body(server):
    answer = server.request("HEAD", "/health")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Type"] == "application/json"


def test_unknown_parameters_and_fields_are_named(server):
    body = problem(server.get("/catalog/datasets?limits=5"), 400, "unknown_field")
    assert "limits" in body["detail"] and "limit" in body["hint"]
    body = problem(server.post("/query/sql", json={"sql": "select 1", "parameters": []}), 400, "unknown_field")
    assert "parameters" in body["detail"]
    problem(server.get("/catalog/datasets?limit=5&limit=6"), 400, "bad_request")
    problem(server.get("/catalog/datasets?limit=many"), 400, "bad_request")
    problem(server.get("/catalog/datasets?limit=0"), 400, "bad_request")
    problem(server.get("/catalog/datasets?limit=99999"), 400, "bad_request")


@pytest.mark.parametrize("body,code", [(b"", "bad_json"), (b"{", "bad_json"), (b'{"sql":1}', "bad_request"),
                                       (b'{"sql":"select 1","sql":"select 2"}', "bad_json"), (b"[]", "bad_request"),
                                       (b'{"sql":"\xff"}', "bad_json"), (b"{} {}", "bad_json"), (b"{}", "bad_request")])
def test_malformed_bodies(server, body, code):
    answer = server.post("/query/sql", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["code"] in {code, "bad_json", "bad_request"}


def test_other_media_are_refused(server):
    answer = server.post("/query/sql", data="sql=select+1", headers={"Content-Type": "application/x-www-form-urlencoded"})
    problem(answer, 415, "unsupported_media_type")


def test_request_id_is_taken_or_made(server):
    assert server.get("/health", headers={"X-Request-Id": "my-id.1_2"}).headers["X-Request-Id"] == "my-id.1_2"
    made = server.get("/health").headers["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", made)
    for bad in ("a b", "x" * 64, "a/b", '"'):
        assert server.get("/health", headers={"X-Request-Id": bad}).headers["X-Request-Id"] != bad


def test_security_headers_on_every_kind_of_answer(server):
    for path in ("/", "/health", "/system", "/nothing", "/openapi.json"):
        headers = server.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"
        assert not [name for name in headers if name.lower().startswith("access-control")]


def test_page_is_self_contained(server):
    answer = server.get("/", headers={"Authorization": None})
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/html")
    assert "<script" not in answer.text and not re.search(r"https?://(?!127\.0\.0\.1)", answer.text)


def test_metrics(server):
    server.query("select 1")
    text = server.get("/metrics").text
    assert 'tarn_http_requests_total{route="querySql",status="200"} 1' in text
    assert 'tarn_http_request_duration_seconds_count{route="querySql"} 1' in text
    for name in ("tarn_queries_running", "process_resident_memory_bytes", "tarn_engine_memory_bytes",
                 "tarn_ingest_rows_total", "tarn_uptime_seconds"):
        assert re.search(rf"^{name} [0-9.e+]+$", text, re.M), name
    for line in text.splitlines():
        assert re.fullmatch(r"# (HELP|TYPE) .+|[a-z_]+(\{[^}]*\})? \S+", line), line


def test_system(server):
    body = server.get("/system").json()
    assert body["datasets"] == 0 and body["disk"]["free_bytes"] > 0 and body["memory"]["resident_bytes"] > 0
    assert body["queries"]["limit"] >= 1
