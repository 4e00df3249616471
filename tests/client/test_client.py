"""Every operation of the client, sync and async alike: its requests, its results, and what it never sends."""

import asyncio
import base64
import inspect
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from peer import EXPIRES_AT, SERVER, Caller, Peer, ScriptedProxy, create_response, problem, raw_secret, receipt

from seclink import AsyncClient, Client
from seclink.client.proxies import EnvironmentProxies
from seclink.client.receipts import KEEP
from seclink.client.reveals import RawNotOpened
from seclink.errors import BadRequest, KeyInvalid, LinkIncomplete, NotAuthentic, PasscodeRequired, Unreachable
from seclink.format import envelope
from seclink.format.link import fragment_of, key_of
from seclink.format.pasted_link import parse

LINK = f"{SERVER}/AbCdEf123456"


def wire(peer: Peer, index: int = -1) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(peer.requests[index].content)
    return content


# Creating


def test_create_sends_the_members_of_the_api_and_no_others(call: Caller, peer: Peer) -> None:
    call("create", "hello", hours=2, views=3, description="for Bob", password="1234", note="ring me")
    assert peer.paths == ["POST /secrets"]
    assert set(wire(peer)) == {
        "encryptedBlob", "iv", "format", "accessHash", "passcodeHash", "expiresIn", "maxViews", "label", "publicNote",
    }  # fmt: skip
    assert wire(peer)["format"] == "seclink/v1"
    assert (wire(peer)["expiresIn"], wire(peer)["maxViews"]) == (7200, 3)
    assert (wire(peer)["label"], wire(peer)["publicNote"]) == ("for Bob", "ring me")
    assert len(base64.b64decode(wire(peer)["iv"])) == 12
    assert peer.requests[0].headers["content-type"] == "application/json"


def test_create_omits_unused_members(call: Caller, peer: Peer) -> None:
    call("create", b"hello", views=None, expires_in=90)
    assert set(wire(peer)) == {"encryptedBlob", "iv", "format", "accessHash", "expiresIn", "maxViews"}
    assert (wire(peer)["expiresIn"], wire(peer)["maxViews"]) == (90, None)


def test_secret_key_and_passcode_are_never_sent(call: Caller, peer: Peer) -> None:
    """PC-08"""
    created = call("create", "the secret itself", password="correct horse", key="sk_live_x")
    key = key_of(parse(created.link).fragment)
    call("reveal", created.link, "correct horse")
    for hidden in (
        "the secret itself",
        "correct horse",
        parse(created.link).fragment,
        key.hex(),
        base64.b64encode(key).decode(),
    ):
        assert hidden not in peer.received()


def fault(field: str, code: str | None = None, **limit: Any) -> dict[str, Any]:
    return {"field": field, "message": "…"} | ({"code": code} if code else {}) | ({"limit": limit} if limit else {})


def bad_request(*faults: dict[str, Any]) -> httpx.Response:
    return problem(400, "bad_request", errors=list(faults))


def test_without_a_lifetime_the_server_chooses_it(call: Caller, peer: Peer) -> None:
    """As on the page: `expiry.default`, whatever the number of views."""
    call("create", "hello", views=3)
    assert (wire(peer, 0)["expiryType"], wire(peer, 0)["maxViews"]) == ("view_once", 3)
    assert "expiresIn" not in wire(peer, 0)
    call("create", "hello", hours=2)
    assert wire(peer, 1)["expiresIn"] == 7200
    assert "expiryType" not in wire(peer, 1)


def test_too_long_a_lifetime_is_refused_and_not_shortened(call: Caller, peer: Peer) -> None:
    peer.script = [bad_request(fault("expiresIn", "out_of_range", min=60, max=43200))]
    with pytest.raises(BadRequest) as refused:
        call("create", "hello", hours=24)
    assert [fault.field for fault in refused.value.faults] == ["expiresIn"]
    assert len(peer.requests) == 1


