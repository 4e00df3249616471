"""Seecret.it: the cases that a transcript cannot express; the others are in transcripts/seecret."""

import asyncio
import base64
from collections import Counter
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx
import pytest
from dialect_helpers import PASSWORD_HASH, ask, wait_until_gone, written
from support.appliance import Appliance, MakeAppliance
from support.server import HIGH_RATES, MakeServer, Server
from transcripts import ROOT

from seclink.domain import tokens
from seclink.domain.passcodes import Passcodes
from seclink.domain.vault import Vault
from seclink.domain.vault_state import VaultState
from seclink.errors import AccessDenied
from seclink.format import envelope
from seclink.model import Actor, Edit, NewSecret
from seclink.telemetry.log import Log
from seclink.web import forms

pytestmark = pytest.mark.anyio
URL = f"{ROOT}/seecret/api"
TOML = HIGH_RATES + "[dialects.seecret]\nenabled = true\n"
DEBUG = '[log]\nlevel = "debug"\nformat = "json"\n'
OLD, NEW = "SSH password: s3cr3t! ✓", "New password: N3wPwd! ✓"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Sender:
    """An account's client, and the recipient of its urls."""

    def __init__(self, appliance: Appliance, key: str) -> None:
        self.appliance, self.headers = appliance, {"Authorization": f"Bearer {key}"}

    async def ask(self, operation: str, **members: Any) -> httpx.Response:
        return await ask(self.appliance, "POST", URL, data={"operation": operation, **members}, headers=self.headers)

    async def send(self, body: bytes) -> httpx.Response:
        return await ask(self.appliance, "POST", URL, content=body, headers=self.headers | FORM)

    async def create(self, text: str = OLD, **members: Any) -> dict[str, str]:
        response = await self.ask("create_seecret", lang="en", seecret=text, **members)
        assert response.json()["CODE"] == 200, response.text
        return response.json()["data"]  # type: ignore[no-any-return]

    async def update(self, secret: dict[str, str], **members: Any) -> httpx.Response:
        return await self.ask("update_seecret", id=secret["id"], cle=fragment(secret), **members)

    async def reveal(self, secret: dict[str, str], password_hash: str | None = None) -> httpx.Response:
        proof = {"access": envelope.derive(key_of(secret)).access, "passcodeHash": password_hash}
        url = f"{ROOT}/api/v1/secrets/seecret.{secret['id']}/reveal"
        members = {name: value for name, value in proof.items() if value is not None}
        return await ask(self.appliance, "POST", url, json=members)


@pytest.fixture
async def sender(make_appliance: MakeAppliance) -> Sender:
    appliance = await make_appliance(TOML + DEBUG)
    return Sender(appliance, await appliance.key())


def fragment(secret: dict[str, str]) -> str:
    return secret["url"].partition("#")[2]


def key_of(secret: dict[str, str]) -> bytes:
    return base64.urlsafe_b64decode(fragment(secret) + "=")


def opened(secret: dict[str, str], response: httpx.Response) -> str:
    """Return the text that the page shows after a reveal."""
    blob, iv = (base64.b64decode(response.json()[name]) for name in ("encryptedBlob", "iv"))
    plain = envelope.open(envelope.derive(key_of(secret)).content_key, iv, blob)
    assert plain.type == "text"
    return plain.body.decode()


# Text


@pytest.mark.parametrize(
    "text",
    [
        "a+b c%26&d=e;f#g",
        "%",
        "%41",
        "null",
        "0",
        " ",
        "é ✓ 🗝️ \u202e",
        "one\r\ntwo\nthree\ttabbed",
        "\0",
        "x" * 1_000_000,
    ],
    ids=lambda text: ascii(text)[:20],
)
async def test_text_survives_every_form_encoding(sender: Sender, text: str) -> None:
    """Encoded by browsers, PHP and requests, and with the fewest characters quoted."""
    short = "".join(quote_plus(character) if character in "%&+ " else character for character in text)
    for written_text in (urlencode({"seecret": text}), f"seecret={short}"):
        secret = (await sender.send(f"operation=create_seecret&lang=fr&{written_text}".encode())).json()["data"]
        assert opened(secret, await sender.reveal(secret)) == text


async def test_every_secret_has_its_own_key(sender: Sender) -> None:
    secrets = [await sender.create() for _ in range(20)]
    assert len({fragment(secret) for secret in secrets}) == len({secret["id"] for secret in secrets}) == 20
    payloads = [(await sender.reveal(secret)).json()["encryptedBlob"] for secret in secrets]
    assert len(set(payloads)) == 20


