"""What a commit makes durable is made durable at once: the store of a server has threads that wait for the disk."""
import pathlib


def names_of_threads(pid):
    return [(task / "comm").read_text().strip() for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]


def test_a_server_waits_for_a_round_of_fsyncs_at_once(server):
    names = names_of_threads(server.process.pid)
    assert names.count("tarn-sync") == 11, names  # the committing thread is the twelfth
