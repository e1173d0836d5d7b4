"""The command line, with exit statuses that are expected by name.

    tarn("describe", "calls", lake=folder, check=0).stdout
    sql(folder, "select 1 as x") == [{"x": 1}]
"""
import json
import subprocess

from tests.support.tarn import BINARY, PATIENCE, Server, environment as plain_environment

__all__ = ["BINARY", "Server", "environment", "sql", "tarn"]


def environment(**more):
    """UTF-8, and 80 columns unless a test says otherwise."""
    return plain_environment(**{"LC_ALL": "C.UTF-8", "COLUMNS": "80", **more})


def tarn(*words, lake=None, check=None, env=None, timeout=2 * PATIENCE, **options):
    """Runs `tarn words`; `check` is the exit status that must come."""
    command = [str(BINARY), *(["--lake", str(lake)] if lake else []), *map(str, words)]
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run(command, env=environment(**(env or {})), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=timeout, check=False, **options)
    if check is not None:
        assert done.returncode == check, f"{command}\nexit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def sql(lake, text, **options):
    """The rows of a query as objects."""
    done = tarn("--json", "sql", "-c", text, lake=lake, check=0, **options)
    return [json.loads(line) for line in done.stdout.splitlines()]
