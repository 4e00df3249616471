"""Creating: what is kept is what was sent, for as long and as often as was asked."""

import asyncio
import base64
from typing import Any

import httpx
import pytest
from api_helpers import ACCESS_HASH, RIGHT, bearer, body, check_problem, create, encoded, faults, manage, reveal, state
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from seclink.domain import tokens

pytestmark = pytest.mark.anyio
HOUR, DAY = 3600, 86400


@pytest.mark.parametrize(
    ("sent", "seconds", "views", "said"),
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
async def test_lifetime_and_views_are_as_asked(
    appliance: Any, sent: dict[str, Any], seconds: int, views: int | None, said: str
) -> None:
    http = appliance.http
    made = await create(http, **sent)
    assert made["expiresAt"] == appliance.clock.now() + seconds * 1000
    assert (made["maxViews"], made["expiryType"]) == (views, said)
    receipt = await state(http, made)
    assert (receipt["expiresAt"], receipt["maxViews"], receipt["state"]) == (made["expiresAt"], views, "active")
    shown = (await reveal(http, made)).json()
    assert shown["expiryType"] == said
    assert shown["viewsLeft"] == (None if views is None else views - 1)


async def test_expiry_type_may_be_left_out_only_with_a_lifetime(appliance: Any) -> None:
    bare = {"encryptedBlob": encoded(b"x"), "iv": encoded(b"i")}
    assert faults(await appliance.http.post("/secrets", json=bare)) == {"expiryType"}
    answer = await appliance.http.post("/secrets", json=bare | {"expiresIn": 60})
    assert answer.json()["expiryType"] == "custom"


async def test_lifetime_of_view_once_follows_the_configuration(make_appliance: Any) -> None:
    made_appliance = await make_appliance('[expiry]\ndefault = "2h"\nmax = "3h"\n')
    made = await create(made_appliance.http)
    assert made["expiresAt"] == made_appliance.clock.now() + 2 * HOUR * 1000
    too_long = await made_appliance.http.post("/secrets", json=body(expiresIn=3 * HOUR + 1))
    assert faults(too_long) == {"expiresIn"}


@pytest.mark.parametrize("fixed", ["24hours", "7days"])
async def test_fixed_lifetime_is_never_longer_than_the_longest_allowed(make_appliance: Any, fixed: str) -> None:
    """EXP-03: an expiryType is no way around expiry.max."""
    made_appliance = await make_appliance('[expiry]\ndefault = "1h"\nmax = "2h"\n')
    answer = await made_appliance.http.post("/secrets", json=body(expiryType=fixed))
    assert faults(answer) == {"expiryType"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(payload=st.binary(min_size=1, max_size=3000), iv=st.binary(min_size=1, max_size=64))
async def test_payload_and_iv_come_back_byte_for_byte(appliance: Any, payload: bytes, iv: bytes) -> None:
    made = await create(appliance.http, encryptedBlob=encoded(payload), iv=encoded(iv))
    shown = (await reveal(appliance.http, made)).json()
    assert (base64.b64decode(shown["encryptedBlob"]), base64.b64decode(shown["iv"])) == (payload, iv)
    assert (shown["encryptedBlob"], shown["iv"]) == (encoded(payload), encoded(iv))


async def test_largest_payload_passes_and_one_byte_more_does_not(make_appliance: Any) -> None:
    made_appliance = await make_appliance("[limits]\npayload_bytes = 1024\n")
    made = await create(made_appliance.http, encryptedBlob=encoded(b"x" * 1024))
    assert (await reveal(made_appliance.http, made)).json()["encryptedBlob"] == encoded(b"x" * 1024)
    over = await made_appliance.http.post("/secrets", json=body(encryptedBlob=encoded(b"x" * 1025)))
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
async def test_texts_come_back_as_they_were_sent(appliance: Any, text: str) -> None:
    """IN-05: neither normalised nor escaped nor cut."""
    made = await create(appliance.http, publicNote=text, label=text)
    receipt = await state(appliance.http, made)
    assert (receipt["publicNote"], receipt["label"]) == (text, text)
    meta = (await appliance.http.get(f"/secrets/{made['linkId']}/meta")).json()
    assert meta["publicNote"] == text
    assert "label" not in meta


async def test_share_url_comes_from_the_configuration_whatever_the_request_says(make_appliance: Any) -> None:
    """IN-13"""
    toml = '[server]\npublic_url = "https://secrets.example.org/"\nallowed_hosts = ["evil.example"]\n'
    made_appliance = await make_appliance(toml)
    headers = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "ftp",
        "Forwarded": "host=x",
    }
    made = (await made_appliance.http.post("/secrets", json=body(), headers=headers)).json()
    assert made["shareUrl"] == f"https://secrets.example.org/{made['linkId']}"


async def test_names_are_never_drawn_twice(appliance: Any) -> None:
    made = [await create(appliance.http) for _ in range(50)]
    for name in ("linkId", "receiptId", "manageToken"):
        assert len({each[name] for each in made}) == 50
    assert all(each["linkId"] not in each["receiptId"] for each in made)


async def test_appliance_for_key_holders_refuses_others_and_still_reveals_to_all(make_appliance: Any) -> None:
    made_appliance = await make_appliance('[access]\ncreate = "keys"\n')
    check_problem(await made_appliance.http.post("/secrets", json=body()), 401, "key_required")
    made = await create(made_appliance.http, key=await made_appliance.key())
    assert (await reveal(made_appliance.http, made)).status_code == 200


async def test_meta_shows_what_a_reader_needs_and_changes_nothing(appliance: Any) -> None:
    made = await create(
        appliance.http,
        maxViews=2,
        passcodeHash=RIGHT,
        accessHash=ACCESS_HASH,
        publicNote="for Bob",
        format="seclink/v1",
    )
    for _ in range(3):
        meta = (await appliance.http.get(f"/secrets/{made['linkId']}/meta")).json()
        assert meta == {
            "linkId": made["linkId"], "format": "seclink/v1", "expiryType": "view_once", "expiresAt": made["expiresAt"],
            "viewsLeft": 2, "accessRequired": True, "passcodeRequired": True, "attemptsLeft": 5,
            "publicNote": "for Bob",
        }  # fmt: skip


async def test_report_is_accepted_whatever_the_id_and_burns_nothing(appliance: Any) -> None:
    http = appliance.http
    made = await create(http)
    asked = [(made["linkId"], {"json": {"reason": "spam"}}), (made["linkId"], {}), ("x" * 12, {}), ("no-id", {})]
    answers = [await http.post(f"/secrets/{link_id}/report", **options) for link_id, options in asked]
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, b'{"accepted":true}')}
    receipt = await state(http, made)
    assert [each["type"] for each in receipt["events"]] == ["created", "reported", "reported"]
    assert "reason" not in str(receipt)
    admin = await appliance.key("root", "admin")
    seen = (await http.get(f"/receipts/{made['receiptId']}", headers=bearer(admin))).json()
    assert [each.get("reason") for each in seen["events"]] == [None, "spam", None]
    assert (await reveal(http, made)).status_code == 200


