"""The client module, from pages of another origin: as scrt.link documents its own, and as SecLink's (PC-01)."""

import os
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from other_origin import Site
from playwright.sync_api import Page, Route
from support.server import MakeServer, Server
from watch import Watch

from seclink import Client
from seclink.errors import Gone

STATIC = Path(__file__).parents[2] / "seclink/static/js"
UNICODE = "päß 🗝️ סוד \u202e ⁠ \ufeff\r\n\t\0 𝔘"
MEGABYTE = "0123456789abcdeé" * 61_681

# The two examples of scrt.link's documentation as they stand there; only address and key are put in.
BASIC = """
<script type="module">
	import { scrtLink } from 'https://scrt.link/api/v1/client-module';

	// Instantiate client with API key.
	const client = scrtLink('<your-api-key>');

	// Basic usage
	client.createSecret('Some confidential information…').then(console.log);
</script>
"""
ADVANCED = """
<script type="module">
	import { scrtLink } from 'https://scrt.link/api/v1/client-module';

	// Instantiate client with API key.
	const client = scrtLink('<your-api-key>');

	// Example with all options
	client
		.createSecret('https://example.com', {
			secretType: 'redirect', // text | redirect | neogram
			password: 'foobar123',
			expiresIn: 86400000,
			publicNote: 'Bitcoin wallet address',
			host: 'br3f.com' // White-label
		})
		.then(console.log);
</script>
"""
DOCUMENTED = {"secretLink", "receiptId", "expiresIn", "expiresAt"}

Call = Callable[..., Any]


def printed(page: Page, site: Site, example: str, server_url: str, key: str) -> dict[str, Any]:
    """Return what the example writes to the console, on a page of its own."""
    example = example.replace("https://scrt.link", server_url).replace("<your-api-key>", key)
    site.pages["/example"] = site.pages["/"] + example
    with page.expect_console_message() as message:
        page.goto(f"{site.url}/example")
    result: dict[str, Any] = message.value.args[0].json_value()
    return result


def test_the_basic_example_runs_as_documented(
    foreign: Page, site: Site, server: Server, python: Client, key: str
) -> None:
    result = printed(foreign, site, BASIC, server.url, key)
    assert set(result) == DOCUMENTED
    assert result["expiresIn"] == 86_400_000
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", result["expiresAt"])
    assert result["secretLink"].startswith(f"{server.url}/")
    opened = python.reveal(result["secretLink"])
    assert (opened.type, opened.text) == ("text", "Some confidential information…")
    with Client(server.url, key) as sender:
        assert sender.get_details(result["receiptId"]).state == "revealed"


def test_the_advanced_example_runs_as_documented(
    foreign: Page, site: Site, make_server: MakeServer, watch: Watch
) -> None:
    """The white-label host is asked over https and nobody else gets the key: here it leads to the same server, which
    lists it, so that the link begins with it.
    """
    requests = []
    server = make_server('[[hosts]]\norigin = "https://br3f.com"\n').start()
    key = server.key()

    def white_label(route: Route) -> None:
        requests.append(route.request.url)
        url = route.request.url.replace("https://br3f.com", server.url)
        route.fulfill(response=route.fetch(url=url, headers=route.request.headers | {"Host": "br3f.com"}))

    foreign.route("https://br3f.com/**", white_label)
    watch.allow("https://br3f.com", server.url)
    result = printed(foreign, site, ADVANCED, server.url, key)
    assert set(result) == DOCUMENTED
    assert result["expiresIn"] == 86_400_000
    assert requests == ["https://br3f.com/api/v1/secrets"]
    assert watch.urls(f"{server.url}/api/v1/secrets") == []
    assert result["secretLink"].startswith("https://br3f.com/")
    link = result["secretLink"].replace("https://br3f.com", server.url)
    with Client(server.url) as python:
        assert python.meta(link).public_note == "Bitcoin wallet address"
        opened = python.reveal(link, "foobar123")
    assert (opened.type, opened.text) == ("redirect", "https://example.com")


def test_a_loopback_host_is_asked_over_http_where_the_module_came_so(
    call: Call, make_server: MakeServer, watch: Watch
) -> None:
    other = make_server().start()
    watch.allow(other.url)
    result = call(other.key(), "createSecret", "there", {"host": f"127.0.0.1:{other.port}"})
    with Client(other.url) as client:
        assert client.reveal(result["secretLink"]).text == "there"


