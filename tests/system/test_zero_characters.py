"""U+0000 and halves of surrogates: what came by Parquet is told whole, and what cannot be told is refused."""
import io
import json

import pytest

pa = pytest.importorskip("pyarrow")
import pyarrow.parquet as pq  # noqa: E402

KEYS = ["a\0b", "a\0c", "a"]


def parquet(**columns):
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


@pytest.fixture
def zeros(server):
    server.ingest("t", parquet(id=KEYS, v=["1", "2", "3"]), key="id", format="parquet")
    return server


def test_the_journal_tells_keys_with_zeros(zeros):
    assert zeros.post("/datasets/t/delete", json={"where": "v in ('1', '2')", "reason": "x\ty"}).json()["deleted"] == 2
    done = zeros.cli("--json", "journal", "--dataset", "t", "--operation", "delete")
    assert sorted(json.loads(line)["entity"] for line in done.stdout.splitlines()) == KEYS[:2]
    shown = zeros.cli("journal", "--dataset", "t", "--operation", "delete").stdout
    assert "a\0b" in shown or "\\x00b" in shown or "\\u0000b" in shown, shown


def test_pages_of_the_journal_go_on_behind_a_zero(zeros):
    assert zeros.post("/datasets/t/delete", json={"where": "true"}).json()["deleted"] == 3
    seen, cursor = [], None
    for _ in range(10):
        page = zeros.get("/journal", params={"dataset": "t", "limit": 1, **({"cursor": cursor} if cursor else {})})
        assert page.status_code == 200, page.text
        seen += [item["entity"] for item in page.json()["items"]]
        cursor = page.json()["next_cursor"]
        if not cursor:
            break
    assert sorted(filter(None, seen)) == sorted(KEYS)


def test_a_lone_half_of_a_surrogate_is_refused(server):
    server.ingest("p", "id,name\na,Ann\n", key="id")
    answer = server.request("PUT", "/datasets/p/rows", data=b'[{"id":"b"},{"id":"\\ud800"},{"id":"\\udfff"}]',
                            headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (422, "rows_rejected"), answer.text
    assert 'row 2, column "id"' in answer.json()["detail"] and "surrogate" in answer.text
    fine = server.request("PUT", "/datasets/p/rows", data=b'[{"id":"\\ud83d\\ude00"}]',
                          headers={"Content-Type": "application/json"})
    assert fine.status_code == 200, fine.text
    assert server.query("select id from p order by id")["rows"] == [["a"], ["😀"]]