def test_created_secret_is_complete_and_its_repr_hides_link_and_token(call: Caller) -> None:
    created = call("create", "hello")
    assert created.link.startswith(f"{LINK}#")
    assert (created.link_id, created.receipt_id, created.manage_token) == ("AbCdEf123456", "0" * 20, "m" * 32)
    assert created.expires_at_ms == EXPIRES_AT
    assert created.expires_at == datetime.fromtimestamp(1_800_000_000, UTC).replace(microsecond=123_000)
    assert created.views == 1
    assert parse(created.link).fragment not in repr(created)
    assert created.manage_token not in repr(created)


def test_two_secrets_share_neither_key_nor_iv(call: Caller, peer: Peer) -> None:
    first, second = call("create", "hello"), call("create", "hello")
    assert first.link != second.link
    assert wire(peer, 0)["iv"] != wire(peer, 1)["iv"]
    assert wire(peer, 0)["encryptedBlob"] != wire(peer, 1)["encryptedBlob"]


def test_link_begins_with_the_public_url_of_the_server(call: Caller, peer: Peer) -> None:
    peer.changes = {"shareUrl": "https://public.example/s/AbCdEf123456"}
    assert call("create", "hello").link.startswith("https://public.example/s/AbCdEf123456#")


@pytest.mark.parametrize(
    "change",
    [
        {"linkId": "short"},
        {"linkId": "AbCdEf12345/"},
        {"linkId": None},
        {"shareUrl": "javascript:alert(1)/AbCdEf123456"},
        {"shareUrl": f"{SERVER}/Other1234567"},
        {"shareUrl": f"{LINK}#x"},
        {"shareUrl": f"{SERVER}/?/AbCdEf123456"},
        {"expiresAt": "tomorrow"},
        {"expiresAt": True},
        {"expiresAt": 10**30},
        {"maxViews": "1"},
        {"receiptId": 7},
    ],
)
def test_create_rejects_an_invalid_response(call: Caller, peer: Peer, change: dict[str, Any]) -> None:
    peer.changes = change
    with pytest.raises(Unreachable):
        call("create", "hello")


@pytest.mark.parametrize(
    "target",
    [
        "javascript:alert(1)",
        "ftp://host/",
        "https://",
        "example.com",
        "https://a b/",
        "http://[",
        b"\xff",
        "https://a/\n",
        "https://good.example\\@evil.example",
        "https://a/\\b",
        "https:\\\\a",
        "https://a:99999/",
    ],
)
def test_redirect_must_be_a_web_address(call: Caller, peer: Peer, target: str | bytes) -> None:
    with pytest.raises(BadRequest):
        call("create", target, type="redirect")
    assert peer.requests == []


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"text": "\ud800"}, "text"),
        ({"text": "x", "password": "\ud800"}, "passcode"),
        ({"text": "x", "type": "image"}, "type"),
        ({"text": "x", "type": "file"}, "name"),
        ({"text": "x", "type": "file", "name": "a/.."}, "name"),
        ({"text": "x", "hours": float("nan")}, "hours"),
        ({"text": "x", "hours": float("inf")}, "hours"),
    ],
)
def test_bad_arguments_are_rejected_before_a_request(
    call: Caller, peer: Peer, arguments: dict[str, Any], field: str
) -> None:
    """IN-05"""
    with pytest.raises(BadRequest) as refused:
        call("create", **arguments)
    assert refused.value.faults[0].field == field
    assert peer.requests == []


def test_lone_surrogates_in_a_note_are_sent_as_escapes(call: Caller, peer: Peer) -> None:
    """IN-05: the server rejects them; the client must not crash."""
    call("create", "x", note="\ud800")
    assert b"\\ud800" in peer.requests[0].content


# Revealing


@pytest.mark.parametrize("passcode", [None, "pässwörd 🗝"])
@pytest.mark.parametrize(
    ("body", "kind"),
    [("hello ✓\n", "text"), ("", "text"), ("https://example.com/a?b#c", "redirect"), ("Neo", "neogram")],
)
def test_created_secret_is_revealed(call: Caller, body: str, kind: str, passcode: str | None) -> None:
    created = call("create", body, type=kind, password=passcode)
    secret = call("reveal", created.link, passcode)
    assert (secret.text, secret.body, secret.type) == (body, body.encode(), kind)
    assert secret.header == {"type": kind, "size": len(body.encode())}
    assert secret.views_left == 0
    assert secret.expires_at.tzinfo is not None
    assert "hello" not in repr(secret)


