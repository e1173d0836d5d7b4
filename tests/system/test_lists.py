"""Lists come in pages: the versions of a dataset, the history of a record."""
import pytest

from tests.support import tarn


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    with tarn.Server(tmp_path_factory.mktemp("lists") / "lake") as server:
        server.ingest("people", "id,city,team\n1,Oslo,a\n2,Bergen,b\n", key="id")
        for city in ("Turku", "Kotka", "Vaasa"):
            answer = server.request("PATCH", "/datasets/people/rows/1", json={"city": city, "team": city.lower()})
            assert answer.status_code == 200, answer.text
        yield server


def pages(server, path, limit):
    found, cursor = [], None
    while True:
        page = server.get(path, params={"limit": limit} | ({"cursor": cursor} if cursor else {})).json()
        assert 0 < len(page["items"]) <= limit
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


@pytest.mark.parametrize("what", ["snapshots", "history/1"])
@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_are_the_whole(changed, what, limit):
    path = f"/catalog/datasets/people/{what}"
    whole = changed.get(path).json()
    assert whole["next_cursor"] is None and len(whole["items"]) >= 4
    assert pages(changed, path, limit) == whole["items"]


@pytest.mark.parametrize("what", ["snapshots", "history/1"])
@pytest.mark.parametrize("parameters", [{"limit": 0}, {"limit": 10001}, {"limit": "x"}, {"cursor": "x"}])
def test_wrong_parameters(changed, what, parameters):
    assert changed.get(f"/catalog/datasets/people/{what}", params=parameters).status_code == 400


def test_a_command_shows_as_many(changed):
    for command in (["snapshots", "people"], ["history", "people", "1"]):
        every, two = (changed.cli("--json", *command, *more).stdout.split() for more in ([], ["-n", "2"]))
        assert len(every) > len(two) > 0


def test_an_unknown_job_says_where_the_jobs_are(changed):
    wrong = changed.get("/jobs/nope")
    assert wrong.status_code == 404 and "GET /jobs" in wrong.json()["hint"], wrong.text
