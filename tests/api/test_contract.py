"""The contract, pinned: which routes there are, what each answers, how each refuses. What breaks here breaks
somebody's script.
"""

import re
import sqlite3
from typing import Any

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
    "gone": 410,
    "payload_too_large": 413, "unsupported_media_type": 415, "idempotency_mismatch": 422, "rate_limited": 429,
    "passcode_locked": 429, "headers_too_large": 431, "internal": 500, "busy": 503, "storage": 503, "storage_full": 507,
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
    """The framework's application behind the gate and the dialects' door."""
    closure = appliance.app.app.__closure__
    return next(cell.cell_contents for cell in closure if hasattr(cell.cell_contents, "routes"))


async def test_routes_are_those_of_the_contract_and_no_others(appliance: Appliance) -> None:
    served = {
        (method, re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path))
        for route in application(appliance).routes
        for method in route.methods - {"OPTIONS"}
        if route.path.split("/")[1] not in {row.name for row in DIALECTS}
    }
    assert served == ROUTES.keys() | UNLISTED


async def test_openapi_document_lists_exactly_the_routes(appliance: Appliance) -> None:
    document = await openapi(appliance)
    listed = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert listed == set(ROUTES)
    for (method, path), status in ROUTES.items():
        responses = document["paths"][path][method.lower()]["responses"]
        assert [code for code in responses if code < "400"] == [str(status)]
        assert {"400", "401", "429", "500", "503"} <= responses.keys()
    assert document["openapi"].startswith("3.1")


async def test_openapi_document_names_only_known_codes(appliance: Appliance) -> None:
    document = await openapi(appliance)
    for item in document["paths"].values():
        for operation in item.values():
            for status, response in operation["responses"].items():
                if status >= "400":
                    codes = response["description"].split(" or ")
                    assert {ERRORS[code] for code in codes} == {int(status)}
                    assert list(response["content"]) == ["application/problem+json"]


async def test_every_answer_has_exactly_its_members(appliance: Appliance) -> None:
    http, key = appliance.http, await appliance.key()
    made = await create(http, key=key, maxViews=2, passcodeHash=RIGHT, label="l", publicNote="n")
    assert made.keys() == {
        "linkId", "shareUrl", "expiresAt", "receiptId", "manageToken", "expiryType", "maxViews",
    }  # fmt: skip
    link, receipt = f"/secrets/{made['linkId']}", f"/receipts/{made['receiptId']}"
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
        ("GET", receipt, {}, ITEM_KEYS | {"linkId", "events"}),
        ("PATCH", receipt, {"json": {"label": "m"}}, ITEM_KEYS | {"linkId", "events"}),
        ("GET", "/receipts", {}, {"data", "pagination"}),
        ("GET", "/stats", {}, STATS_KEYS),
        ("GET", "/account", {}, {"name", "scopes", "keyPrefix", "keyExpiresAt", "rate", "secrets"}),
        ("POST", f"{link}/reveal", {"json": {"passcodeHash": RIGHT}}, {
            "encryptedBlob", "iv", "expiryType", "format", "viewsLeft", "expiresAt",
        }),
    ]  # fmt: skip
    for method, path, options, keys in expected:
        headers = bearer(key) | options.pop("headers", {})
        answer = await http.request(method, path, headers=headers, **options)
        assert answer.status_code in (200, 202), answer.text
        assert answer.json().keys() == keys, path
        assert answer.headers["content-type"] == "application/json"


async def test_parts_of_answers_have_exactly_their_members(appliance: Appliance) -> None:
    http, key = appliance.http, await appliance.key()
    made = await create(http, key=key)
    page = (await http.get("/receipts", headers=bearer(key))).json()
    assert page["pagination"].keys() == {"currentPage", "perPage", "total", "lastPage"}
    assert [each.keys() for each in page["data"]] == [ITEM_KEYS]
    account = (await http.get("/account", headers=bearer(key))).json()
    assert account["rate"].keys() == {"limit", "windowSeconds", "remaining"}
    assert account["secrets"].keys() == {"active", "revealed", "burned", "expired"}
    receipt = (await http.get(f"/receipts/{made['receiptId']}", headers=manage(made))).json()
    assert [each.keys() for each in receipt["events"]] == [{"at", "type"}]