def test_file_keeps_only_its_base_name(call: Caller) -> None:
    created = call("create", b"\x00\xff", type="file", name="C:\\Users\\a/b.bin")
    header = call("reveal", created.link).header
    assert (header["name"], header["mediaType"]) == ("b.bin", "application/octet-stream")


def test_reveal_sends_the_proof_of_the_key_in_the_body(call: Caller, peer: Peer) -> None:
    created = call("create", "hello")
    call("reveal", created.link)
    keys = envelope.derive(key_of(parse(created.link).fragment))
    assert peer.paths[1:] == ["POST /secrets/AbCdEf123456/reveal"]
    assert wire(peer) == {"access": keys.access}


@pytest.mark.parametrize("passcode", ["  ", "12\n", "\ufeff12", "12\u202e", "x" * 201, "\ud800"])
def test_passcode_that_nobody_could_type_is_refused(call: Caller, peer: Peer, passcode: str) -> None:
    with pytest.raises(BadRequest) as refused:
        call("create", "hello", password=passcode)
    assert [fault.field for fault in refused.value.faults] == ["passcode"]
    assert peer.requests == []


def test_typed_passcode_is_cleaned(call: Caller) -> None:
    link = call("create", "hello", password="a b 👩\u200d👧").link
    assert call("reveal", link, passcode="\ufeffa b\u200b 👩\u200d👧\r\n").text == "hello"


def test_reveal_with_a_passcode_reads_meta_first(call: Caller, peer: Peer) -> None:
    created = call("create", "hello", password="1234")
    call("reveal", created.link, "1234")
    assert peer.paths[1:] == ["GET /secrets/AbCdEf123456/meta", "POST /secrets/AbCdEf123456/reveal"]
    assert set(wire(peer)) == {"access", "passcodeHash"}


def test_unexpected_passcode_spends_no_view(call: Caller, peer: Peer) -> None:
    created = call("create", "hello")
    with pytest.raises(BadRequest, match="no view was spent"):
        call("reveal", created.link, "1234")
    assert peer.paths[1:] == ["GET /secrets/AbCdEf123456/meta"]


def test_api_key_is_not_sent_to_the_server_of_a_link(call: Caller, peer: Peer) -> None:
    call("create", "hello", key="sk_live_mine")
    link = f"https://elsewhere.example/AbCdEf123456#{fragment_of(bytes(32))}"
    with pytest.raises(NotAuthentic):
        call("reveal", link, key="sk_live_mine")
    call("meta", link, key="sk_live_mine")
    assert peer.requests[0].headers["authorization"] == "Bearer sk_live_mine"
    for request in peer.requests[1:]:
        assert request.url.host == "elsewhere.example"
        assert "authorization" not in request.headers


def test_link_below_the_server_s_path_uses_that_path(call: Caller, peer: Peer) -> None:
    call("meta", f"{SERVER}/box/s/AbCdEf123456", server=f"{SERVER}/box/api/v1/")
    assert str(peer.requests[0].url) == f"{SERVER}/box/api/v1/secrets/AbCdEf123456/meta"
    call("meta", f"{SERVER}/boxes/AbCdEf123456", server=f"{SERVER}/box")
    assert str(peer.requests[1].url) == f"{SERVER}/api/v1/secrets/AbCdEf123456/meta"


@pytest.mark.parametrize(
    "mangle", [lambda f: f[:-1], lambda f: f[:20], lambda f: "", lambda f: f.swapcase(), lambda f: f + "A"]
)
def test_mangled_fragment_sends_no_request(call: Caller, peer: Peer, mangle: Any) -> None:
    """BOT-05"""
    with pytest.raises(LinkIncomplete):
        call("reveal", f"{LINK}#{mangle(fragment_of(bytes(range(32))))}")
    assert peer.requests == []


def test_rewritten_link_opens_and_is_said_to_be_exposed(call: Caller, peer: Peer) -> None:
    """BOT-05"""
    created = call("create", "hello")
    assert call("reveal", f"{created.link}_").is_key_exposed is False
    assert call("reveal", created.link.replace("#", "%23")).is_key_exposed is True


