"""What a commit makes durable is made durable at once: the store of a server has threads that wait for the disk."""
import contextlib
import pathlib

from tests.support.tarn import wait_for


def names_of_threads(pid):
    names = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError): # it ended meanwhile
            names.append((task / "comm").read_text().strip())
    return names


def test_a_server_waits_for_a_round_of_fsyncs_at_once(server):
    # The committing thread is the twelfth. A list read while other threads end may lack some.
    wait_for("eleven threads", lambda: names_of_threads(server.process.pid).count("tarn-sync") == 11, 60)
