"""POST /query/sql and its kin: every form of answer, limits, cancelling, clients that leave or do not read."""
import io
import json
import socket
import threading
import time

import pyarrow.ipc
import pyarrow.parquet
import pytest

ENDLESS = "select count(*) from range(100000000000) t(i) where hash(i) % 7 = 1"
MEDIA = {"csv": "text/csv", "ndjson": "application/x-ndjson", "parquet": "application/vnd.apache.parquet",
         "arrow": "application/vnd.apache.arrow.stream"}


def ask(server, sql, media=None, **fields):
    headers = {"Accept": media} if media else {}
    return server.post("/query/sql", json={"sql": sql, **fields}, headers=headers)


def gauge(server, name):
    for line in server.get("/metrics").text.splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise AssertionError(name)


def until(condition, patience=120):
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def raw_query(server, sql, request_id="raw", **fields):
    """A socket with a small window that has asked and not read yet."""
    host, port = server.url.removeprefix("http://").split(":")
    body = json.dumps({"sql": sql, **fields}).encode()
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    link.connect((host, int(port)))
    link.settimeout(120)
    link.sendall((f"POST /query/sql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n"
                  f"X-Request-Id: {request_id}\r\nContent-Type: application/json\r\nConnection: close\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n").encode() + body)
    return link


def read_all(link):
    parts = []
    try:
        while part := link.recv(1 << 16):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def test_json_envelope(server):
    body = ask(server, "select 1 as a, 'x' as b union all select 2, null order by 1").json()
    assert body["columns"] == [{"name": "a", "type": "INTEGER"}, {"name": "b", "type": "VARCHAR"}]
    assert body["rows"] == [[1, "x"], [2, None]]
    assert (body["row_count"], body["truncated"], body["snapshots"], body["source"]) == (2, False, {}, {})
    assert body["elapsed_ms"] > 0


def test_no_rows(server):
    body = ask(server, "select 1 as a where false").json()
    assert (body["rows"], body["row_count"]) == ([], 0)


def test_parameters_are_bound(server):
    evil = "'; drop table x; --"
    assert server.query("select $1 as a, $2 as b", evil, 7)["rows"] == [[evil, 7]]
    assert ask(server, "select $x as a", params={"x": "y"}).json()["rows"] == [["y"]]


def test_limit_truncates(server):
    body = ask(server, "select * from range(1000)", limit=10).json()
    assert (body["row_count"], body["truncated"]) == (10, True)
    body = ask(server, "select * from range(10)", limit=10).json()
    assert (body["row_count"], body["truncated"]) == (10, False)


def test_other_forms(server):
    sql = "select i as a, 'v' || i as b from range(3) t(i)"
    assert ask(server, sql, MEDIA["csv"]).text.splitlines() == ["a,b", "0,v0", "1,v1", "2,v2"]
    lines = ask(server, sql, MEDIA["ndjson"]).text.splitlines()
    assert [json.loads(line) for line in lines] == [{"a": i, "b": f"v{i}"} for i in range(3)]
    table = pyarrow.parquet.read_table(io.BytesIO(ask(server, sql, MEDIA["parquet"]).content))
    assert table.to_pydict() == {"a": [0, 1, 2], "b": ["v0", "v1", "v2"]}
    table = pyarrow.ipc.open_stream(ask(server, sql, MEDIA["arrow"]).content).read_all()
    assert table.to_pydict() == {"a": [0, 1, 2], "b": ["v0", "v1", "v2"]}
    answer = ask(server, sql, "image/png")
    assert answer.status_code == 406 and answer.json()["code"] == "not_acceptable"


@pytest.mark.parametrize("media", [None, *MEDIA.values()])
def test_long_results_are_whole(server, media):
    rows = 300_000
    answer = ask(server, f"select i as a, 'row ' || i as b from range({rows}) t(i)", media)
    assert answer.status_code == 200
    if media is None:
        body = answer.json()
        assert body["row_count"] == rows == len(body["rows"])
    elif media == MEDIA["csv"]:
        assert len(answer.text.splitlines()) == rows + 1
    elif media == MEDIA["ndjson"]:
        assert json.loads(answer.text.splitlines()[-1])["a"] == rows - 1
    elif media == MEDIA["parquet"]:
        assert pyarrow.parquet.read_table(io.BytesIO(answer.content)).num_rows == rows
    else:
        assert pyarrow.ipc.open_stream(answer.content).read_all().num_rows == rows


def test_errors_have_a_place(server):
    body = ask(server, "select 1,\n  nosuch").json()
    assert body["code"] == "sql_error" and body["line"] == 2 and "nosuch" in body["detail"]
    assert ask(server, "select * from nosuch").json()["code"] == "dataset_not_found"
    assert ask(server, "create table x(a int)").json()["code"] == "sql_refused"