@pytest.mark.parametrize("length", [22, 43])
def test_mangled_fragment_that_looks_like_a_raw_key_spends_no_view(call: Caller, peer: Peer, length: int) -> None:
    """BOT-05"""
    created = call("create", "hello")
    with pytest.raises(LinkIncomplete):
        call("reveal", created.link[: created.link.index("#") + length] + "A")  # "A" has no unused bits
    assert peer.paths[1:] == ["GET /secrets/AbCdEf123456/meta"]


def test_native_key_on_a_raw_link_sends_its_proof(call: Caller, peer: Peer) -> None:
    """BOT-05: two links mixed up; it is the server that refuses a proof it does not want (`AccessDenied`)."""
    peer.stored = raw_secret(bytes(32), b"x")
    with pytest.raises(NotAuthentic):
        call("reveal", f"{LINK}#{fragment_of(bytes(range(32)))}")
    assert "access" in wire(peer)


@pytest.mark.parametrize("claimed", ["raw", "sharokey", "seclink/v2", ""])
def test_secret_of_another_format_is_not_revealed(call: Caller, peer: Peer, claimed: str) -> None:
    """PC-09: where the server is asked first, because of a passcode."""
    created = call("create", "hello", password="1234")
    peer.changes = {"format": claimed}
    with pytest.raises(LinkIncomplete):
        call("reveal", created.link, "1234")
    assert peer.paths[1:] == ["GET /secrets/AbCdEf123456/meta"]


@pytest.mark.parametrize("length", [16, 32])
def test_raw_secret_opens_with_the_fragment_as_key(call: Caller, peer: Peer, length: int) -> None:
    key = bytes(range(length))
    peer.stored = raw_secret(key, "grüße".encode())
    secret = call("reveal", f"{LINK}#{base64.b64encode(key).decode()}")
    assert (secret.text, secret.type) == ("grüße", "text")
    assert wire(peer) == {}


def test_raw_secret_sends_the_sha256_of_its_passcode(call: Caller, peer: Peer) -> None:
    peer.stored = raw_secret(bytes(16), b"x") | {"passcodeHash": "0" * 64}
    call("reveal", f"{LINK}#{base64.b64encode(bytes(16)).decode()}", "1234")
    assert wire(peer) == {"passcodeHash": "03ac674216f3e15c761ee1a5e255f067953623c8b388b4459e13f978d7c846f4"}


def test_raw_secret_that_does_not_open_is_returned_sealed(call: Caller, peer: Peer) -> None:
    peer.stored = raw_secret(bytes(16), b"x")
    with pytest.raises(RawNotOpened) as refused:
        call("reveal", f"{LINK}#{base64.b64encode(bytes(range(16))).decode()}")
    assert base64.b64encode(refused.value.blob).decode() == peer.stored["encryptedBlob"]
    assert refused.value.iv == bytes(12)


# PC-09: a server that lies


def test_server_that_hides_the_passcode_cannot_show_a_secret(call: Caller, peer: Peer) -> None:
    """PC-09"""
    created = call("create", "hello", password="1234")
    peer.changes = {"passcodeRequired": False}
    with pytest.raises(NotAuthentic):
        call("reveal", created.link)
    with pytest.raises(BadRequest):
        call("reveal", created.link, "1234")


def test_server_that_invents_a_passcode_cannot_show_a_secret(call: Caller, peer: Peer) -> None:
    """PC-09"""
    created = call("create", "hello")
    peer.changes = {"passcodeRequired": True}
    with pytest.raises(NotAuthentic):
        call("reveal", created.link, "1234")


def test_server_that_swaps_two_secrets_cannot_show_either(call: Caller, peer: Peer) -> None:
    """PC-09"""
    first = call("create", "hello")
    call("create", "other")
    with pytest.raises(NotAuthentic):
        call("reveal", first.link)


@pytest.mark.parametrize("change", [{"format": "raw"}, {"type": "redirect"}, {"expiryType": "redirect"}])
def test_server_cannot_change_the_type_of_a_secret(call: Caller, peer: Peer, change: dict[str, str]) -> None:
    """PC-09: the link says how it was sealed, the envelope of which type it is."""
    created = call("create", "javascript:alert(1)")
    peer.changes = change
    assert call("reveal", created.link).type == "text"


