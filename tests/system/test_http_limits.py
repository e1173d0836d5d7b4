"""Hostile bytes on raw sockets: framing, sizes, dripping."""
import re
import socket
import time

import pytest

from tests.support import tarn


def connect(server):
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=120)


def is_whole(answer):
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)^content-length: *(\d+)", head, re.M)
    return end and len(body) >= (int(length[1]) if length else 0)


def exchange(server, data):
    """Sends the bytes; the beginning of what comes back: its head, and the body that the head speaks of."""
    got = b""
    with connect(server) as link:
        try:
            link.sendall(data)
            while not is_whole(got) and (part := link.recv(1 << 16)):
                got += part
        except (ConnectionResetError, BrokenPipeError):
            pass
        return got


def status(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


def alive(server):
    return server.get("/health").status_code == 200


@pytest.mark.parametrize("request_bytes,want", [
    (b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", {200}),
    (b"GET /health HTTP/1.1\r\n\r\n", {400, 403}),
    (b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", {400}),
    (b"GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    (b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    (b"GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    (b"GET /%ff HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    (b"GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", {404}),
    (b"GET /catalog/datasets/..%2f..%2ftokens.json HTTP/1.1\r\nHost: localhost\r\n\r\n", {401, 404}),
    (b"POST /query/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
     b"0\r\n\r\n", {400}),
    (b"POST /query/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", {400}),
    (b"POST /query/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n", {400, 413}),
    (b"POST /query/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n", {400, 413}),
    (b"POST /query/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: abc\r\n\r\n", {400}),
    (b"POST /query/sql HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", {400, 501}),
    (b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", {405}),
    (b"OPTIONS /query/sql HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\r\n", {403, 405}),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 nonsense\r\n\r\n", {None, 400}),
    (b"GET /health\r\n\r\n", {None, 400, 403}),
    (b"GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n", {400, 505}),
])
def test_framing(server, request_bytes, want):
    assert status(exchange(server, request_bytes)) in want
    assert alive(server)


def test_smuggled_request_is_not_run(server):
    """What stands behind a body of two lengths is never taken for a request."""
    data = (b"POST /query/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with connect(server) as link:
        link.sendall(data)
        link.settimeout(3)
        got = b""
        try:
            while part := link.recv(1 << 16):
                got += part
        except (TimeoutError, ConnectionResetError):
            pass
    assert b"HTTP/1.1 200" not in got


def test_large_headers(server):
    for size, want in ((8_000, {200}), (20_000, {431}), (400_000, {431, 400, 414, None})):
        data = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Filler: " + b"a" * size + b"\r\n\r\n"
        assert status(exchange(server, data)) in want, size
    answer = exchange(server, b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Filler: " + b"a" * 20_000 + b"\r\n\r\n")
    assert b"application/problem+json" in answer and b"headers_too_large" in answer
    many = b"".join(b"X-%d: y\r\n" % n for n in range(5_000))
    assert status(exchange(server, b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + many + b"\r\n")) in {431, 400, None}
    assert alive(server)


def test_large_bodies(lake):
    with tarn.Server(lake, "--set", "server.max_body=100KB") as server:
        sql = "select '" + "x" * 200_000 + "'"
        answer = server.post("/query/sql", json={"sql": sql})
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")

        def chunks():
            yield b'{"sql":"select 1 /*'
            for _ in range(200):
                yield b"x" * 1024
            yield b'*/"}'
        answer = server.post("/query/sql", data=chunks(), headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        assert alive(server)


def test_expect_continue_is_refused_before_the_body(server):
    data = (b"POST /query/sql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\nExpect: 100-continue\r\n"
            b"Content-Type: application/json\r\n\r\n")
    assert status(exchange(server, data)) in {401, 413}


def test_endless_body_without_a_token_is_cut(server):
    """Nobody may make the server read for ever."""
    with connect(server) as link:
        link.sendall(b"POST /ingest/file HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            for _ in range(4096):
                link.sendall(chunk)
    assert alive(server)


def test_dripping_headers_are_cut(lake):
    with tarn.Server(lake, "--set", "server.header_timeout=500ms") as server:
        with connect(server) as link:
            link.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")
            cut = False
            for n in range(600):
                try:
                    link.sendall(b"X-%d: y\r\n" % n)
                    link.settimeout(0.05)
                    cut = link.recv(100) == b""
                except TimeoutError:
                    continue
                except (ConnectionResetError, BrokenPipeError):
                    cut = True
                if cut:
                    break
            assert cut
        assert alive(server)


def test_idle_connections_are_ended(lake):
    with tarn.Server(lake, "--set", "server.idle_timeout=1s") as server:
        with connect(server) as link:
            assert link.recv(1) == b""
        with connect(server) as link:  # a request line that never ends is idle too
            cut = False
            for _ in range(600):
                try:
                    link.sendall(b"G")
                    link.settimeout(0.05)
                    cut = link.recv(100) == b""
                except TimeoutError:
                    continue
                except (ConnectionResetError, BrokenPipeError):
                    cut = True
                if cut:
                    break
            assert cut


def test_many_connections_do_not_hurt(lake):
    with tarn.Server(lake, "--set", "server.connections=20") as server:
        assert alive(server)
        links = [connect(server) for _ in range(60)]
        time.sleep(0.2)
        for link in links:
            link.close()
        end = time.monotonic() + 120
        while True:
            try:
                assert alive(server)
                break
            except Exception:  # the last of them are still being closed
                assert time.monotonic() < end
                time.sleep(0.1)


def test_pipelined_requests_are_answered_in_order(server):
    one = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: p%d\r\n\r\n"
    with connect(server) as link:
        link.sendall(b"".join(one % n for n in range(5)))
        got = b""
        while got.count(b'"status":"ok"') < 5:
            part = link.recv(1 << 16)
            assert part
            got += part
    places = [got.index(b"X-Request-Id: p%d" % n) for n in range(5)]
    assert places == sorted(places)
