"""IN-16: requests generated from the OpenAPI document, valid and invalid, against the real server.

No response is a 500, each has a status and a shape that the document lists, and none reveals internals.
"""

import re
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from api_helpers import PROBLEM_KEYS, bearer
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from support.server import Server

load_all_checks()
NAMES = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")
ROOT = re.escape(f"{Path(__file__).resolve().parents[-2]}/")  # any path on this file system branch
LEAKS = re.compile(
    rf"Traceback|File \"|sqlite|SELECT |INSERT |litestar|msgspec|uvicorn|site-packages|{ROOT}|/tmp/|\.py\b", re.I
)


@pytest.fixture(scope="session")
def api(server: Server) -> Any:
    return schemathesis.openapi.from_url(f"{server.url}/api/v1/openapi.json")


@pytest.fixture(scope="session")
def credentials(server: Server) -> list[dict[str, str]]:
    """Headers of an anonymous client, and of one with all scopes."""
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
    ("GET", "/api/v1/uploads"),
    ("POST", "/api/v1/uploads"),
    ("GET", "/api/v1/uploads/{upload_id}"),
    ("DELETE", "/api/v1/uploads/{upload_id}"),
    ("PUT", "/api/v1/uploads/{upload_id}/chunks/{n}"),
    ("GET", "/api/v1/files/{n}"),
    ("DELETE", "/api/v1/files"),
    ("GET", "/api/v1/stats"),
    ("GET", "/api/v1/account"),
]


def test_every_operation_of_the_document_is_fuzzed(api: Any) -> None:
    assert {(operation.ok().method.upper(), operation.ok().path) for operation in api.get_all_operations()} == set(
        OPERATIONS
    )


@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_generated_request_gets_a_documented_response(
    api: Any, credentials: list[dict[str, str]], method: str, path: str, mode: str
) -> None:
    checks = [check for check in CHECKS.get_all() if check.__name__ in NAMES]
    assert len(checks) == len(NAMES)
    strategy = api[path][method].as_strategy(generation_mode=GenerationMode(mode))

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(case=strategy)
    def send(case: Any) -> None:
        for headers in credentials:
            response = case.call(headers=headers)
            # A path parameter can lead out of the API, where other statuses are right.
            is_in_api = response.status_code not in (404, 405)
            case.validate_response(response, checks=checks if is_in_api else checks[:1])
            assert response.status_code < 500
            assert not LEAKS.search(response.text), response.text
            if response.status_code >= 400:
                assert response.json().keys() >= PROBLEM_KEYS

    try:
        send()
    except Unsatisfiable:
        assert mode == "negative"  # the operation takes nothing that could be invalid
