"""Connections to PostgreSQL by TLS: what each sslmode takes and refuses.

On the distribution's own server with ssl=on, and, for servers that were built
without it, behind a door that speaks TLS for them.
"""
import os
import shutil

import pytest

from tests.support import postgres
from tests.support.postgres import LOCKED_PASSWORD, Postgres
from tests.support.reembed import Table, model_server
from tests.support.tarn import Server
from tests.support.tls import Authority, TlsDoor

TABLE = "CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 2000) i;"


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    return Authority(folder, "good"), Authority(folder, "wrong")


@pytest.fixture(scope="module")
def pair(authorities):
    return authorities[0].certificate("localhost", "DNS:localhost")


class Place:
    """A database that is reached by TLS on a port of `localhost`."""

    def __init__(self, database, port, door=None):
        self.database, self.port, self.door = database, port, door

    def url(self, mode, authority=None, host="localhost", user="postgres", more=""):
        root = f"&sslrootcert={authority.certificate_file}" if authority else ""
        return f"postgresql://{user}@{host}:{self.port}/{self.database.name}?sslmode={mode}{root}{more}"


def own_server(pair):
    """The system's server with ssl=on; whoever asks it in the clear is refused."""
    server = Postgres("system", ssl="on", ssl_cert_file="server.crt", ssl_key_file="server.key")
    for source, name in ((pair.certificate, "server.crt"), (pair.key, "server.key")):
        copy = server.data / name
        shutil.copy(source, copy)
        copy.chmod(0o600)
        if server.user:
            os.chown(copy, server.user["user"], server.user["group"])
    (server.data / "pg_hba.conf").write_text("local all all trust\nhostssl all locked all scram-sha-256\n"
                                             "hostssl all all all trust\n")
    return server


@pytest.fixture(scope="module", params=["system", "16"])
def place(request, pair):
    if request.param == "system":
        with own_server(pair) as server:
            server.lock_user()
            database = server.database()
            database.run(TABLE)
            yield Place(database, server.port)
        return
    server = postgres.shared(request.param)
    server.lock_user()
    database = server.database()
    database.run(TABLE)
    with TlsDoor(server.port, pair) as door:
        yield Place(database, door.port, door)


@pytest.fixture
def server(lake, tmp_path):
    """Certificates in the home of whoever runs the tests must not change what is asked."""
    with Server(lake, env={"HOME": str(tmp_path)}) as running:
        yield running


def ask(server, url, **body):
    return server.post("/ingest/postgres", params={"wait": 600}, timeout=660,
                       json={"url": url, "tables": ["t"], **body})


def check_taken(server, place, url, **body):
    before = place.door.encrypted if place.door else 0
    answer = ask(server, url, **body)
    assert answer.status_code == 200 and answer.json()["tables"][0]["rows"] == 2000, answer.text
    assert not place.door or place.door.encrypted > before
    assert server.sql("SELECT count(*) AS n, max(v) AS v FROM t") == [{"n": 2000, "v": "row 999"}]


def check_refused(server, url, said, hint):
    answer = ask(server, url)
    problem = answer.json()
    assert answer.status_code >= 400 and problem["code"] == "server_unreachable", answer.text
    assert said in problem["detail"] and hint in problem["hint"], problem
    assert server.get("/catalog/datasets").json()["items"] == []


@pytest.mark.parametrize("mode", ["prefer", "require"])
def test_encrypted_whoever_it_is(server, place, mode):
    check_taken(server, place, place.url(mode))


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_the_right_authority(server, place, authorities, mode):
    check_taken(server, place, place.url(mode, authorities[0]))


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_another_authority_is_refused(server, place, authorities, mode):
    """As libpq has it, an authority that is named makes "require" check it."""
    check_refused(server, place.url(mode, authorities[1]), "certificate verify failed", "sslrootcert=FILE")


def test_a_name_that_the_certificate_does_not_bear(server, place, authorities):
    check_refused(server, place.url("verify-full", authorities[0], host="127.0.0.1"), "127.0.0.1", "name that")
    check_taken(server, place, place.url("verify-ca", authorities[0], host="127.0.0.1"))


def test_an_authority_that_is_not_there(server, place, tmp_path):
    url = place.url("verify-full", more=f"&sslrootcert={tmp_path}/nobody.crt")
    check_refused(server, url, "nobody.crt", "sslrootcert=FILE")


def test_a_password_by_tls(server, place, authorities):
    url = place.url("verify-full", authorities[0], user="locked")
    assert ask(server, url).json()["code"] == "forbidden"
    check_taken(server, place, url, password=LOCKED_PASSWORD)


def test_in_the_clear(server, place):
    """Only where it is asked for; the system's server takes nobody without TLS, and says so."""
    if place.door:
        before = place.door.encrypted
        assert ask(server, place.url("disable")).status_code == 200 and place.door.encrypted == before
        return
    problem = ask(server, place.url("disable")).json()
    assert problem["code"] == "forbidden" and "no encryption" in problem["detail"], problem


def test_certificates_of_clients(server, authorities, pair):
    plain = postgres.shared("16")
    database = plain.database()
    database.run(TABLE)
    mine = authorities[0].certificate("me", "DNS:me")
    theirs = authorities[1].certificate("them", "DNS:them")
    with TlsDoor(plain.port, pair, client_authority=authorities[0]) as door:
        place = Place(database, door.port, door)
        for more in ("", f"&sslcert={theirs.certificate}&sslkey={theirs.key}"):
            assert ask(server, place.url("require", more=more)).json()["code"] == "server_unreachable"
        check_taken(server, place, place.url("require", more=f"&sslcert={mine.certificate}&sslkey={mine.key}"))


def test_reembed_by_tls(authorities, pair):
    with model_server(32) as models:
        table = Table(postgres.shared("16"), rows=60)
        with TlsDoor(table.database.server.port, pair) as door:
            place = Place(table.database, door.port, door)
            said = table.refused(models, url=place.url("verify-full", authorities[1]), status=3)
            assert "certificate verify failed" in said and "sslrootcert=FILE" in said
            table.is_old()
            before = door.encrypted
            assert table.reembed(models, url=place.url("verify-full", authorities[0]))["rows_updated"] == 60
            assert door.encrypted > before
        table.check(models)
