"""The contract of the API: its routes, the members of their responses, their errors.

A change that fails here breaks the scripts of users.
"""

import re
import sqlite3
from types import FunctionType
from typing import Any, cast

import pytest
from api_helpers import ACCESS_HASH, RIGHT, WRONG, bearer, body, check_problem, create, encoded, faults, manage, reveal
from support.appliance import Appliance, MakeAppliance

from seclink.config.dialects import DIALECTS
from seclink.errors import BY_CODE, ClientError, SecLinkError, StartRefused

pytestmark = pytest.mark.anyio

ROUTES = {
    ("POST", "/api/v1/secrets"): 201,
    ("GET", "/api/v1/secrets/{link_id}"): 200,
    ("POST", "/api/v1/secrets/{link_id}/reveal"): 200,
    ("POST", "/api/v1/secrets/{link_id}/burn"): 204,
    ("GET", "/api/v1/secrets/{link_id}/meta"): 200,
    ("POST", "/api/v1/secrets/{link_id}/report"): 202,
    ("GET", "/api/v1/receipts"): 200,
    ("GET", "/api/v1/receipts/{receipt_id}"): 200,
    ("PATCH", "/api/v1/receipts/{receipt_id}"): 200,
    ("DELETE", "/api/v1/receipts/{receipt_id}"): 204,
    ("GET", "/api/v1/uploads"): 200,
    ("POST", "/api/v1/uploads"): 201,
    ("GET", "/api/v1/uploads/{upload_id}"): 200,
    ("DELETE", "/api/v1/uploads/{upload_id}"): 204,
    ("PUT", "/api/v1/uploads/{upload_id}/chunks/{n}"): 204,
    ("GET", "/api/v1/files/{n}"): 200,
    ("DELETE", "/api/v1/files"): 204,
    ("GET", "/api/v1/stats"): 200,
    ("GET", "/api/v1/account"): 200,
}
UNLISTED = {
    ("GET", "/healthz"),
    ("HEAD", "/healthz"),
    ("HEAD", "/readyz"),
    ("GET", "/readyz"),
    ("GET", "/api/v1/openapi.json"),
}

ITEM_KEYS = {
    "receiptId", "state", "label", "publicNote", "createdAt", "expiresAt", "maxViews", "views", "passcodeRequired",
}  # fmt: skip
STATS_KEYS = {
    "totalSecrets", "activeSecrets", "expiredSecrets", "revealedSecrets", "burnedSecrets", "totalViews",
    "secretsWithPasscode", "createdToday", "createdThisWeek", "createdThisMonth",
}  # fmt: skip

ERRORS = {
    "bad_request": 400, "not_a_navigation": 400, "unknown_host": 400, "key_invalid": 401, "key_required": 401,
    "access_required": 401, "access_denied": 401, "passcode_required": 401, "passcode_wrong": 401, "forbidden": 403,
    "not_found": 404, "method_not_allowed": 405, "request_timeout": 408, "not_active": 409, "name_taken": 409,
    "too_many_changes": 409,
    "gone": 410,
    "payload_too_large": 413, "unsupported_media_type": 415, "idempotency_mismatch": 422, "rate_limited": 429,
    "passcode_locked": 429, "headers_too_large": 431, "internal": 500, "busy": 503, "storage": 503, "storage_full": 507,
    "chunk_length": 400, "digest_mismatch": 400, "files_not_allowed": 403, "upload_unknown": 404, "has_files": 409,
    "upload_incomplete": 409, "upload_used": 409, "superseded": 409, "too_large": 413, "files_quota": 429,
    "files_full": 507,
}  # fmt: skip

HEADERS = {
    "content-security-policy": "default-src 'none'; sandbox",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "x-robots-tag": "noindex",
}


async def openapi(appliance: Appliance) -> dict[str, Any]:
    document: dict[str, Any] = (await appliance.http.get("/openapi.json")).json()
    return document


def application(appliance: Appliance) -> Any:
    """Return the framework's application, behind the middleware and the dispatcher of the dialects."""
    closure = cast(FunctionType, appliance.app.app).__closure__ or ()
    return next(cell.cell_contents for cell in closure if hasattr(cell.cell_contents, "routes"))


async def test_routes_are_exactly_those_of_the_contract(appliance: Appliance) -> None:
    served = {
        (method, re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path))
        for route in application(appliance).routes
        for method in route.methods - {"OPTIONS"}
        if route.path.split("/")[1] not in {row.name for row in DIALECTS}
    }
    assert served == ROUTES.keys() | UNLISTED


