"""A dataset whose rows are all replaced keeps its key, or the replacing is refused."""
import pytest

from tests.support import tarn


@pytest.fixture
def server(tmp_path, binary):
    with tarn.Server(tmp_path / "lake") as running:
        running.ingest("t", "id,name\n1,a\n2,b\n", key="id")
        yield running


def key_of(server):
    return server.get("/catalog/datasets/t").json()["key"]


def rows_of(server):
    return server.sql("SELECT count(*) AS n FROM t")[0]["n"]


def test_rows_without_the_key_are_refused(server):
    refused = server.ingest("t", "code,name\nx,a\n", check=False, mode="replace").json()
    assert refused["code"] == "schema_mismatch" and "(id)" in refused["detail"] and "key=" in refused["hint"], refused
    assert key_of(server) == ["id"] and rows_of(server) == 2
    server.ingest("t", "code,name\nx,a\n", mode="replace", key="code")
    assert key_of(server) == ["code"] and rows_of(server) == 1


def test_a_key_of_another_type_stays_the_key(server):
    fractions = server.ingest("t", "id,name\n1.5,a\n", check=False, mode="replace").json()
    assert fractions["code"] == "schema_mismatch" and "fractions" in fractions["detail"], fractions
    server.ingest("t", "id,name\nx,a\n", mode="replace")
    assert key_of(server) == ["id"] and server.sql("SELECT id FROM t") == [{"id": "x"}]
    refused = server.ingest("t", "id,name\n,a\ny,b\n", check=False, mode="replace").json()
    assert refused["code"] == "refused" and key_of(server) == ["id"], refused
    assert server.sql("SELECT id FROM t") == [{"id": "x"}]


def test_other_columns_may_come_and_go(server):
    server.ingest("t", "id,city\n5,Rome\n", mode="replace")
    assert key_of(server) == ["id"] and server.sql("SELECT * FROM t") == [{"id": 5, "city": "Rome"}]