def test_server_cannot_replace_a_secret_by_a_raw_one(call: Caller, peer: Peer) -> None:
    """PC-09"""
    created = call("create", "hello")
    peer.changes = raw_secret(key_of(parse(created.link).fragment), b"forged") | {"format": "raw"}
    with pytest.raises(NotAuthentic):
        call("reveal", created.link)


def test_passcode_required_is_raised(call: Caller, peer: Peer) -> None:
    created = call("create", "hello", password="1234")
    peer.script = [problem(401, "passcode_required")]
    with pytest.raises(PasscodeRequired):
        call("reveal", created.link)


# The sender's side


def test_list_of_receipts(call: Caller, peer: Peer) -> None:
    page = {"currentPage": 2, "perPage": 10, "total": 11, "lastPage": 2}
    peer.script = [httpx.Response(200, json={"data": [receipt()], "pagination": page})]
    receipts = call("list_secrets", status="active", search="a&b ü", page=2, limit=10, key="sk_live_k")
    assert dict(peer.requests[0].url.params) == {"status": "active", "search": "a&b ü", "page": "2", "limit": "10"}
    assert [item.label for item in receipts] == ["for Bob"]
    assert len(receipts) == 1
    assert (receipts.pagination.current_page, receipts.pagination.total) == (2, 11)
    assert (receipts.items[0].link_id, receipts.items[0].events) == (None, ())


def test_details_of_a_receipt(call: Caller, peer: Peer) -> None:
    events = [{"at": EXPIRES_AT - 5, "type": "created"}]
    peer.script = [httpx.Response(200, json=receipt(linkId="AbCdEf123456", events=events, maxViews=None))]
    details = call("get_details", "0" * 20, "token", key="sk_live_k")
    assert details.events[0].type == "created"
    assert details.max_views is None
    assert peer.requests[0].headers["seclink-manage"] == "token"
    assert "authorization" not in peer.requests[0].headers


def test_receipt_link_works_at_its_own_server_without_the_api_key(call: Caller, peer: Peer) -> None:
    peer.script = [httpx.Response(200, json=receipt(linkId=None, events=[])), httpx.Response(204)]
    link, token = f"https://elsewhere.example/receipt/{'0' * 20}", "a" * 32
    call("get_details", f"<{link}#{token}>", key="sk_live_k")
    call("delete", f"{link}%23{token}", key="sk_live_k")
    for request in peer.requests:
        assert str(request.url) == f"https://elsewhere.example/api/v1/receipts/{'0' * 20}"
        assert request.headers["seclink-manage"] == token
        assert "authorization" not in request.headers
    with pytest.raises(LinkIncomplete):
        call("get_details", link, key="sk_live_k")
    assert len(peer.requests) == 2


def test_update_sends_only_changed_members(call: Caller, peer: Peer) -> None:
    peer.script = [httpx.Response(200, json=receipt(linkId=None, events=[]))] * 2
    call("update", "0" * 20, "token", hours=1.5, views=None, note=None)
    assert wire(peer) == {"expiresIn": 5400, "maxViews": None, "publicNote": None}
    call("update", "0" * 20, "token", views=KEEP, description="x")
    assert wire(peer) == {"label": "x"}


def test_delete_and_report_return_none(call: Caller, peer: Peer) -> None:
    peer.script = [httpx.Response(204), httpx.Response(202, json={"accepted": True})]
    assert call("delete", "0" * 20, "token") is None
    assert call("report", f"{LINK}#{fragment_of(bytes(32))}", "phishing") is None
    assert peer.paths == [f"DELETE /receipts/{'0' * 20}", "POST /secrets/AbCdEf123456/report"]
    assert wire(peer) == {"reason": "phishing"}


