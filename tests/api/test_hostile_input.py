"""Hostile input: every response is a 4xx problem, nothing is spent, and the process keeps running."""

import asyncio
import gzip
import json
from typing import Any

import httpx
import pytest
from api_helpers import ACCESS_HASH, RIGHT, bearer, body, check_problem, create, encoded, faults, manage, reveal, state
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.appliance import Appliance

from seclink.web.request import SMALL_BODY

pytestmark = pytest.mark.anyio
JSON = {"Content-Type": "application/json"}
BARE = {"encryptedBlob": "eA==", "iv": "eA==", "expiryType": "view_once"}

# The kinds of nonsense that each member of each body accepts.
TEXT, INTEGER, NOTHING = "text", "integer", "nothing"
CREATE: dict[str, set[str]] = {
    "encryptedBlob": set(), "iv": set(), "expiryType": {NOTHING}, "expiresIn": {NOTHING}, "maxViews": {NOTHING},
    "passcodeHash": {NOTHING}, "accessHash": {NOTHING}, "format": set(), "publicNote": {TEXT, NOTHING},
    "label": {TEXT, NOTHING},
}  # fmt: skip
PATCH: dict[str, set[str]] = {
    "expiresIn": set(), "maxViews": {NOTHING}, "label": {TEXT, NOTHING}, "publicNote": {TEXT, NOTHING},
    "passcodeHash": {NOTHING}, "encryptedBlob": set(), "iv": set(),
}  # fmt: skip
REVEAL: dict[str, set[str]] = {"access": {TEXT, NOTHING}, "passcodeHash": {TEXT, NOTHING}}
REPORT: dict[str, set[str]] = {"reason": {TEXT, NOTHING}}

NONSENSE: list[tuple[str, Any]] = [
    (NOTHING, None),
    ("boolean", True),
    ("float", 1.5),
    ("float", 60.0),
    ("float", 1e300),
    ("negative", -1),
    ("negative", -(2**63)),
    ("huge", 2**63),
    ("huge", 10**40),
    ("list", []),
    ("list", [1, "x"]),
    ("object", {}),
    ("object", {"$ne": 1}),
    (TEXT, "1hour "),
    (TEXT, "' OR 1=1 --"),
    (TEXT, "%00"),
    ("empty", ""),
    ("control", "a\x00b"),
    ("control", "a\x1b[31mb"),
    ("control", "a\x7fb"),
    ("control", "a\x85b"),
    ("surrogate", "\ud800"),
    ("surrogate", "a\udfffb"),
    ("long", "x" * 100_001),
]
EMPTY_ALLOWED = {"publicNote", "label", "reason", "access"}


def json_of(members: dict[str, Any]) -> bytes:
    return json.dumps(members).encode()  # ASCII: surrogates as escapes, as an attacker would write them


def is_good(member: str, kind: str, allowed: set[str]) -> bool:
    return kind in allowed or (kind == "empty" and member in EMPTY_ALLOWED)


@pytest.mark.parametrize("member", CREATE)
async def test_create_rejects_a_member_of_the_wrong_type(appliance: Appliance, member: str) -> None:
    """IN-02: the error names the member."""
    for kind, value in NONSENSE:
        content = json_of(BARE | {"expiresIn": 60} | {member: value})
        response = await appliance.http.post("/secrets", content=content, headers=JSON)
        if is_good(member, kind, CREATE[member]):
            assert response.status_code == 201, response.text
        elif kind == "surrogate":
            check_problem(response, 400, "bad_request")
        else:
            assert faults(response) == {member}, (kind, value)


@pytest.mark.parametrize("member", PATCH)
async def test_patch_rejects_a_member_of_the_wrong_type(appliance: Appliance, member: str) -> None:
    """IN-02"""
    secret = await create(appliance.http)
    path, headers = f"/receipts/{secret['receiptId']}", JSON | manage(secret)
    pair = {"encryptedBlob": "eA==", "iv": "eA=="} if member in ("encryptedBlob", "iv") else {}
    for kind, value in NONSENSE:
        response = await appliance.http.patch(path, content=json_of(pair | {member: value}), headers=headers)
        if is_good(member, kind, PATCH[member]):
            assert response.status_code == 200, response.text
        elif kind == "surrogate":
            check_problem(response, 400, "bad_request")
        else:
            assert faults(response) == {member}, (kind, value)