# Idempotency


async def test_create_again_with_the_same_key_gives_the_same_answer(appliance: Any) -> None:
    """LR-06"""
    asked = [
        await appliance.http.post("/secrets", json=body(), headers={"Idempotency-Key": "a" * 16}) for _ in range(3)
    ]
    assert len({each.content for each in asked}) == 1
    assert [each.status_code for each in asked] == [201] * 3


async def test_create_with_the_same_key_and_another_body_is_refused(appliance: Any) -> None:
    """LR-06"""
    headers = {"Idempotency-Key": "a" * 16}
    first = await appliance.http.post("/secrets", json=body(), headers=headers)
    check_problem(
        await appliance.http.post("/secrets", json=body(label="x"), headers=headers), 422, "idempotency_mismatch"
    )
    assert (await reveal(appliance.http, first.json())).status_code == 200


async def test_creates_at_once_with_the_same_key_make_one_secret(appliance: Any) -> None:
    """LR-06"""
    key = await appliance.key()
    headers = bearer(key) | {"Idempotency-Key": "a" * 16}
    asked = await asyncio.gather(*(appliance.http.post("/secrets", json=body(), headers=headers) for _ in range(20)))
    assert {each.status_code for each in asked} == {201}
    assert len({each.content for each in asked}) == 1
    assert (await appliance.http.get("/stats", headers=bearer(key))).json()["totalSecrets"] == 1


