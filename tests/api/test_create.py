"""Creating: the payload is stored unchanged, for the lifetime and the views of the request."""

import asyncio
import base64
from typing import Any

import httpx
import pytest
from api_helpers import ACCESS_HASH, RIGHT, bearer, body, check_problem, create, encoded, faults, manage, reveal, state
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.appliance import Appliance, MakeAppliance

from seclink.domain import tokens

pytestmark = pytest.mark.anyio
HOUR, DAY = 3600, 86400


@pytest.mark.parametrize(
    ("members", "seconds", "views", "shown_type"),
    [
        ({"expiryType": "view_once"}, 7 * DAY, 1, "view_once"),
        ({"expiryType": "1hour"}, HOUR, None, "1hour"),
        ({"expiryType": "24hours"}, DAY, None, "24hours"),
        ({"expiryType": "7days"}, 7 * DAY, None, "7days"),
        ({"expiryType": "view_once", "maxViews": 3}, 7 * DAY, 3, "view_once"),
        ({"expiryType": "view_once", "maxViews": None}, 7 * DAY, None, "view_once"),
        ({"expiryType": "view_once", "expiresIn": 60}, 60, 1, "view_once"),
        ({"expiryType": "1hour", "maxViews": 1}, HOUR, 1, "1hour"),
        ({"expiryType": "1hour", "expiresIn": 90}, 90, None, "1hour"),
        ({"expiryType": None, "expiresIn": 90}, 90, None, "custom"),
        ({"expiryType": None, "expiresIn": 30 * DAY, "maxViews": 1000}, 30 * DAY, 1000, "custom"),
    ],
)
async def test_lifetime_and_views_follow_the_request(
    appliance: Appliance, members: dict[str, Any], seconds: int, views: int | None, shown_type: str
) -> None:
    http = appliance.http
    secret = await create(http, **members)
    assert secret["expiresAt"] == appliance.clock.now() + seconds * 1000
    assert (secret["maxViews"], secret["expiryType"]) == (views, shown_type)
    receipt = await state(http, secret)
    assert (receipt["expiresAt"], receipt["maxViews"], receipt["state"]) == (secret["expiresAt"], views, "active")
    shown = (await reveal(http, secret)).json()
    assert shown["expiryType"] == shown_type
    assert shown["viewsLeft"] == (None if views is None else views - 1)


async def test_expiry_type_is_optional_only_with_a_lifetime(appliance: Appliance) -> None:
    minimal = {"encryptedBlob": encoded(b"x"), "iv": encoded(b"i")}
    assert faults(await appliance.http.post("/secrets", json=minimal)) == {"expiryType"}
    response = await appliance.http.post("/secrets", json=minimal | {"expiresIn": 60})
    assert response.json()["expiryType"] == "custom"


