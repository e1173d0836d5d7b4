"""A job that waits is moved forward and back, over HTTP and on the command line."""
import pytest

from tests.support.tarn import Server


@pytest.fixture
def idle(lake):
    """A server that takes jobs and runs none, with three of them."""
    with Server(lake, "--set", "jobs.running=0") as server:
        jobs = {}
        for name in ("a", "b", "c"):
            server.ingest(name, "id\n1\n")
            jobs[name] = server.post(f"/datasets/{name}/compact", params={"background": "true"}).json()["job_id"]
        yield server, jobs


def change(server, job, **fields):
    return server.request("PATCH", f"/jobs/{job}", json=fields)


def test_moved(idle):
    server, jobs = idle
    assert change(server, jobs["c"], priority=5).json()["priority"] == 5
    assert "compact b: queued" in server.cli("jobs", "move", jobs["b"], "--priority", "-7").stderr
    assert [server.get(f"/jobs/{jobs[name]}").json()["priority"] for name in "abc"] == [0, -7, 5]
    server.kill()
    server.start()
    assert server.get(f"/jobs/{jobs['c']}").json()["priority"] == 5


def test_refused(idle):
    server, jobs = idle
    assert change(server, jobs["a"], priority=1001).status_code == 400
    assert change(server, jobs["a"], priority="high").status_code == 400
    assert change(server, jobs["a"]).status_code == 400
    assert change(server, "0193f0c4-0000-7000-8000-000000000000", priority=1).status_code == 404
    assert server.delete(f"/jobs/{jobs['a']}").status_code == 200
    answer = change(server, jobs["a"], priority=1)
    assert answer.status_code == 409 and "it is cancelled" in answer.json()["detail"]
    asked = server.cli("jobs", "move", jobs["b"], check=False)
    assert asked.returncode == 2 and "--priority" in asked.stderr
