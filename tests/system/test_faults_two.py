"""Two processes on one lake: the second server is refused; and when somebody
takes the lock away, the create-only pointer lets nothing be lost in silence.
"""
import subprocess
import threading

from tests.support import faults
from tests.support.tarn import BINARY, Server, environment


def test_the_second_server_is_refused(lake):
    with Server(lake) as server:
        work = faults.Ingest()
        assert work.act(server, "ingest", None).status_code == 200
        second = subprocess.run([BINARY, "serve", "--lake", lake, "--port", "0"], env=environment(), text=True,
                                capture_output=True, stdin=subprocess.DEVNULL, timeout=60, check=False)
        assert second.returncode == 1, second.stderr
        assert "in use" in second.stderr.lower() or "locked" in second.stderr.lower(), second.stderr
        assert str(server.process.pid) in second.stderr, "who holds it"
        work.check(server)
        assert work.act(server, "ingest", None).status_code == 200
        work.check(server)


def work_on(server, work, problems):
    dice = faults.dice_for(work.dataset + getattr(work, "owner", ""))
    for _ in range(12):
        answer = work.act(server, work.acts[0], dice)
        # Refused is fine, as a conflict with its reason; lost is not.
        if answer is None or answer.status_code not in (200, 409):
            problems.append(answer.text if answer is not None else "no answer")
            return
        if answer.status_code == 409 and getattr(work, "after", None) is not None:
            work.after = None


def test_a_stolen_lock_loses_nothing(lake):
    """The lock file is removed under a running server, and a second one starts:
    both write. Every acknowledged write is there, and no key is there twice."""
    works = faults.works_of(lake)
    with Server(lake) as first:
        (lake / "tarn.lock").unlink()
        with Server(lake) as second:
            jobs = [(first, faults.Ingest("files")), (second, faults.Ingest("more"))]
            if faults.Rows in works:
                jobs += [(first, faults.Rows(owner="a")), (second, faults.Rows(owner="b"))]
            for server, work in jobs: # each dataset is made by one of them
                assert work.act(server, work.acts[0], faults.dice_for(1)).status_code == 200
            shared = faults.Ingest("files")
            shared.number = 1000
            problems = []
            threads = [threading.Thread(target=work_on, args=(server, work, problems))
                       for server, work in [*jobs, (second, shared)]]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(timeout=120)
            assert not problems, problems
            files = jobs[0][1]
            files.sure |= shared.sure
            files.maybe |= shared.maybe
    with Server(lake) as server:
        for _, work in jobs:
            work.check(server)