MEANINGLESS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"secretType": "file"}, "secretType"),
    ({"secretType": "snap"}, "secretType"),
    ({"passcode": "misnamed"}, "passcode"),
    ({"password": ""}, "password"),
    ({"password": 1234}, "password"),
    ({"expiresIn": "a day"}, "expiresIn"),
    ({"expiresIn": 0}, "expiresIn"),
    ({"host": "evil@br3f.com"}, "host"),
    ({"host": "https://br3f.com"}, "host"),
    ({"host": ""}, "host"),
    ({"host": "br3f.com#x"}, "host"),
)


def test_scrt_link_options_that_mean_nothing_are_refused(call: Call, key: str, watch: Watch) -> None:
    """A misspelt password would otherwise be a secret without one."""
    for options, field in MEANINGLESS:
        result = call(key, "createSecret", "x", options)
        assert result == {"error": f"The request is not valid: {field}", "code": "bad_request", "fields": [field]}
    assert watch.urls("/api/v1/secrets") == []


@pytest.mark.parametrize("prefix", ["", "/scrt-link"])
def test_the_module_exports_and_resolves_what_the_original_does(
    call: Call, foreign: Page, server: Server, prefix: str
) -> None:
    """Its client never rejects where the server answered: programs look at `error`."""
    name, kinds, is_same, answer = foreign.evaluate(
        """async (url) => {
          const module = await import(url);
          const client = module.default("sk_live_no");
          const isSame = module.default === module.scrtLink;
          return [module.default.name, module.SecretType, isSame, await client.createSecret("x")];
        }""",
        f"{server.url}{prefix}/api/v1/client-module",
    )
    assert (name, is_same) == ("scrtLink", True)
    assert kinds == {name.upper(): name for name in ("text", "file", "redirect", "snap", "neogram")}
    assert answer == {"error": "The API key is not valid", "code": "key_invalid", "fields": []}


@pytest.mark.parametrize("text", ["", UNICODE, MEGABYTE], ids=["empty", "unicode", "megabyte"])
def test_python_and_the_module_open_each_others_secrets(call: Call, python: Client, text: str) -> None:
    for passcode in (None, "pa\u0308ss 🗝 word"):
        created = call({}, "createSecret", text, {"passcode": passcode} if passcode else {})
        assert python.reveal(created["link"], passcode).text == text, passcode
    for passcode in (None, "p\u00e4ss 🗝 word"):
        link = python.create(text, password=passcode).link
        opened = call({}, "revealSecret", link, {"passcode": passcode} if passcode else {})
        assert (opened["type"], opened["text"], opened["viewsLeft"]) == ("text", text, 0), passcode
        assert bytes(opened["body"]) == text.encode()[:100], passcode


def test_files_keep_bytes_name_and_media_type(call: Call, python: Client) -> None:
    link = python.create(b"\xff\x00\x01", type="file", name="größe.bin", media_type="a/b").link
    opened = call({}, "revealSecret", link)
    assert [opened[item] for item in ("type", "name", "mediaType", "text", "body")] == [
        "file",
        "größe.bin",
        "a/b",
        None,
        [255, 0, 1],
    ]
    created = call({}, "createSecret", "text of a file", {"type": "file", "name": "C:\\secret\\a.txt"})
    assert python.reveal(created["link"]).header["name"] == "a.txt"


def test_the_command_line_opens_secrets_of_the_module(call: Call, server: Server) -> None:
    created = call({}, "createSecret", UNICODE)
    printed = server.seclink("get", created["link"])
    assert printed.stdout.decode().rstrip("\n") == UNICODE.rstrip("\n")


