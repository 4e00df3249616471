"""What the API tests say to the appliance again and again."""

import base64
import hashlib
from typing import Any, get_args

import httpx

from seclink.errors import FaultCode

PROBLEM_KEYS = {"type", "title", "status", "detail", "code", "requestId"}
# What some problems say beyond the common members.
FURTHER_KEYS = {
    "bad_request": {"errors"}, "payload_too_large": {"errors"}, "storage": {"errors"}, "gone": {"state", "endedAt"},
    "passcode_wrong": {"attemptsLeft"},
}  # fmt: skip

ACCESS = base64.urlsafe_b64encode(b"the proof of the key, 32 bytes..").rstrip(b"=").decode()
ACCESS_HASH = hashlib.sha256(b"the proof of the key, 32 bytes..").hexdigest()
RIGHT = hashlib.sha256(b"right").hexdigest()
WRONG = hashlib.sha256(b"wrong").hexdigest()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def body(**members: Any) -> dict[str, Any]:
    """A request to create; view_once, unless told otherwise."""
    return {"encryptedBlob": encoded(b"ciphertext"), "iv": encoded(b"i" * 12), "expiryType": "view_once"} | members


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def manage(made: dict[str, Any]) -> dict[str, str]:
    return {"SecLink-Manage": made["manageToken"]}


async def create(http: httpx.AsyncClient, *, key: str | None = None, **members: Any) -> dict[str, Any]:
    """A new secret's answer."""
    answer = await http.post("/secrets", json=body(**members), headers=bearer(key) if key else {})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def reveal(http: httpx.AsyncClient, made: dict[str, Any], **headers: str) -> httpx.Response:
    """By POST; `access`, `passcode` and `idempotency` are the headers' short names."""
    names = {"access": "SecLink-Access", "passcode": "SecLink-Passcode", "idempotency": "Idempotency-Key"}
    named = {names[name]: value for name, value in headers.items()}
    return await http.post(f"/secrets/{made['linkId']}/reveal", headers=named)


async def state(http: httpx.AsyncClient, made: dict[str, Any]) -> dict[str, Any]:
    """Its receipt."""
    answer = await http.get(f"/receipts/{made['receiptId']}", headers=manage(made))
    assert answer.status_code == 200, answer.text
    receipt: dict[str, Any] = answer.json()
    return receipt


def check_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The one shape all refusals have."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code, problem
    assert PROBLEM_KEYS <= problem.keys() <= PROBLEM_KEYS | FURTHER_KEYS.get(code, set())
    assert problem["status"] == status
    assert problem["type"] == f"urn:seclink:problem:{code}"
    assert problem["requestId"] == answer.headers["x-request-id"]
    assert problem["title"]
    assert problem["detail"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["access-control-allow-origin"] == "*"
    return problem


def faults(answer: httpx.Response) -> set[str]:
    """The members a 400 names."""
    problem = check_problem(answer, 400, "bad_request")
    faults: list[dict[str, Any]] = problem.get("errors", [])
    assert all(fault.keys() - {"limit"} == {"field", "message", "code"} for fault in faults)
    assert all(fault["code"] in get_args(FaultCode) for fault in faults)
    return {fault["field"] for fault in faults}
