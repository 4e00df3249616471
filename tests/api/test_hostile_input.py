"""What nobody should send: each gets a 4xx in the one shape, nothing is spent, and the process lives."""

import asyncio
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

# Every member of every body: what it takes besides nonsense.
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
async def test_create_refuses_what_a_member_is_not(appliance: Appliance, member: str) -> None:
    """IN-02: and names the member."""
    for kind, value in NONSENSE:
        sent = json_of(BARE | {"expiresIn": 60} | {member: value})
        answer = await appliance.http.post("/secrets", content=sent, headers=JSON)
        if is_good(member, kind, CREATE[member]):
            assert answer.status_code == 201, answer.text
        elif kind == "surrogate":
            check_problem(answer, 400, "bad_request")
        else:
            assert faults(answer) == {member}, (kind, value)


@pytest.mark.parametrize("member", PATCH)
async def test_patch_refuses_what_a_member_is_not(appliance: Appliance, member: str) -> None:
    """IN-02"""
    made = await create(appliance.http)
    one, by = f"/receipts/{made['receiptId']}", manage(made)
    pair = {"encryptedBlob": "eA==", "iv": "eA=="} if member in ("encryptedBlob", "iv") else {}
    for kind, value in NONSENSE:
        answer = await appliance.http.patch(one, content=json_of(pair | {member: value}), headers=JSON | by)
        if is_good(member, kind, PATCH[member]):
            assert answer.status_code == 200, answer.text
        elif kind == "surrogate":
            check_problem(answer, 400, "bad_request")
        else:
            assert faults(answer) == {member}, (kind, value)


@pytest.mark.parametrize("retry", [{}, {"Idempotency-Key": "k" * 20}])
@pytest.mark.parametrize("member", REVEAL)
async def test_reveal_refuses_nonsense_and_spends_nothing(
    appliance: Appliance, member: str, retry: dict[str, str]
) -> None:
    """IN-02: what is no proof at all is a wrong proof; what is not even text is a bad request."""
    made = await create(appliance.http, accessHash=ACCESS_HASH, passcodeHash=RIGHT)
    path = f"/secrets/{made['linkId']}/reveal"
    for _, value in NONSENSE:
        content = json_of({member: value})
        answer = await appliance.http.post(path, content=content, headers=JSON | retry)
        assert answer.status_code in ((413,) if len(content) > SMALL_BODY else (400, 401)), answer.text
        check_problem(answer, answer.status_code, answer.json()["code"])
    receipt = await state(appliance.http, made)
    assert (receipt["views"], receipt["state"]) == (0, "active")


async def test_report_refuses_nonsense(appliance: Appliance) -> None:
    """IN-02, IN-05"""
    made = await create(appliance.http)
    path = f"/secrets/{made['linkId']}/report"
    for kind, value in NONSENSE:
        content = json_of({"reason": value})
        answer = await appliance.http.post(path, content=content, headers=JSON)
        if len(content) > SMALL_BODY:
            check_problem(answer, 413, "payload_too_large")
        elif is_good("reason", kind, REPORT["reason"]):
            assert answer.status_code == 202
        else:
            check_problem(answer, 400, "bad_request")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