def test_a_key_s_own_secrets_are_listed_described_counted_and_deleted(call: Call, server: Server) -> None:
    client = {"token": server.key(account="lists"), "server": server.url + "/"}
    terms = {"type": "neogram", "expiresIn": 600, "maxViews": 3, "label": "for Ann", "publicNote": "note"}
    created = call(client, "createSecret", "Wake up", terms)
    assert set(created) == {"link", "linkId", "receiptId", "manageToken", "expiresAt", "maxViews"}
    listed = call(client, "listSecrets", {"status": "active", "search": "Ann", "page": 1, "limit": 5})
    assert listed["pagination"] == {"currentPage": 1, "perPage": 5, "total": 1, "lastPage": 1}
    assert [value["label"] for value in listed["data"]] == ["for Ann"]
    details = call(client, "getSecretDetails", created["receiptId"])
    assert details["linkId"] == created["linkId"]
    assert [details[item] for item in ("state", "views", "maxViews", "publicNote")] == ["active", 0, 3, "note"]
    assert [event["type"] for event in details["events"]] == ["created"]
    assert call(client, "getStats")["activeSecrets"] == 1
    assert call(client, "deleteSecret", created["receiptId"]) is None
    assert call(client, "getSecretDetails", created["receiptId"])["state"] == "burned"
    gone = call({}, "revealSecret", created["link"])["error"]
    assert (gone["code"], gone["state"], gone["message"]) == ("gone", "burned", "The secret is gone")
    assert gone["endedAt"] > created["expiresAt"] - 700_000


def test_a_manage_token_opens_its_receipt_without_a_key(call: Call, python: Client) -> None:
    created = call({}, "createSecret", "x")
    by_token = {"manageToken": created["manageToken"]}
    assert call({}, "getSecretDetails", created["receiptId"])["error"]["code"] == "not_found"
    assert call({}, "getSecretDetails", created["receiptId"], by_token)["state"] == "active"
    assert call({}, "deleteSecret", created["receiptId"], by_token) is None
    with pytest.raises(Gone):
        python.reveal(created["link"])


def test_refusals_spend_nothing_and_say_why(call: Call, python: Client) -> None:
    link = python.create("kept", password="right").link
    plain = python.create("kept too").link

    def refused(link: str, **options: str) -> dict[str, Any]:
        error: dict[str, Any] = call({}, "revealSecret", link, options)["error"]
        assert error["name"] == "Refusal"
        return error

    assert refused(link)["code"] == "passcode_required"
    wrong = refused(link, passcode="wrong")
    assert (wrong["code"], wrong["attemptsLeft"]) == ("passcode_wrong", 4)
    assert wrong["message"] == "The passcode is wrong; no view was spent"
    assert refused(link[:-1])["code"] == "link_incomplete"
    assert refused(link.split("#")[0])["code"] == "link_incomplete"
    assert refused("https://example.org")["message"] == "This link is incomplete or was changed; no view was spent"
    assert refused(plain, passcode="none is set")["fields"] == ["passcode"]
    assert refused(plain, password="misspelt")["fields"] == ["password"]
    assert call({}, "revealSecret", f"<{plain}>.")["text"] == "kept too"
    assert call({}, "revealSecret", f"{link}?fbclid=x", {"passcode": "right"})["text"] == "kept"
    assert (refused(plain)["code"], refused(plain)["state"]) == ("gone", "revealed")


REFUSED: tuple[tuple[dict[str, str], str, list[Any], str], ...] = (
    ({"token": "sk_live_no"}, "createSecret", ["x"], "key_invalid"),
    ({"token": "sk live\n"}, "createSecret", ["x"], "key_invalid"),
    ({}, "listSecrets", [], "key_required"),
    ({}, "getStats", [], "key_required"),
    ({}, "listSecrets", [{"state": "active"}], "bad_request"),
    ({}, "getSecretDetails", ["https://example.org/AbCdEf123456#key"], "bad_request"),
    ({}, "deleteSecret", ["x" * 20, {"manageToken": "line\nbreak"}], "bad_request"),
    ({}, "createSecret", ["javascript:alert(1)", {"type": "redirect"}], "bad_request"),
    ({}, "createSecret", ["x", {"type": "page"}], "bad_request"),
    ({}, "createSecret", ["x", {"expiresIn": 1}], "bad_request"),
    ({"server": "ftp://example.org"}, "getStats", [], "bad_request"),
    ({"server": "https://user@example.org"}, "getStats", [], "bad_request"),
)


def test_errors_have_the_server_s_codes_and_readable_messages(call: Call) -> None:
    for client_options, method, parameters, code in REFUSED:
        error = call(client_options, method, *parameters)["error"]
        assert error["code"] == code, (client_options, method, parameters)
        assert error["message"] != code
        assert " " in error["message"]


