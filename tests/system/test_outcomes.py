"""Model outcomes over HTTP, by the command line, in SQL, across crashes and restarts."""
import json
import os
import sqlite3
import threading

import pytest

from tests.support import tarn


def one(task="execute-task", model="gpt-4o", success=True, **more):
    return {"task_type": task, "model_id": model, "success": success, **more}


def record(server, outcomes, status=200):
    body = outcomes if isinstance(outcomes, dict) else {"outcomes": outcomes}
    answer = server.post("/outcomes", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def rank(server, task="execute-task", **params):
    answer = server.get("/outcomes/rank", params={"task_type": task, **params})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def fill(server):
    """42 of 45 for gpt-4o, 3 of 3 for new, 10 of 40 for weak."""
    record(server, [one(tokens_used=100, cost_usd=0.01, success=i >= 3) for i in range(45)])
    record(server, [one(model="new", tokens_used=50, cost_usd=0.001) for _ in range(3)])
    record(server, [one(model="weak", tokens_used=10, success=i < 10, timeout=i >= 35) for i in range(40)])


def check(server):
    answer = server.post("/outcomes/check").json()
    assert answer["sound"], answer
    return answer["events"]


@pytest.fixture
def folder(lake):
    return lake / "buckets/primary/outcomes"


def test_a_lake_without_outcomes_has_no_folder_and_answers(server, folder):
    assert rank(server) == []
    assert server.query("select count(*) from model_outcomes")["rows"] == [[0]]
    assert server.query("select count(*) from model_stats")["rows"] == [[0]]
    assert not folder.exists()


def test_ranking_orders_and_bounds(server):
    fill(server)
    assert [m["model_id"] for m in rank(server)] == ["new", "gpt-4o", "weak"]
    assert [m["model_id"] for m in rank(server, by="bound")] == ["gpt-4o", "new", "weak"]
    assert [m["model_id"] for m in rank(server, by="tokens")] == ["weak", "new", "gpt-4o"]
    assert [m["model_id"] for m in rank(server, min_samples=4)] == ["gpt-4o", "weak"]
    best = rank(server, by="bound")[0]
    assert (best["successes"], best["failures"], best["total_tokens"]) == (42, 3, 4500)
    assert best["lower_bound"] == pytest.approx(0.821434, abs=1e-5)
    assert server.get("/outcomes/rank").status_code == 400
    assert server.get("/outcomes/rank", params={"task_type": "x", "by": "luck"}).status_code == 400


def test_demotion_comparison_trends_and_dashboard(server):
    fill(server)
    weak = server.get("/outcomes/demote", params={"task_type": "execute-task", "model_id": "weak"}).json()
    assert (weak["demote"], weak["certain"]) == (True, True)
    good = server.get("/outcomes/demote", params={"task_type": "execute-task", "model_id": "gpt-4o"}).json()
    assert good["demote"] is False
    ab = server.get("/outcomes/ab", params={"task_type": "execute-task", "challenger": "weak"}).json()
    assert ab["incumbent"]["model_id"] == "gpt-4o" and ab["verdict"] == "incumbent_better" and ab["significant"]
    ab = server.get("/outcomes/ab", params={"task_type": "execute-task"}).json()
    assert ab["challenger"]["model_id"] == "new" and ab["verdict"] == "not_significant" and ab["test"] == "fisher"
    assert server.get("/outcomes/ab", params={"task_type": "nothing"}).status_code == 404
    record(server, [one(timestamp="2026-01-02T03:04:05Z"), one(timestamp="2026-01-02T23:04:05Z", success=False)])
    days = server.get("/outcomes/trends", params={"task_type": "execute-task", "days": 36500}).json()["items"]
    old = [day for day in days if day["day"] == "2026-01-02"]
    assert [(d["model_id"], d["attempts"], d["wins"], d["success_rate"]) for d in old] == [("gpt-4o", 2, 1, 0.5)]
    since = server.get("/outcomes/ab", params={"task_type": "execute-task", "challenger": "weak",
                                               "since": "2026-01-03T00:00:00Z"}).json()
    assert since["incumbent"]["trials"] == 45
    assert len(server.get("/outcomes/dashboard").json()["items"]) == 3


def test_keys_make_recording_idempotent(server):
    first = record(server, one(key="run-1", tokens_used=5))
    assert (first["recorded"], first["last_id"]) == (1, 1)
    again = record(server, [one(key="run-1", tokens_used=5), one(key="run-2")])
    assert (again["recorded"], again["duplicates"]) == (1, 1)
    refused = record(server, [one(key="run-3"), one(key="run-1", success=False)], status=409)
    assert "run-1" in refused["detail"]
    assert check(server) == 2


@pytest.mark.parametrize("bad, word", [
    ({"task_type": "t", "model_id": "m"}, "success"),
    (one(succes=True), "succes"),
    (one(tokens_used=-1), "tokens_used"),
    (one(cost_usd="1"), "cost_usd"),
    (one(success=True, timeout=True), "time out"),
    (one(timestamp="yesterday"), "timestamp"),
    (one(model="x" * 300), "model_id"),
])
def test_a_batch_with_one_bad_outcome_is_refused_whole(server, bad, word):
    answer = record(server, [one(), bad], status=400)
    assert word in answer["detail"] and "outcome 2" in answer["detail"]
    assert rank(server, min_samples=0) == []


def test_outcomes_are_sql_tables_that_join(server):
    server.ingest("models", "model_id,vendor\ngpt-4o,one\nnew,two\n")
    fill(server)
    rows = server.query("select m.vendor, s.successes, s.failures from model_stats s join models m using (model_id) "
                        "order by 1")["rows"]
    assert rows == [["one", 42, 3], ["two", 3, 0]]
    rows = server.query("select model_id, count(*), sum(success), sum(timeout), sum(tokens_used) from model_outcomes "
                        "group by 1 order by 1")["rows"]
    assert rows == [["gpt-4o", 45, 42, 0, 4500], ["new", 3, 3, 0, 150], ["weak", 40, 10, 5, 400]]
    record(server, one(model="new"))
    assert server.query("select successes from model_stats where model_id = 'new'")["rows"] == [[4]]
    assert server.post("/query/sql", json={"sql": "select * from model_stats at (version => 1)"}).status_code == 404
    refused = server.post("/ingest/file", params={"dataset": "model_stats", "source": "a.csv"}, data=b"a\n1\n")
    assert refused.status_code == 400


def test_sqlite_has_the_documents_schema_and_the_same_numbers(server, folder):
    fill(server)
    database = sqlite3.connect(f"file:{folder}/outcomes.sqlite?mode=ro", uri=True)
    assert database.execute("pragma journal_mode").fetchone() == ("wal",)
    indexes = {row[0] for row in database.execute("select name from sqlite_master where type = 'index'")}
    assert {"idx_outcomes_task_model", "idx_outcomes_timestamp", "idx_stats_task_model"} <= indexes
    columns = [row[1] for row in database.execute("pragma table_info(model_outcomes)")]
    assert columns == ["id", "task_type", "model_id", "success", "timeout", "tokens_used", "cost_usd", "timestamp"]
    dashboard = database.execute("SELECT model_id, ROUND(100.0 * successes / (successes + failures), 1) AS success_rate, "
                                 "total_tokens FROM model_stats WHERE task_type = ? ORDER BY success_rate DESC",
                                 ["execute-task"]).fetchall()
    assert dashboard == [("new", 100.0, 150), ("gpt-4o", 93.3, 4500), ("weak", 25.0, 400)]
    trend = database.execute("SELECT DATE(timestamp) AS day, model_id, COUNT(*), SUM(success) FROM model_outcomes WHERE "
                             "task_type = ? AND timestamp > date('now', '-30 days') GROUP BY day, model_id",
                             ["execute-task"]).fetchall()
    assert sum(row[2] for row in trend) == 88


def test_the_sqlite_file_is_made_again(server, folder):
    fill(server)
    before = rank(server)
    server.stop()
    for path in folder.glob("outcomes.sqlite*"):
        path.unlink()
    server.start()
    assert rank(server) == before
    assert check(server) == 88


def test_doctor_counts_again(server, lake, folder):
    fill(server)
    database = sqlite3.connect(folder / "outcomes.sqlite")
    with database:
        database.execute("update model_stats set successes = 7 where model_id = 'new'")
    database.close()
    wrong = server.post("/outcomes/check").json()
    assert (wrong["sound"], wrong["repaired"], wrong["wrong"]) == (False, False, 1)
    found = tarn.run("--lake", lake, "doctor", "--json", check=False).stdout
    assert "differ from a recount" in found
    assert rank(server, by="bound")[1]["successes"] == 3
    assert check(server) == 88
    with sqlite3.connect(folder / "outcomes.sqlite") as database:
        database.execute("pragma foreign_keys = off")
        database.execute("delete from model_outcomes where model_id = 'weak'")
        database.execute("delete from model_stats where model_id = 'weak'")
    assert server.post("/outcomes/check", params={"repair": "true"}).json()["repaired"]
    assert check(server) == 88


OLD = {
    "execute-task": {
        "gpt-4o": {"successes": 42, "failures": 3, "successRate": 0.93},
        "claude-opus": {"successes": 9, "failures": 1, "timeouts": 1, "totalTokens": 900, "totalCost": 1.5,
                        "lastUsed": "2026-05-01T10:00:00Z", "mood": "good"},
        "broken": {"successes": "many", "failures": 1},
        "half": {"successes": 4},
    },
    "plan-slice": [],
}


def test_the_old_file_is_taken_once(lake, folder):
    folder.mkdir(parents=True)
    (folder / "model-performance.json").write_text(json.dumps(OLD), encoding="utf-8")
    with tarn.Server(lake) as server:
        assert [(m["model_id"], m["trials"]) for m in rank(server)] == [("gpt-4o", 45), ("claude-opus", 10)]
        log = server.log_text()
        assert "outcome.imported" in log and "field=mood" in log and "must be a number" in log
        assert not (folder / "model-performance.json").exists()
        assert json.loads((folder / "model-performance.json.imported").read_text(encoding="utf-8")) == OLD
        record(server, one())
        assert rank(server)[0]["trials"] == 46
        server.stop()
        server.start()
        assert rank(server)[0]["trials"] == 46
        (folder / "model-performance.json").write_text(json.dumps(OLD), encoding="utf-8")
        server.stop()
        server.start()
        assert rank(server)[0]["trials"] == 46
        assert check(server) == 1
        stats = server.query("select model_id, successes, failures, total_tokens, last_used from model_stats order by 1")
        assert stats["rows"] == [["claude-opus", 9, 1, 900, "2026-05-01T10:00:00Z"],
                                 ["gpt-4o", 43, 3, 0, stats["rows"][1][4]]]


def test_export_goes_into_another_lake(server, tmp_path):
    fill(server)
    file = tmp_path / "shared.json"
    server.cli("outcomes", "export", "--output", file)
    document = json.loads(file.read_text(encoding="utf-8"))
    assert [item["model_id"] for item in document["items"]] == ["gpt-4o", "weak"]
    other = tmp_path / "other"
    with tarn.Server(other) as second:
        record(second, one(success=False))
        second.cli("outcomes", "import", file, "--source", "first")
        second.cli("outcomes", "import", file, "--source", "first")
        assert [(m["model_id"], m["trials"], m["timeouts"]) for m in rank(second)] == [("gpt-4o", 46, 0), ("weak", 40, 5)]
        record(server, [one(model="weak") for _ in range(10)])
        server.cli("outcomes", "export", "--output", file)
        second.cli("outcomes", "import", file, "--source", "first")
        assert rank(second)[1]["trials"] == 50
        check(second)


def test_a_foreign_table_becomes_part_of_it(server):
    rows = "task_type,model_id,success,tokens_used,cost_usd,timestamp\n"
    rows += "".join(f"review,llama,{i % 4 != 0},10,0.5,2026-03-0{i % 9 + 1}T00:00:00Z\n" for i in range(40))
    server.ingest("llm_task_outcomes", rows)
    answer = json.loads(server.cli("outcomes", "import", "--dataset", "llm_task_outcomes", "--json").stdout)
    assert (answer["taken"], answer["refused"]) == (1, 0)
    model = rank(server, "review")[0]
    assert (model["successes"], model["failures"], model["total_tokens"], model["total_cost"]) == (30, 10, 400, 20)
    assert model["last_used"].startswith("2026-03-09")
    server.cli("outcomes", "import", "--dataset", "llm_task_outcomes")
    assert rank(server, "review")[0]["trials"] == 40
    view = server.query("SELECT task_type, model_id, COUNT(CASE WHEN success THEN 1 END) AS successes, "
                        "COUNT(CASE WHEN NOT success THEN 1 END) AS failures FROM llm_task_outcomes GROUP BY 1, 2 "
                        "UNION ALL SELECT task_type, model_id, successes, failures FROM model_stats")["rows"]
    assert view == [["review", "llama", 30, 10]] * 2
    missing = server.post("/outcomes/import", params={"dataset": "nosuch"})
    assert missing.status_code == 404


def test_command_line(server, tmp_path):
    server.cli("outcomes", "record", "plan", "m1", "--success", "--tokens", "12", "--cost", "0.5", "--key", "a")
    server.cli("outcomes", "record", "plan", "m1", "--timeout")
    lines = tmp_path / "more.ndjson"
    lines.write_text("".join(json.dumps(one("plan", "m2", i % 2 == 0)) + "\n" for i in range(12000)), encoding="utf-8")
    said = json.loads(server.cli("outcomes", "record", lines, "--json").stdout)
    assert said == {"recorded": 12000, "duplicates": 0}
    server.cli("outcomes", "record", "-", stdin=json.dumps([one("plan", "m1"), one("plan", "m1")]))
    items = [json.loads(line) for line in server.cli("outcomes", "rank", "plan", "--json").stdout.splitlines()]
    assert [(m["model_id"], m["trials"], m["timeouts"]) for m in items] == [("m1", 4, 1), ("m2", 12000, 0)]
    assert server.cli("outcomes", "demote", "plan", "m1").stdout.startswith("keep")
    assert "m2" in server.cli("outcomes", "ab", "plan").stdout
    assert "m2" in server.cli("outcomes", "trends", "plan").stdout
    assert "plan" in server.cli("outcomes", "dashboard").stdout
    refused = server.cli("outcomes", "record", "plan", "m1", check=False)
    assert refused.returncode == 2 and "--success" in refused.stderr
    bad = server.cli("outcomes", "record", "-", stdin='{"task_type": "t"}\n{', check=False)
    assert bad.returncode == 1 and "line 2" in bad.stderr
    assert server.cli("outcomes", "dance", check=False).returncode == 2


def test_many_clients_lose_nothing(server):
    def work(number):
        for i in range(25):
            record(server, one(model=f"m{i % 3}", success=i % 2 == 0, key=f"{number}-{i}"))

    threads = [threading.Thread(target=work, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert check(server) == 200
    assert sum(m["trials"] for m in rank(server)) == 200


POINTS = ["outcome.half_written", "outcome.before_sync", "outcome.logged", "outcome.between", "outcome.before_commit",
          "outcome.applied"]


@pytest.mark.parametrize("point", POINTS)
def test_a_server_killed_while_recording(lake, point):
    with tarn.Server(lake) as server:
        record(server, [one(), one(success=False)])
    with tarn.Server(lake, env={"TARN_FAULT": point}) as server:
        with pytest.raises(Exception):
            record(server, [one(success=False)] * 3)
    with tarn.Server(lake) as server:
        left = check(server)
        assert left == (2 if point == "outcome.half_written" else 5)
        assert rank(server, min_samples=0)[0]["failures"] == left - 1
        assert server.query("select count(*), sum(success) from model_outcomes")["rows"] == [[left, 1]]


def test_degraded_and_merged_back(lake, folder):
    with tarn.Server(lake) as server:
        record(server, [one()] * 3)
    (folder / "outcomes.sqlite").rename(folder / "away")
    (folder / "outcomes.sqlite").mkdir()
    with tarn.Server(lake) as server:
        assert "outcome.degraded" in server.log_text()
        assert record(server, one(success=False, key="k"))["degraded"] is True
        assert record(server, one(success=False, key="k"))["duplicates"] == 1
        assert rank(server)[0]["trials"] == 4
        assert server.query("select successes, failures from model_stats")["rows"] == [[3, 1]]
    os.rmdir(folder / "outcomes.sqlite")
    (folder / "away").rename(folder / "outcomes.sqlite")
    with tarn.Server(lake) as server:
        assert record(server, one(key="k2"))["degraded"] is False
        assert rank(server)[0]["trials"] == 5
        assert check(server) == 5