def test_an_error_in_the_middle_is_seen(server):
    """The cast fails only after the first rows have gone."""
    sql = "select (case when i < 4000000 then '1' else 'x' end)::integer as a from range(4000001) t(i)"
    data = read_all(raw_query(server, sql))
    head, body = data.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200")
    assert not body.endswith(b"0\r\n\r\n"), "the chunked transfer must not end well"
    assert b'],"error":{' in body and b"sql_error" in body


def test_a_client_that_leaves_cancels(server):
    link = raw_query(server, ENDLESS)
    until(lambda: gauge(server, "tarn_queries_running") == 1)
    link.close()
    until(lambda: gauge(server, "tarn_queries_running") == 0)


def test_cancel_by_id(server):
    link = raw_query(server, ENDLESS, "to-be-cancelled")
    until(lambda: gauge(server, "tarn_queries_running") == 1)
    assert server.delete("/query/to-be-cancelled").json() == {"request_id": "to-be-cancelled", "status": "cancelled"}
    answer = read_all(link)
    assert b"HTTP/1.1 499" in answer and b'"cancelled"' in answer
    assert server.delete("/query/to-be-cancelled").status_code == 404


def test_cancel_at_any_moment(server):
    """The first moment at which a query can be cancelled is within its start."""
    for n in range(150):
        link = raw_query(server, ENDLESS, f"early{n}")
        until(lambda: server.delete(f"/query/early{n}").status_code == 200)
        assert b"HTTP/1.1 499" in read_all(link)
        link.close()


def test_timeout(server):
    answer = ask(server, ENDLESS, timeout_ms=200)
    assert (answer.status_code, answer.json()["code"]) == (504, "timed_out")


def test_clients_that_do_not_read_hold_no_worker(server):
    links = [raw_query(server, "select i from range(1000000000) t(i)", f"slow{n}") for n in range(8)]
    until(lambda: gauge(server, "tarn_queries_running") == 8)
    assert server.query("select 42 as a")["rows"] == [[42]]
    until(lambda: gauge(server, "tarn_tasks_queued") == 0)
    for link in links:
        link.close()
    until(lambda: gauge(server, "tarn_queries_running") == 0)


def test_the_deadline_ends_a_client_that_does_not_read(server):
    link = raw_query(server, "select i from range(1000000000) t(i)", timeout_ms=2000)
    assert link.recv(8, socket.MSG_PEEK) == b"HTTP/1.1", "it has begun"
    until(lambda: gauge(server, "tarn_queries_running") == 0)
    until(lambda: gauge(server, "tarn_connections") == 1)
    data = read_all(link)
    assert not data.endswith(b"0\r\n\r\n")


def test_too_many_queries_is_429(lake):
    from tests.support import tarn
    with tarn.Server(lake, "--set", "sql.max_queries=2") as server:
        links = [raw_query(server, ENDLESS, f"q{n}") for n in range(2)]
        until(lambda: gauge(server, "tarn_queries_running") == 2)
        answer = ask(server, "select 1")
        assert (answer.status_code, answer.json()["code"]) == (429, "busy")
        assert int(answer.headers["Retry-After"]) >= 1
        for link in links:
            link.close()
        until(lambda: gauge(server, "tarn_queries_running") == 0)
        assert ask(server, "select 1").status_code == 200


def test_stop_drains_then_cancels(lake):
    from tests.support import tarn
    with tarn.Server(lake, "--set", "server.drain=1s") as server:
        link = raw_query(server, ENDLESS)
        until(lambda: gauge(server, "tarn_queries_running") == 1)
        told = []
        reader = threading.Thread(target=lambda: told.append(read_all(link)))
        reader.start()
        assert server.stop() == 0
        reader.join()
    assert b"HTTP/1.1 503" in told[0]
    assert not (lake / "state" / "server.json").exists()


def test_explain(server):
    body = server.post("/query/explain", json={"sql": "select sum(i) from range(10) t(i)"}).json()
    assert body["plan"].strip()
    assert server.post("/query/explain", json={"sql": "copy (select 1) to 'x'"}).status_code in (400, 422)


def test_memory_of_one_query_can_be_lowered(server):
    """The lowered limit is a hard one, and the other queries keep theirs."""
    hungry = "select length(list(i)) as n from range(9000000) t(i)"
    low = server.post("/query/sql", json={"sql": hungry, "memory_bytes": 32 << 20})
    assert (low.status_code, low.json()["code"]) == (503, "out_of_memory")
    assert server.sql(hungry) == [{"n": 9000000}]
    assert server.sql("select 7 as x", memory_bytes=16 << 20) == [{"x": 7}]
    server.ingest("pets", "name\nRex\n")
    assert server.query("select name from pets", memory_bytes=64 << 20)["rows"] == [["Rex"]]
    assert server.post("/query/sql", json={"sql": "select 1", "memory_bytes": 1000}).status_code == 400