NO_TEXT: tuple[tuple[Any, str, list[Any], str], ...] = (
    ({}, "createSecret", ["x", {"passcode": ""}], "passcode"),
    ({}, "createSecret", ["x", {"passcode": 1234}], "passcode"),
    ({}, "createSecret", ["x", {"type": "file", "name": 1}], "name"),
    ({}, "createSecret", [{"text": "x"}], "content"),
    ({}, "createSecret", ["x", None], "options"),
    ({}, "revealSecret", [{}], "link"),
    ({}, "revealSecret", ["https://example.org/AbCdEfGhIjKl", {"passcode": 1234}], "passcode"),
)


def test_fields_that_are_no_text_and_empty_passcodes_are_rejected_by_name(call: Call, watch: Watch) -> None:
    """An empty passcode would be a secret without one, and nobody would know."""
    for client_options, method, parameters, field in NO_TEXT:
        error = call(client_options, method, *parameters)["error"]
        assert (error["name"], error["code"], error["fields"]) == ("Refusal", "bad_request", [field]), parameters
    assert watch.urls("/api/v1/secrets") == []


def test_undefined_and_null_mean_no_passcode(call: Call, python: Client) -> None:
    for none in ({}, {"passcode": None}):
        created = call({}, "createSecret", "for anybody", none)
        assert python.meta(created["link"]).passcode_required is False, none
        assert call({}, "revealSecret", created["link"], none)["text"] == "for anybody", none


def test_a_payload_over_the_limit_is_refused(call: Call) -> None:
    assert call({}, "createSecret", "x" * 2_200_000)["error"]["code"] == "payload_too_large"


def test_raw_secrets_made_as_documented_open(call: Call, server: Server) -> None:
    key, iv = bytes(range(16)), bytes(12)

    def posted(blob: bytes, **more: str) -> str:
        body = {"encryptedBlob": b64encode(blob).decode(), "iv": b64encode(iv).decode(), "expiryType": "view_once"}
        created = httpx.post(f"{server.url}/api/v1/secrets", json=body | more).json()
        return f"{created['shareUrl']}#{urlsafe_b64encode(key).decode().rstrip('=')}"

    sealed = AESGCM(key).encrypt(iv, UNICODE.encode(), None)
    assert call({}, "revealSecret", posted(sealed))["text"] == UNICODE
    link = posted(sealed, passcodeHash=sha256(b"1234").hexdigest())
    assert call({}, "revealSecret", link, {"passcode": "1234"})["text"] == UNICODE
    other = call({}, "revealSecret", posted(b"encrypted otherwise"))["error"]
    assert (other["code"], other["spent"]) == ("not_authentic", [19, 12])


def imported(name: str, sources: dict[str, str]) -> set[str]:
    """A module and all it may load."""
    match, open_ends = {name}, [name]
    while open_ends:
        here = open_ends.pop()
        names = re.findall(r"""(?:from|import)[ (]"(\.[^"]+)\"""", sources[here])
        new = {os.path.normpath(Path(here).parent / item) for item in names} - match
        match |= new
        open_ends += new
    return match


def test_the_module_is_the_pages_own_code(call: Call, static_url: str, watch: Watch) -> None:
    """Nothing is loaded that pages do not load, one module asks (and one sends chunks), one encrypts, one decrypts."""
    created = call({}, "createSecret", "x")
    call({}, "revealSecret", created["link"])
    loaded = {url.removeprefix(static_url + "/js/") for url in watch.urls(static_url)}
    sources = {str(item.relative_to(STATIC)): item.read_text() for item in STATIC.rglob("*.js")}
    pages = imported("create.js", sources) | imported("reveal.js", sources)
    assert {"api.js", "envelope.js", "seal.js", "openers/seclink-v1.js"} < pages
    assert loaded - pages == {"client.js"}
    asking = re.compile(r"\bfetch\(|XMLHttpRequest|sendBeacon|WebSocket|EventSource")
    assert {name for name, text in sources.items() if asking.search(text)} == {"http.js", "chunk-request.js"}
    assert "chunk-request.js" not in loaded
    sealing = {name for name, text in sources.items() if "subtle." in text and not name.startswith("openers/")}
    assert sealing == {"envelope.js", "file-stream.js", "open-envelope.js"}


def test_another_version_of_the_module_is_not_cached(server: Server) -> None:
    answer = httpx.get(f"{server.url}/api/v1/client-module")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["cache-control"] in ("no-cache", "no-store")
    names = "Refusal, SecretType, scrtLink, scrtLink as default, seclink"
    assert re.fullmatch(rf'export \{{ {names} \}} from "/static/\w+/js/client\.js";\n', answer.text)