def test_stats_and_account(call: Caller, peer: Peer) -> None:
    names = ["totalSecrets", "activeSecrets", "expiredSecrets", "totalViews", "secretsWithPasscode"]
    names += ["createdToday", "createdThisWeek", "createdThisMonth"]
    counts = {name: n for n, name in enumerate(names)} | {"new": 1}
    peer.script = [httpx.Response(200, json=counts | {"revealedSecrets": 8, "burnedSecrets": 9})]
    stats = call("get_stats", key="sk_live_k")
    assert (stats.total_secrets, stats.created_this_month, stats.raw["new"]) == (0, 7, 1)
    assert (stats.revealed_secrets, stats.burned_secrets) == (8, 9)
    peer.script = [httpx.Response(200, json=counts)]
    stats = call("get_stats", key="sk_live_k")
    assert (stats.revealed_secrets, stats.burned_secrets) == (None, None)
    peer.script = [httpx.Response(200, json={"name": "ops", "scopes": ["create"], "keyPrefix": "sk_live_abc"})]
    account = call("get_account", key="sk_live_k")
    assert (account.name, account.scopes, account.key_prefix) == ("ops", ("create",), "sk_live_abc")


@pytest.mark.parametrize("text", [f"{LINK}#{fragment_of(bytes(32))}", "..", "", "a" * 15, "a" * 23, "0" * 19 + "/"])
def test_invalid_receipt_id_sends_no_request(call: Caller, peer: Peer, text: str) -> None:
    """IN-06: least of all a link with its key."""
    for operation in ("get_details", "update", "delete"):
        with pytest.raises(BadRequest):
            call(operation, text, "token")
    assert peer.requests == []


# The clients themselves


def test_sync_and_async_clients_have_the_same_methods() -> None:
    def surface(kind: type) -> dict[str, str]:
        named = {name: member for name, member in vars(kind).items() if not name.startswith("_")}
        return {name: str(inspect.signature(member)) for name, member in named.items()}

    sync, later = surface(Client), surface(AsyncClient)
    assert sync.pop("close") == later.pop("aclose")
    assert sync == later
    recipients = {"create", "upload", "cancel_upload", "reveal", "reopen", "meta", "report"}
    senders = {"list_secrets", "get_details", "update", "unlock", "delete", "get_stats", "get_account"}
    assert set(sync) == recipients | senders


def test_every_operation_has_a_docstring() -> None:
    for name in ("create", "reveal", "meta", "update", "delete", "report", "list_secrets", "get_details"):
        assert getattr(Client, name).__doc__


@pytest.mark.parametrize(
    ("address", "normalised"),
    [
        ("https://a.example", "https://a.example"),
        ("https://A.example/", "https://a.example"),
        ("https://a.example/api/v1/", "https://a.example"),
        ("https://a.example:8443/box/", "https://a.example:8443/box"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_server_address_is_normalised(call: Caller, peer: Peer, address: str, normalised: str) -> None:
    peer.script = [httpx.Response(201, json=create_response())]
    call("create", "x", server=address)
    assert str(peer.requests[0].url) == f"{normalised}/api/v1/secrets"


@pytest.mark.parametrize(
    "address",
    [
        "a.example",
        "localhost:8080",
        "ftp://a",
        "https://",
        "https://u:p@a",
        "https://a?x",
        "https://a#x",
        "https://a:99999",
        "https://a\nb",
        "https://010.1.2.3",
        "https://a..b",
        "https://[::1]evil",
        "https://[v1.a]",
        f"https://{'a' * 70}.example",
        "https://good%2fevil",
        "https://good\u200b.example",
    ],
)
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_invalid_server_address_is_refused(address: str, kind: type) -> None:
    with pytest.raises(BadRequest):
        kind(address)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_server_that_only_its_user_knows_is_unreachable(kind: type) -> None:
    with pytest.raises(Unreachable, match="not a host name"):
        kind("http://xn--a")


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        ({"http_proxy": "http://[::1"}, "http_proxy"),
        ({"HTTP_PROXY": "http://[::1"}, "HTTP_PROXY"),
        ({"HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://[::1"}, "http_proxy"),
        ({"all_proxy": "http://[::1", "HTTP_PROXY": " "}, "all_proxy"),
    ],
)
def test_proxy_variable_is_named_as_it_is_written(
    monkeypatch: pytest.MonkeyPatch, proxy: ScriptedProxy, setting: dict[str, str], shown: str
) -> None:
    monkeypatch.delenv("HTTP_PROXY")
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Unreachable, match=shown):
        Client("http://other.example")


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_blank_proxy_is_none(monkeypatch: pytest.MonkeyPatch, proxy: ScriptedProxy, kind: type) -> None:
    monkeypatch.setenv("HTTP_PROXY", "  ")
    kind("http://other.example")
    assert EnvironmentProxies().variable("http://other.example") is None


