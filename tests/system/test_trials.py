"""Trials: generations with other parameters, measured, recorded, promoted, rolled back."""
import json
import random
import shutil

import pytest

from tests.support import tarn
from tests.system.test_search import eventually, opened

DIMENSION = 32
ROWS = 2000


def vectors(count, seed=1):
    """Around forty centres, as texts lie around subjects."""
    source = random.Random(seed)
    centres = [[source.gauss(0, 1) for _ in range(DIMENSION)] for _ in range(40)]
    for i in range(count):
        centre = centres[source.randrange(40)]
        yield i, [round(c + 0.6 * source.gauss(0, 1), 4) for c in centre]


def as_lines(items):
    return "".join(json.dumps({"id": i, "city": "Oslo" if i % 3 else "Rome", "vec": vector}) + "\n"
                   for i, vector in items)


def make(server, count=ROWS):
    server.ingest("points", as_lines(vectors(count)), key="id", format="ndjson")
    answer = server.post("/vectors/indexes", json={"dataset": "points", "vector_column": "vec"}, params={"wait": 120})
    assert answer.status_code == 200, answer.text


@pytest.fixture
def points(server):
    make(server)
    return server


def trial(server, status=200, samples=60, **params):
    answer = server.post("/hnsw/trial", json={"index": "points", "params": params, "samples": samples},
                         params={"wait": 120})
    assert answer.status_code == status, answer.text
    return answer.json()


def post(server, path, status=200, **body):
    answer = server.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def generations(server):
    return {item["generation"]: item for item in server.get("/vectors/indexes/points/generations").json()["items"]}