async def test_health_is_told_in_one_word(appliance: Appliance) -> None:
    http = appliance.client()
    http.base_url = "http://localhost:8080"
    assert (await http.get("/healthz")).json() == {"status": "alive"}
    unready = check_problem(await http.get("/readyz"), 503, "storage")  # nobody drives the lifespan: no reaper ticks
    assert unready["errors"] == [{"field": "reaper", "message": "has not finished a round lately", "code": "late"}]


def test_error_codes_and_statuses_are_those_of_the_contract() -> None:
    def is_sent(kind: type[SecLinkError]) -> bool:
        return not issubclass(kind, StartRefused | ClientError) and kind is not SecLinkError

    assert {code: kind.status for code, kind in BY_CODE.items() if is_sent(kind)} == ERRORS


def test_tree_in_the_docstring_is_the_tree() -> None:
    import seclink.errors

    drawn = dict(re.findall(r"(\d{3}) (\w+)", seclink.errors.__doc__ or ""))
    for code, status in ERRORS.items():
        assert re.search(rf"{status} {code}\b", seclink.errors.__doc__ or ""), code
    assert drawn


async def test_every_kind_of_refusal_has_the_one_shape(make_appliance: MakeAppliance) -> None:
    tight = '[rates]\nreveal = "1/hour"\n[limits]\npayload_bytes = 1024\n'
    made_appliance = await make_appliance(tight)
    http = made_appliance.client("198.51.100.1")
    key, narrow = await made_appliance.key(), await made_appliance.key("other", "create")
    made = await create(http, key=key)
    ended = await create(http, key=key)
    await http.delete(f"/receipts/{ended['receiptId']}", headers=bearer(key))
    keyed = {"headers": bearer(key)}
    retried = {"headers": bearer(key) | {"Idempotency-Key": "k" * 16}}
    assert (await http.post("/secrets", json=body(), **retried)).status_code == 201
    assert (await http.post(f"/secrets/{'x' * 12}/reveal")).status_code == 404  # the one anonymous reveal there is
    scenarios: list[tuple[int, str, str, str, dict[str, Any]]] = [
        (400, "bad_request", "POST", "/secrets", {"json": {}, **keyed}),
        (400, "not_a_navigation", "GET", f"/secrets/{made['linkId']}",
         {"headers": bearer(key) | {"Sec-Fetch-Mode": "navigate"}}),
        (400, "unknown_host", "GET", "/receipts", {"headers": {"Host": "evil.example"}}),
        (401, "key_invalid", "GET", "/receipts", {"headers": bearer("sk_live_nonsense")}),
        (401, "key_required", "GET", "/receipts", {}),
        (403, "forbidden", "GET", "/receipts", {"headers": bearer(narrow)}),
        (404, "not_found", "GET", "/nothing", {}),
        (404, "not_found", "GET", "/receipts/unknown", keyed),
        (405, "method_not_allowed", "PATCH", "/secrets", {}),
        (405, "method_not_allowed", "PUT", "/secrets", {}),
        (409, "not_active", "PATCH", f"/receipts/{ended['receiptId']}", {"json": {"label": "x"}, **keyed}),
        (410, "gone", "DELETE", f"/receipts/{ended['receiptId']}", keyed),
        (413, "payload_too_large", "POST", "/secrets", {"content": b"x" * 100_000, **keyed}),
        (415, "unsupported_media_type", "POST", "/secrets", {"content": b"{}", **keyed}),
        (422, "idempotency_mismatch", "POST", "/secrets", {"json": body(label="another"), **retried}),
        (429, "rate_limited", "GET", f"/secrets/{made['linkId']}", {}),
        (431, "headers_too_large", "GET", "/receipts", {"headers": {"X-Long": "x" * 20_000}}),
    ]  # fmt: skip
    for status, code, method, path, options in scenarios:
        answer = await http.request(method, path, **options)
        check_problem(answer, status, code)
        assert ("allow" in answer.headers) == (status == 405)
        assert ("www-authenticate" in answer.headers) == (status == 401)
        assert ("retry-after" in answer.headers) == (status == 429)