@pytest.mark.parametrize("key", ["sk_live_ä", "sk_live_a\r\nX: y"])
def test_invalid_api_key_is_refused(key: str) -> None:
    with pytest.raises(KeyInvalid):
        Client(SERVER, key)


@pytest.mark.parametrize("token", ["a\r\nX: y", "ä"])
def test_invalid_manage_token_is_refused(call: Caller, token: str) -> None:
    with pytest.raises(BadRequest):
        call("delete", "0" * 20, token)


def test_environment_sets_server_and_key(monkeypatch: pytest.MonkeyPatch, peer: Peer) -> None:
    monkeypatch.setenv("SECLINK_SERVER", "https://env.example")
    monkeypatch.setenv("SECLINK_API_KEY", " sk_live_env\n")
    peer.script = [httpx.Response(201, json=create_response())]
    with Client(transport=httpx.MockTransport(peer)) as client:
        client.create("x")
    assert peer.requests[0].url.host == "env.example"
    assert peer.requests[0].headers["authorization"] == "Bearer sk_live_env"


# Proxies


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedProxy]:
    """A proxy that HTTP_PROXY names, and an environment without other proxies."""
    for name in ("http", "https", "all", "no"):
        for spelling in (f"{name}_proxy", f"{name}_PROXY".upper()):
            monkeypatch.delenv(spelling, raising=False)
    with ScriptedProxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        yield proxy


def meta_over_network(kind: type, link: str) -> None:
    """Ask for a link's facts, without repeating a request that fails."""
    if kind is Client:
        with Client("https://secret.example", "", sleep=lambda _: None) as client:
            client.meta(link)
        return

    async def run() -> None:
        async with AsyncClient("https://secret.example", "", sleep=lambda _: asyncio.sleep(0)) as client:
            await client.meta(link)

    asyncio.run(run())


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    "setting",
    [
        {"ALL_PROXY": "socks5://127.0.0.1:1"},
        {"ALL_PROXY": "socks://127.0.0.1:1/"},
        {"all_proxy": "x://"},
        {"HTTPS_PROXY": "http://hidden:99999999"},
        {"https_proxy": "http://[::1"},
        {"https_proxy": "http://user:hidden#word@proxy:3128"},
        {"https_proxy": "http://:3128"},
        {"https_proxy": "http:hidden:3128"},
        {"https_proxy": "http://prox\ny"},
        {"SSL_CERT_FILE": "/none"},
    ],
)
def test_unusable_proxy_settings_are_unreachable(
    monkeypatch: pytest.MonkeyPatch, proxy: ScriptedProxy, kind: type, setting: dict[str, str]
) -> None:
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Unreachable, match="environment") as refused:
        kind(SERVER)
    for name in setting.keys() - {"SSL_CERT_FILE"}:
        assert name in refused.value.message
    assert "hidden" not in refused.value.message, "it may be a password"


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("setting", "server"),
    [
        ({"ALL_PROXY": "socks://127.0.0.1:1/", "HTTPS_PROXY": "http://127.0.0.1:1"}, SERVER),  # as GNOME sets them
        ({"HTTP_PROXY": "http://[::1"}, SERVER),  # for another scheme
        ({"HTTPS_PROXY": "http://[::1", "NO_PROXY": "*"}, SERVER),
        ({"HTTPS_PROXY": "http://[::1", "https_proxy": ""}, SERVER),  # lower case decides
        ({"ALL_PROXY": "http://[::1"}, "http://localhost:8080"),
        ({"ALL_PROXY": "http://[::1"}, "http://127.0.0.1:8080"),
        ({"ALL_PROXY": "http://[::1"}, "http://[::1]:8080"),
    ],
)
def test_proxy_that_is_not_needed_is_not_looked_at(
    monkeypatch: pytest.MonkeyPatch, proxy: ScriptedProxy, kind: type, setting: dict[str, str], server: str
) -> None:
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    assert kind(server)


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_proxy_of_the_environment_is_used(
    monkeypatch: pytest.MonkeyPatch, proxy: ScriptedProxy, kind: type, variable: str
) -> None:
    monkeypatch.delenv("HTTP_PROXY")
    monkeypatch.setenv(variable, proxy.url.removeprefix("http://"))
    with pytest.raises(Unreachable):
        meta_over_network(kind, "http://other.example/AbCdEf123456")
    assert {*proxy.requests} == {"GET http://other.example/api/v1/secrets/AbCdEf123456/meta"}


