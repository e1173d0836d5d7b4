"""/openapi.json is valid OpenAPI 3.1, and what it promises is what is served."""
import re

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator


@pytest.fixture(scope="module")
def document(tmp_path_factory, binary):
    from tests.support import tarn
    with tarn.Server(tmp_path_factory.mktemp("openapi") / "lake") as server:
        return server.get("/openapi.json").json()


def test_it_is_valid(document):
    OpenAPIV31SpecValidator(document).validate()


def test_every_operation_says_what_it_is(document):
    seen = set()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation["summary"] and operation["tags"], (method, path)
            assert operation["operationId"] not in seen
            seen.add(operation["operationId"])
            assert "default" in operation["responses"]
            named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))


def test_every_path_is_served(document, server):
    for path, item in document["paths"].items():
        concrete = re.sub(r"\{\w+\}", "x", path)
        for method in item:
            answer = server.request(method.upper(), concrete)
            assert answer.status_code not in (405, 500, 501), (method, path)
            if answer.status_code == 404:
                assert "nothing is served" not in answer.text


def test_a_token_is_needed_where_it_says_so(document, server):
    for path, item in document["paths"].items():
        concrete = re.sub(r"\{\w+\}", "x", path)
        for method, operation in item.items():
            answer = server.request(method.upper(), concrete, headers={"Authorization": None})
            if operation.get("security") == []:
                assert answer.status_code != 401 or path.endswith("/oauth/tokens"), (method, path)
            else:
                assert answer.status_code == 401, (method, path)


@pytest.mark.timeout(1200) # every route, many times: minutes on a busy machine
def test_schemathesis(server, tmp_path):
    """Requests made from the document: no 5xx, no undocumented shapes."""
    import subprocess
    import sys
    done = subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "run", server.url + "/openapi.json", "--checks",
         "not_a_server_error,content_type_conformance,response_schema_conformance", "-H",
         f"Authorization: Bearer {server.token}", "--max-examples", "12", "--seed", "1", "--phases", "examples,fuzzing",
         "--suppress-health-check", "all", "--exclude-path", "/login", "--exclude-path", "/"],
        capture_output=True, text=True, timeout=1150, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
