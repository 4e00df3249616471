"""Seecret.it: what no transcript can say; the conformance cases are in transcripts/seecret."""

import asyncio
import base64
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx
import pytest
from replaying import ROOT
from speaking import PASSWORD_HASH
from test_every_dialect import PLENTY, ask, wait_until_gone, written

from seclink.domain import tokens
from seclink.domain.passcodes import Passcodes
from seclink.domain.vault import Vault
from seclink.errors import AccessDenied
from seclink.format import envelope
from seclink.model import Actor, Edit, NewSecret
from seclink.telemetry.log import Log
from seclink.web import forms

pytestmark = pytest.mark.anyio
URL = f"{ROOT}/seecret/api"
TOML = PLENTY + "[dialects.seecret]\nenabled = true\n"
DEBUG = '[log]\nlevel = "debug"\nformat = "json"\n'
OLD, NEW = "SSH password: s3cr3t! ✓", "New password: N3wPwd! ✓"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Sender:
    """An account's client: its forms, and what a reader of its urls gets."""

    def __init__(self, appliance: Any, key: str) -> None:
        self.appliance, self.named = appliance, {"Authorization": f"Bearer {key}"}

    async def ask(self, operation: str, **members: Any) -> httpx.Response:
        return await ask(self.appliance, "POST", URL, data={"operation": operation, **members}, headers=self.named)

    async def send(self, body: bytes) -> httpx.Response:
        return await ask(self.appliance, "POST", URL, content=body, headers=self.named | FORM)

    async def create(self, text: str = OLD, **members: Any) -> dict[str, str]:
        answer = await self.ask("create_seecret", lang="en", seecret=text, **members)
        assert answer.json()["CODE"] == 200, answer.text
        return answer.json()["data"]  # type: ignore[no-any-return]

    async def update(self, made: dict[str, str], **members: Any) -> httpx.Response:
        return await self.ask("update_seecret", id=made["id"], cle=fragment(made), **members)

    async def reveal(self, made: dict[str, str], password_hash: str | None = None) -> httpx.Response:
        proof = {"access": envelope.derive(key_of(made)).access, "passcodeHash": password_hash}
        url = f"{ROOT}/api/v1/secrets/seecret.{made['id']}/reveal"
        sent = {name: each for name, each in proof.items() if each is not None}
        return await ask(self.appliance, "POST", url, json=sent)


@pytest.fixture
async def sender(make_appliance: Callable[..., Any]) -> Sender:
    appliance = await make_appliance(TOML + DEBUG)
    return Sender(appliance, await appliance.key())


def fragment(made: dict[str, str]) -> str:
    return made["url"].partition("#")[2]


def key_of(made: dict[str, str]) -> bytes:
    return base64.urlsafe_b64decode(fragment(made) + "=")


def opened(made: dict[str, str], answer: httpx.Response) -> str:
    """What its page shows of an answer."""
    said = {name: base64.b64decode(answer.json()[name]) for name in ("encryptedBlob", "iv")}
    shown = envelope.open(envelope.derive(key_of(made)).content_key, said["iv"], said["encryptedBlob"])
    assert shown.type == "text"
    return shown.body.decode()


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
async def test_text_comes_out_as_it_was_written(sender: Sender, text: str) -> None:
    """As browsers, PHP and requests write it, and with nothing quoted that need not be."""
    short = "".join(each if each not in "%&+ " else quote_plus(each) for each in text)
    for written_text in (urlencode({"seecret": text}), f"seecret={short}"):
        made = (await sender.send(f"operation=create_seecret&lang=fr&{written_text}".encode())).json()["data"]
        assert opened(made, await sender.reveal(made)) == text


async def test_every_secret_has_a_key_of_its_own(sender: Sender) -> None:
    made = [await sender.create() for _ in range(20)]
    assert len({fragment(each) for each in made}) == len({each["id"] for each in made}) == 20
    payloads = [(await sender.reveal(each)).json()["encryptedBlob"] for each in made]
    assert len(set(payloads)) == 20


