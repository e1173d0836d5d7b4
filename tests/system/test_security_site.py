"""Host, Origin, exposure."""
import pytest

from tests.support import tarn



@pytest.mark.parametrize("host,allowed", [("localhost", True), ("localhost:1234", True), ("127.0.0.1", True),
                                          ("[::1]:80", True), ("evil.example", False), ("localhost.evil.example", False),
                                          ("127.0.0.1.nip.example", False), ("10.0.0.1", False), ("a b", False)])
def test_host(server, host, allowed):
    answer = server.get("/health", headers={"Host": host})
    assert answer.status_code == (200 if allowed else 403)
    if not allowed:
        assert answer.json()["code"] == "forbidden"


def test_origin(server):
    own = server.url
    assert server.get("/health", headers={"Origin": own}).status_code == 200
    for origin in ("http://evil.example", "null", "http://localhost:1", own.replace("http", "https")):
        for method in ("GET", "POST", "OPTIONS", "DELETE"):
            answer = server.request(method, "/catalog/datasets", headers={"Origin": origin})
            assert answer.status_code == 403, (origin, method)
            assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_configured_names(lake):
    with tarn.Server(lake, "--set", "server.allowed_hosts=lake.example", "--set",
                     "server.allowed_origins=https://app.example") as server:
        assert server.get("/health", headers={"Host": "lake.example"}).status_code == 200
        assert server.get("/health", headers={"Host": "x.lake.example"}).status_code == 403
        assert server.get("/health", headers={"Origin": "https://app.example"}).status_code == 200


def test_beyond_loopback_needs_tls_or_a_flag(lake):
    done = tarn.run("serve", "--lake", lake, "--port", "0", "--bind", "0.0.0.0", check=False)
    assert done.returncode == 2
    assert "server.insecure_remote" in done.stderr and "server.tls_cert" in done.stderr
    with tarn.Server(lake, "--bind", "0.0.0.0", "--set", "server.insecure_remote=true") as server:
        assert server.get("/health").status_code == 200


def test_tls_needs_both_files(lake, tmp_path):
    cert = tmp_path / "cert.pem"
    cert.write_text("not a certificate")
    done = tarn.run("serve", "--lake", lake, "--port", "0", "--set", f"server.tls_cert={cert}", check=False)
    assert done.returncode == 2 and "need each other" in done.stderr
    done = tarn.run("serve", "--lake", lake, "--port", "0", "--set", f"server.tls_cert={cert}", "--set",
                    f"server.tls_key={cert}", check=False)
    assert done.returncode != 0 and "tls_cert" in done.stderr


def test_tls(lake, tmp_path):
    import shutil
    import subprocess
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed: no certificate to test TLS with")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=localhost", "-addext",
                    "subjectAltName=DNS:localhost,IP:127.0.0.1"], check=True, capture_output=True)
    with tarn.Server(lake, "--set", f"server.tls_cert={cert}", "--set", f"server.tls_key={key}") as server:
        assert server.url.startswith("https://127.0.0.1:")
        server.session.verify = str(cert)
        assert server.get("/health").status_code == 200
        assert server.query("select i from range(200000) t(i)")["row_count"] == 200000
        cookie = server.get(f"/login?token={server.token}", allow_redirects=False).headers["Set-Cookie"]
        assert "Secure" in cookie


def test_one_server_owns_a_lake(server):
    done = tarn.run("serve", "--lake", server.lake, "--port", "0", check=False)
    assert done.returncode == 1
    assert str(server.process.pid) in done.stderr and server.url in done.stderr