async def test_lifetime_of_view_once_follows_the_configuration(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance('[expiry]\ndefault = "2h"\nmax = "3h"\n')
    secret = await create(appliance.http)
    assert secret["expiresAt"] == appliance.clock.now() + 2 * HOUR * 1000
    too_long = await appliance.http.post("/secrets", json=body(expiresIn=3 * HOUR + 1))
    assert faults(too_long) == {"expiresIn"}


@pytest.mark.parametrize("fixed", ["24hours", "7days"])
async def test_fixed_lifetime_is_bounded_by_the_maximum(make_appliance: MakeAppliance, fixed: str) -> None:
    """EXP-03: an expiryType cannot exceed expiry.max."""
    appliance = await make_appliance('[expiry]\ndefault = "1h"\nmax = "2h"\n')
    response = await appliance.http.post("/secrets", json=body(expiryType=fixed))
    assert faults(response) == {"expiryType"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payload=st.binary(min_size=1, max_size=3000), iv=st.binary(min_size=1, max_size=64))
async def test_payload_and_iv_come_back_byte_for_byte(appliance: Appliance, payload: bytes, iv: bytes) -> None:
    secret = await create(appliance.http, encryptedBlob=encoded(payload), iv=encoded(iv))
    shown = (await reveal(appliance.http, secret)).json()
    assert (base64.b64decode(shown["encryptedBlob"]), base64.b64decode(shown["iv"])) == (payload, iv)
    assert (shown["encryptedBlob"], shown["iv"]) == (encoded(payload), encoded(iv))


async def test_payload_limit_is_exact(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance("[limits]\npayload_bytes = 1024\n")
    secret = await create(appliance.http, encryptedBlob=encoded(b"x" * 1024))
    assert (await reveal(appliance.http, secret)).json()["encryptedBlob"] == encoded(b"x" * 1024)
    over = await appliance.http.post("/secrets", json=body(encryptedBlob=encoded(b"x" * 1025)))
    assert faults(over) == {"encryptedBlob"}


TEXTS = [
    "",
    "plain",
    "two\nlines\tand a tab",
    "e\u0301 and é",
    "👩\u200d👩\u200d👧 zero-width joined",
    "abc\u202edef right to left",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "</script><img src=x onerror=alert(1)>",
    "' OR 1=1; DROP TABLE secrets; --",
    "{{7*7}} ${7*7} %s %n",
    "x" * 200,
]


@pytest.mark.parametrize("text", TEXTS)
async def test_texts_come_back_unchanged(appliance: Appliance, text: str) -> None:
    """IN-05: neither normalised nor escaped nor cut."""
    secret = await create(appliance.http, publicNote=text, label=text)
    receipt = await state(appliance.http, secret)
    assert (receipt["publicNote"], receipt["label"]) == (text, text)
    meta = (await appliance.http.get(f"/secrets/{secret['linkId']}/meta")).json()
    assert meta["publicNote"] == text
    assert "label" not in meta


async def test_share_url_ignores_the_request_headers(make_appliance: MakeAppliance) -> None:
    """IN-13"""
    toml = '[server]\npublic_url = "https://secrets.example.org/"\nallowed_hosts = ["evil.example"]\n'
    appliance = await make_appliance(toml)
    headers = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "ftp",
        "Forwarded": "host=x",
    }
    secret = (await appliance.http.post("/secrets", json=body(), headers=headers)).json()
    assert secret["shareUrl"] == f"https://secrets.example.org/{secret['linkId']}"


async def test_ids_are_unique(appliance: Appliance) -> None:
    secrets = [await create(appliance.http) for _ in range(50)]
    for name in ("linkId", "receiptId", "manageToken"):
        assert len({secret[name] for secret in secrets}) == 50
    assert all(secret["linkId"] not in secret["receiptId"] for secret in secrets)


async def test_create_can_be_limited_to_key_holders(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance('[access]\ncreate = "keys"\n')
    check_problem(await appliance.http.post("/secrets", json=body()), 401, "key_required")
    secret = await create(appliance.http, key=await appliance.key())
    assert (await reveal(appliance.http, secret)).status_code == 200


async def test_meta_shows_the_secret_and_changes_nothing(appliance: Appliance) -> None:
    secret = await create(
        appliance.http,
        maxViews=2,
        passcodeHash=RIGHT,
        accessHash=ACCESS_HASH,
        publicNote="for Bob",
        format="seclink/v1",
    )
    for _ in range(3):
        meta = (await appliance.http.get(f"/secrets/{secret['linkId']}/meta")).json()
        assert meta == {
            "linkId": secret["linkId"], "format": "seclink/v1", "expiryType": "view_once",
            "expiresAt": secret["expiresAt"],
            "viewsLeft": 2, "accessRequired": True, "passcodeRequired": True, "attemptsLeft": 5,
            "publicNote": "for Bob",
        }  # fmt: skip


async def test_report_is_accepted_for_any_id_and_burns_nothing(appliance: Appliance) -> None:
    http = appliance.http
    secret = await create(http)
    requests: list[tuple[str, dict[str, Any]]] = [
        (secret["linkId"], {"json": {"reason": "spam"}}),
        (secret["linkId"], {}),
        ("x" * 12, {}),
        ("no-id", {}),
    ]
    responses = [await http.post(f"/secrets/{link_id}/report", **options) for link_id, options in requests]
    assert {(response.status_code, response.content) for response in responses} == {(202, b'{"accepted":true}')}
    receipt = await state(http, secret)
    assert [event["type"] for event in receipt["events"]] == ["created", "reported", "reported"]
    assert "reason" not in str(receipt)
    admin = await appliance.key("root", "admin")
    receipt_of_admin = (await http.get(f"/receipts/{secret['receiptId']}", headers=bearer(admin))).json()
    assert [event.get("reason") for event in receipt_of_admin["events"]] == [None, "spam", None]
    assert (await reveal(http, secret)).status_code == 200


# Idempotency


async def test_create_with_the_same_idempotency_key_is_repeated(appliance: Appliance) -> None:
    """LR-06"""
    responses = [
        await appliance.http.post("/secrets", json=body(), headers={"Idempotency-Key": "a" * 16}) for _ in range(3)
    ]
    assert len({response.content for response in responses}) == 1
    assert [response.status_code for response in responses] == [201] * 3


async def test_other_body_under_the_same_idempotency_key_is_refused(appliance: Appliance) -> None:
    """LR-06"""
    headers = {"Idempotency-Key": "a" * 16}
    first = await appliance.http.post("/secrets", json=body(), headers=headers)
    check_problem(
        await appliance.http.post("/secrets", json=body(label="x"), headers=headers), 422, "idempotency_mismatch"
    )
    assert (await reveal(appliance.http, first.json())).status_code == 200


async def test_concurrent_creates_with_one_idempotency_key_make_one_secret(appliance: Appliance) -> None:
    """LR-06"""
    key = await appliance.key()
    headers = bearer(key) | {"Idempotency-Key": "a" * 16}
    responses = await asyncio.gather(
        *(appliance.http.post("/secrets", json=body(), headers=headers) for _ in range(20))
    )
    assert {response.status_code for response in responses} == {201}
    assert len({response.content for response in responses}) == 1
    assert (await appliance.http.get("/stats", headers=bearer(key))).json()["totalSecrets"] == 1


async def test_idempotency_key_expires_after_ten_minutes(appliance: Appliance) -> None:
    """LR-06"""
    links = []
    for seconds in (599, 2, 0):
        response = await appliance.http.post("/secrets", json=body(), headers={"Idempotency-Key": "a" * 16})
        links.append(response.json()["linkId"])
        appliance.clock.move(seconds)
    assert links[0] == links[1] != links[2]


async def test_a_restart_forgets_idempotency_keys(appliance: Appliance, make_appliance: MakeAppliance) -> None:
    """LR-06: as the documents say: a repeated create makes a second secret, a repeated reveal spends another view."""
    key = "a" * 16
    headers = {"Idempotency-Key": key}
    created = [(await appliance.http.post("/secrets", json=body(maxViews=2), headers=headers)).json()]
    first = await reveal(appliance.http, created[0], idempotency=key)
    await appliance.store.close()
    again = (await make_appliance(path=appliance.path)).http
    created.append((await again.post("/secrets", json=body(maxViews=2), headers=headers)).json())
    assert created[0]["linkId"] != created[1]["linkId"]
    views = [first, await reveal(again, created[0], idempotency=key), await reveal(again, created[0], idempotency=key)]
    assert [response.json()["viewsLeft"] for response in views] == [1, 0, 0]


async def test_accounts_do_not_share_idempotency_keys(appliance: Appliance) -> None:
    """LR-06: a stranger who learns the key does not get the first response."""
    first, second = await appliance.key("one"), await appliance.key("two")
    secrets = [
        (await appliance.http.post("/secrets", json=body(), headers=bearer(key) | {"Idempotency-Key": "a" * 16})).json()
        for key in (first, second)
    ]
    assert secrets[0]["linkId"] != secrets[1]["linkId"]
    anonymous = (await appliance.http.post("/secrets", json=body(), headers={"Idempotency-Key": "a" * 16})).json()
    assert anonymous["linkId"] not in {secret["linkId"] for secret in secrets}


async def test_anonymous_clients_do_not_share_idempotency_keys(appliance: Appliance) -> None:
    """LR-06: the same request from another address does not get the first manage token."""
    headers = {"Idempotency-Key": "a" * 16}
    addresses = ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1", "2001:db8::2")
    secrets = [
        (await appliance.client(address).post("/secrets", json=body(), headers=headers)).json() for address in addresses
    ]
    assert secrets[4] == secrets[2]  # one /64 is one client
    assert len({secret["manageToken"] for secret in secrets}) == 4
    other = await appliance.client("192.0.2.3").post("/secrets", json=body(label="x"), headers=headers)
    assert other.status_code == 201


@pytest.mark.parametrize("key", ["short", "x" * 15, "x" * 129, "with\ttab-----------", "ümläut-----------"])
async def test_idempotency_key_out_of_bounds_is_refused(appliance: Appliance, key: str) -> None:
    headers = httpx.Headers([(b"Idempotency-Key", key.encode("latin-1"))])
    check_problem(await appliance.http.post("/secrets", json=body(), headers=headers), 400, "bad_request")


async def test_refused_create_can_be_corrected_under_the_same_key(appliance: Appliance) -> None:
    headers = {"Idempotency-Key": "a" * 16}
    check_problem(await appliance.http.post("/secrets", json=body(maxViews=0), headers=headers), 400, "bad_request")
    assert (await appliance.http.post("/secrets", json=body(), headers=headers)).status_code == 201


async def test_anonymous_secret_is_managed_by_its_token_alone(appliance: Appliance) -> None:
    secret = await create(appliance.http)
    assert (await state(appliance.http, secret))["linkId"] == secret["linkId"]
    other = await create(appliance.http)
    response = await appliance.http.get(f"/receipts/{secret['receiptId']}", headers=manage(other))
    check_problem(response, 404, "not_found")


async def test_taken_id_is_drawn_again(appliance: Appliance, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller whose ids were chosen by the server never learns of a collision."""
    one, two = tokens.mint(1), tokens.mint(2)
    drawn = iter([one, one, two, *[two] * 10])
    monkeypatch.setattr(tokens, "mint", lambda now: next(drawn))
    assert (await create(appliance.http))["linkId"] == one.link_id
    assert (await create(appliance.http))["linkId"] == two.link_id
    check_problem(await appliance.http.post("/secrets", json=body()), 503, "busy")
    assert len(list(drawn)) == 7  # three draws, then no more
