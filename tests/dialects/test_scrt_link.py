"""scrt.link: what no transcript can say; the conformance cases are in transcripts/scrt-link."""

import asyncio
import contextlib
import hashlib
import http.client
import json
import socket
from collections import Counter
from typing import Any

import pytest
from replaying import GOLDEN, ROOT
from speaking import scrt_link_request

from seclink.domain import tokens
from seclink.domain.passcodes import Passcodes
from seclink.domain.vault import Vault
from seclink.errors import NotFound
from seclink.model import Actor, NewSecret
from seclink.telemetry.log import Log

pytestmark = pytest.mark.anyio
URL = f"{ROOT}/scrt-link/api/v1/secrets"


async def test_of_many_that_choose_the_same_id_at_once_one_gets_it(appliance: Any) -> None:
    """ONE-01: for creating: nobody's secret is replaced by another's."""
    key = await appliance.key()
    async with appliance.client() as http:
        sent = [http.post(URL, **scrt_link_request(key, views, False)) for views in range(1, 21)]
        answers = await asyncio.gather(*sent)
        probe = await http.post(f"{URL}/c4bddb9cad13630539a34afde1709089180d44db60b061c44a5780aa82b29e65")
    assert Counter(each.status_code for each in answers) == {200: 1, 400: 19}
    kept = next(each for each in answers if each.status_code == 200).json()
    assert probe.json()["remainingViews"] == kept["viewLimit"]


@pytest.mark.parametrize("end", ["\n", "\r\n", " ", "\0", "0"])
async def test_id_is_the_hash_and_nothing_after_it(appliance: Any, end: str) -> None:
    """IN-06"""
    sent = scrt_link_request(await appliance.key(), 1, False)
    members = json.loads(sent["content"])
    body = json.dumps(members | {"secretIdHash": members["secretIdHash"] + end}).encode()
    named = sent["headers"] | {"X-Checksum": hashlib.sha256(body).hexdigest()}
    async with appliance.client() as http:
        answer = await http.post(URL, content=body, headers=named)
    assert (answer.status_code, list(answer.json()["issues"]["fieldErrors"])) == (400, ["secretIdHash"])


async def test_secret_that_another_format_made_under_its_name_is_not_its(appliance: Any) -> None:
    """What a sender knows a secret by is looked up among those of its dialect alone."""
    actor = Actor(client="192.0.2.1")
    log = Log(appliance.config.log, appliance.log)
    vault = Vault(appliance.store, Passcodes(), appliance.config, log, appliance.clock.monotonic)
    new = NewSecret(payload=b"x", iv=b"x", format="sharokey", expiry_type="view_once")
    made = await vault.create(new, actor, appliance.clock.now())
    assert tokens.DRAWN_ID.fullmatch(made.link_id)
    assert await vault.receipts.receipt_id_for(made.link_id, "sharokey", appliance.clock.now()) == made.receipt_id
    with pytest.raises(NotFound):
        await vault.receipts.receipt_id_for(made.link_id, "scrt-link", appliance.clock.now())


def test_recorded_request_goes_through_a_real_port_as_it_was_recorded(server: Any) -> None:
    """With every header of the recording, on a socket; X-Host names the port of this very server."""
    recorded = GOLDEN[0]["request"]
    key = server.key()
    body = recorded["body"].encode()
    named = recorded["headers"] | {"Authorization": f"Bearer {key}", "X-Host": f"127.0.0.1:{server.port}"}
    assert named["X-Checksum"] == hashlib.sha256(body).hexdigest()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    connection.request("POST", "/scrt-link" + recorded["path"], body, named)
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    assert answer.status == 200, said
    assert "foobar123" not in server.log()
    assert key not in server.log()


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (431, b"POST /scrt-link/api/v1/secrets HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 17_000 + b"\r\n\r\n"),
        (431, b"POST /scrt-link/api/v1/secrets HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 400_000),
        (431, b"POST /scrt-link/" + b"a" * 400_000),
        (400, b"POST /scrt-link/api/v1/secrets HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n"),
    ],
)
def test_what_never_became_a_request_is_refused_in_the_envelope_where_its_address_came(
    server: Any, status: int, sent: bytes
) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client, contextlib.suppress(OSError):
        client.sendall(sent)
        answer = http.client.HTTPResponse(client)
        answer.begin()
        said = json.loads(answer.read())
    assert (answer.status, answer.getheader("access-control-allow-origin")) == (status, "*")
    assert said.keys() == {"error"}
