"""Help, refusals, exit statuses, configuration: what needs no data."""
import json
import re
import socket
import subprocess

import pytest

from tests.support.cli import BINARY, environment, tarn

COMMANDS = ["init", "serve", "ingest", "preview", "sql", "datasets", "describe", "sample", "snapshots", "rows",
            "history", "journal", "outcomes", "restore", "tag", "ocr", "compact", "jobs", "expire", "pin", "unpin", "index",
            "search", "rag", "answers", "answer", "replay", "ask", "drop", "rejects", "doctor", "config", "embed",
            "reembed", "model", "token", "demo", "version", "help"]


def test_version():
    assert re.fullmatch(r"tarn \d+\.\d+\.\d+\n", tarn("version", check=0).stdout)
    assert tarn("--version", check=0).stdout == tarn("version", check=0).stdout
    assert "version" in json.loads(tarn("--json", "version", check=0).stdout)


def test_help_lists_every_command_and_no_other():
    text = tarn("help", check=0).stdout
    section = text.split("Commands\n")[1].split("\n\n")[0]
    assert [line.split()[0] for line in section.splitlines()] == COMMANDS
    assert tarn("--help", check=0).stdout == text


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself(command):
    text = tarn("help", command, check=0).stdout
    assert text.startswith(f"tarn {command}")
    assert tarn(command, "--help", check=0).stdout == text
    assert tarn("--help", command, check=0).stdout == text


def test_no_command_is_wrong_usage_and_prints_help_to_stderr():
    done = tarn(check=2)
    assert done.stdout == "" and "Commands" in done.stderr


@pytest.mark.parametrize("words, meant", [
    (["ingets", "x"], "tarn ingest"), (["dataset"], "tarn datasets"), (["sql", "--ouptut", "x"], "--output"),
    (["--laek", "x", "sql"], "--lake"), (["token", "nwe"], "new"),
])
def test_did_you_mean(words, meant):
    done = tarn(*words, check=2)
    assert "did you mean" in done.stderr and meant in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("words", [
    ["describe"], ["describe", "a", "b"], ["ingest"], ["config", "sho"], ["sql", "--limit", "none", "-c", "select 1"],
    ["sql", "--mode", "tabel", "-c", "select 1"], ["sql", "--timeout", "soon", "-c", "select 1"],
    ["sql", "-c", "select 1", "file.sql"], ["--server", "ftp://x", "datasets"], ["demo", "hotel"],
    ["demo", "staffing", "--scale", "big"], ["serve", "--server", "http://x"], ["datasets", "set", "x"],
])
def test_wrong_usage_is_2(words, tmp_path):
    done = tarn(*words, lake=tmp_path / "lake", check=2)
    assert done.stderr.startswith("tarn: ")


def test_unreachable_server_is_3():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        done = tarn("--server", url, "datasets", check=3)
        assert url in done.stderr and "tarn serve" in done.stderr
        assert tarn("datasets", env={"TARN_SERVER": url}, check=3).stdout == ""


def test_errors_as_json():
    done = tarn("--json", "describe", check=2)
    error = json.loads(done.stderr)
    assert error["code"] == "wrong_usage" and error["detail"]


def test_no_lake_says_how_to_make_one(tmp_path):
    done = tarn("datasets", cwd=tmp_path, check=1)
    assert "tarn" in done.stderr and "init" in done.stderr
    assert list(tmp_path.iterdir()) == [], "a command that only reads makes nothing"


def test_init_makes_a_lake_once(tmp_path):
    assert "Made a lake" in tarn("init", cwd=tmp_path, check=0).stdout
    yaml = tmp_path / "lake" / "tarn.yaml"
    assert "server" in yaml.read_text()
    yaml.write_text("server:\n  port: 7350\n")
    assert "already" in tarn("init", cwd=tmp_path, check=0).stdout
    assert yaml.read_text() == "server:\n  port: 7350\n"
    answer = json.loads(tarn("--json", "init", tmp_path / "other", check=0).stdout)
    assert answer == {"lake": str(tmp_path / "other"), "created": True}


def test_lake_is_found_in_the_current_folder_and_by_environment(tmp_path):
    tarn("init", "here", cwd=tmp_path, check=0)
    tarn("datasets", cwd=tmp_path / "here", check=0)
    tarn("datasets", cwd=tmp_path, env={"TARN_LAKE": "here"}, check=0)
    tarn("datasets", cwd=tmp_path, lake="nowhere", env={"TARN_LAKE": "here"}, check=1)


def test_every_line_of_the_yaml_that_init_writes_is_a_key(tmp_path):
    tarn("init", tmp_path / "lake", check=0)
    yaml = tmp_path / "lake" / "tarn.yaml"
    # "#key: value" is a key switched off, "#  # text" explains one.
    lines = [line[1:] for line in yaml.read_text().splitlines() if line.startswith("#") and not line.startswith("# ")]
    yaml.write_text("\n".join(lines) + "\n")
    tarn("config", "check", lake=tmp_path / "lake", check=0)


def test_config_says_where_values_come_from(tmp_path):
    lake = tmp_path / "lake"
    tarn("init", lake, check=0)
    (lake / "tarn.yaml").write_text("server:\n  port: 7350\n")
    done = tarn("--json", "--set", "sql.threads=2", "config", "show", lake=lake, env={"TARN_LOG_LEVEL": "warn"}, check=0)
    shown = {item["key"]: (item["value"], item["origin"]) for item in map(json.loads, done.stdout.splitlines())}
    assert shown["server.port"][0] == "7350" and "tarn.yaml:2" in shown["server.port"][1]
    assert shown["sql.threads"] == ("2", "--set")
    assert shown["log.level"] == ("warn", "TARN_LOG_LEVEL")
    assert shown["server.bind"] == ("127.0.0.1", "default")


def test_config_check_names_the_line(tmp_path):
    lake = tmp_path / "lake"
    tarn("init", lake, check=0)
    (lake / "tarn.yaml").write_text("server:\n  prot: 7350\n")
    done = tarn("config", "check", lake=lake, check=2)
    assert "tarn.yaml" in done.stderr and "prot" in done.stderr and "port" in done.stderr


def complete(*words, **options):
    return tarn("__complete", *words, check=0, **options).stdout.split()


def test_words_for_the_shells_completion(tmp_path):
    assert complete("in") == ["init", "ingest", "index"]
    assert set(COMMANDS) == set(complete(""))
    assert complete("sql", "--out") == ["--output"]
    assert complete("config", "") == ["show", "check"]
    assert "--lake" in complete("sql", "--la")


def test_man_page():
    page = tarn("help", "--man", check=0).stdout
    for command in COMMANDS:
        assert f"tarn {command}" in page
    assert page.startswith(".\\\"") and ".SH EXIT STATUS" in page


def test_a_reader_that_leaves_is_no_error(tmp_path):
    with subprocess.Popen([BINARY, "help", "--man"], env=environment(), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 0


def test_no_colour_when_piped(tmp_path):
    assert "\033" not in tarn("help", check=0).stdout
    assert "\033" not in tarn("nonsense", check=2).stderr