@pytest.mark.parametrize("retry", [{}, {"Idempotency-Key": "k" * 20}])
@pytest.mark.parametrize("member", REVEAL)
async def test_reveal_rejects_nonsense_and_spends_nothing(
    appliance: Appliance, member: str, retry: dict[str, str]
) -> None:
    """IN-02: a text that cannot be a proof is a wrong proof; a value that is no text is a bad request."""
    secret = await create(appliance.http, accessHash=ACCESS_HASH, passcodeHash=RIGHT)
    path = f"/secrets/{secret['linkId']}/reveal"
    for _, value in NONSENSE:
        content = json_of({member: value})
        response = await appliance.http.post(path, content=content, headers=JSON | retry)
        assert response.status_code in ((413,) if len(content) > SMALL_BODY else (400, 401)), response.text
        check_problem(response, response.status_code, response.json()["code"])
    receipt = await state(appliance.http, secret)
    assert (receipt["views"], receipt["state"]) == (0, "active")


async def test_report_rejects_nonsense(appliance: Appliance) -> None:
    """IN-02, IN-05"""
    secret = await create(appliance.http)
    path = f"/secrets/{secret['linkId']}/report"
    for kind, value in NONSENSE:
        content = json_of({"reason": value})
        response = await appliance.http.post(path, content=content, headers=JSON)
        if len(content) > SMALL_BODY:
            check_problem(response, 413, "payload_too_large")
        elif is_good("reason", kind, REPORT["reason"]):
            assert response.status_code == 202
        else:
            check_problem(response, 400, "bad_request")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