async def test_at_most_two_forms_are_parsed_at_a_time(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other requests wait and succeed."""
    to_thread, running, max_running = asyncio.to_thread, 0, 0

    async def count_parsers(function: Any, *arguments: Any) -> Any:
        nonlocal running, max_running
        if function is not forms.parse:
            return await to_thread(function, *arguments)
        running += 1
        max_running = max(max_running, running)
        for _ in range(50):
            await asyncio.sleep(0)
        running -= 1
        return function(*arguments)

    monkeypatch.setattr(asyncio, "to_thread", count_parsers)
    responses = await asyncio.gather(*(sender.ask("get_account") for _ in range(10)))
    assert {response.status_code for response in responses} == {200}
    assert max_running == 2


async def test_view_log_has_every_view(sender: Sender) -> None:
    secret = await sender.create(number_view=2)
    for _ in range(2):
        assert (await sender.reveal(secret)).status_code == 200
    data = (await sender.ask("get_seecret", id=secret["id"])).json()["data"]
    assert (data["status"], data["views_count"], data["files"]) == ("viewed", 2, [])
    assert [event.keys() for event in data["views_log"]] == [{"date"}] * 2


@pytest.mark.parametrize("number", ["1e3", "1.0", "1E0", "1_0", "10.", "inf", "1e400", "0x1", "-", "9" * 4000])
async def test_number_that_is_no_plain_integer_is_rejected(sender: Sender, number: str) -> None:
    """IN-02: every numeric member of every operation."""
    secret = await sender.create()
    for name in ("number_view", "view_notification", "split_link", "split_link_required"):
        for response in (
            await sender.ask("create_seecret", lang="en", seecret="x", **{name: number}),
            await sender.update(secret, **{name: number}),
        ):
            assert (response.status_code, response.json()["MESSAGE"]) == (400, f"{name}: must be an integer")
    for operation, name in (
        ("update_seecret", "delete_password"),
        ("list_seecrets", "page"),
        ("list_seecrets", "limit"),
    ):
        response = await sender.ask(operation, id=secret["id"], **{name: number})
        assert (response.status_code, response.json()["MESSAGE"]) == (400, f"{name}: must be an integer")


# Updates


async def test_update_keeps_the_url_and_erases_the_old_text(sender: Sender) -> None:
    """FOR-01: text, key and password are never written; the old payload is erased."""
    secret = await sender.create(number_view=2, password="foobar123")
    first = base64.b64decode((await sender.reveal(secret, PASSWORD_HASH)).json()["encryptedBlob"])
    assert first in written(sender.appliance)  # the search works
    response = await sender.update(secret, seecret=NEW, password="barfoo321")
    assert response.json()["data"] == secret
    await wait_until_gone(sender.appliance, first[:64])
    await wait_until_gone(sender.appliance, first[-64:])
    assert (await sender.reveal(secret, PASSWORD_HASH)).json()["code"] == "passcode_wrong"
    new_hash = envelope.raw_passcode_hash("barfoo321")
    assert opened(secret, await sender.reveal(secret, new_hash)) == NEW
    keys = envelope.derive(key_of(secret))
    forbidden = (OLD, NEW, fragment(secret), keys.access, "foobar123", "barfoo321", PASSWORD_HASH, new_hash)
    traces, content = (*map(str.encode, forbidden), key_of(secret), keys.content_key), written(sender.appliance)
    assert not [trace for trace in traces if trace in content]
    assert secret["id"] not in sender.appliance.log.getvalue()


async def test_update_with_a_wrong_key_changes_nothing(sender: Sender) -> None:
    secret, other = await sender.create(), await sender.create()
    for wrong in (fragment(other), fragment(secret)[::-1], fragment(secret).swapcase(), "", "decryption_key"):
        response = await sender.ask("update_seecret", id=secret["id"], cle=wrong, seecret=NEW, password="x")
        assert response.json()["CODE"] == response.status_code == (403 if wrong else 400)
    assert opened(secret, await sender.reveal(secret)) == OLD


async def test_password_can_be_set_and_removed(sender: Sender) -> None:
    secret = await sender.create(number_view=3)
    await sender.update(secret, password="foobar123")
    assert (await sender.reveal(secret)).json()["code"] == "passcode_required"
    assert opened(secret, await sender.reveal(secret, PASSWORD_HASH)) == OLD
    await sender.update(secret, delete_password=1)
    assert opened(secret, await sender.reveal(secret)) == OLD
    assert (await sender.update(secret, number_view=1)).json()[
        "MESSAGE"
    ] == "number_view: must be more than the 2 already spent"


async def test_viewed_secret_cannot_be_updated(sender: Sender) -> None:
    secret = await sender.create()
    await sender.reveal(secret)
    for members in ({"seecret": NEW}, {"note": "n"}, {"delete_password": 1}):
        response = await sender.update(secret, **members)
        assert response.json() == {"CODE": 400, "MESSAGE": "The secret has ended"}
    data = (await sender.ask("get_seecret", id=secret["id"])).json()["data"]
    assert (data["status"], data["views_count"], data["url"]) == ("viewed", 1, secret["url"].partition("#")[0])
    stats = (await sender.ask("get_account")).json()["data"]["stats"]
    assert stats == {"total": 1, "pending": 0, "viewed": 1, "expired": 0, "deleted": 0}


async def test_update_during_the_last_view_is_rejected(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store changes only an active secret, whatever was checked before."""
    secret = await sender.create()
    edit, reveals = sender.appliance.store.edit, []

    async def edit_after_reveal(*arguments: Any) -> Any:
        reveals.append(await sender.reveal(secret))
        return await edit(*arguments)

    monkeypatch.setattr(sender.appliance.store, "edit", edit_after_reveal)
    response = await sender.update(secret, seecret=NEW)
    assert response.json() == {"CODE": 400, "MESSAGE": "The secret has ended"}
    assert opened(secret, reveals[0]) == OLD


async def test_confirmed_update_is_never_followed_by_the_old_text(sender: Sender) -> None:
    """ONE-01: an update and the last view at the same time, in either order."""
    for turn in range(20):
        secret = await sender.create()
        requests = [sender.update(secret, seecret=NEW), sender.reveal(secret)]
        responses = await asyncio.gather(*requests[:: 1 if turn % 2 else -1])
        updated, revealed = responses[:: 1 if turn % 2 else -1]
        assert (updated.status_code, opened(secret, revealed)) in ((200, NEW), (400, OLD))


async def test_parallel_updates_and_readers_see_complete_texts(sender: Sender) -> None:
    """ONE-01"""
    secret = await sender.create(number_view=5)
    texts = [f"{number} " * 2000 for number in range(10)]
    updates = [sender.update(secret, seecret=text) for text in texts]
    readers = [sender.reveal(secret) for _ in range(20)]
    mixed = [request for pair in zip(readers[:10], updates, strict=True) for request in pair] + readers[10:]
    responses = await asyncio.gather(*mixed)
    reveals = [response for response in responses if "encryptedBlob" in response.json()]
    assert {opened(secret, response) for response in reveals} <= {OLD, *texts}
    gone = [response.json().get("state") for response in responses if response.status_code == 410]
    assert Counter(gone) == {"revealed": 15}
    assert len(reveals) == 5


@pytest.mark.parametrize("access", ["", "!", "AAAA", "A" * 43])
@pytest.mark.parametrize("has_hash", [True, False])
async def test_edit_with_a_wrong_proof_changes_nothing(appliance: Appliance, access: str, has_hash: bool) -> None:
    """No proof is right for a secret without an access hash."""
    now, log = appliance.clock.now(), Log(appliance.config.log, appliance.log)
    vault = Vault(VaultState(appliance.store, Passcodes(), log, appliance.clock.monotonic), appliance.config)
    new = NewSecret(payload=b"x", iv=b"x", format="seecret", expiry_type="view_once", label="before")
    keys = envelope.derive(bytes(32))
    if has_hash:
        new = NewSecret(payload=b"x", iv=b"x", format="seecret", expiry_type="view_once", access_hash=keys.access_hash)
    actor = Actor(client="192.0.2.1")
    secret = await vault.create(new, actor, now)
    receipt = await vault.receipts.get(secret.receipt_id, actor, secret.manage_token, now)
    with pytest.raises(AccessDenied):
        await vault.receipts.update(receipt, Edit(label="after", access=access), actor, now)
    assert (await vault.receipts.get(secret.receipt_id, actor, secret.manage_token, now)).label == new.label
    if has_hash:
        changed = await vault.receipts.update(receipt, Edit(label="after", access=keys.access), actor, now)
        assert changed.label == "after"


# Ids


async def test_taken_id_is_drawn_again(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    draw, drawn = tokens.draw, iter(["aaaaaa", "aaaaaa", "aaaaaa", "bbbbbb"])
    monkeypatch.setattr(tokens, "draw", lambda length, *random: next(drawn) if length == 6 else draw(length, *random))
    assert [(await sender.create(text))["id"] for text in (OLD, NEW)] == ["aaaaaa", "bbbbbb"]


async def test_create_is_busy_if_every_id_is_taken(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = tokens.draw
    monkeypatch.setattr(tokens, "draw", lambda length, *random: "aaaaaa" if length == 6 else draw(length, *random))
    secret = await sender.create()
    response = await sender.ask("create_seecret", lang="en", seecret=NEW)
    assert (response.status_code, response.json()["CODE"]) == (503, 503)
    assert opened(secret, await sender.reveal(secret)) == OLD


# The warning


def test_every_start_warns_of_plaintext(make_server: MakeServer) -> None:
    server = make_server("[dialects.seecret]\nenabled = true\n[log]\nformat = 'human'\n").start()
    lines = [line for line in server.log().splitlines() if "plaintext" in line]
    assert len(lines) == 1
    assert "warning" in lines[0]
    assert "anyone who controls the server or its TLS proxy can read it" in lines[0]


def test_server_without_the_dialect_does_not_warn(server: Server) -> None:
    assert "plaintext" not in server.log()
