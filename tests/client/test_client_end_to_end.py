"""The Python client against a real server, over connections that lose responses."""

import asyncio
import base64
import threading

import httpx
import pytest
from peer import raw_secret
from support.server import Server

from seclink import AsyncClient, Client
from seclink.client.receipts import KEEP
from seclink.errors import Gone, IdempotencyMismatch, KeyRequired, NotActive, NotFound, PasscodeWrong


class Losing(httpx.HTTPTransport):
    """Delivers every request; the first `times` responses to `path` are lost on the way back."""

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


@pytest.mark.parametrize("kind", ["without passcode", "with passcode", "raw"])
def test_reveal_with_the_key_of_an_earlier_one_repeats_its_response(server: Server, kind: str) -> None:
    """LR-02: the secret has ended then, as the facts that are read before say; a response that was lost is there."""
    passcode = "told by phone" if kind == "with passcode" else None
    with Client(server.url) as client:
        if kind == "raw":
            body = raw_secret(bytes(16), b"once") | {"expiryType": "view_once"}
            url = httpx.post(f"{server.url}/api/v1/secrets", json=body).json()["shareUrl"]
            link = f"{url}#{base64.b64encode(bytes(16)).decode()}"
        else:
            link = client.create("once", password=passcode).link
        assert client.reveal(link, passcode, idempotency_key="k" * 16).text == "once"
        assert client.reveal(link, passcode, idempotency_key="k" * 16).text == "once"
        with pytest.raises(Gone):
            client.reveal(link, passcode, idempotency_key="another" * 3)
        with pytest.raises(Gone):
            client.reveal(link, passcode)


def test_every_operation(server: Server) -> None:
    with Client(server.url, server.key("create", "manage", account="library")) as client:
        created = client.create("hello ✓", hours=2, views=3, description="for Bob", password="1234", note="ring me")
        meta = client.meta(created.link)
        assert (meta.views_left, meta.passcode_required, meta.public_note) == (3, True, "ring me")
        assert client.reveal(created.link, "1234").text == "hello ✓"
        details = client.get_details(created.receipt_id)
        assert (details.state, details.views, details.max_views, details.link_id) == ("active", 1, 3, created.link_id)
        assert details.expires_at == created.expires_at
        assert [event.type for event in details.events][:1] == ["created"]
        changed = client.update(created.receipt_id, views=None, description="for Eve", note=None)
        assert (changed.max_views, changed.label, changed.public_note) == (None, "for Eve", None)
        assert client.update(created.receipt_id, hours=1, views=KEEP).expires_at < details.expires_at
        assert [receipt.receipt_id for receipt in client.list_secrets(status="active", search="Eve")] == [
            created.receipt_id
        ]
        assert client.get_stats().secrets_with_passcode == 1
        for _ in range(5):
            with pytest.raises(PasscodeWrong):
                client.reveal(created.link, "4321")
        assert client.get_details(created.receipt_id).locked_clients == 1
        unlocked = client.unlock(created.receipt_id)
        assert (unlocked.locked_clients, unlocked.locked_until) == (0, None)
        assert client.reveal(created.link, "1234").text == "hello ✓"
        assert client.get_account().name == "library"
        client.delete(created.receipt_id)
        with pytest.raises(Gone) as gone:
            client.reveal(created.link, "1234")
        assert gone.value.state == "burned"
        with pytest.raises(NotActive):
            client.update(created.receipt_id, views=2)


def test_async_client(server: Server) -> None:
    async def run() -> None:
        async with AsyncClient(server.url, "") as client:
            created = await asyncio.gather(*(client.create(f"secret {n}") for n in range(10)))
            secrets = await asyncio.gather(*(client.reveal(secret.link) for secret in created))
            assert [secret.text for secret in secrets] == [f"secret {n}" for n in range(10)]
            token = created[0].manage_token
            assert (await client.get_details(created[0].receipt_id, token)).state == "revealed"
            with pytest.raises(KeyRequired):
                await client.get_stats()

    asyncio.run(run())


def test_reveal_is_retried_after_a_lost_response(server: Server) -> None:
    """LR-02"""
    with Client(server.url, "") as client:
        created = client.create("hello")
    with Client(server.url, "", transport=Losing("/reveal", 2), sleep=lambda _: None) as client:
        assert client.reveal(created.link).text == "hello"
    with Client(server.url, "") as client:
        assert client.get_details(created.receipt_id, created.manage_token).views == 1
        with pytest.raises(Gone):
            client.reveal(created.link)


def test_lost_response_to_a_create_makes_one_secret(server: Server) -> None:
    """LR-06"""
    key = server.key("create", "manage", account="lost-create")
    with Client(server.url, key, transport=Losing("/secrets", 2), sleep=lambda _: None) as client:
        created = client.create("hello")
        assert [receipt.receipt_id for receipt in client.list_secrets()] == [created.receipt_id]
        assert client.reveal(created.link).text == "hello"


def test_only_one_of_many_readers_gets_the_secret(server: Server) -> None:
    """ONE-01"""
    with Client(server.url, "") as client:
        created = client.create("hello")
    got: list[str] = []

    def read() -> None:
        with Client(server.url, "") as reader:
            try:
                got.append(reader.reveal(created.link).text)
            except Gone:
                got.append("gone")

    readers = [threading.Thread(target=read) for _ in range(16)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert sorted(got) == ["gone"] * 15 + ["hello"]


def test_wrong_passcode_counts_down_and_spends_no_view(server: Server) -> None:
    """PC-07"""
    with Client(server.url, "") as client:
        created = client.create("hello", password="1234")
        with pytest.raises(PasscodeWrong) as first:
            client.reveal(created.link, "0000")
        with pytest.raises(PasscodeWrong) as second:
            client.reveal(created.link, "0001")
        assert first.value.attempts_left - second.value.attempts_left == 1
        assert client.reveal(created.link, "1234").text == "hello"


def test_manage_token_opens_only_its_receipt(server: Server) -> None:
    """AUTH-07"""
    with Client(server.url, "") as client:
        one, other = client.create("one"), client.create("other")
        with pytest.raises(NotFound):
            client.delete(one.receipt_id, other.manage_token)
        assert client.reveal(one.link).text == "one"


def test_report_reaches_the_operator(server: Server) -> None:
    with Client(server.url, "") as client:
        client.report(f"{server.url}/AbCdEf123456", "phishing")


def test_idempotency_key_cannot_be_reused_for_another_create(server: Server) -> None:
    """LR-06"""
    assert IdempotencyMismatch.status == 422
    body = {"encryptedBlob": "AAAA", "iv": "AAAA", "expiryType": "view_once"}
    name = {"Idempotency-Key": "0123456789abcdef"}
    first = httpx.post(f"{server.url}/api/v1/secrets", json=body, headers=name)
    other = httpx.post(f"{server.url}/api/v1/secrets", json=body | {"iv": "AAAB"}, headers=name)
    assert (first.status_code, other.status_code) == (201, 422)