@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
@pytest.mark.parametrize(
    ("exceptions", "exempt", "proxied"),
    [
        ("*", "any.example", ""),
        ("a.example", "a.example www.a.example A.example. a.example:81", "ba.example"),
        (".a.example", "a.example www.a.example", "ba.example"),
        ("*.a.example", "www.a.example", "ba.example"),
        ("A.EXAMPLE.", "a.example", ""),
        ("a.example:81", "a.example:81 www.a.example:81", "a.example a.example:82"),
        ("a.example:80", "a.example", "a.example:81"),
        ("x.example , a.example\tb.example", "a.example b.example", "c.example"),
        ("http://a.example", "a.example", "b.example"),
        ("xn--bcher-kva.example", "bücher.example", "bucher.example"),
        ("bücher.example", "xn--bcher-kva.example", ""),
        ("10.1.2.3", "10.1.2.3 10.1.2.3:81", "10.1.2.30 110.1.2.3"),
        ("10.0.0.0/8", "10.1.2.3", "11.1.2.3 a.example [a00::1]"),
        ("10.0.0.1/8", "10.1.2.3", "11.1.2.3"),  # host bits
        ("10.0.0.0/8:81", "10.1.2.3:81", "10.1.2.3"),
        ("fd00::1", "[fd00::1] [fd00:0::1]:81", "[fd00::2]"),
        ("[fd00::1]", "[fd00::1]:81", "[fd00::2]"),
        ("[fd00::1]:81", "[fd00::1]:81", "[fd00::1]"),
        ("fd00::/8", "[fd12::1]", "[fe00::1] 10.1.2.3"),
        ("[fd00::]/8", "[fd12::1]", "[fe00::1]"),
        ("fe80::1%eth0,[,],:,:81,/,/8,10.0.0.0/99,[::1,a.example:http", "", "a.example 10.1.2.3 [fd00::1]"),
    ],
)
def test_exceptions_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
    proxy: ScriptedProxy,
    variable: str,
    exceptions: str,
    exempt: str,
    proxied: str,
) -> None:
    monkeypatch.setenv(variable, exceptions)
    proxies = EnvironmentProxies()
    assert [host for host in exempt.split() if proxies.variable(f"http://{host}/x") is not None] == []
    assert [host for host in proxied.split() if proxies.variable(f"http://{host}/x") != "HTTP_PROXY"] == []
    for kind in (Client, AsyncClient):
        kind("http://a.example")


@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_proxy_that_fails_is_named(monkeypatch: pytest.MonkeyPatch, proxy: ScriptedProxy, kind: type) -> None:
    proxy.status = 407
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    with pytest.raises(Unreachable, match=r"other\.example cannot be reached: 407 .*the proxy in HTTPS_PROXY"):
        meta_over_network(kind, "https://other.example/AbCdEf123456")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with pytest.raises(Unreachable, match=r"other\.example cannot be reached: .*the proxy in HTTP_PROXY"):
        meta_over_network(kind, "http://other.example/AbCdEf123456")
    monkeypatch.setenv("HTTP_PROXY", "http://[::1")
    with pytest.raises(Unreachable, match=r"HTTP_PROXY"):
        meta_over_network(kind, "http://other.example/AbCdEf123456")


def test_redirects_are_not_followed(call: Caller, peer: Peer) -> None:
    peer.script = [httpx.Response(301, headers={"location": "https://evil.example/"})]
    with pytest.raises(Unreachable, match=r"evil\.example"):
        call("get_stats", key="sk_live_k")
    assert len(peer.requests) == 1