async def test_refusals_of_a_reveal_have_the_one_shape(appliance: Appliance) -> None:
    http = appliance.http
    gated = await create(http, accessHash=ACCESS_HASH)
    coded = await create(http, passcodeHash=RIGHT)
    check_problem(await reveal(http, gated), 401, "access_required")
    check_problem(await reveal(http, gated, access="AAAA"), 401, "access_denied")
    check_problem(await reveal(http, coded), 401, "passcode_required")
    assert check_problem(await reveal(http, coded, passcode=WRONG), 401, "passcode_wrong")["attemptsLeft"] == 4
    for _ in range(4):
        await reveal(http, coded, passcode=WRONG)
    locked = await reveal(http, coded, passcode=WRONG)
    check_problem(locked, 429, "passcode_locked")
    assert 1 <= int(locked.headers["retry-after"]) <= 600


async def test_gone_says_how_and_when_and_nothing_else(appliance: Appliance) -> None:
    http = appliance.http
    made = await create(http)
    appliance.clock.move(5)
    await reveal(http, made)
    problem = check_problem(await reveal(http, made), 410, "gone")
    assert (problem["state"], problem["endedAt"]) == ("revealed", appliance.clock.now())


async def test_store_that_is_away_is_a_503_and_a_full_one_a_507(make_appliance: MakeAppliance) -> None:
    full = await make_appliance('[store]\nmax_bytes = 1048576\n[rates]\ncreate = "1000/hour"\n')
    big = body(encryptedBlob=encoded(b"x" * 1_000_000))
    answer = await full.http.post("/secrets", json=big)
    check_problem(answer, 507, "storage_full")
    away = await make_appliance()
    made = await create(away.http)
    await away.store.close()
    answer = await away.http.get(f"/secrets/{made['linkId']}/meta")
    check_problem(answer, 503, "storage")
    assert answer.headers["retry-after"] == "1"


async def test_mistake_of_ours_is_a_500_that_tells_nothing(appliance: Appliance) -> None:
    """IN-16: a row nobody of ours has written; the answer does not repeat it."""
    made = await create(appliance.http)
    with sqlite3.connect(appliance.path) as db:
        db.execute("PRAGMA ignore_check_constraints = ON")
        db.execute("UPDATE secrets SET state = 'a state of nobody'")
    db.close()
    answer = await appliance.http.get(f"/secrets/{made['linkId']}/meta")
    problem = check_problem(answer, 500, "internal")
    assert "nobody" not in answer.text
    assert problem["detail"] == "The server failed with an internal error"


async def test_answers_carry_the_security_headers(appliance: Appliance) -> None:
    http = appliance.http
    answers = [
        await http.post("/secrets", json=body()),
        await http.get("/nothing"),
        await http.request("PUT", "/secrets"),
        await http.post("/secrets", content=b"{}"),
        await http.options("/secrets"),
        await http.get("/openapi.json"),
    ]
    for answer in answers:
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, answer.request.url
        assert "server" not in answer.headers
        assert "set-cookie" not in answer.headers
        assert answer.headers["access-control-allow-origin"] == "*"
        assert re.fullmatch(r"[0-9a-f]{16}", answer.headers["x-request-id"])


async def test_preflight_is_answered_without_asking_anybody(appliance: Appliance) -> None:
    made = await create(appliance.http)
    answer = await appliance.http.options(
        f"/secrets/{made['linkId']}/reveal",
        headers={"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"},
    )
    assert (answer.status_code, answer.content) == (204, b"")
    assert "credentials" not in str(answer.headers).lower()
    allowed = answer.headers["access-control-allow-headers"].split(", ")
    assert {
        "authorization",
        "content-type",
        "idempotency-key",
        "seclink-access",
        "seclink-manage",
        "seclink-passcode",
    } == {*allowed}


async def test_unknown_members_are_refused_by_name(appliance: Appliance) -> None:
    http = appliance.http
    made = await create(http)
    asked = [
        ("POST", "/secrets", body(expiretype="1hour")),
        ("POST", f"/secrets/{made['linkId']}/reveal", {"expiretype": 1}),
        ("POST", f"/secrets/{made['linkId']}/burn", {"expiretype": 1}),
        ("POST", f"/secrets/{made['linkId']}/report", {"expiretype": 1}),
        ("PATCH", f"/receipts/{made['receiptId']}", {"expiretype": 1}),
    ]
    for method, path, sent in asked:
        assert faults(await http.request(method, path, json=sent, headers=manage(made))) == {"expiretype"}