async def test_create_again_after_ten_minutes_makes_another(appliance: Any) -> None:
    """LR-06"""
    links = []
    for seconds in (599, 2, 0):
        answer = await appliance.http.post("/secrets", json=body(), headers={"Idempotency-Key": "a" * 16})
        links.append(answer.json()["linkId"])
        appliance.clock.move(seconds)
    assert links[0] == links[1] != links[2]


async def test_accounts_do_not_share_idempotency_keys(appliance: Any) -> None:
    """LR-06: a stranger who learns the key gets nothing of the first's answer."""
    first, second = await appliance.key("one"), await appliance.key("two")
    made = [
        (await appliance.http.post("/secrets", json=body(), headers=bearer(key) | {"Idempotency-Key": "a" * 16})).json()
        for key in (first, second)
    ]
    assert made[0]["linkId"] != made[1]["linkId"]
    anonymous = (await appliance.http.post("/secrets", json=body(), headers={"Idempotency-Key": "a" * 16})).json()
    assert anonymous["linkId"] not in {each["linkId"] for each in made}


async def test_strangers_without_accounts_do_not_share_idempotency_keys(appliance: Any) -> None:
    """LR-06: neither the first's manage token nor a word about it to who sends the same from elsewhere."""
    headers = {"Idempotency-Key": "a" * 16}
    addresses = ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1", "2001:db8::2")
    made = [(await appliance.client(each).post("/secrets", json=body(), headers=headers)).json() for each in addresses]
    assert made[4] == made[2]  # one /64 is one client
    assert len({each["manageToken"] for each in made}) == 4
    other = await appliance.client("192.0.2.3").post("/secrets", json=body(label="x"), headers=headers)
    assert other.status_code == 201


@pytest.mark.parametrize("given", ["short", "x" * 15, "x" * 129, "with\ttab-----------", "ümläut-----------"])
async def test_idempotency_key_out_of_bounds_is_refused(appliance: Any, given: str) -> None:
    headers = httpx.Headers([(b"Idempotency-Key", given.encode("latin-1"))])
    check_problem(await appliance.http.post("/secrets", json=body(), headers=headers), 400, "bad_request")


async def test_refused_create_may_be_repaired_under_the_same_key(appliance: Any) -> None:
    headers = {"Idempotency-Key": "a" * 16}
    check_problem(await appliance.http.post("/secrets", json=body(maxViews=0), headers=headers), 400, "bad_request")
    assert (await appliance.http.post("/secrets", json=body(), headers=headers)).status_code == 201


async def test_what_was_created_without_a_key_is_managed_by_its_token_alone(appliance: Any) -> None:
    made = await create(appliance.http)
    assert (await state(appliance.http, made))["linkId"] == made["linkId"]
    other = await create(appliance.http)
    answer = await appliance.http.get(f"/receipts/{made['receiptId']}", headers=manage(other))
    check_problem(answer, 404, "not_found")


async def test_drawn_id_that_is_taken_is_drawn_again(appliance: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller whose ids were chosen by the server never learns of a collision."""
    one, two = tokens.mint(1), tokens.mint(2)
    drawn = iter([one, one, two, *[two] * 10])
    monkeypatch.setattr(tokens, "mint", lambda now: next(drawn))
    assert (await create(appliance.http))["linkId"] == one.link_id
    assert (await create(appliance.http))["linkId"] == two.link_id
    check_problem(await appliance.http.post("/secrets", json=body()), 503, "busy")
    assert len(list(drawn)) == 7  # three draws, then no more
