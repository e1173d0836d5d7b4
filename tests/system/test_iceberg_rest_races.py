"""Commits of several clients at once, through REST and through Tarn's own doors."""
import threading

from tests.system.test_iceberg_rest_write import REST, commit, create, load, namespace, next_snapshot, rename, set_property, table

CSV = "id,name\n1,a\n2,b\n"


def together(*functions):
    failures = []

    def guarded(function):
        try:
            function()
        except BaseException as failure:  # noqa: BLE001
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures


def test_of_many_that_started_from_one_snapshot_one_wins(server):
    server.ingest("calls", CSV)
    base = load(server, "calls", "default")
    held = {"type": "assert-ref-snapshot-id", "ref": "main", "snapshot-id": base["current-snapshot-id"]}
    answers = []

    def attempt(number):
        snapshot = next_snapshot(base)
        snapshot["snapshot-id"] += number
        main = {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": snapshot["snapshot-id"]}
        updates = [{"action": "add-snapshot", "snapshot": snapshot}, main]
        answers.append(commit(server, "calls", *updates, requirements=[held], space="default").status_code)

    together(*[lambda number=number: attempt(number) for number in range(8)])
    assert sorted(answers) == [200] + [409] * 7
    assert len(load(server, "calls", "default")["snapshots"]) == 2


def test_transactions_in_opposite_orders_and_ingests_do_not_wait_for_ever(server):
    namespace(server, "ns")
    for name in ("a", "b"):
        create(server, name)
    server.ingest("calls", CSV)

    def swap(names, value):
        for i in range(10):
            changes = [{"identifier": {"namespace": ["ns"], "name": name}, "requirements": [],
                        "updates": [set_property("value", f"{value}{i}")]} for name in names]
            answer = server.post(f"{REST}/transactions/commit", json={"table-changes": changes})
            assert answer.status_code == 204, answer.text

    def ingest():
        for i in range(5):
            server.ingest("calls", f"id,name\n{i + 10},x\n")

    def properties():
        for i in range(10):
            assert commit(server, "calls", set_property(f"p{i}", "v"), space="default").status_code == 200

    together(lambda: swap("ab", "x"), lambda: swap("ba", "y"), ingest, properties)
    a, b = (load(server, name)["properties"]["value"] for name in "ab")
    assert a == b, "both tables show the same last transaction"
    assert server.sql("SELECT count(*) AS n FROM calls") == [{"n": 7}]
    assert load(server, "calls", "default")["properties"]["p9"] == "v", "nobody's commit was lost"


def test_a_rename_under_way_loses_no_row(server):
    namespace(server, "ns")
    create(server, "a")

    def back_and_forth():
        for _ in range(6):
            assert rename(server, ("ns", "a"), ("ns", "b")).status_code == 204
            assert rename(server, ("ns", "b"), ("ns", "a")).status_code == 204

    def commits():
        done = 0
        while done < 10:
            for name in ("a", "b"):
                answer = server.post(table(name), json={"requirements": [], "updates": [set_property(f"p{done}", "v")]})
                assert answer.status_code in (200, 404), answer.text
                done += answer.status_code == 200

    together(back_and_forth, commits)
    kept = load(server, "a")["properties"]
    assert {f"p{i}" for i in range(10)} <= set(kept)
