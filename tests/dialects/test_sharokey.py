"""Sharokey: what no transcript can say; the conformance cases are in transcripts/sharokey."""

import asyncio
import contextlib
import http.client
import json
import socket
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replaying import GOLDEN, ROOT
from speaking import sharokey_request

pytestmark = pytest.mark.anyio
URL = f"{ROOT}/sharokey/api/v1/secrets"
PAGE = 7
MEMBERS = (
    "content", "iv", "salt", "key", "maximum_views", "expiration_hours", "description", "message", "password",
    "attachments", "captcha", "ip_whitelist", "geolocation", "otp_type", "otp_receiver", "otp_email", "otp_phone",
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


async def test_of_many_deletions_at_once_one_deletes(appliance: Any) -> None:
    """ONE-01: for ending: everybody else is told that there is nothing."""
    sent = sharokey_request(await appliance.key(), 1, False)
    async with appliance.client() as http:
        slug = (await http.post(URL, **sent)).json()["data"]["slug"]
        named = {"headers": sent["headers"]}
        answers = await asyncio.gather(*(http.delete(f"{URL}/{slug}", **named) for _ in range(20)))
    assert Counter(each.status_code for each in answers) == {200: 1, 404: 19}
    assert {each.json()["error"]["code"] for each in answers if each.status_code == 404} == {"NOT_FOUND"}


async def test_deletion_leaves_nothing_of_what_was_sealed_or_said(appliance: Any) -> None:
    """FOR-01: content, iv, salt, the server's half of the key and both texts, in the file and its log."""
    sent = sharokey_request(await appliance.key(), 5, True)
    sent["json"] |= {"description": "a description of it", "message": "a message to them"}
    sealed = [sent["json"][name] for name in ("content", "iv", "salt", "key", "description", "message")]
    async with appliance.client() as http:
        slug = (await http.post(URL, **sent)).json()["data"]["slug"]
        assert all(each in written(appliance) for each in sealed)  # the search finds what is there
        await http.delete(f"{URL}/{slug}", headers=sent["headers"])
    for _ in range(100):
        if not any(each in written(appliance) for each in sealed):
            return
        await asyncio.sleep(0.1)
    raise AssertionError([each for each in sealed if each in written(appliance)])


def written(appliance: Any) -> str:
    files = (appliance.path.with_name(appliance.path.name + end) for end in ("", "-wal", "-journal"))
    return "".join(each.read_bytes().decode("latin-1") for each in files if each.exists()) + appliance.log.getvalue()


async def test_every_secret_is_on_exactly_one_page(appliance: Any) -> None:
    sent = sharokey_request(await appliance.key(), 1, False)
    async with appliance.client() as http:
        made = [(await http.post(URL, **sent)).json()["data"]["slug"] for _ in range(4 * PAGE + 1)]
        listed: list[str] = []
        for page in range(1, 6):
            said = (await http.get(f"{URL}?limit={PAGE}&page={page}", headers=sent["headers"])).json()
            assert said["pagination"] == {"current_page": page, "per_page": PAGE, "total": len(made), "last_page": 5}
            listed += [each["slug"] for each in said["data"]]
    assert listed == made[::-1]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(MEMBERS), JSON, min_size=1, max_size=4))
async def test_whatever_is_sent_is_created_or_refused_member_by_member(appliance: Any, changes: dict[str, Any]) -> None:
    """What is refused says so in the envelope and names only what was sent; nothing that was sent is repeated."""
    sent = sharokey_request(await appliance.key(), 1, False)
    sent["json"] |= changes
    async with appliance.client() as http:
        said = await http.post(URL, **sent)
    answer = said.json()
    if said.status_code == 201:
        assert answer["data"]["access_url"].endswith("/" + answer["data"]["slug"])
        return
    assert said.status_code == 422, answer
    named = {each.partition("[")[0].partition(".")[0] for each in answer["error"]["details"]} - {"expiration"}
    assert named <= changes.keys()
    assert answer["message"] == answer["error"]["message"]
    assert answer["error"]["code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (431, b"GET /sharokey/api/v1/secrets HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 17_000 + b"\r\n\r\n"),
        (431, b"GET /sharokey/api/v1/secrets?search=" + b"a" * 400_000),
        (422, b"POST /sharokey/api/v1/secrets HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n"),
    ],
)
def test_what_never_became_a_request_is_refused_in_the_envelope(server: Any, status: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client, contextlib.suppress(OSError):
        client.sendall(sent)
        answer = http.client.HTTPResponse(client)
        answer.begin()
        said = json.loads(answer.read())
    assert (answer.status, answer.getheader("access-control-allow-origin")) == (status, "*")
    assert (said["success"], said.keys()) == (False, {"success", "message", "error"})


def test_recorded_request_of_the_javascript_client_is_read_in_chunks(server: Any) -> None:
    """With every header of the recording, chunked as it was, on a socket."""
    recorded = GOLDEN[1]["request"]
    named = recorded["headers"] | {"Authorization": f"Bearer {server.key()}"}
    body = recorded["body"].encode()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    pieces = [body[at : at + 100] for at in range(0, len(body), 100)]
    connection.request("POST", "/sharokey" + recorded["path"], pieces, named, encode_chunked=True)
    answer = connection.getresponse()
    said = json.loads(answer.read())
    connection.close()
    assert answer.status == 422
    assert said["error"]["details"].keys() == {"otp_email", "attachments"}
    assert "secure123" not in server.log()