MEMBERS = sorted(CREATE | PATCH | REVEAL | REPORT)
DOCUMENTS = st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=8), ANYTHING, max_size=5) | ANYTHING


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=DOCUMENTS)
async def test_arbitrary_json_is_never_a_500(appliance: Appliance, document: Any) -> None:
    """IN-02: known members with any value, unknown members, and documents that are not objects."""
    secret = await create(appliance.http)
    link, receipt = f"/secrets/{secret['linkId']}", f"/receipts/{secret['receiptId']}"
    for method, path in (
        ("POST", "/secrets"),
        ("PATCH", receipt),
        ("POST", f"{link}/report"),
        ("POST", f"{link}/reveal"),
        ("POST", f"{link}/burn"),
    ):
        response = await appliance.http.request(method, path, content=json_of(document), headers=JSON | manage(secret))
        assert response.status_code < 500, response.text
        if response.status_code >= 400:
            check_problem(response, response.status_code, response.json()["code"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
async def test_arbitrary_bytes_are_a_400(appliance: Appliance, content: bytes) -> None:
    """IN-03"""
    response = await appliance.http.post("/secrets", content=content, headers=JSON)
    check_problem(response, 400, "bad_request")


GOOD = json.dumps(BARE)
HOSTILE: list[tuple[str, bytes]] = [
    ("nothing", b""),
    ("deep lists", b"[" * 100_000),
    ("deep lists, closed", b"[" * 50_000 + b"]" * 50_000),
    ("deep objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
    ("deep member", GOOD[:-1].encode() + b',"label":' + b"[" * 900 + b"]" * 900 + b"}"),
    ("deeper than 32", GOOD[:-1].encode() + b',"label":' + b"[" * 33 + b"]" * 33 + b"}"),
    ("many members", b"{" + b",".join(b'"k%d":1' % n for n in range(100_000)) + b"}"),
    ("duplicate member", GOOD[:-1].encode() + b',"iv":"eQ=="}'),
    ("duplicate by escape", GOOD[:-1].encode() + b',"\\u0069v":"eQ=="}'),
    ("duplicate inside", GOOD[:-1].encode() + b',"label":{"a":1,"a":2}}'),
    ("NaN", GOOD[:-1].encode() + b',"maxViews":NaN}'),
    ("Infinity", GOOD[:-1].encode() + b',"maxViews":-Infinity}'),
    ("trailing bytes", GOOD.encode() + b"x"),
    ("second document", GOOD.encode() * 2),
    ("BOM", b"\xef\xbb\xbf" + GOOD.encode()),
    ("UTF-16", GOOD.encode("utf-16")),
    ("UTF-32", GOOD.encode("utf-32")),
    ("Latin-1", GOOD[:-1].encode() + b',"label":"\xfc"}'),
    ("overlong UTF-8", GOOD[:-1].encode() + b',"label":"\xc0\x80"}'),
    ("surrogate in UTF-8", GOOD[:-1].encode() + b',"label":"\xed\xa0\x80"}'),
    ("lone surrogate", GOOD[:-1].encode() + b',"label":"\\ud800"}'),
    ("lone surrogate as name", GOOD[:-1].encode() + b',"\\ud800":1}'),
    ("raw control character", GOOD[:-1].encode() + b',"label":"a\x00b"}'),
    ("raw line break", GOOD[:-1].encode() + b',"label":"a\nb"}'),
    ("50,000 digits", GOOD[:-1].encode() + b',"maxViews":' + b"9" * 50_000 + b"}"),
    ("leading zero", GOOD[:-1].encode() + b',"maxViews":01}'),
    ("__proto__", GOOD[:-1].encode() + b',"__proto__":{"x":1}}'),
    ("constructor", GOOD[:-1].encode() + b',"constructor":1}'),
    ("single quotes", GOOD.replace('"', "'").encode()),
    ("comment", b"/* */" + GOOD.encode()),
    ("trailing comma", GOOD[:-1].encode() + b",}"),
    ("a list", b"[" + GOOD.encode() + b"]"),
    ("a string", json.dumps(GOOD).encode()),
    ("null", b"null"),
    ("a number", b"1"),
    ("a form", b"encryptedBlob=eA&iv=eA"),
]


async def test_hostile_json_is_a_400(appliance: Appliance) -> None:
    """IN-03"""
    secret = await create(appliance.http)
    for name, content in HOSTILE:
        for method, path in (("POST", "/secrets"), ("PATCH", f"/receipts/{secret['receiptId']}")):
            response = await appliance.http.request(method, path, content=content, headers=JSON | manage(secret))
            assert response.status_code == 400, name
            check_problem(response, 400, "bad_request")
    assert (await appliance.http.post("/secrets", content=GOOD, headers=JSON)).status_code == 201


async def test_lone_surrogate_does_not_fail_the_writes_of_others(appliance: Appliance) -> None:
    """IN-03: a text that cannot be stored is rejected before it joins a commit with other writes."""
    secret = await create(appliance.http)
    bad: dict[str, Any] = {"content": b'{"reason":"\\ud800"}', "headers": JSON}
    requests = [
        appliance.http.post(f"/secrets/{secret['linkId']}/report", **bad),
        appliance.http.post("/secrets", json=body()),
    ]
    responses = await asyncio.gather(*requests, appliance.http.post("/secrets", json=body()))
    assert [response.status_code for response in responses] == [400, 201, 201]


async def test_name_of_an_unknown_member_is_repeated_shortened_and_printable(appliance: Appliance) -> None:
    """IN-16"""
    for name in ("x" * 10_000, "a\u001bb\u2028c\u0000", "`$.evil`"):
        response = await appliance.http.post("/secrets", content=json_of({name: 1}), headers=JSON)
        check_problem(response, 400, "bad_request")
        assert len(response.content) < 600
        assert "\\u001b" not in response.text
        assert "\x1b" not in response.text
        assert "\u2028" not in response.text


BASE64 = [
    ("", False),
    ("eA==", True),
    ("eHg=", True),
    ("eHh4", True),
    ("eA", False),
    ("eA=", False),
    ("eA===", False),
    ("eB==", False),
    ("eHl=", False),
    ("e A==", False),
    ("eA==\n", False),
    ("\teA==", False),
    ("eA==eA==", False),
    ("e$==", False),
    ("=eA=", False),
    ("====", False),
    ("_-_-", False),
    ("/+/+", True),
    ("eA==\x00", False),
    ("ｅＡ==", False),
    ("data:;base64,eA==", False),
]


@pytest.mark.parametrize("member", ["encryptedBlob", "iv"])
async def test_base64_is_accepted_only_in_its_canonical_form(appliance: Appliance, member: str) -> None:
    """IN-04: the alphabet, the padding and unused bits are checked."""
    for text, is_valid in BASE64:
        response = await appliance.http.post("/secrets", json=BARE | {member: text})
        if is_valid:
            assert (await reveal(appliance.http, response.json())).json()[member] == text
        else:
            assert faults(response) == {member}, text


@pytest.mark.parametrize(("size", "is_valid"), [(0, False), (1, True), (12, True), (64, True), (65, False)])
async def test_iv_has_one_to_64_bytes(appliance: Appliance, size: int, is_valid: bool) -> None:
    """IN-04"""
    response = await appliance.http.post("/secrets", json=BARE | {"iv": encoded(b"i" * size)})
    assert (response.status_code == 201) is is_valid
    assert is_valid or faults(response) == {"iv"}


@pytest.mark.parametrize(("member", "max_characters"), [("publicNote", 300), ("label", 200)])
async def test_texts_are_counted_in_characters(appliance: Appliance, member: str, max_characters: int) -> None:
    """IN-05"""
    for character in ("x", "é", "👩"):
        text = character * max_characters
        assert (await appliance.http.post("/secrets", json=BARE | {member: text})).status_code == 201
        assert faults(await appliance.http.post("/secrets", json=BARE | {member: text + character})) == {member}
    grapheme = "e" + "\u0301" * 1_000_000
    assert faults(await appliance.http.post("/secrets", json=BARE | {member: grapheme})) == {member}


async def test_control_characters_in_texts_are_rejected(appliance: Appliance) -> None:
    """IN-05: line breaks and tabs are allowed."""
    secret = await create(appliance.http)
    for character in (*range(0x20), *range(0x7F, 0xA0)):
        text = f"a{chr(character)}b"
        responses = [
            await appliance.http.post("/secrets", json=BARE | {"publicNote": text}),
            await appliance.http.post("/secrets", json=BARE | {"label": text}),
            await appliance.http.post(f"/secrets/{secret['linkId']}/report", json={"reason": text}),
        ]
        assert [response.is_success for response in responses] == [character in (9, 10)] * 3, character


IDS = [
    "", "..", ".", "%00", "%2F", "%2e%2e%2f", "%ff", "abcdefghijk", "abcdefghijklm", "abcdefghijk%0A",
    "abcdefghijkl%0A",
    "abcdefghijk%20", "abcdefghij'l", "' OR 1=1 --", "*", "%25", "__________", "\N{CYRILLIC SMALL LETTER A}bcdefghijkl",
    "\N{FULLWIDTH DIGIT ONE}" * 12, "\N{ARABIC-INDIC DIGIT ONE}" * 12, "x" * 10_000, "abcdefghijkl;x", "abcdefghijkl,x",
    "abcdef%2Fghijkl", "-bcdefghijkl", "abcdefghijkl.json",
]  # fmt: skip


async def test_malformed_id_is_a_404_without_a_lookup(appliance: Appliance) -> None:
    """IN-06: the store is closed, so that a lookup would be a 503."""
    await appliance.store.close()
    http = appliance.http
    for name in IDS:
        is_path = name in ("", ".", "..") or "%2" in name.lower()
        for method, path in (
            ("GET", f"/secrets/{name}"),
            ("POST", f"/secrets/{name}/reveal"),
            ("POST", f"/secrets/{name}/burn"),
            ("GET", f"/secrets/{name}/meta"),
            ("GET", f"/receipts/{name}_x"),
            ("DELETE", f"/receipts/{name}_x"),
            ("PATCH", f"/receipts/{name}_x"),
        ):
            response = await http.request(method, path, json={} if method == "PATCH" else None)
            assert response.status_code in ((404, 405) if is_path else (404,)), path
            assert response.json()["code"] in ("not_found", "method_not_allowed")
    assert (await http.post("/secrets/no-id/report")).status_code == 202
    check_problem(await http.get("/secrets/abcdefghijkl/meta"), 503, "storage")


async def test_unknown_and_malformed_ids_get_the_same_response(appliance: Appliance) -> None:
    """IN-06"""
    responses = [await appliance.http.get(f"/secrets/{name}") for name in ("abcdefghijkl", "no-id", "x" * 1000)]
    problems = [{**response.json(), "requestId": ""} for response in responses]
    assert problems[0] == problems[1] == problems[2]


@pytest.mark.parametrize(
    "path",
    [
        "/../../../etc/passwd",
        "/static/../seclink.db",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/seclink.db",
        "/.git/config",
    ],
)
async def test_paths_and_cookies_open_no_file(appliance: Appliance, path: str) -> None:
    """IN-12: no file is opened by a name from a request, and no cookie selects one."""
    cookies = {"cookie": "; ".join(f"{name}=../../etc/passwd" for name in ("lang", "theme", "template", "session"))}
    for base in ("http://localhost:8080", "http://localhost:8080/api/v1"):
        response = await appliance.http.get(base + path, headers=cookies)
        check_problem(response, 404, "not_found")
        assert "set-cookie" not in response.headers
    secret = await create(appliance.http)
    meta = await appliance.http.get(f"/secrets/{secret['linkId']}/meta", headers=cookies)
    assert meta.status_code == 200


LIMITS = [
    ("expiresIn", 59, False), ("expiresIn", 60, True), ("expiresIn", 2_592_000, True), ("expiresIn", 2_592_001, False),
    ("expiresIn", 0, False), ("expiresIn", -1, False), ("expiresIn", 10**18, False), ("expiresIn", 3600.5, False),
    ("expiresIn", "3600", False), ("expiryType", "1hour ", False), ("expiryType", "1HOUR", False), ("expiryType", "",
    False),
    ("expiryType", "never", False), ("expiryType", "custom", False), ("maxViews", 0, False), ("maxViews", -1, False),
    ("maxViews", 1, True), ("maxViews", 1000, True), ("maxViews", 1001, False), ("maxViews", 2**63, False),
    ("maxViews", 1.0, False), ("maxViews", "1", False), ("maxViews", True, False), ("format", "seclink/v1", True),
    ("format", "seclink/v2", False), ("format", "RAW", False), ("passcodeHash", "a" * 63, False), ("passcodeHash",
    "a" * 65, False),
    ("passcodeHash", "g" * 64, False), ("passcodeHash", "aA" * 32, True), ("accessHash", "a" * 64 + "\n", False),
    ("accessHash", "٠" * 64, False), ("accessHash", "0" * 64, True),
]  # fmt: skip


async def test_limits_of_members_are_those_documented(appliance: Appliance) -> None:
    """IN-07"""
    for member, value, is_valid in LIMITS:
        response = await appliance.http.post("/secrets", json=BARE | {member: value})
        assert (response.status_code == 201) is is_valid, (member, value)
        assert is_valid or faults(response) == {member}


async def test_error_names_all_members_at_fault(appliance: Appliance) -> None:
    payload = BARE | {
        "expiresIn": 1,
        "maxViews": 0,
        "passcodeHash": "x",
        "accessHash": "x",
        "publicNote": "\0",
        "label": "\0",
    }
    response = await appliance.http.post("/secrets", json=payload)
    assert faults(response) == {"expiresIn", "maxViews", "passcodeHash", "accessHash", "publicNote", "label"}


TYPES = [
    (b"application/json", 201), (b"application/json;charset=utf-8", 201), (b"application/json; charset=UTF-8", 201),
    (b'APPLICATION/Json ;\tCHARSET="UTF-8"', 201), (b"application/json; charset=utf8", 201),
    (b"application/json;", 201), (b"application/json ; ", 201), (b"application/json; charset = Utf-8 ;", 201),
    (b'application/json; charset="utf-8', 415), (b"application/json; charset=", 415),
    (b'Application/JSON; charset="utf-8"', 201), (None, 415), (b"", 415), (b"text/plain", 415), (b"text/json", 415),
    (b"application/x-www-form-urlencoded", 415), (b"multipart/form-data; boundary=x", 415),
    (b"application/json;charset=utf-16", 415), (b"application/json; charset=latin-1", 415), (b"application/jsonx", 415),
    (b"application/json, text/plain", 415), (b"application/problem+json", 415), (b"application/msgpack", 415),
    (b"application/json; boundary=x", 415), (b"*/*", 415), (b"\xff", 415),
]  # fmt: skip


async def test_only_json_in_utf_8_is_accepted(appliance: Appliance) -> None:
    """IN-08"""
    for media_type, status in TYPES:
        headers = httpx.Headers([(b"content-type", media_type)] if media_type is not None else [])
        response = await appliance.http.post("/secrets", content=GOOD, headers=headers)
        assert response.status_code == status, media_type
        if status == 415:
            check_problem(response, 415, "unsupported_media_type")


async def test_compressed_body_is_refused_and_not_taken_for_json(appliance: Appliance) -> None:
    for encoding in ("gzip", "GZIP", "br", "deflate", "identity, gzip", ""):
        headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
        response = await appliance.http.post("/secrets", content=gzip.compress(GOOD.encode()), headers=headers)
        problem = check_problem(response, 415, "unsupported_media_type")
        assert "Content-Encoding" in problem["detail"]
        assert response.headers["accept-encoding"] == "identity"
    headers = {"Content-Type": "application/json", "Content-Encoding": "Identity"}
    assert (await appliance.http.post("/secrets", content=GOOD, headers=headers)).status_code == 201


@pytest.mark.parametrize("path", ["/secrets", "/secrets/{}/reveal", "/secrets/{}/burn", "/secrets/{}/report"])
async def test_form_is_rejected_by_every_route_with_a_body(appliance: Appliance, path: str) -> None:
    """IN-08: so that a page of another site cannot post without a preflight."""
    secret = await create(appliance.http)
    path = path.format(secret["linkId"])
    for options in ({"data": {"a": "b"}}, {"files": {"a": b"b"}}, {"content": b"{}"}):
        check_problem(await appliance.http.post(path, **options), 415, "unsupported_media_type")
    check_problem(
        await appliance.http.patch(f"/receipts/{secret['receiptId']}", data={"label": "x"}, headers=manage(secret)),
        415, "unsupported_media_type",
    )  # fmt: skip
    assert (await state(appliance.http, secret))["views"] == 0


HEADER_NAMES = ["SecLink-Access", "SecLink-Passcode", "SecLink-Manage", "Idempotency-Key", "Authorization"]


@pytest.mark.parametrize("name", HEADER_NAMES)
@pytest.mark.parametrize("value", [b"", b"\xff\xfe", b"\xe2\x80\xa8", b"x" * 8000, b"' OR 1=1 --", b"{}"])
async def test_headers_with_arbitrary_bytes_do_no_harm(appliance: Appliance, name: str, value: bytes) -> None:
    secret = await create(appliance.http, accessHash=ACCESS_HASH, passcodeHash=RIGHT)
    headers = httpx.Headers([(name.encode(), value)])
    for method, path in (
        ("GET", f"/secrets/{secret['linkId']}"),
        ("POST", f"/secrets/{secret['linkId']}/reveal"),
        ("POST", f"/secrets/{secret['linkId']}/burn"),
        ("GET", f"/receipts/{secret['receiptId']}"),
        ("GET", "/receipts"),
    ):
        response = await appliance.http.request(method, path, headers=headers)
        check_problem(response, response.status_code, response.json()["code"])
        assert 400 <= response.status_code < 500
    doubled = httpx.Headers([(name.encode(), b"x"), (name.encode(), b"x")])
    check_problem(await appliance.http.get(f"/secrets/{secret['linkId']}", headers=doubled), 400, "bad_request")
    receipt = await state(appliance.http, secret)
    assert (receipt["views"], receipt["state"]) == (0, "active")


async def test_oversized_api_key_is_invalid(appliance: Appliance) -> None:
    response = await appliance.http.get("/stats", headers=bearer("sk_live_" + "x" * 10_000))
    check_problem(response, 401, "key_invalid")
