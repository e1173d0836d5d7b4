"""Searches go on while rows change, generations are folded, swapped and put back."""
import threading

import requests

from tests.system.test_search import as_csv, eventually, ids, index, rows, search


def test_searches_never_fail_while_generations_change(server):
    server.ingest("people", as_csv(rows(200)), key="id")
    index(server)
    ending, wrong, asked = threading.Event(), [], []

    def ask(mode):
        session = requests.Session()
        session.trust_env = False
        session.headers.update(server.session.headers)
        while not ending.is_set():
            answer = session.post(f"{server.url}/search", json={
                "query": "welder of pipelines", "mode": mode, "k": 15, "filter": "trade = 'welder'"})
            found = ids(answer.json()) if answer.status_code == 200 else None
            asked.append(mode)
            if found is None or len(found) != 15 or len(set(found)) != 15 or any(int(id) % 5 != 2 for id in found):
                wrong.append((mode, answer.status_code, found or answer.text))

    threads = [threading.Thread(target=ask, args=(mode,)) for mode in ("hybrid", "vector", "keyword")]
    for thread in threads:
        thread.start()
    for i in range(6):
        server.request("PUT", "/datasets/people/rows", json=[
            {"id": 1000 + 5 * i + 1, "city": "Rome", "trade": "nurse", "summary": f"A nurse of ward{i}, newly come."}])
        server.request("DELETE", f"/datasets/people/rows/{5 * i + 2}")
        eventually(lambda: not search(server, "nurse", mode="keyword")["behind"])
        assert server.post("/vectors/indexes/people/fold").status_code == 200
        if i % 2:
            assert server.post("/hnsw/rollback/people").status_code == 200
    ending.set()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[:3]
    assert len(set(asked)) == 3
    for i in range(6):
        assert ids(search(server, f"ward{i}", mode="keyword")) == [str(1000 + 5 * i + 1)]
    assert len(search(server, "welder", mode="vector", k=1000)["hits"]) == 200
