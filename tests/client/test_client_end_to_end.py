"""The Python client against a real server, over connections that lose answers."""

import asyncio
import threading
from typing import Any

import httpx
import pytest

from seclink import AsyncClient, Client
from seclink.client.receipts import KEEP
from seclink.errors import Gone, IdempotencyMismatch, KeyRequired, NotActive, NotFound, PasscodeWrong


class Losing(httpx.HTTPTransport):
    """Delivers every request; the first `times` answers to `path` are lost on the way back."""

    def __init__(self, path: str, times: int = 1) -> None:
        super().__init__()
        self.path, self.times = path, times

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if request.url.path.endswith(self.path) and self.times:
            self.times -= 1
            response.read()
            response.close()
            raise httpx.ReadError("connection reset")
        return response


def test_everything_there_is(server: Any) -> None:
    with Client(server.url, server.key("create", "manage", account="library")) as client:
        made = client.create("hello ✓", hours=2, views=3, description="for Bob", password="1234", note="ring me")
        meta = client.meta(made.link)
        assert (meta.views_left, meta.passcode_required, meta.public_note) == (3, True, "ring me")
        assert client.reveal(made.link, "1234").text == "hello ✓"
        found = client.get_details(made.receipt_id)
        assert (found.state, found.views, found.max_views, found.link_id) == ("active", 1, 3, made.link_id)
        assert found.expires_at == made.expires_at
        assert [event.type for event in found.events][:1] == ["created"]
        changed = client.update(made.receipt_id, views=None, description="for Eve", note=None)
        assert (changed.max_views, changed.label, changed.public_note) == (None, "for Eve", None)
        assert client.update(made.receipt_id, hours=1, views=KEEP).expires_at < found.expires_at
        assert [each.receipt_id for each in client.list_secrets(status="active", search="Eve")] == [made.receipt_id]
        assert client.get_stats().secrets_with_passcode == 1
        assert client.get_account().name == "library"
        client.delete(made.receipt_id)
        with pytest.raises(Gone) as gone:
            client.reveal(made.link, "1234")
        assert gone.value.state == "burned"
        with pytest.raises(NotActive):
            client.update(made.receipt_id, views=2)


def test_async_does_the_same(server: Any) -> None:
    async def run() -> None:
        async with AsyncClient(server.url, "") as client:
            made = await asyncio.gather(*(client.create(f"secret {n}") for n in range(10)))
            secrets = await asyncio.gather(*(client.reveal(each.link) for each in made))
            assert [each.text for each in secrets] == [f"secret {n}" for n in range(10)]
            token = made[0].manage_token
            assert (await client.get_details(made[0].receipt_id, token)).state == "revealed"
            with pytest.raises(KeyRequired):
                await client.get_stats()

    asyncio.run(run())


def test_lost_answer_to_a_reveal_is_asked_for_again(server: Any) -> None:
    """LR-02"""
    with Client(server.url, "") as client:
        made = client.create("hello")
    with Client(server.url, "", transport=Losing("/reveal", 2), sleep=lambda _: None) as client:
        assert client.reveal(made.link).text == "hello"
    with Client(server.url, "") as client:
        assert client.get_details(made.receipt_id, made.manage_token).views == 1
        with pytest.raises(Gone):
            client.reveal(made.link)


def test_lost_answer_to_a_create_makes_one_secret(server: Any) -> None:
    """LR-06"""
    key = server.key("create", "manage", account="lost-create")
    with Client(server.url, key, transport=Losing("/secrets", 2), sleep=lambda _: None) as client:
        made = client.create("hello")
        assert [each.receipt_id for each in client.list_secrets()] == [made.receipt_id]
        assert client.reveal(made.link).text == "hello"


def test_of_many_readers_one_gets_it(server: Any) -> None:
    """ONE-01"""
    with Client(server.url, "") as client:
        made = client.create("hello")
    got: list[str] = []

    def read() -> None:
        with Client(server.url, "") as reader:
            try:
                got.append(reader.reveal(made.link).text)
            except Gone:
                got.append("gone")

    readers = [threading.Thread(target=read) for _ in range(16)]
    for each in readers:
        each.start()
    for each in readers:
        each.join()
    assert sorted(got) == ["gone"] * 15 + ["hello"]


def test_wrong_passcode_counts_down_and_spends_nothing(server: Any) -> None:
    """PC-07"""
    with Client(server.url, "") as client:
        made = client.create("hello", password="1234")
        with pytest.raises(PasscodeWrong) as first:
            client.reveal(made.link, "0000")
        with pytest.raises(PasscodeWrong) as second:
            client.reveal(made.link, "0001")
        assert first.value.attempts_left - second.value.attempts_left == 1
        assert client.reveal(made.link, "1234").text == "hello"


def test_token_of_one_receipt_opens_no_other(server: Any) -> None:
    """AUTH-07"""
    with Client(server.url, "") as client:
        one, other = client.create("one"), client.create("other")
        with pytest.raises(NotFound):
            client.delete(one.receipt_id, other.manage_token)
        assert client.reveal(one.link).text == "one"


def test_report_is_always_taken(server: Any) -> None:
    with Client(server.url, "") as client:
        client.report(f"{server.url}/AbCdEf123456", "phishing")


def test_name_of_a_create_cannot_be_used_for_another(server: Any) -> None:
    """LR-06"""
    assert IdempotencyMismatch.status == 422
    body = {"encryptedBlob": "AAAA", "iv": "AAAA", "expiryType": "view_once"}
    name = {"Idempotency-Key": "0123456789abcdef"}
    first = httpx.post(f"{server.url}/api/v1/secrets", json=body, headers=name)
    other = httpx.post(f"{server.url}/api/v1/secrets", json=body | {"iv": "AAAB"}, headers=name)
    assert (first.status_code, other.status_code) == (201, 422)