def nearest(server, seed=5, **fields):
    query = next(vectors(1, seed))[1]
    answer = server.post("/vectors/search", json={"index": "points", "vector": query, "k": 10, "explain": True,
                                                  **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_trial_is_measured_beside_the_active_one(points):
    active = points.get("/vectors/indexes/points").json()["generation"]
    made = trial(points, M=24, ef_construction=120, recall_target=0.97, code_bits=8, raw="f16")
    assert points.get("/vectors/indexes/points").json()["generation"] == active
    assert (made["m"], made["ef_construction"], made["code_bits"], made["raw"]) == (24, 120, 8, "f16")
    assert made["rows"] == ROWS and made["active_generation"] == active
    assert made["made_queries"] == 60 and made["build_seconds"] > 0 and made["cpu_seconds"] > 0
    assert 0.9 < made["recall_at_10"] <= 1 and made["recall_at_1"] > 0.9
    assert 0 < made["p50_us"] <= made["p95_us"] <= made["p99_us"]
    assert made["bytes_on_disk"] > made["bytes_resident"] > 0 and made["cpus"] > 0 and made["instruction_set"]
    shown = generations(points)[made["generation"]]
    assert (shown["state"], shown["trial"], shown["m"]) == ("trial", made["trial"], 24)
    # Half of the queries are ones that were asked, where there are any.
    for seed in range(40, 60):
        nearest(points, seed)
    assert trial(points, M=8)["recorded_queries"] == 20


def test_worse_ones_are_refused_and_better_ones_serve(points):
    tried = [trial(points, M=4, ef_construction=8, ef=10)]
    while tried[-1]["recall_at_10"] >= 0.9 and len(tried) < 4:  # a graph is drawn by lot, and one in a thousand is so good
        tried.append(trial(points, M=4, ef_construction=8, ef=10))
    bad = tried[-1]
    assert bad["recall_at_10"] < 0.9
    refused = post(points, f"/hnsw/promote/points/{bad['trial']}", 422)
    assert refused["code"] == "refused" and "0.90" in refused["detail"] and "force" in refused["hint"]
    assert post(points, f"/hnsw/promote/points/{bad['trial']}", 400, force=True)["detail"].endswith("with a reason")
    assert post(points, "/hnsw/promote/points/999", 404)["code"] == "not_found"
    assert post(points, "/hnsw/promote/points/nine", 400)
    before = nearest(points)

    good = trial(points, M=24, ef_construction=200, ef=200)
    done = post(points, f"/hnsw/promote/points/{good['trial']}", reason="it finds more")
    assert (done["generation"], done["status"], done["forced"]) == (good["generation"], "promoted", False)
    assert done["tolerance"] == 0.005
    after = nearest(points)
    assert after["generation"] == good["generation"]
    assert post(points, f"/hnsw/promote/points/{good['trial']}", 409)
    assert points.get("/vectors/indexes/points").json()["tuning"] == {
        "m": 24, "ef_construction": 200, "code_bits": good["code_bits"], "raw": "f32", "ef": 200,
        "trial": good["trial"]}

    back = post(points, "/hnsw/rollback/points", reason="a doubt")
    assert (back["status"], back["generation"]) == ("rolled_back", before["generation"])
    again = nearest(points)
    assert again["generation"] == before["generation"] and again["hits"] == before["hits"]
    forced = post(points, f"/hnsw/promote/points/{bad['trial']}", force=True, reason="to see what happens")
    assert forced["forced"] and forced["generation"] == bad["generation"]

    kept = points.query("select kind, trial, reason, forced from trials order by record")["rows"]
    assert kept == [*(["trial", one["trial"], None, None] for one in (*tried, good)),
                    ["promotion", good["trial"], "it finds more", None], ["rollback", None, "a doubt", None],
                    ["promotion", bad["trial"], "to see what happens", True]]


def test_what_was_promoted_stays_through_folds_and_restarts(lake):
    with tarn.Server(lake) as server:
        make(server)
        good = trial(server, M=20, ef_construction=150, ef=150, code_bits=8)
        server.ingest("points", as_lines((i + ROWS, vector) for i, vector in vectors(300, 9)), format="ndjson")
        server.post("/vectors/indexes/points/refresh", params={"wait": 100})
        post(server, f"/hnsw/promote/points/{good['trial']}")
        assert server.get("/vectors/indexes/points").json()["chunks"] == ROWS + 300
        wanted = nearest(server)
        # Rows that came after it was built are there.
        late = dict(vectors(300, 9))[7]
        assert server.post("/vectors/search", json={"index": "points", "vector": late, "k": 1}) \
            .json()["hits"][0]["doc_id"] == str(ROWS + 7)
        post(server, "/vectors/indexes/points/fold")
        tuning = server.get("/vectors/indexes/points").json()["tuning"]
        assert (tuning["m"], tuning["ef_construction"], tuning["code_bits"], tuning["ef"]) == (20, 150, 8, 150)
        # Another graph may miss one of ten that the first one found; the same one does not.
        folded = nearest(server)["hits"]
        assert len({hit["doc_id"] for hit in folded} & {hit["doc_id"] for hit in wanted["hits"]}) >= 8
    with tarn.Server(lake) as server:
        opened(server, "points")
        assert nearest(server)["hits"] == folded
        assert server.get("/vectors/indexes/points").json()["tuning"] == tuning
    # Made again from the vectors table, it is built as was chosen.
    shutil.rmtree(lake / "state" / "indexes")
    with tarn.Server(lake) as server:
        eventually(lambda: server.get("/vectors/indexes/points").json()["state"] == "ready")
        tuning = server.get("/vectors/indexes/points").json()["tuning"]
        assert (tuning["m"], tuning["code_bits"]) == (20, 8)
        # The record stays; the generation that it speaks of is gone.
        assert server.query("select state from trials where kind = 'trial'")["rows"] == [["removed"]]
        assert post(server, f"/hnsw/promote/points/{good['trial']}", 404)["hint"].startswith("build it again")


def test_trials_are_a_table(points):
    for m in (6, 12):
        trial(points, M=m, ef_construction=60)
    answer = points.get("/hnsw/trials/points", params={"sort": "m", "filter": "m >= 6", "by": "m"}).json()
    assert [item["m"] for item in answer["items"]] == [6, 12]
    assert [(group["m"], group["trials"]) for group in answer["aggregates"]] == [(6, 1), (12, 1)]
    one = points.get("/hnsw/trials/points", params={"sort": "-m", "limit": 1}).json()
    assert one["items"][0]["m"] == 12 and one["next_cursor"] == "1"
    assert points.get("/hnsw/trials/points", params={"sort": "-m", "limit": 1, "cursor": "1"}) \
        .json()["items"][0]["m"] == 6
    (all_of_them,) = one["aggregates"]
    assert all_of_them["trials"] == 2
    recall = all_of_them["recall_at_10"]
    assert recall["min"] <= recall["avg"] <= recall["max"]
    best = points.query("select arg_max(trial, (recall_at_10, -p95_us)) from trials")["rows"][0][0]
    assert all_of_them["best_trial"] == best
    joined = points.query("select t.m, count(*) from trials t join points p on p.id < t.m group by 1 order by 1")
    assert joined["rows"] == [[6, 6], [12, 12]]
    for bad in ({"filter": "m = 1) union select 1"}, {"filter": "read_csv('/etc/passwd')"}, {"sort": "m;"},
                {"filter": "colour = 1"}, {"by": "m--"}):
        assert points.get("/hnsw/trials/points", params=bad).status_code in (400, 422), bad
    assert points.get("/hnsw/trials/nothing").status_code == 404

    compacted = post(points, "/hnsw/trials/points/compact")
    assert (compacted["records"], compacted["objects_before"], compacted["objects_after"]) == (2, 2, 1)
    assert trial(points, M=6)["trial"] == 3
    assert points.query("select count(*), max(record) from trials")["rows"] == [[3, 3]]


def test_wishes_that_make_no_sense(points):
    for params in ({"M": 3}, {"M": 65}, {"ef_construction": 7}, {"ef": 0}, {"code_bits": 5}, {"raw": "f8"},
                   {"recall_target": 1.5}, {"ef": 10, "recall_target": 0.9}):
        assert trial(points, 400, **params)["code"] == "bad_request", params
    assert trial(points, 400, m=8)["code"] == "unknown_field"
    assert points.post("/hnsw/trial", json={"index": "nothing"}).status_code == 404


def test_a_torn_record_costs_itself_alone(lake):
    with tarn.Server(lake) as server:
        make(server, 400)
        trial(server, M=6)
        trial(server, M=8)
    folder = lake / "buckets" / "primary" / "vectors" / "points" / "trials"
    first, second = sorted(folder.iterdir())
    second.write_bytes(second.read_bytes()[:-100])
    with tarn.Server(lake) as server:
        assert server.query("select record from trials")["rows"] == [[1]]
        # Its number is not used again.
        opened(server, "points")
        assert trial(server, M=8)["trial"] == 3
        server.delete("/vectors/indexes/points")
    assert not folder.exists() or not list(folder.iterdir())


def test_generations_are_kept_so_many_back(lake):
    with tarn.Server(lake, "--set", "index.keep_generations=2", "--set", "index.keep_trials=2") as server:
        make(server, 400)
        made = [trial(server, M=m) for m in (5, 6, 7)]
        there = generations(server)
        assert made[0]["generation"] not in there and made[2]["generation"] in there
        assert post(server, f"/hnsw/promote/points/{made[0]['trial']}", 404, force=True, reason="?")
        for _ in range(4):
            post(server, "/vectors/indexes/points/fold")
        states = sorted(item["state"] for item in generations(server).values())
        assert states == ["active", "kept", "previous", "trial", "trial"]
        # One that was built before all those folds, with changes since, may still come.
        post(server, "/datasets/points/delete", where="id = 3")
        server.post("/vectors/indexes/points/refresh", params={"wait": 100})
        post(server, f"/hnsw/promote/points/{made[2]['trial']}", force=True, reason="as it was")
        assert server.get("/vectors/indexes/points").json()["chunks"] == 399
        hits = nearest(server, k=399)["hits"]
        assert sorted(int(hit["doc_id"]) for hit in hits) == [i for i in range(400) if i != 3]


def test_a_killed_promotion_leaves_one_of_the_two(lake):
    with tarn.Server(lake) as server:
        make(server, 600)
        made = trial(server, M=20, ef=64)
        before = server.get("/vectors/indexes/points").json()["tuning"]
    for point, promoted in (("index.promote.between", False), ("vector.promote.before_pointer", False),
                            ("vector.promote.after_pointer", True)):
        with tarn.Server(lake, env={"TARN_FAULT": f"{point}:1"}) as server:
            opened(server, "points")
            try:
                server.post(f"/hnsw/promote/points/{made['trial']}", json={"force": True, "reason": "kill"})
            except Exception:  # the connection breaks off
                pass
            server.process.wait(60)
        with tarn.Server(lake) as server:
            opened(server, "points")
            assert len(nearest(server)["hits"]) == 10
            now = server.get("/vectors/indexes/points").json()["tuning"]
            assert (now["m"], now["ef"]) == ((20, 64) if promoted else (before["m"], before["ef"])), point


def test_by_the_command_line(points):
    out = points.cli("index", "trial", "points", "--m", "12", "--ef-construction", "60", "--samples", "40").stdout
    assert out.startswith("trial 1: built in") and "recall@10" in out
    listed = points.cli("index", "trials", "points", "--sort=-recall_at_10").stdout.splitlines()
    assert listed[0].startswith("record,what,trial") and listed[1].startswith("1,trial,1,")
    assert points.cli("index", "promote", "points", check=False).returncode == 2
    done = points.cli("--json", "index", "promote", "points", "1", "--force", "--reason", "a try").stdout
    assert json.loads(done)["status"] == "promoted"
    states = points.cli("index", "generations", "points").stdout
    assert "active" in states and "previous" in states
    assert json.loads(points.cli("--json", "index", "rollback", "points").stdout)["status"] == "rolled_back"
    assert "recall@10" in points.cli("index", "eval", "points", "--samples", "30").stdout
