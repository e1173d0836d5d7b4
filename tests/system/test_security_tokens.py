"""Tokens: made, listed, revoked, and never seen where they do not belong."""
import json
import os
import stat
import time

import requests

from tests.support import tarn


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_first_token_is_shown_once_and_hashed_at_rest(lake):
    with tarn.Server(lake) as server:
        first = server.token
        path = lake / "tokens.json"
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        text = path.read_text()
        assert "$argon2id$" in text and first not in text and first.split("_", 2)[2] not in text
    with tarn.Server(lake) as again:
        assert again.get("/catalog/datasets", headers=bearer(first)).status_code == 200
        assert len(again.get("/tokens", headers=bearer(first)).json()["items"]) == 1


def test_make_list_revoke(server):
    made = server.post("/tokens", json={"name": "laptop"}).json()
    assert server.get("/system", headers=bearer(made["token"])).status_code == 200
    items = server.get("/tokens").json()["items"]
    assert {item["name"] for item in items} == {"first", "laptop"}
    assert not any("token" in item or "hash" in item for item in items)
    assert server.delete(f"/tokens/{made['id']}").json()["status"] == "revoked"
    assert server.get("/system", headers=bearer(made["token"])).status_code == 401
    assert server.delete(f"/tokens/{made['id']}").status_code == 404
    assert server.post("/tokens", json={"name": ""}).status_code == 400
    assert server.post("/tokens", json={"name": "x", "admin": True}).status_code == 400


def test_wrong_tokens(server):
    good = server.token
    for token in ("x", "tarn_", good[:-1], good + "x", good.upper(), "None", "tarn_00000000_" + "a" * 43):
        answer = server.get("/system", headers=bearer(token))
        assert answer.status_code == 401, token
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.json()["code"] == "unauthorized"
    assert server.get("/system", headers={"Authorization": "Basic " + good}).status_code == 401
    assert server.get("/system").status_code == 200


def test_guessing_is_throttled_and_the_owner_is_not(server):
    assert server.get("/system").status_code == 200  # verified, remembered
    wrong = server.token[:-4] + ("aaaa" if not server.token.endswith("aaaa") else "bbbb")
    seen, began = [], time.monotonic()
    while 429 not in seen and len(seen) < 100:
        seen.append(server.get("/system", headers=bearer(wrong)).status_code)
    assert set(seen[:-1]) == {401} and seen[-1] == 429
    assert len(seen) == 11 or time.monotonic() - began > 60  # ten in a minute, and a slow machine has more of them
    assert server.get("/system").status_code == 200


def test_link_becomes_a_cookie(server):
    browser = requests.Session()
    browser.trust_env = False
    answer = browser.get(f"{server.url}/?token={server.token}", allow_redirects=False, timeout=120)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and server.token not in cookie
    assert browser.get(server.url + "/catalog/datasets", timeout=120).status_code == 200
    name, value = cookie.split(";")[0].split("=")
    forged = value[:-1] + ("0" if value[-1] != "0" else "1")
    answer = requests.get(server.url + "/catalog/datasets", headers={"Cookie": f"{name}={forged}"}, timeout=120)
    assert answer.status_code == 401
    assert requests.get(f"{server.url}/login?token=wrong", allow_redirects=False, timeout=120).status_code == 401


def test_cookie_dies_with_its_token(server):
    made = server.post("/tokens", json={"name": "browser"}).json()
    browser = requests.Session()
    browser.trust_env = False
    browser.get(f"{server.url}/login?token={made['token']}", timeout=120)
    assert browser.get(server.url + "/system", timeout=120).status_code == 200
    server.delete(f"/tokens/{made['id']}")
    assert browser.get(server.url + "/system", timeout=120).status_code == 401


def test_logs_hold_no_token(lake):
    with tarn.Server(lake, "--set", "log.level=debug") as server:
        server.get(f"/login?token={server.token}")
        server.get(f"/catalog/datasets?token={server.token}")
        server.query("select 1")
        made = server.post("/tokens", json={"name": "x"}).json()["token"]
        server.get("/system", headers=bearer(made))
        token = server.token
    text = (lake.parent / "lake.log").read_text()
    assert "http.request" in text
    lines = [line for line in text.splitlines() if " http." in line or " token." in line]
    assert lines and not any(secret in line for line in lines for secret in (token, made, "token="))


def test_run_file_is_private_and_its_token_ends_with_the_server(lake):
    with tarn.Server(lake) as server:
        path = lake / "state" / "server.json"
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        told = json.loads(path.read_text())
        assert told["url"] == server.url and told["pid"] == server.process.pid
        assert server.get("/system", headers=bearer(told["token"])).status_code == 200
        assert tarn.run("--lake", lake, "datasets").returncode == 0
    assert not path.exists()
    with tarn.Server(lake) as server:
        assert server.get("/system", headers=bearer(told["token"])).status_code == 401


def test_tokens_file_that_others_may_read_is_refused(lake):
    with tarn.Server(lake):
        pass
    (lake / "tokens.json").chmod(0o644)
    done = tarn.run("serve", "--lake", lake, "--port", "0", check=False)
    assert done.returncode == 2 and "chmod 600" in done.stderr


def test_state_may_be_deleted_while_serving(server):
    import shutil
    shutil.rmtree(server.lake / "state")
    assert server.query("select 1 as a")["rows"] == [[1]]
    done = tarn.run("serve", "--lake", server.lake, "--port", "0", check=False)
    assert done.returncode == 1 and "in use" in done.stderr