async def test_openapi_document_lists_exactly_the_routes(appliance: Appliance) -> None:
    document = await openapi(appliance)
    documented = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert documented == set(ROUTES)
    for (method, path), status in ROUTES.items():
        responses = document["paths"][path][method.lower()]["responses"]
        assert [code for code in responses if code < "400"] == [str(status)]
        assert {"400", "401", "429", "500", "503"} <= responses.keys()
    assert document["openapi"].startswith("3.1")


async def test_openapi_document_has_only_known_error_codes(appliance: Appliance) -> None:
    document = await openapi(appliance)
    for item in document["paths"].values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    codes = response["description"].split(" or ")
                    assert {ERRORS[code] for code in codes} == {int(status)}
                    assert list(response["content"]) == ["application/problem+json"]


async def test_every_response_has_exactly_its_members(appliance: Appliance) -> None:
    http, key = appliance.http, await appliance.key()
    secret = await create(http, key=key, maxViews=2, passcodeHash=RIGHT, label="l", publicNote="n")
    assert secret.keys() == {
        "linkId", "shareUrl", "expiresAt", "receiptId", "manageToken", "expiryType", "maxViews",
    }  # fmt: skip
    link, receipt = f"/secrets/{secret['linkId']}", f"/receipts/{secret['receiptId']}"
    expected: list[tuple[str, str, dict[str, Any], set[str]]] = [
        ("GET", f"{link}/meta", {}, {
            "linkId", "format", "expiryType", "expiresAt", "viewsLeft", "accessRequired", "passcodeRequired",
            "attemptsLeft",
            "publicNote",
        }),
        ("GET", link, {"headers": {"SecLink-Passcode": RIGHT}}, {
            "encryptedBlob", "iv", "expiryType", "format", "viewsLeft", "expiresAt",
        }),
        ("POST", f"{link}/report", {"json": {"reason": "spam"}}, {"accepted"}),
        ("GET", receipt, {}, ITEM_KEYS | {"linkId", "events", "lockedUntil", "lockedClients"}),
        ("PATCH", receipt, {"json": {"label": "m"}}, ITEM_KEYS | {"linkId", "events", "lockedUntil", "lockedClients"}),
        ("GET", "/receipts", {}, {"data", "pagination"}),
        ("GET", "/stats", {}, STATS_KEYS),
        ("GET", "/account", {}, {"name", "scopes", "keyPrefix", "keyExpiresAt", "rate", "secrets"}),
        ("POST", f"{link}/reveal", {"json": {"passcodeHash": RIGHT}}, {
            "encryptedBlob", "iv", "expiryType", "format", "viewsLeft", "expiresAt",
        }),
    ]  # fmt: skip
    for method, path, options, keys in expected:
        headers = bearer(key) | options.pop("headers", {})
        response = await http.request(method, path, headers=headers, **options)
        assert response.status_code in (200, 202), response.text
        assert response.json().keys() == keys, path
        assert response.headers["content-type"] == "application/json"


async def test_nested_objects_of_responses_have_exactly_their_members(appliance: Appliance) -> None:
    http, key = appliance.http, await appliance.key()
    secret = await create(http, key=key)
    page = (await http.get("/receipts", headers=bearer(key))).json()
    assert page["pagination"].keys() == {"currentPage", "perPage", "total", "lastPage"}
    assert [receipt.keys() for receipt in page["data"]] == [ITEM_KEYS]
    account = (await http.get("/account", headers=bearer(key))).json()
    assert account["rate"].keys() == {"limit", "windowSeconds", "remaining"}
    assert account["secrets"].keys() == {"active", "revealed", "burned", "expired"}
    receipt = (await http.get(f"/receipts/{secret['receiptId']}", headers=manage(secret))).json()
    assert [event.keys() for event in receipt["events"]] == [{"at", "type"}]


async def test_health_response_is_one_word(appliance: Appliance) -> None:
    http = appliance.client()
    http.base_url = "http://localhost:8080"
    assert (await http.get("/healthz")).json() == {"status": "alive"}
    unready = check_problem(await http.get("/readyz"), 503, "storage")  # without the lifespan, no reaper runs
    assert unready["errors"] == [{"field": "reaper", "message": "has not finished a round lately", "code": "late"}]


