"""Helpers for tests of the native API."""

import base64
import hashlib
from typing import Any, get_args

import httpx

from seclink.errors import FaultCode

PROBLEM_KEYS = {"type", "title", "status", "detail", "code", "requestId"}
# Members that some problems have beyond the common ones.
EXTRA_KEYS = {
    "bad_request": {"errors"}, "payload_too_large": {"errors"}, "storage": {"errors"}, "gone": {"state", "endedAt"},
    "passcode_wrong": {"attemptsLeft"}, "too_large": {"errors"},
}  # fmt: skip

ACCESS = base64.urlsafe_b64encode(b"the proof of the key, 32 bytes..").rstrip(b"=").decode()
ACCESS_HASH = hashlib.sha256(b"the proof of the key, 32 bytes..").hexdigest()
RIGHT = hashlib.sha256(b"right").hexdigest()
WRONG = hashlib.sha256(b"wrong").hexdigest()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def body(**members: Any) -> dict[str, Any]:
    """Return the JSON of a create request; view_once by default."""
    return {"encryptedBlob": encoded(b"ciphertext"), "iv": encoded(b"i" * 12), "expiryType": "view_once"} | members


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def manage(created: dict[str, Any]) -> dict[str, str]:
    return {"SecLink-Manage": created["manageToken"]}


async def create(http: httpx.AsyncClient, *, key: str | None = None, **members: Any) -> dict[str, Any]:
    """Create a secret; return the JSON of the response."""
    response = await http.post("/secrets", json=body(**members), headers=bearer(key) if key else {})
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    return created


async def reveal(http: httpx.AsyncClient, created: dict[str, Any], **headers: str) -> httpx.Response:
    """Reveal by POST; `access`, `passcode` and `idempotency` are short names of the headers."""
    names = {"access": "SecLink-Access", "passcode": "SecLink-Passcode", "idempotency": "Idempotency-Key"}
    named = {names[name]: value for name, value in headers.items()}
    return await http.post(f"/secrets/{created['linkId']}/reveal", headers=named)


async def state(http: httpx.AsyncClient, created: dict[str, Any]) -> dict[str, Any]:
    """Return the receipt of a created secret."""
    response = await http.get(f"/receipts/{created['receiptId']}", headers=manage(created))
    assert response.status_code == 200, response.text
    receipt: dict[str, Any] = response.json()
    return receipt


def check_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check the shape that all error responses have; return the JSON."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), (
        response.text
    )
    problem: dict[str, Any] = response.json()
    assert problem["code"] == code, problem
    assert PROBLEM_KEYS <= problem.keys() <= PROBLEM_KEYS | EXTRA_KEYS.get(code, set())
    assert problem["status"] == status
    assert problem["type"] == f"urn:seclink:problem:{code}"
    assert problem["requestId"] == response.headers["x-request-id"]
    assert problem["title"]
    assert problem["detail"]
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["access-control-allow-origin"] == "*"
    return problem


def faults(response: httpx.Response) -> set[str]:
    """Return the members that a 400 names."""
    problem = check_problem(response, 400, "bad_request")
    faults: list[dict[str, Any]] = problem.get("errors", [])
    assert all(fault.keys() - {"limit"} == {"field", "message", "code"} for fault in faults)
    assert all(fault["code"] in get_args(FaultCode) for fault in faults)
    return {fault["field"] for fault in faults}