async def test_no_more_than_two_forms_are_read_at_once(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others wait, and are all answered."""
    aside, running, most = asyncio.to_thread, 0, 0

    async def counted(call: Any, *given: Any) -> Any:
        nonlocal running, most
        if call is not forms.parse:
            return await aside(call, *given)
        running += 1
        most = max(most, running)
        for _ in range(50):
            await asyncio.sleep(0)
        running -= 1
        return call(*given)

    monkeypatch.setattr(asyncio, "to_thread", counted)
    answers = await asyncio.gather(*(sender.ask("get_account") for _ in range(10)))
    assert {each.status_code for each in answers} == {200}
    assert most == 2


@pytest.mark.parametrize("number", ["1e3", "1.0", "1E0", "1_0", "10.", "inf", "1e400", "0x1", "-", "9" * 4000])
async def test_number_is_whole_and_in_digits(sender: Sender, number: str) -> None:
    """IN-02: as every other member that counts, in every operation."""
    made = await sender.create()
    assert (await sender.ask("get_seecret", id=made["id"], page=number)).status_code == 200  # not known there
    for name in ("number_view", "view_notification", "split_link", "split_link_required"):
        for answer in (
            await sender.ask("create_seecret", lang="en", seecret="x", **{name: number}),
            await sender.update(made, **{name: number}),
        ):
            assert (answer.status_code, answer.json()["MESSAGE"]) == (400, f"{name}: must be an integer")
    for operation, name in (
        ("update_seecret", "delete_password"),
        ("list_seecrets", "page"),
        ("list_seecrets", "limit"),
    ):
        answer = await sender.ask(operation, id=made["id"], **{name: number})
        assert (answer.status_code, answer.json()["MESSAGE"]) == (400, f"{name}: must be an integer")


# Updates


async def test_updated_text_opens_at_the_same_url_and_the_old_one_is_nowhere(sender: Sender) -> None:
    """FOR-01: for updates: neither text, nor key, nor password is ever written; the old payload is erased."""
    made = await sender.create(number_view=2, password="foobar123")
    first = base64.b64decode((await sender.reveal(made, PASSWORD_HASH)).json()["encryptedBlob"])
    assert first in written(sender.appliance)  # the search finds what is there
    answer = await sender.update(made, seecret=NEW, password="barfoo321")
    assert answer.json()["data"] == made
    await wait_until_gone(sender.appliance, first[:64])
    await wait_until_gone(sender.appliance, first[-64:])
    assert (await sender.reveal(made, PASSWORD_HASH)).json()["code"] == "passcode_wrong"
    new_hash = envelope.raw_passcode_hash("barfoo321")
    assert opened(made, await sender.reveal(made, new_hash)) == NEW
    keys = envelope.derive(key_of(made))
    never = (OLD, NEW, fragment(made), keys.access, "foobar123", "barfoo321", PASSWORD_HASH, new_hash)
    left = written(sender.appliance)
    assert not [each for each in (*map(str.encode, never), key_of(made), keys.content_key) if each in left]
    assert made["id"] not in sender.appliance.log.getvalue()


async def test_wrong_key_leaves_the_old_text_as_it_was(sender: Sender) -> None:
    made, other = await sender.create(), await sender.create()
    for wrong in (fragment(other), fragment(made)[::-1], fragment(made).swapcase(), "", "decryption_key"):
        answer = await sender.ask("update_seecret", id=made["id"], cle=wrong, seecret=NEW, password="x")
        assert answer.json()["CODE"] == answer.status_code == (403 if wrong else 400)
    assert opened(made, await sender.reveal(made)) == OLD


async def test_password_can_be_set_and_removed(sender: Sender) -> None:
    made = await sender.create(number_view=3)
    await sender.update(made, password="foobar123")
    assert (await sender.reveal(made)).json()["code"] == "passcode_required"
    assert opened(made, await sender.reveal(made, PASSWORD_HASH)) == OLD
    await sender.update(made, delete_password=1)
    assert opened(made, await sender.reveal(made)) == OLD
    assert (await sender.update(made, number_view=1)).json()[
        "MESSAGE"
    ] == "number_view: must be more than the 2 already spent"


async def test_viewed_secret_is_not_updated_any_more(sender: Sender) -> None:
    made = await sender.create()
    await sender.reveal(made)
    for members in ({"seecret": NEW}, {"note": "n"}, {"delete_password": 1}):
        answer = await sender.update(made, **members)
        assert answer.json() == {"CODE": 400, "MESSAGE": "The secret has ended"}
    data = (await sender.ask("get_seecret", id=made["id"])).json()["data"]
    assert (data["status"], data["views_count"], data["url"]) == ("viewed", 1, made["url"].partition("#")[0])
    stats = (await sender.ask("get_account")).json()["data"]["stats"]
    assert stats == {"total": 1, "pending": 0, "viewed": 1, "expired": 0, "deleted": 0}


async def test_update_that_comes_while_the_last_view_is_taken_says_that_it_came_too_late(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever was checked before: it is changed only where it lives, and then for whoever reads it after."""
    made = await sender.create()
    replace, shown = sender.appliance.store.replace, []

    async def late(*given: Any) -> Any:
        shown.append(await sender.reveal(made))
        return await replace(*given)

    monkeypatch.setattr(sender.appliance.store, "replace", late)
    answer = await sender.update(made, seecret=NEW)
    assert answer.json() == {"CODE": 400, "MESSAGE": "The secret has ended"}
    assert opened(made, shown[0]) == OLD


async def test_update_that_was_confirmed_is_what_is_read(sender: Sender) -> None:
    """ONE-01: of an update and the last view at once, whichever order: never confirmed and the old text given."""
    for turn in range(20):
        made = await sender.create()
        both = [sender.update(made, seecret=NEW), sender.reveal(made)]
        answers = await asyncio.gather(*both[:: 1 if turn % 2 else -1])
        updated, revealed = answers[:: 1 if turn % 2 else -1]
        assert (updated.status_code, opened(made, revealed)) in ((200, NEW), (400, OLD))


async def test_many_updates_and_many_readers_at_once_see_whole_texts(sender: Sender) -> None:
    """ONE-01"""
    made = await sender.create(number_view=5)
    texts = [f"{number} " * 2000 for number in range(10)]
    updates = [sender.update(made, seecret=text) for text in texts]
    readers = [sender.reveal(made) for _ in range(20)]
    mixed = [each for pair in zip(readers[:10], updates, strict=True) for each in pair] + readers[10:]
    answers = await asyncio.gather(*mixed)
    shown = [each for each in answers if "encryptedBlob" in each.json()]
    assert {opened(made, each) for each in shown} <= {OLD, *texts}
    assert Counter(each.json().get("state") for each in answers if each.status_code == 410) == {"revealed": 15}
    assert len(shown) == 5


@pytest.mark.parametrize("access", ["", "!", "AAAA", "A" * 43])
@pytest.mark.parametrize("has_hash", [True, False])
async def test_change_with_a_proof_is_made_only_where_it_is_right(appliance: Any, access: str, has_hash: bool) -> None:
    """Also where the secret asks for none: then nothing is."""
    now, log = appliance.clock.now(), Log(appliance.config.log, appliance.log)
    vault = Vault(appliance.store, Passcodes(), appliance.config, log, appliance.clock.monotonic)
    new = NewSecret(payload=b"x", iv=b"x", format="seecret", expiry_type="view_once", label="before")
    keys = envelope.derive(bytes(32))
    if has_hash:
        new = NewSecret(payload=b"x", iv=b"x", format="seecret", expiry_type="view_once", access_hash=keys.access_hash)
    made = await vault.create(new, Actor(client="192.0.2.1"), now)
    given = (made.receipt_id, Edit(label="after", access=access), Actor(client="192.0.2.1"), made.manage_token, now)
    with pytest.raises(AccessDenied):
        await vault.receipts.update(*given)
    assert (await vault.receipts.get(made.receipt_id, given[2], made.manage_token, now)).label == new.label
    if has_hash:
        changed = await vault.receipts.update(given[0], Edit(label="after", access=keys.access), *given[2:])
        assert changed.label == "after"


# Names


async def test_id_that_is_taken_is_drawn_again(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    draw, drawn = tokens.draw, iter(["aaaaaa", "aaaaaa", "aaaaaa", "bbbbbb"])
    monkeypatch.setattr(tokens, "draw", lambda length, *random: next(drawn) if length == 6 else draw(length, *random))
    assert [(await sender.create(text))["id"] for text in (OLD, NEW)] == ["aaaaaa", "bbbbbb"]


async def test_id_that_is_always_taken_is_said_to_be_busy(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = tokens.draw
    monkeypatch.setattr(tokens, "draw", lambda length, *random: "aaaaaa" if length == 6 else draw(length, *random))
    made = await sender.create()
    answer = await sender.ask("create_seecret", lang="en", seecret=NEW)
    assert (answer.status_code, answer.json()["CODE"]) == (503, 503)
    assert opened(made, await sender.reveal(made)) == OLD


# What it means


def test_every_start_says_that_its_clients_send_plaintext(make_server: Any) -> None:
    server = make_server("[dialects.seecret]\nenabled = true\n[log]\nformat = 'human'\n").start()
    said = [line for line in server.log().splitlines() if "plaintext" in line]
    assert len(said) == 1
    assert "warning" in said[0]
    assert "anyone who controls the server or its TLS proxy can read it" in said[0]


def test_a_server_that_is_not_told_to_says_and_knows_nothing_of_it(server: Any) -> None:
    assert "plaintext" not in server.log()