def test_error_codes_and_statuses_are_those_of_the_contract() -> None:
    def is_sent(kind: type[SecLinkError]) -> bool:
        return not issubclass(kind, StartRefused | ClientError) and kind is not SecLinkError

    assert {code: kind.status for code, kind in BY_CODE.items() if is_sent(kind)} == ERRORS


def test_docstring_of_the_errors_lists_every_code() -> None:
    import seclink.errors

    lines = dict(re.findall(r"(\d{3}) (\w+)", seclink.errors.__doc__ or ""))
    for code, status in ERRORS.items():
        assert re.search(rf"{status} {code}\b", seclink.errors.__doc__ or ""), code
    assert lines


async def test_every_kind_of_error_has_the_same_shape(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance('[rates]\nreveal = "1/hour"\n[limits]\npayload_bytes = 1024\n')
    http = appliance.client("198.51.100.1")
    key, create_only_key = await appliance.key(), await appliance.key("other", "create")
    secret = await create(http, key=key)
    ended = await create(http, key=key)
    await http.delete(f"/receipts/{ended['receiptId']}", headers=bearer(key))
    with_key = {"headers": bearer(key)}
    with_retry_key: dict[str, Any] = {"headers": bearer(key) | {"Idempotency-Key": "k" * 16}}
    assert (await http.post("/secrets", json=body(), **with_retry_key)).status_code == 201
    # The only anonymous reveal that the rate allows.
    assert (await http.post(f"/secrets/{'x' * 12}/reveal")).status_code == 404
    scenarios: list[tuple[int, str, str, str, dict[str, Any]]] = [
        (400, "bad_request", "POST", "/secrets", {"json": {}, **with_key}),
        (400, "not_a_navigation", "GET", f"/secrets/{secret['linkId']}",
         {"headers": bearer(key) | {"Sec-Fetch-Mode": "navigate"}}),
        (400, "unknown_host", "GET", "/receipts", {"headers": {"Host": "evil.example"}}),
        (401, "key_invalid", "GET", "/receipts", {"headers": bearer("sk_live_nonsense")}),
        (401, "key_required", "GET", "/receipts", {}),
        (403, "forbidden", "GET", "/receipts", {"headers": bearer(create_only_key)}),
        (404, "not_found", "GET", "/nothing", {}),
        (404, "not_found", "GET", "/receipts/unknown", with_key),
        (405, "method_not_allowed", "PATCH", "/secrets", {}),
        (405, "method_not_allowed", "PUT", "/secrets", {}),
        (409, "not_active", "PATCH", f"/receipts/{ended['receiptId']}", {"json": {"label": "x"}, **with_key}),
        (410, "gone", "DELETE", f"/receipts/{ended['receiptId']}", with_key),
        (413, "payload_too_large", "POST", "/secrets", {"content": b"x" * 100_000, **with_key}),
        (415, "unsupported_media_type", "POST", "/secrets", {"content": b"{}", **with_key}),
        (422, "idempotency_mismatch", "POST", "/secrets", {"json": body(label="another"), **with_retry_key}),
        (429, "rate_limited", "GET", f"/secrets/{secret['linkId']}", {}),
        (431, "headers_too_large", "GET", "/receipts", {"headers": {"X-Long": "x" * 20_000}}),
    ]  # fmt: skip
    for status, code, method, path, options in scenarios:
        response = await http.request(method, path, **options)
        check_problem(response, status, code)
        assert ("allow" in response.headers) == (status == 405)
        assert ("www-authenticate" in response.headers) == (status == 401)
        assert ("retry-after" in response.headers) == (status == 429)


async def test_body_over_the_limit_names_the_payload_only_where_one_is_sent(appliance: Appliance) -> None:
    headers = {"Content-Type": "application/json"}
    for method, path, fields in (
        ("POST", "/secrets", ["encryptedBlob"]),
        ("PATCH", "/receipts/unknown", ["encryptedBlob"]),
        ("POST", "/secrets/abcdefghijkl/reveal", []),
        ("POST", "/secrets/abcdefghijkl/report", []),
    ):
        response = await appliance.http.request(method, path, content=b"x" * 20_000_000, headers=headers)
        problem = check_problem(response, 413, "payload_too_large")
        assert [fault["field"] for fault in problem.get("errors", [])] == fields


async def test_errors_of_a_reveal_have_the_same_shape(appliance: Appliance) -> None:
    http = appliance.http
    with_access = await create(http, accessHash=ACCESS_HASH)
    with_passcode = await create(http, passcodeHash=RIGHT)
    check_problem(await reveal(http, with_access), 401, "access_required")
    check_problem(await reveal(http, with_access, access="AAAA"), 401, "access_denied")
    check_problem(await reveal(http, with_passcode), 401, "passcode_required")
    assert check_problem(await reveal(http, with_passcode, passcode=WRONG), 401, "passcode_wrong")["attemptsLeft"] == 4
    for _ in range(4):
        await reveal(http, with_passcode, passcode=WRONG)
    locked = await reveal(http, with_passcode, passcode=WRONG)
    check_problem(locked, 429, "passcode_locked")
    assert 1 <= int(locked.headers["retry-after"]) <= 600


async def test_gone_error_has_the_state_and_the_time_of_the_end(appliance: Appliance) -> None:
    http = appliance.http
    secret = await create(http)
    appliance.clock.move(5)
    await reveal(http, secret)
    problem = check_problem(await reveal(http, secret), 410, "gone")
    assert (problem["state"], problem["endedAt"]) == ("revealed", appliance.clock.now())


async def test_closed_store_is_a_503_and_a_full_one_a_507(make_appliance: MakeAppliance) -> None:
    full = await make_appliance('[store]\nmax_bytes = 1048576\n[rates]\ncreate = "1000/hour"\n')
    large = body(encryptedBlob=encoded(b"x" * 1_000_000))
    response = await full.http.post("/secrets", json=large)
    check_problem(response, 507, "storage_full")
    closed = await make_appliance()
    secret = await create(closed.http)
    await closed.store.close()
    response = await closed.http.get(f"/secrets/{secret['linkId']}/meta")
    check_problem(response, 503, "storage")
    assert response.headers["retry-after"] == "1"


async def test_bug_is_a_500_without_details(appliance: Appliance) -> None:
    """IN-16: the cause is a row with an impossible value, which the response does not repeat."""
    secret = await create(appliance.http)
    with sqlite3.connect(appliance.path) as db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        db.execute("UPDATE secrets SET state = 'an impossible state'")
    db.close()
    response = await appliance.http.get(f"/secrets/{secret['linkId']}/meta")
    problem = check_problem(response, 500, "internal")
    assert "impossible" not in response.text
    assert problem["detail"] == "The server failed with an internal error"


async def test_responses_have_the_security_headers(appliance: Appliance) -> None:
    http = appliance.http
    responses = [
        await http.post("/secrets", json=body()),
        await http.get("/nothing"),
        await http.request("PUT", "/secrets"),
        await http.post("/secrets", content=b"{}"),
        await http.options("/secrets"),
        await http.get("/openapi.json"),
    ]
    for response in responses:
        assert {name: response.headers.get(name) for name in HEADERS} == HEADERS, response.request.url
        assert "server" not in response.headers
        assert "set-cookie" not in response.headers
        assert response.headers["access-control-allow-origin"] == "*"
        assert re.fullmatch(r"[0-9a-f]{16}", response.headers["x-request-id"])


async def test_preflight_needs_no_credentials(appliance: Appliance) -> None:
    secret = await create(appliance.http)
    response = await appliance.http.options(
        f"/secrets/{secret['linkId']}/reveal",
        headers={"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"},
    )
    assert (response.status_code, response.content) == (204, b"")
    assert "credentials" not in str(response.headers).lower()
    allowed = response.headers["access-control-allow-headers"].split(", ")
    assert {
        "authorization",
        "content-type",
        "idempotency-key",
        "seclink-access",
        "seclink-manage",
        "seclink-passcode",
        *("content-digest", "seclink-files", "seclink-grant", "seclink-upload"),
    } == {*allowed}


async def test_unknown_member_is_rejected_by_its_name(appliance: Appliance) -> None:
    http = appliance.http
    secret = await create(http)
    requests = [
        ("POST", "/secrets", body(expiretype="1hour")),
        ("POST", f"/secrets/{secret['linkId']}/reveal", {"expiretype": 1}),
        ("POST", f"/secrets/{secret['linkId']}/burn", {"expiretype": 1}),
        ("POST", f"/secrets/{secret['linkId']}/report", {"expiretype": 1}),
        ("PATCH", f"/receipts/{secret['receiptId']}", {"expiretype": 1}),
    ]
    for method, path, payload in requests:
        assert faults(await http.request(method, path, json=payload, headers=manage(secret))) == {"expiretype"}
