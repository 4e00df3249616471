"""IN-16: the OpenAPI document against the real server. Whatever a client makes of it, good or bad, no answer is a 500,
each has the status and shape the document names, and none tells about the machinery.
"""

import re
from pathlib import Path
from typing import Any

import pytest
from asking import PROBLEM_KEYS, bearer
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

schemathesis = pytest.importorskip("schemathesis")
from schemathesis import GenerationMode  # noqa: E402
from schemathesis.checks import CHECKS, load_all_checks  # noqa: E402

load_all_checks()
NAMES = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")
HERE = re.escape(f"{Path(__file__).resolve().parents[-2]}/")  # whatever lies where this does
LEAKS = re.compile(
    rf"Traceback|File \"|sqlite|SELECT |INSERT |litestar|msgspec|uvicorn|site-packages|{HERE}|/tmp/|\.py\b", re.I
)


@pytest.fixture(scope="session")
def api(server: Any) -> Any:
    return schemathesis.openapi.from_url(f"{server.url}/api/v1/openapi.json")


@pytest.fixture(scope="session")
def credentials(server: Any) -> list[dict[str, str]]:
    """Nobody, and somebody who may everything."""
    return [{}, bearer(server.key("create", "manage", "admin", account="fuzz"))]


OPERATIONS = [
    ("POST", "/api/v1/secrets"),
    ("GET", "/api/v1/secrets/{link_id}"),
    ("POST", "/api/v1/secrets/{link_id}/reveal"),
    ("POST", "/api/v1/secrets/{link_id}/burn"),
    ("GET", "/api/v1/secrets/{link_id}/meta"),
    ("POST", "/api/v1/secrets/{link_id}/report"),
    ("GET", "/api/v1/receipts"),
    ("GET", "/api/v1/receipts/{receipt_id}"),
    ("PATCH", "/api/v1/receipts/{receipt_id}"),
    ("DELETE", "/api/v1/receipts/{receipt_id}"),
    ("GET", "/api/v1/stats"),
    ("GET", "/api/v1/account"),
]


def test_every_operation_of_the_document_is_asked(api: Any) -> None:
    assert {(each.ok().method.upper(), each.ok().path) for each in api.get_all_operations()} == set(OPERATIONS)


@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_no_request_made_from_the_document_breaks_the_server(
    api: Any, credentials: list[dict[str, str]], method: str, path: str, mode: str
) -> None:
    checks = [check for check in CHECKS.get_all() if check.__name__ in NAMES]
    assert len(checks) == len(NAMES)
    strategy = api[path][method].as_strategy(generation_mode=GenerationMode(mode))

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=strategy)
    def ask(case: Any) -> None:
        for headers in credentials:
            response = case.call(headers=headers)
            # A path parameter may lead out of the API, where other statuses are right.
            is_ours = response.status_code not in (404, 405)
            case.validate_response(response, checks=checks if is_ours else checks[:1])
            assert response.status_code < 500
            assert not LEAKS.search(response.text), response.text
            if response.status_code >= 400:
                assert response.json().keys() >= PROBLEM_KEYS

    try:
        ask()
    except Unsatisfiable:
        assert mode == "negative"  # nothing in this operation can be got wrong
