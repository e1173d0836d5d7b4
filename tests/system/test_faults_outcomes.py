"""The log of outcomes on a disk that fails: what is refused was not recorded, what is
acknowledged is there once, also after it was sent again and after another start.
"""
from tests.support.tarn import Server

COUNT = "SELECT count(*) AS entries, count(DISTINCT outcome_key) AS keys FROM model_outcomes"


def record(server, number):
    outcome = {"task_type": "t", "model_id": "m", "success": True, "key": f"k{number}"}
    return server.post("/outcomes", json={"outcomes": [outcome]})


def assert_sound(server, count):
    assert server.sql(COUNT) == [{"entries": count, "keys": count}]
    told = server.post("/outcomes/check").json()
    assert told["sound"] and told["events"] == count, told


def test_each_fault_in_turn(shim, lake):
    refused, count = 0, 1
    with Server(lake, env=shim.env) as server:
        assert record(server, 0).status_code == 200
        for number, rule in enumerate(("fsync EIO outcomes/", "fsync ENOSPC outcomes/log", "write ENOSPC outcomes/",
                                       "write EIO outcomes/log", "write ENOSPC outcomes/ 2", "write SHORT outcomes/",
                                       "fsync EIO outcomes/ 2", "rename EIO outcomes/"), 1):
            shim.set(rule)
            answer = record(server, number)
            shim.clear()
            if answer.status_code >= 300:
                told = answer.json()
                assert told["code"] in ("io_error", "disk_full") and told["hint"], told
                refused += 1
                assert_sound(server, count)
            count += 1
            again = record(server, number)
            assert again.status_code == 200, again.text
            assert again.json()["duplicates"] == (answer.status_code < 300), (rule, again.text)
            assert_sound(server, count)
        assert refused >= 4
        server.kill()
    with Server(lake) as server:
        assert_sound(server, count)
        assert record(server, "new").status_code == 200
        assert_sound(server, count + 1)
