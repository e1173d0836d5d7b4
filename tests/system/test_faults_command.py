"""Commands without a server, which are one for the time that they run: killed at a
fault point that they pass, they have done their work or none of it, and the same
command does it then.

TARN_FAULT_TURNS (3): so many points of each command, spread evenly; `make faults`
takes all.
"""
import json
import os
import re
import shutil

import pytest

from tests.support import faults
from tests.support.cli import tarn
from tests.support.tarn import Server

MOST = int(os.environ.get("TARN_FAULT_TURNS", 3))
EXPIRE = ("expire", "t", "--older-than", "2100-01-01T00:00:00Z", "--keep", "2")
ROWS = {"a": 1, "b": 2, "c": 3}
COMMANDS = { # the words, and the rows behind it; None: the dataset is gone
    "compact": (("compact", "t"), ROWS),
    "expire": (EXPIRE, ROWS),
    "restore": (("restore", "t", "--as-of", "OLD"), {"a": 0, "b": 2}),
    "upsert": (("rows", "upsert", "t", '[{"id": "a", "v": 9}, {"id": "d", "v": 4}]'), {**ROWS, "a": 9, "d": 4}),
    "patch": (("rows", "patch", "t", "b", '{"v": 7}'), {**ROWS, "b": 7}),
    "delete": (("rows", "delete", "t", "--where", "v > 1"), {"a": 1}),
    "describe": (("datasets", "set", "t", "--description", "letters"), ROWS),
    "drop": (("drop", "t", "--yes"), None),
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A lake whose dataset has small files, deletes and a past; and the snapshot of then."""
    lake = tmp_path_factory.mktemp("prepared") / "lake"
    with Server(lake) as server:
        for rows in ({"a": 0}, {"b": 2}, {"a": 1}, {"c": 3}):
            answer = server.request("PUT", "/datasets/t/rows", params={"key": "id"},
                                    json=[{"id": key, "v": value} for key, value in rows.items()])
            assert answer.status_code == 200, answer.text
            if rows == {"b": 2}:
                old = answer.json()["snapshot_id"]
    return lake, old


def rows_of(server):
    if server.get("/catalog/datasets/t").status_code == 404:
        return None
    return {row["id"]: row["v"] for row in server.sql("SELECT id, v FROM t")}


def told_by_journal(server, old):
    """The rows by their events alone; what the first request brought stands in its one event without values."""
    rows, states = {"a": 0}, {}
    for event in server.sql("SELECT entity, operation, field, new_value, snapshot_id FROM journal WHERE dataset = 't' "
                            "ORDER BY ts, sequence, ordinal"):
        value = json.loads(event["new_value"] or "null")
        if event["operation"] == "restore":
            rows = dict(states[old])
        elif event["operation"] == "delete":
            del rows[event["entity"]]
        elif event["operation"] == "insert":
            rows[event["entity"]] = value["v"]
        elif event["operation"] == "update":
            rows[event["entity"]] = value
        states[str(event["snapshot_id"])] = dict(rows)
    return rows


def assert_sound(lake):
    done = tarn("--json", "doctor", "--deep", lake=lake)
    assert done.returncode == 0 and done.stderr.strip().startswith(("All is well", "0 errors")), done.stderr + done.stdout


@pytest.mark.timeout(300 if MOST < 100 else 1800)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_dies(prepared, tmp_path, command):
    made, old = prepared
    words, behind = COMMANDS[command]
    words = [old if word == "OLD" else word for word in words]

    def fresh(name):
        return shutil.copytree(made, tmp_path / name)

    listed = tarn(*words, lake=fresh("list"), env={"TARN_FAULT": "list"}, check=0)
    points = re.findall(r"^fault (\S+)$", listed.stderr, re.MULTILINE)
    assert points, listed.stderr
    killed = 0
    known = [point for point in dict.fromkeys(points) if point in faults.points_in_source()]
    for number, point in enumerate(known[::max(1, -(-len(known) // MOST))]):
        lake = fresh(str(number))
        died = tarn(*words, lake=lake, env={"TARN_FAULT": f"{point}:{points.count(point)}"})
        killed += died.returncode == -9 # what is done behind the answer may not be reached
        assert died.returncode in (-9, 0), (point, died.returncode, died.stderr)
        with Server(lake) as server:
            found = rows_of(server)
            assert found in ((ROWS, behind) if died.returncode else (behind,)), (point, found)
            if found is not None:
                assert told_by_journal(server, old) == found, point
            again = tarn(*words, lake=lake)
            assert again.returncode == 0 or (command == "drop" and found is None), (point, again.stderr)
            assert rows_of(server) == behind, point
            assert_sound(lake)
        shutil.rmtree(lake)
    assert killed
