"""Sharokey: the cases that a transcript cannot express; the others are in transcripts/sharokey."""

import asyncio
import contextlib
import http.client
import json
import socket
from collections import Counter
from typing import Any

import pytest
from dialect_helpers import sharokey_request, wait_until_gone, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.appliance import Appliance
from support.server import Server
from support.waiting import TIMEOUT_SECONDS
from transcripts import GOLDEN, ROOT

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


async def test_one_of_parallel_deletes_succeeds(appliance: Appliance) -> None:
    """ONE-01: the others get 404."""
    request = sharokey_request(await appliance.key(), 1, False)
    async with appliance.client() as http:
        slug = (await http.post(URL, **request)).json()["data"]["slug"]
        deletes = (http.delete(f"{URL}/{slug}", headers=request["headers"]) for _ in range(20))
        responses = await asyncio.gather(*deletes)
    assert Counter(response.status_code for response in responses) == {200: 1, 404: 19}
    codes = {response.json()["error"]["code"] for response in responses if response.status_code == 404}
    assert codes == {"NOT_FOUND"}


async def test_delete_erases_payload_and_texts(appliance: Appliance) -> None:
    """FOR-01: content, iv, salt, the server's half of the key and both texts, in the database and its log."""
    request = sharokey_request(await appliance.key(), 5, True)
    request["json"] |= {"description": "a description of it", "message": "a message to them"}
    names = ("content", "iv", "salt", "key", "description", "message")
    traces = [request["json"][name].encode() for name in names]
    async with appliance.client() as http:
        slug = (await http.post(URL, **request)).json()["data"]["slug"]
        assert all(trace in written(appliance) for trace in traces)  # the search works
        await http.delete(f"{URL}/{slug}", headers=request["headers"])
    for trace in traces:
        await wait_until_gone(appliance, trace)


async def test_every_secret_is_on_exactly_one_page(appliance: Appliance) -> None:
    request = sharokey_request(await appliance.key(), 1, False)
    async with appliance.client() as http:
        slugs = [(await http.post(URL, **request)).json()["data"]["slug"] for _ in range(4 * PAGE + 1)]
        listed: list[str] = []
        for page in range(1, 6):
            body = (await http.get(f"{URL}?limit={PAGE}&page={page}", headers=request["headers"])).json()
            assert body["pagination"] == {"current_page": page, "per_page": PAGE, "total": len(slugs), "last_page": 5}
            listed += [item["slug"] for item in body["data"]]
    assert listed == slugs[::-1]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.dictionaries(st.sampled_from(MEMBERS), JSON, min_size=1, max_size=4))
async def test_any_members_create_a_secret_or_are_rejected_by_name(
    appliance: Appliance, changes: dict[str, Any]
) -> None:
    """A rejection is in the envelope and names only members of the request, without their values."""
    request = sharokey_request(await appliance.key(), 1, False)
    request["json"] |= changes
    async with appliance.client() as http:
        response = await http.post(URL, **request)
    body = response.json()
    if response.status_code == 201:
        assert body["data"]["access_url"].endswith("/" + body["data"]["slug"])
        return
    assert response.status_code == 422, body
    names = {path.partition("[")[0].partition(".")[0] for path in body["error"]["details"]} - {"expiration"}
    assert names <= changes.keys()
    assert body["message"] == body["error"]["message"]
    assert body["error"]["code"] == "VALIDATION_ERROR"


@pytest.mark.parametrize(
    ("status", "data"),
    [
        (431, b"GET /sharokey/api/v1/secrets HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 17_000 + b"\r\n\r\n"),
        (431, b"GET /sharokey/api/v1/secrets?search=" + b"a" * 400_000),
        (422, b"POST /sharokey/api/v1/secrets HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n"),
    ],
)
def test_malformed_request_is_rejected_in_the_envelope(server: Server, status: int, data: bytes) -> None:
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_SECONDS) as client,
        contextlib.suppress(OSError),
    ):
        client.sendall(data)
        response = http.client.HTTPResponse(client)
        response.begin()
        body = json.loads(response.read())
    assert (response.status, response.getheader("access-control-allow-origin")) == (status, "*")
    assert (body["success"], body.keys()) == (False, {"success", "message", "error"})


def test_recorded_chunked_request_of_the_javascript_client_is_read(server: Server) -> None:
    """With every header of the recording, on a socket."""
    recorded = GOLDEN[1]["request"]
    headers = recorded["headers"] | {"Authorization": f"Bearer {server.key()}"}
    body = recorded["body"].encode()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_SECONDS)
    pieces = [body[at : at + 100] for at in range(0, len(body), 100)]
    connection.request("POST", "/sharokey" + recorded["path"], pieces, headers, encode_chunked=True)
    response = connection.getresponse()
    errors = json.loads(response.read())["error"]
    connection.close()
    assert response.status == 422
    assert errors["details"].keys() == {"otp_email", "attachments"}
    assert "secure123" not in server.log()
