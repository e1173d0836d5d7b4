"""Résumés dropped into a lake are found by what they mean, with reasons; and the
requirement's question of everything at once is one query (docs/guide/staffing.md)."""
import csv
import io
import re
import time

import pytest

from tests.support import tarn

pytestmark = [pytest.mark.timeout(900), pytest.mark.skipif(not (tarn.BINARY.parent / "all-MiniLM-L6-v2.tarn-model").is_file(),
                                                           reason="the build has no embedding model (tools/fetch_model.sh)")]

NEED = "find someone who could handle our Kubernetes migration"
RESUMES = 220
PATIENCE = 600  # an unoptimised build on a busy machine embeds slowly


def of_interest(row):
    return "Kubernetes" in row["resume_text"] or (row["city"] == "Chicago" and "Java;" in row["skills"] + ";")


@pytest.fixture(scope="module")
def company(tmp_path_factory):
    """Some hundred résumés of the demo, their calls and placements; nobody asks for an index."""
    folder = tmp_path_factory.mktemp("company")
    tarn.run("demo", "staffing", "--scale", "0.01", "--write-files", folder / "files")
    with open(folder / "files/candidates.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    wanted = [row for row in rows if of_interest(row)]
    others = [row for row in rows if not of_interest(row)]
    chosen = wanted + others[: RESUMES - len(wanted)]
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(chosen)
    with tarn.Server(folder / "lake", "--set", "index.auto_embed=true") as server:
        server.resumes = {row["candidate_id"]: row for row in chosen}
        for table, key in (("call_log", "call_id"), ("placements", "placement_id")):
            server.ingest(table, (folder / f"files/{table}.csv").read_bytes(), key=key)
        server.ingest("candidates", text.getvalue(), key="candidate_id")
        until = time.monotonic() + PATIENCE
        while not (shown := server.get("/vectors/indexes/candidates")).ok or shown.json()["state"] != "ready":
            assert time.monotonic() < until, shown.text
            time.sleep(0.2)
        yield server


def test_resumes_are_embedded_without_a_call(company):
    index = company.get("/vectors/indexes/candidates").json()
    assert index["documents"] == RESUMES and "resume_text" in index["text_columns"]


def test_who_could_handle_a_migration(company):
    able = {key for key, row in company.resumes.items() if "Kubernetes" in row["resume_text"]}
    k = min(len(able), 10)
    answer = company.post("/search", json={"query": NEED, "k": k, "per_doc": True, "rows": True}).json()
    found = [hit["doc_id"] for hit in answer["hits"]]
    assert len(found) == len(set(found)) == k
    assert len(able & set(found)) >= 0.9 * k, found
    for hit in answer["hits"]:
        assert hit["row"]["candidate_id"] == hit["doc_id"] and hit["text"] in (hit["row"]["resume_text"], hit["row"]["skills"])


def test_and_why(company):
    answer = company.post("/rag", json={"question": NEED, "model": "none"}).json()
    assert not answer["refused"] and answer["model"] is None and len(answer["citations"]) >= 2
    for citation in answer["citations"]:
        row = company.resumes[citation["doc_id"]]
        assert citation["quote"] in row["resume_text"] or citation["quote"] in row["skills"]
    assert any("Kubernetes" in citation["quote"] for citation in answer["citations"])


def the_query():
    """As the guide shows it."""
    guide = (tarn.ROOT / "docs/guide/staffing.md").read_text(encoding="utf-8")
    return re.search(r"```sql\n(.*?hybrid_search.*?);\n```", guide, re.S).group(1)


def test_java_developers_in_chicago_called_often_and_never_placed_by_fit(company):
    rows = company.sql(the_query())
    qualified = company.sql(
        "SELECT candidate_id FROM candidates WHERE city = 'Chicago' AND list_contains(string_split(skills, '; '), 'Java') "
        "AND candidate_id NOT IN (SELECT candidate_id FROM placements) "
        "AND candidate_id IN (SELECT candidate_id FROM call_log GROUP BY 1 HAVING count(*) >= 5)")
    assert len(qualified) >= 3
    assert {row["candidate_id"] for row in rows} == {row["candidate_id"] for row in qualified}
    assert len(rows) == len(qualified) and all(row["calls"] >= 5 for row in rows)
    fits = [row["fit"] for row in rows]
    assert fits == sorted(fits, reverse=True)
    for row in rows:
        assert row["why"] in (company.resumes[row["candidate_id"]]["resume_text"], company.resumes[row["candidate_id"]]["skills"])
