"""scrt.link: the cases that a transcript cannot express; the others are in transcripts/scrt-link."""

import asyncio
import contextlib
import hashlib
import http.client
import json
import re
import socket
from collections import Counter
from pathlib import Path

import pytest
from dialect_helpers import scrt_link_request
from support.appliance import Appliance, MakeAppliance
from support.server import HIGH_RATES, Server
from support.waiting import TIMEOUT_SECONDS
from transcripts import GOLDEN, ROOT

import seclink
from seclink.domain import tokens
from seclink.domain.passcodes import Passcodes
from seclink.domain.vault import Vault
from seclink.domain.vault_state import VaultState
from seclink.errors import NotFound
from seclink.model import Actor, NewSecret
from seclink.telemetry.log import Log

pytestmark = pytest.mark.anyio
URL = f"{ROOT}/scrt-link/api/v1/secrets"


async def test_parallel_creates_under_one_id_store_one_secret(appliance: Appliance) -> None:
    """ONE-01: a secret never replaces another one."""
    key = await appliance.key()
    async with appliance.client() as http:
        creates = [http.post(URL, **scrt_link_request(key, views, False)) for views in range(1, 21)]
        responses = await asyncio.gather(*creates)
        probe = await http.post(f"{URL}/c4bddb9cad13630539a34afde1709089180d44db60b061c44a5780aa82b29e65")
    assert Counter(response.status_code for response in responses) == {200: 1, 400: 19}
    stored = next(response for response in responses if response.status_code == 200).json()
    assert probe.json()["remainingViews"] == stored["viewLimit"]


@pytest.mark.parametrize("end", ["\n", "\r\n", " ", "\0", "0"])
async def test_id_with_trailing_characters_is_rejected(appliance: Appliance, end: str) -> None:
    """IN-06"""
    request = scrt_link_request(await appliance.key(), 1, False)
    members = json.loads(request["content"])
    body = json.dumps(members | {"secretIdHash": members["secretIdHash"] + end}).encode()
    headers = request["headers"] | {"X-Checksum": hashlib.sha256(body).hexdigest()}
    async with appliance.client() as http:
        response = await http.post(URL, content=body, headers=headers)
    assert (response.status_code, list(response.json()["issues"]["fieldErrors"])) == (400, ["secretIdHash"])


async def test_secret_of_another_format_is_not_found(appliance: Appliance) -> None:
    """A dialect finds secrets only of its own format, even under a native linkId."""
    actor = Actor(client="192.0.2.1")
    log = Log(appliance.config.log, appliance.log)
    vault = Vault(VaultState(appliance.store, Passcodes(), log, appliance.clock.monotonic), appliance.config)
    new = NewSecret(payload=b"x", iv=b"x", format="sharokey", expiry_type="view_once")
    created = await vault.create(new, actor, appliance.clock.now())
    assert tokens.DRAWN_ID.fullmatch(created.link_id)
    assert await vault.receipts.receipt_id_for(created.link_id, "sharokey", appliance.clock.now()) == created.receipt_id
    with pytest.raises(NotFound):
        await vault.receipts.receipt_id_for(created.link_id, "scrt-link", appliance.clock.now())


def test_recorded_request_is_accepted_on_a_real_socket(server: Server) -> None:
    """With every header of the recording, except that X-Host names this server's port."""
    recorded = GOLDEN[0]["request"]
    key = server.key()
    body = recorded["body"].encode()
    headers = recorded["headers"] | {"Authorization": f"Bearer {key}", "X-Host": f"127.0.0.1:{server.port}"}
    assert headers["X-Checksum"] == hashlib.sha256(body).hexdigest()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT_SECONDS)
    connection.request("POST", "/scrt-link" + recorded["path"], body, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    assert response.status == 200, content
    assert "foobar123" not in server.log()
    assert key not in server.log()


@pytest.mark.parametrize(
    ("status", "data"),
    [
        (431, b"POST /scrt-link/api/v1/secrets HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 17_000 + b"\r\n\r\n"),
        (431, b"POST /scrt-link/api/v1/secrets HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 400_000),
        (431, b"POST /scrt-link/" + b"a" * 400_000),
        (400, b"POST /scrt-link/api/v1/secrets HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n"),
    ],
)
def test_malformed_request_to_its_path_is_rejected_in_the_envelope(server: Server, status: int, data: bytes) -> None:
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=TIMEOUT_SECONDS) as client,
        contextlib.suppress(OSError),
    ):
        client.sendall(data)
        response = http.client.HTTPResponse(client)
        response.begin()
        body = json.loads(response.read())
    assert (response.status, response.getheader("access-control-allow-origin")) == (status, "*")
    assert body.keys() == {"error"}


async def test_client_module_imports_only_what_the_pages_module_exports(appliance: Appliance) -> None:
    """A module with an import that does not exist fails as a whole."""
    async with appliance.client() as http:
        text = (await http.get(f"{ROOT}/scrt-link/api/v1/client-module")).text
    imported = {name.split(" as ")[0].strip() for name in text[text.index("{") + 1 : text.index("}")].split(",")}
    source = (Path(seclink.__file__).parent / "static/js/client.js").read_text()
    exported = set(re.findall(r"^export (?:async )?(?:function|const|class) (\w+)", source, re.MULTILINE))
    exported |= {name.split(" as ")[-1].strip() for name in re.findall(r"^export \{ ([^}]*) \}", source, re.MULTILINE)}
    assert imported <= exported


async def test_own_host_hands_on_a_key_in_the_path_as_it_came(make_appliance: MakeAppliance) -> None:
    """Decoded, its line end would be one of the response's, and the page could not tell that servers saw the key."""
    appliance = await make_appliance(f"{HIGH_RATES}[dialects.scrt-link]\nhost = 'own.example'\n")
    http = appliance.client()
    for path in ("/s%23abc", "/s/%2523abc", "/s%23abc%0D%0AX%3A%20y", "/s%E2%80%9D"):
        response = await http.get(ROOT + path, headers={"Host": "own.example"})
        assert (response.status_code, response.headers["location"]) == (302, f"http://127.0.0.1:8080/scrt-link{path}")
