"""The official REST compatibility kit (RESTCompatibilityKitCatalogTests) against our catalog.

Java 17 and Maven fetch it into build/rck once. Where there is no Maven, or no
network the first time, the test is skipped."""
import re
import shutil
import subprocess

import pytest

from tests.support.tarn import ROOT

pytestmark = pytest.mark.heavy

POM = ROOT / "tests" / "conformance" / "rck" / "pom.xml"
JARS = ROOT / "build" / "rck" / "lib"
SUITE = "org.apache.iceberg.rest.RESTCompatibilityKitCatalogTests"
# Its reference server: 94 ok, 11 aborted (assumptions), 1 skipped. Namespaces
# must exist here before tables do; told so, the kit runs one test more.
LEAST_OK = 95


@pytest.fixture(scope="module")
def kit():
    if not shutil.which("mvn") or not shutil.which("java"):
        pytest.skip("the kit needs Java 17 and Maven")
    stamp = JARS / ".complete"
    if not stamp.exists() or stamp.stat().st_mtime < POM.stat().st_mtime:
        done = subprocess.run(["mvn", "-q", "-f", POM, "dependency:copy-dependencies", f"-DoutputDirectory={JARS}"],
                              capture_output=True, text=True, timeout=900, check=False)
        if done.returncode != 0:
            pytest.skip(f"the kit could not be fetched: {done.stdout[-400:]}{done.stderr[-400:]}")
        stamp.touch()
    return JARS


def run(kit, server, report, *properties):
    """The kit's numbers by name: successful, failed, aborted, skipped."""
    command = ["java", "-Xmx1g", "-Drck.local=false", "-Drck.requires-namespace-create=true",
               f"-Duri={server.url}/iceberg", *properties, "-cp", f"{kit}/*",
               "org.junit.platform.console.ConsoleLauncher", "execute", f"--select-class={SUITE}",
               "--details=tree", "--disable-ansi-colors"]
    with open(report, "w", encoding="utf-8") as out:
        subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, timeout=600, check=False)
    text = report.read_text(encoding="utf-8")
    numbers = {name: int(count) for count, name in re.findall(r"\[ +(\d+) tests (\w+) +\]", text)}
    assert numbers.get("found"), text[-2000:]
    causes = "\n".join(line for line in text.splitlines() if "=>" in line)
    return numbers, causes


def test_kit(kit, server, tmp_path):
    numbers, causes = run(kit, server, tmp_path / "rck.txt", f"-Dtoken={server.token}")
    assert numbers["failed"] == 0, causes
    assert numbers["successful"] >= LEAST_OK, numbers


def test_kit_by_oauth(kit, server, tmp_path):
    """The same with a client's credentials instead of a token."""
    numbers, causes = run(kit, server, tmp_path / "rck.txt", f"-Dcredential=tarn:{server.token}",
                          f"-Doauth2-server-uri={server.url}/iceberg/v1/oauth/tokens")
    assert numbers["failed"] == 0, causes
    assert numbers["successful"] >= LEAST_OK, numbers
