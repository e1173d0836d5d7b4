"""What `make install` puts where, and that it works from there."""
import os
import shutil
import subprocess

import pytest

from tests.support import tarn


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    build = tarn.BINARY.parent
    if not (build / "cmake_install.cmake").is_file():
        pytest.skip("the binary under test is not in a build folder")
    folder = tmp_path_factory.mktemp("prefix")
    subprocess.run(["cmake", "--install", str(build), "--prefix", str(folder)], check=True, stdout=subprocess.DEVNULL)
    return folder


def test_everything_is_there(prefix):
    for name in ("bin/tarn", "bin/tarn-vector", "share/man/man1/tarn.1", "share/bash-completion/completions/tarn",
                 "share/zsh/site-functions/_tarn", "share/fish/vendor_completions.d/tarn.fish",
                 "lib/systemd/system/tarn.service", "share/doc/tarn/LICENSE"):
        assert (prefix / name).is_file(), name
    assert list((prefix / "lib/tarn").glob("libduckdb_java.so_*"))


def test_it_runs_from_there_without_the_build(prefix, tmp_path):
    """The engine is found beside the program's prefix, not in a build folder."""
    shown = subprocess.run(["ldd", prefix / "bin/tarn"], capture_output=True, text=True, check=True).stdout
    engine = [line for line in shown.splitlines() if "libduckdb_java" in line]
    assert len(engine) == 1 and f"{prefix}/" in os.path.realpath(engine[0].split("=>")[1].split()[0]) + "/", engine
    done = subprocess.run([prefix / "bin/tarn", "--lake", tmp_path / "lake", "sql", "-c", "select 41 + 1 as n"],
                          capture_output=True, text=True, env=tarn.environment(), timeout=tarn.PATIENCE, check=False)
    assert done.returncode in (0, 1), done.stderr
    assert "error while loading" not in done.stderr


def test_the_manual_names_every_command(prefix):
    manual = (prefix / "share/man/man1/tarn.1").read_text(encoding="utf-8")
    assert "\n.TH TARN 1" in manual
    listed = tarn.run("help").stdout.split("Commands")[1].split("\n\n")[0]
    for line in listed.strip().splitlines():
        assert line.split()[0] in manual


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not here")
def test_completion_in_bash(prefix):
    script = f"""
        PATH={prefix}/bin:$PATH
        . {prefix}/share/bash-completion/completions/tarn
        COMP_WORDS=(tarn ing) COMP_CWORD=1
        _tarn
        echo "${{COMPREPLY[@]}}"
        COMP_WORDS=(tarn ingest --max) COMP_CWORD=2
        _tarn
        echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=tarn.environment(), check=False)
    assert done.stdout.split() == ["ingest", "--max-rejects"], done.stderr
