"""A file far larger than the memory it may take goes through in a stream."""
import pytest

from tests.support.tarn import Server

LINES = 40_000
ROWS = 8_000_000


def csv_in_pieces():
    yield b"id,when,amount,note\n"
    for block in range(ROWS // LINES):
        first = block * LINES
        yield "".join(f"{first + i},2024-03-{i % 28 + 1:02},{i % 977}.25,row number {i % 101} of its block\n"
                      for i in range(LINES)).encode()


def peak_bytes(process):
    with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


@pytest.mark.timeout(600)
def test_memory_does_not_grow_with_the_file(lake):
    with Server(lake, "--set", "sql.memory=256MB") as server:
        answer = server.post("/ingest/file", params={"dataset": "big", "format": "csv"}, data=csv_in_pieces(), timeout=500)
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert told["rows"] == ROWS and told["bytes"] > 360_000_000
        assert peak_bytes(server.process) < 330_000_000
        assert server.sql("select count(*) as n, max(id) as last from big") == [{"n": ROWS, "last": ROWS - 1}]
