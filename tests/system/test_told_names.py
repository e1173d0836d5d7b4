"""What is said about names that are not known: columns of a key, types, operations, options."""
import pytest

from tests.support import tarn


def test_a_key_that_is_no_column_is_told_the_columns(server):
    answer = server.ingest("p", "person_id,name\n1,Ann\n", key="persn_id", check=False)
    assert answer.status_code == 400, answer.text
    assert 'did you mean "person_id"' in answer.json()["hint"] and "person_id, name" in answer.json()["hint"]
    far = server.ingest("p", "person_id,name\n1,Ann\n", key="zzzzzz", check=False).json()
    assert far["hint"] == "its columns: person_id, name"


def test_types_that_differ_have_the_names_of_sql(server):
    server.ingest("p", "id,rate\n1,2\n", key="id")
    answer = server.ingest("p", "id,rate\n2,many\n", check=False)
    assert '"rate" is BIGINT and the new rows have VARCHAR' in answer.json()["detail"], answer.text


def test_an_unknown_operation_is_refused(server):
    server.ingest("p", "id,rate\n1,2\n", key="id")
    answer = server.get("/journal", params={"operation": "updat"})
    assert answer.status_code == 400 and '"update"' in answer.json()["hint"], answer.text
    assert "insert, update, delete" in answer.json()["hint"]
    assert "updat" in server.cli("journal", "--operation", "updat", check=False).stderr
    assert len(server.get("/journal", params={"operation": "ingest"}).json()["items"]) == 1
    assert server.get("/journal", params={"operation": "namespace.drop"}).json()["items"] == []


@pytest.mark.parametrize("words", [["search", "-java"], ["sql", "--java"], ["ingest", "-x"]])
def test_a_word_that_begins_with_a_dash_has_a_way_in(words):
    done = tarn.run(*words, check=False)
    assert done.returncode == 2 and "unknown option" in done.stderr and "behind --" in done.stderr, done.stderr


def test_one_is_not_several(server, tmp_path):
    (tmp_path / "one.md").write_text("# A")
    assert "one: 1 document (1 page or section), 0 unchanged" in server.cli("ingest", str(tmp_path / "one.md")).stdout
    (tmp_path / "p.csv").write_text("id\n1\n")
    server.cli("ingest", str(tmp_path / "p.csv"))
    assert "(1 row)" in server.cli("ingest", str(tmp_path / "p.csv")).stdout