MEMBERS = sorted(CREATE | PATCH | REVEAL | REPORT)
DOCUMENTS = st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=8), ANYTHING, max_size=5) | ANYTHING


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=DOCUMENTS)
async def test_no_json_whatsoever_is_a_500(appliance: Appliance, sent: Any) -> None:
    """IN-02: known members with any value, unknown members, and documents that are no objects."""
    made = await create(appliance.http)
    link, receipt = f"/secrets/{made['linkId']}", f"/receipts/{made['receiptId']}"
    for method, path in (
        ("POST", "/secrets"),
        ("PATCH", receipt),
        ("POST", f"{link}/report"),
        ("POST", f"{link}/reveal"),
        ("POST", f"{link}/burn"),
    ):
        answer = await appliance.http.request(method, path, content=json_of(sent), headers=JSON | manage(made))
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            check_problem(answer, answer.status_code, answer.json()["code"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sent=st.binary(max_size=200))
async def test_no_bytes_whatsoever_are_a_500(appliance: Appliance, sent: bytes) -> None:
    """IN-03"""
    answer = await appliance.http.post("/secrets", content=sent, headers=JSON)
    check_problem(answer, 400, "bad_request")


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


async def test_hostile_json_is_a_400_and_the_process_lives(appliance: Appliance) -> None:
    """IN-03"""
    made = await create(appliance.http)
    for name, sent in HOSTILE:
        for method, path in (("POST", "/secrets"), ("PATCH", f"/receipts/{made['receiptId']}")):
            answer = await appliance.http.request(method, path, content=sent, headers=JSON | manage(made))
            assert answer.status_code == 400, name
            check_problem(answer, 400, "bad_request")
    assert (await appliance.http.post("/secrets", content=GOOD, headers=JSON)).status_code == 201


async def test_lone_surrogate_spoils_nobody_elses_write(appliance: Appliance) -> None:
    """IN-03: what cannot be stored is refused before it is committed together with others'."""
    made = await create(appliance.http)
    bad = {"content": b'{"reason":"\\ud800"}', "headers": JSON}
    asked = [
        appliance.http.post(f"/secrets/{made['linkId']}/report", **bad),
        appliance.http.post("/secrets", json=body()),
    ]
    answers = await asyncio.gather(*asked, appliance.http.post("/secrets", json=body()))
    assert [each.status_code for each in answers] == [400, 201, 201]


async def test_name_of_an_unknown_member_is_echoed_only_short_and_printable(appliance: Appliance) -> None:
    """IN-16"""
    for name in ("x" * 10_000, "a\u001bb\u2028c\u0000", "`$.evil`"):
        answer = await appliance.http.post("/secrets", content=json_of({name: 1}), headers=JSON)
        check_problem(answer, 400, "bad_request")
        assert len(answer.content) < 600
        assert "\\u001b" not in answer.text
        assert "\x1b" not in answer.text
        assert "\u2028" not in answer.text


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
async def test_base64_is_taken_exactly_as_it_would_be_written(appliance: Appliance, member: str) -> None:
    """IN-04: alphabet, padding, canonical; the iv is anything from 1 to 64 bytes."""
    for text, is_valid in BASE64:
        answer = await appliance.http.post("/secrets", json=BARE | {member: text})
        if is_valid:
            assert (await reveal(appliance.http, answer.json())).json()[member] == text
        else:
            assert faults(answer) == {member}, text


@pytest.mark.parametrize(("size", "is_valid"), [(0, False), (1, True), (12, True), (64, True), (65, False)])
async def test_iv_has_one_to_64_bytes(appliance: Appliance, size: int, is_valid: bool) -> None:
    """IN-04"""
    answer = await appliance.http.post("/secrets", json=BARE | {"iv": encoded(b"i" * size)})
    assert (answer.status_code == 201) is is_valid
    assert is_valid or faults(answer) == {"iv"}


@pytest.mark.parametrize(("member", "most"), [("publicNote", 300), ("label", 200)])
async def test_texts_are_counted_in_characters(appliance: Appliance, member: str, most: int) -> None:
    """IN-05"""
    for each in ("x", "é", "👩"):
        assert (await appliance.http.post("/secrets", json=BARE | {member: each * most})).status_code == 201
        assert faults(await appliance.http.post("/secrets", json=BARE | {member: each * (most + 1)})) == {member}
    grapheme = "e" + "\u0301" * 1_000_000
    assert faults(await appliance.http.post("/secrets", json=BARE | {member: grapheme})) == {member}


async def test_control_characters_are_refused_in_texts(appliance: Appliance) -> None:
    """IN-05: line break and tab are text."""
    made = await create(appliance.http)
    for character in (*range(0x20), *range(0x7F, 0xA0)):
        text = f"a{chr(character)}b"
        answers = [
            await appliance.http.post("/secrets", json=BARE | {"publicNote": text}),
            await appliance.http.post("/secrets", json=BARE | {"label": text}),
            await appliance.http.post(f"/secrets/{made['linkId']}/report", json={"reason": text}),
        ]
        assert [each.is_success for each in answers] == [character in (9, 10)] * 3, character


IDS = [
    "", "..", ".", "%00", "%2F", "%2e%2e%2f", "%ff", "abcdefghijk", "abcdefghijklm", "abcdefghijk%0A",
    "abcdefghijkl%0A",
    "abcdefghijk%20", "abcdefghij'l", "' OR 1=1 --", "*", "%25", "__________", "\N{CYRILLIC SMALL LETTER A}bcdefghijkl",
    "\N{FULLWIDTH DIGIT ONE}" * 12, "\N{ARABIC-INDIC DIGIT ONE}" * 12, "x" * 10_000, "abcdefghijkl;x", "abcdefghijkl,x",
    "abcdef%2Fghijkl", "-bcdefghijkl", "abcdefghijkl.json",
]  # fmt: skip


async def test_id_that_is_none_is_a_404_without_a_lookup(appliance: Appliance) -> None:
    """IN-06: the store is closed here, so that a lookup would be a 503."""
    await appliance.store.close()
    http = appliance.http
    for name in IDS:
        is_path = name in ("", ".", "..") or "%2" in name.lower()
        for method, path in (
            ("GET", f"/secrets/{name}"),
            ("POST", f"/secrets/{name}/reveal"),
            ("POST", f"/secrets/{name}/burn"),
            ("GET", f"/secrets/{name}/meta"),
            ("GET", f"/receipts/{name}x"),
            ("DELETE", f"/receipts/{name}x"),
            ("PATCH", f"/receipts/{name}x"),
        ):
            answer = await http.request(method, path, **({"json": {}} if method == "PATCH" else {}))
            assert answer.status_code in ((404, 405) if is_path else (404,)), path
            assert answer.json()["code"] in ("not_found", "method_not_allowed")
    assert (await http.post("/secrets/no-id/report")).status_code == 202
    check_problem(await http.get("/secrets/abcdefghijkl/meta"), 503, "storage")


async def test_unknown_and_impossible_ids_get_the_same_answer(appliance: Appliance) -> None:
    """IN-06"""
    answers = [await appliance.http.get(f"/secrets/{name}") for name in ("abcdefghijkl", "no-id", "x" * 1000)]
    told = [{key: value for key, value in each.json().items() if key != "requestId"} for each in answers]
    assert told[0] == told[1] == told[2]


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
async def test_no_path_reaches_a_file_and_no_cookie_means_anything(appliance: Appliance, path: str) -> None:
    """IN-12: no file is ever opened by a name from outside, and there is no cookie that selects one."""
    cookies = {"cookie": "; ".join(f"{name}=../../etc/passwd" for name in ("lang", "theme", "template", "session"))}
    for base in ("http://localhost:8080", "http://localhost:8080/api/v1"):
        answer = await appliance.http.get(base + path, headers=cookies)
        check_problem(answer, 404, "not_found")
        assert "set-cookie" not in answer.headers
    made = await create(appliance.http)
    peeked = await appliance.http.get(f"/secrets/{made['linkId']}/meta", headers=cookies)
    assert peeked.status_code == 200


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


async def test_limits_are_the_documented_ones(appliance: Appliance) -> None:
    """IN-07"""
    for member, value, is_valid in LIMITS:
        answer = await appliance.http.post("/secrets", json=BARE | {member: value})
        assert (answer.status_code == 201) is is_valid, (member, value)
        assert is_valid or faults(answer) == {member}


async def test_all_members_at_fault_are_named_at_once(appliance: Appliance) -> None:
    sent = BARE | {
        "expiresIn": 1,
        "maxViews": 0,
        "passcodeHash": "x",
        "accessHash": "x",
        "publicNote": "\0",
        "label": "\0",
    }
    answer = await appliance.http.post("/secrets", json=sent)
    assert faults(answer) == {"expiresIn", "maxViews", "passcodeHash", "accessHash", "publicNote", "label"}


TYPES = [
    (b"application/json", 201), (b"application/json;charset=utf-8", 201), (b"application/json; charset=UTF-8", 201),
    (b'Application/JSON; charset="utf-8"', 201), (None, 415), (b"", 415), (b"text/plain", 415), (b"text/json", 415),
    (b"application/x-www-form-urlencoded", 415), (b"multipart/form-data; boundary=x", 415),
    (b"application/json;charset=utf-16", 415), (b"application/json; charset=latin-1", 415), (b"application/jsonx", 415),
    (b"application/json, text/plain", 415), (b"application/problem+json", 415), (b"application/msgpack", 415),
    (b"application/json; boundary=x", 415), (b"*/*", 415), (b"\xff", 415),
]  # fmt: skip


async def test_only_json_in_utf_8_is_taken(appliance: Appliance) -> None:
    """IN-08"""
    for given_type, status in TYPES:
        headers = httpx.Headers([(b"content-type", given_type)] if given_type is not None else [])
        answer = await appliance.http.post("/secrets", content=GOOD, headers=headers)
        assert answer.status_code == status, given_type
        if status == 415:
            check_problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize("path", ["/secrets", "/secrets/{}/reveal", "/secrets/{}/burn", "/secrets/{}/report"])
async def test_forms_are_refused_on_every_route_that_takes_a_body(appliance: Appliance, path: str) -> None:
    """IN-08: so that no page elsewhere can post without asking first."""
    made = await create(appliance.http)
    where = path.format(made["linkId"])
    for options in ({"data": {"a": "b"}}, {"files": {"a": b"b"}}, {"content": b"{}"}):
        check_problem(await appliance.http.post(where, **options), 415, "unsupported_media_type")
    check_problem(
        await appliance.http.patch(f"/receipts/{made['receiptId']}", data={"label": "x"}, headers=manage(made)),
        415, "unsupported_media_type",
    )  # fmt: skip
    assert (await state(appliance.http, made))["views"] == 0


HEADER_NAMES = ["SecLink-Access", "SecLink-Passcode", "SecLink-Manage", "Idempotency-Key", "Authorization"]


@pytest.mark.parametrize("name", HEADER_NAMES)
@pytest.mark.parametrize("value", [b"", b"\xff\xfe", b"\xe2\x80\xa8", b"x" * 8000, b"' OR 1=1 --", b"{}"])
async def test_headers_take_any_bytes_without_harm(appliance: Appliance, name: str, value: bytes) -> None:
    made = await create(appliance.http, accessHash=ACCESS_HASH, passcodeHash=RIGHT)
    headers = httpx.Headers([(name.encode(), value)])
    for method, path in (
        ("GET", f"/secrets/{made['linkId']}"),
        ("POST", f"/secrets/{made['linkId']}/reveal"),
        ("POST", f"/secrets/{made['linkId']}/burn"),
        ("GET", f"/receipts/{made['receiptId']}"),
        ("GET", "/receipts"),
    ):
        answer = await appliance.http.request(method, path, headers=headers)
        check_problem(answer, answer.status_code, answer.json()["code"])
        assert 400 <= answer.status_code < 500
    twice = httpx.Headers([(name.encode(), b"x"), (name.encode(), b"x")])
    check_problem(await appliance.http.get(f"/secrets/{made['linkId']}", headers=twice), 400, "bad_request")
    receipt = await state(appliance.http, made)
    assert (receipt["views"], receipt["state"]) == (0, "active")


async def test_oversize_key_of_an_account_changes_nothing(appliance: Appliance) -> None:
    answer = await appliance.http.get("/stats", headers=bearer("sk_live_" + "x" * 10_000))
    check_problem(answer, 401, "key_invalid")
