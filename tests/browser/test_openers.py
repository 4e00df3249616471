"""Secrets of other systems in the page: every vector, and the page's behaviour (PC-01, PC-09, BOT-05).

Playwright routes mock the native API for these secrets.
"""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from broken_scripts import broken_scripts
from page_actions import download, open_secret, page_contents, reveal_requests, text_of, visit
from playwright.sync_api import Browser, Dialog, Page, Request, Route, expect
from support.server import Server
from watch import Watch

from seclink.domain import tokens

Json = dict[str, Any]

FILES = sorted((Path(__file__).parent.parent / "vectors").glob("foreign_*.json"))
VECTORS: dict[str, Json] = {file.stem.removeprefix("foreign_"): json.loads(file.read_text()) for file in FILES}
SCRT_LINK = "scrt_link_client_neogram_password"
SHAROKEY = "sharokey_client_javascript_with_attachment"
ENIGMACRYPT = "enigmacrypt_client_crypto_js_4_2_0"
LATER = 1_900_000_000_000

RUN = """
async ([base, vectors]) => {
  const { fromBase64, fromUtf8 } = await import(`${base}/js/bytes.js`);
  const { secretFromUrl } = await import(`${base}/js/secret-url.js`);
  const { openerFor } = await import(`${base}/js/openers.js`);
  const hex = (text) => Uint8Array.from(text.match(/../g) ?? [], (each) => parseInt(each, 16));
  const RUN = {
    async address(given) {
      const url = { origin: "https://secret.example", ...given };
      const { linkId, fragment, formats, isExposed } = await secretFromUrl(url);
      return { linkId, fragment, formats, isExposed };
    },
    async foreign({ format, fragment, passcode, iv, encryptedBlob }) {
      const opener = await openerFor(fragment, format, [format]);
      const { proof, open } = await opener.unlock(fragment, passcode);
      const { type, body, files = [] } = await open(fromBase64(encryptedBlob), hex(iv));
      const named = files.map((each) => ({ name: each.name, text: fromUtf8(each.body) }));
      return { proof, type, text: fromUtf8(body), files: named };
    },
  };
  const results = {};
  for (const [name, { kind, given }] of Object.entries(vectors)) {
    results[name] = await RUN[kind](given).catch((error) => ({ error: error.code ?? String(error) }));
  }
  return results;
}
"""
# Changes that break an opener; at least one vector detects each.
BREAK = {
    "the id from the key's beginning": ("ID_STARTS_AT = 28", "ID_STARTS_AT = 0"),
    "scrt.link: a key of any length": ("_.-]{36}$/", "_.-]+$/"),
    "scrt.link: other iterations": ("ITERATIONS = 100000;\nconst TYPES", "ITERATIONS = 99999;\nconst TYPES"),
    "scrt.link: the outer layer alone": ("? [fragment, passcode] :", "? [fragment] :"),
    "scrt.link: any type": ("matchingText(secretType, TYPES)", "secretType"),
    "sharokey: other iterations": ("ITERATIONS = 10000;", "ITERATIONS = 9999;"),
    "sharokey: halves the wrong way round": ("KEY_A) + fragment)", "KEY_A)).reverse("),
    "sharokey: any half of a key": ("const KEY_A = /^[A-Za-z0-9]{8}$/", "const KEY_A = /^[A-Za-z0-9]+$/"),
    "seecret: stray bits": ("toBase64url(key) !== fragment", "false"),
    "seecret: any type": ('header.type !== "text"', "false"),
    "enigmacrypt: SHA-256 alone": ('["SHA-256", "SHA-1"]', '["SHA-256"]'),
    "enigmacrypt: SHA-1 alone": ('["SHA-256", "SHA-1"]', '["SHA-1"]'),
    "enigmacrypt: any version": ('version === "v1" &&', ""),
    "enigmacrypt: any content": (' && typeof content === "string"', ""),
    "any iv": ("iv.length !== 1 || iv[0] !== 0", "false"),
    "any object": (" || value === null", ""),
    "any length": ("length !== undefined && bytes.length !== length", "false"),
}


def run(page: Page, server_url: str, static_url: str) -> Json:
    page.goto(server_url)
    results: Json = page.evaluate(RUN, [static_url, VECTORS])
    return results


@pytest.fixture(scope="module")
def results(browser: Browser, server: Server, static_url: str) -> Json:
    with browser.new_context() as context:
        return run(context.new_page(), server.url, static_url)


@pytest.mark.parametrize("name", VECTORS)
def test_vector(name: str, results: Json) -> None:
    assert results[name] == VECTORS[name]["expect"], VECTORS[name]["comment"]


def test_vectors_detect_broken_openers(page: Page, server: Server, static_url: str) -> None:
    for name, change in BREAK.items():
        with broken_scripts(page, r"/js/(secret-url|openers/[a-z-]+)\.js$", *change):
            results = run(page, server.url, static_url)
        assert any(results[key] != vector["expect"] for key, vector in VECTORS.items()), name


def test_pages_and_server_agree_on_the_forms_of_ids(page: Page, server: Server, static_url: str) -> None:
    page.goto(server.url)
    script = """async (base) => {
      const { FORMATS, NATIVE_ID } = await import(`${base}/js/formats.js`);
      return [NATIVE_ID, ...FORMATS.filter(({ id }) => id).map(({ format, id }) => `${format}\\\\.${id}`)].join("|");
    }"""
    assert page.evaluate(script, static_url) == tokens.LINK_ID.pattern


# The page


class MockedSecret:
    """The mocked API for one secret, and its page. `requests` are the bodies of the reveals."""

    def __init__(self, page: Page, server_url: str, vector: str, path: str, link_id: str, **meta: Any) -> None:
        inputs = VECTORS[vector]["given"]
        self.link_id, self.requests = link_id, list[Json | None]()
        self.url = f"{server_url}{path}" + (f"#{inputs['fragment']}" if inputs["fragment"] else "")
        self.meta = {
            "linkId": link_id, "format": inputs["format"], "expiresAt": LATER, "viewsLeft": 1, "accessRequired": False,
            "passcodeRequired": False, "attemptsLeft": None, "publicNote": None, **meta,
        }  # fmt: skip
        iv = base64.b64encode(bytes.fromhex(inputs["iv"])).decode()
        self.answer = {
            "encryptedBlob": inputs["encryptedBlob"], "iv": iv, "format": inputs["format"], "viewsLeft": 0,
            "expiresAt": LATER,
        }  # fmt: skip
        self.status = 200
        page.route(
            f"{server_url}{path}", lambda route: route.fulfill(response=route.fetch(url=f"{server_url}/{'x' * 12}"))
        )
        page.route(f"**/api/v1/secrets/{link_id}/meta", lambda route: route.fulfill(json=self.meta))
        page.route(f"**/api/v1/secrets/{link_id}/reveal", self._reveal)

    def _reveal(self, route: Route) -> None:
        self.requests.append(route.request.post_data_json)
        route.fulfill(status=self.status, json=self.answer)


MockSecret = Callable[..., MockedSecret]


@pytest.fixture
def mock_secret(page: Page, server: Server) -> MockSecret:
    return lambda vector, path, link_id, **meta: MockedSecret(page, server.url, vector, path, link_id, **meta)


@pytest.fixture
def enigma(mock_secret: MockSecret) -> MockedSecret:
    return mock_secret(ENIGMACRYPT, "/enigmacrypt/s/a1B2c3D4", "enigmacrypt.a1B2c3D4")


def test_scrt_link_neogram_types_itself_out(page: Page, mock_secret: MockSecret) -> None:
    """The proof is the password's hash, and the key stays in the URL until the secret opens."""
    scrt_id = "scrt-link.c4bddb9cad13630539a34afde1709089180d44db60b061c44a5780aa82b29e65"
    mocked = mock_secret(SCRT_LINK, "/scrt-link/s", scrt_id, passcodeRequired=True, publicNote="note é")
    visit(page, mocked.url)
    expect(page.locator("#note-text")).to_have_text("note é")
    page.locator("#passcode").fill("foobar123")
    page.locator("#reveal").click()
    expect(page.locator("#content .neogram")).to_have_text("héllo ✓")
    assert mocked.requests == [VECTORS[SCRT_LINK]["expect"]["proof"]]
    assert page.url.endswith("/scrt-link/s")


def test_scrt_link_redirect_is_shown_and_not_followed(page: Page, mock_secret: MockSecret) -> None:
    """XSS-04"""
    scrt_id = VECTORS["addresses_scrt_link"]["expect"]["linkId"]
    visit(page, mock_secret("scrt_link_redirect", "/scrt-link/s", scrt_id).url)
    page.locator("#reveal").click()
    expect(page.locator("#content .host")).to_have_text("example.org")


def test_scrt_link_key_pasted_later_selects_its_own_secret(page: Page, mock_secret: MockSecret, watch: Watch) -> None:
    """Two scrt.link links differ only in the fragment."""
    scrt_id = VECTORS["addresses_scrt_link"]["expect"]["linkId"]
    text = mock_secret("scrt_link_text_of_the_older_alphabet", "/scrt-link/s", scrt_id)
    visit(page, text.url.partition("#")[0])
    expect(page.locator("#notice h1")).to_have_text(text_of("incomplete.title"))
    page.evaluate("(hash) => { location.hash = hash; }", text.url.partition("#")[2])
    expect(page.locator("#ready")).to_be_visible()
    assert [url.split("/")[-2] for url in watch.urls("/meta")] == [scrt_id]
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text("hello ✓")


def test_sharokey_text_and_attachments_are_offered(page: Page, mock_secret: MockSecret) -> None:
    mocked = mock_secret(SHAROKEY, "/AbCdEf123456", "AbCdEf123456", publicNote="from Sharokey")
    visit(page, mocked.url)
    expect(page.locator("#note-text")).to_have_text("from Sharokey")
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text("hello ✓")
    expect(page.locator("#content > p")).to_have_text(text_of("opened.attached", name="f.txt", size="70"))
    button = page.locator("#content > p + .actions button")
    assert download(page, button) == ("f.txt", b"x" * 70)
    page.locator("#wipe").click()
    assert "f.txt" not in page_contents(page)


def test_attachment_names_have_no_folders(page: Page, mock_secret: MockSecret) -> None:
    """XSS-04. Every attachment has its own button."""
    visit(page, mock_secret("sharokey_two_attachments", "/AbCdEf123456", "AbCdEf123456").url)
    page.locator("#reveal").click()
    buttons = page.locator("#content > p + .actions button")
    expect(buttons).to_have_count(2)
    assert download(page, buttons.nth(0)) == ("ä.txt", b"one")
    assert download(page, buttons.nth(1)) == ("b", b"two")


def test_seecret_proves_key_and_password(page: Page, mock_secret: MockSecret) -> None:
    mocked = mock_secret(
        "seecret_password", "/seecret/_a1B2c3", "seecret.a1B2c3", accessRequired=True, passcodeRequired=True
    )
    visit(page, mocked.url)
    page.locator("#passcode").fill("pässword")
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text("hello ✓")
    assert mocked.requests == [VECTORS["seecret_password"]["expect"]["proof"]]


# EnigmaCrypt: the page checks passwords, on the payload that it has fetched


def test_enigmacrypt_payload_is_fetched_once(page: Page, enigma: MockedSecret, watch: Watch) -> None:
    """The server counts every fetch, so a wrong password must not cause one. No form of a password is sent."""
    visit(page, enigma.url)
    expect(page.locator("#passcode")).to_be_focused()
    page.locator("#reveal").click()
    expect(page.locator("#problem")).to_have_text(text_of("reveal.noPasscode"))
    assert reveal_requests(watch) == []
    for wrong in ("password", "Pässword", ""):
        page.locator("#passcode").fill(wrong)
        page.locator("#reveal").click()
        expect(page.locator("#problem")).to_have_text(text_of("reveal.wrongHere"))
        expect(page.locator("#views-left")).to_be_hidden()
    page.locator("#passcode").fill("pässword")
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text("hello ✓")
    expect(page.locator("#remaining")).to_have_text(text_of("opened.lastOne"))
    assert enigma.requests == [{}]
    assert len(reveal_requests(watch)) == 1
    page.locator("#wipe").click()
    assert "hello ✓" not in page_contents(page)


def test_the_browser_asks_before_kept_ciphertext_is_lost(page: Page, enigma: MockedSecret) -> None:
    """The page may hold the only copy. Once it is open, the browser no longer asks."""
    requests: list[str] = []

    def stay(dialog: Dialog) -> None:
        requests.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    visit(page, enigma.url)
    page.locator("#passcode").fill("password")
    page.locator("#reveal").click()
    expect(page.locator("#problem")).to_be_visible()
    page.close(run_before_unload=True)
    page.locator("#passcode").fill("pässword")
    assert requests == ["beforeunload"]
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text("hello ✓")
    page.reload()
    page.locator("body[data-ready]").wait_for()
    assert requests == ["beforeunload"]
    expect(page.locator("#notice h1")).to_have_text(text_of("wiped.title"))


def test_fetch_after_a_lost_response_repeats_its_idempotency_key(
    page: Page, enigma: MockedSecret, watch: Watch
) -> None:
    """The lost response was counted; another password makes no other request."""
    watch.expect("status of 503")
    names: list[str] = []

    def record(request: Request) -> None:
        if request.url.endswith("/reveal"):
            names.append(request.headers["idempotency-key"])

    page.on("request", record)
    visit(page, enigma.url)
    enigma.status, response = 503, enigma.answer
    enigma.answer = {"code": "storage"}
    page.locator("#passcode").fill("password")
    page.locator("#reveal").click()
    expect(page.locator("#problem")).to_be_visible()
    enigma.status, enigma.answer = 200, response
    page.locator("#passcode").fill("pässword")
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text("hello ✓")
    assert len(names) > 1
    assert len(set(names)) == 1


def test_damaged_enigmacrypt_payload_allows_no_further_password(page: Page, mock_secret: MockSecret) -> None:
    visit(page, mock_secret("enigmacrypt_block_cut", "/enigmacrypt/s/a1B2c3D4", "enigmacrypt.a1B2c3D4").url)
    page.locator("#passcode").fill("pässword")
    page.locator("#reveal").click()
    expect(page.locator("#notice h1")).to_have_text(text_of("notAuthentic.title"))


def test_enigmacrypt_markup_is_text(page: Page, mock_secret: MockSecret) -> None:
    """XSS-05"""
    visit(page, mock_secret("enigmacrypt_markup_is_text", "/enigmacrypt/s/a1B2c3D4", "enigmacrypt.a1B2c3D4").url)
    page.locator("#passcode").fill("pässword")
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text("<b>hello</b>")


# Damaged links, lying servers


DAMAGED = (
    ("scrt_link_key_one_short", "/scrt-link/s"),
    ("sharokey_key_one_long", "/AbCdEf123456"),
    ("sharokey_key_one_short", "/AbCdEf123456"),
    ("seecret_key_one_short", "/seecret/_a1B2c3"),
    ("seecret_key_with_stray_bits", "/seecret/_a1B2c3"),
    ("scrt_link_text_of_the_older_alphabet", "/AbCdEf123456"),
    ("scrt_link_text_of_the_older_alphabet", "/seecret/_a1B2c3"),
    ("sharokey_text", "/seecret/_a1B2c3"),
    ("seecret_text", "/scrt-link/s"),
)


def test_damaged_link_sends_no_request(page: Page, mock_secret: MockSecret, watch: Watch) -> None:
    """BOT-05: also for the fragment of another system's path."""
    for vector, path in DAMAGED:
        visit(page, mock_secret(vector, path, "nobody").url)
        expect(page.locator("#notice h1"), vector + path).to_have_text(text_of("incomplete.title"))
        assert watch.urls("/api/") == [], vector + path


OTHER_FORMATS = (
    ("seecret_text", "/seecret/_a1B2c3", "seecret.a1B2c3", ("raw", "enigmacrypt")),
    ("sharokey_text", "/AbCdEf123456", "AbCdEf123456", ("enigmacrypt", "raw", "seclink/v1")),
    (ENIGMACRYPT, "/enigmacrypt/s/a1B2c3D4", "enigmacrypt.a1B2c3D4", ("raw",)),
)


def test_server_cannot_change_the_format_of_a_link(page: Page, mock_secret: MockSecret, watch: Watch) -> None:
    """PC-09: the page asks for no passcode and reveals nothing if the link cannot have the format."""
    for vector, path, link_id, others in OTHER_FORMATS:
        for claimed in others:
            visit(page, mock_secret(vector, path, link_id, format=claimed).url)
            expect(page.locator("#notice h1"), vector + claimed).to_have_text(text_of("incomplete.title"))
    assert reveal_requests(watch) == []


def test_own_link_is_never_opened_as_another_format(page: Page, python: Any, watch: Watch) -> None:
    """PC-09: no downgrade."""
    link = python.create("ours", password="right").link
    claimed = ""

    def lie(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, json=response.json() | {"format": claimed})

    page.route("**/meta", lie)
    for claimed in ("enigmacrypt", "sharokey", "scrt-link", "seecret", "raw"):
        visit(page, link)
        expect(page.locator("#notice h1"), claimed).to_have_text(text_of("incomplete.title"))
    assert reveal_requests(watch) == []
    assert [url for url in watch.urls("/openers/") if not url.endswith("seclink-v1.js")] == []
    page.unroute_all()
    assert open_secret(page, link, "right") == "ours"


def test_forged_foreign_secret_is_not_shown(page: Page, mock_secret: MockSecret) -> None:
    """PC-09"""
    visit(page, mock_secret("sharokey_attachment_damaged", "/AbCdEf123456", "AbCdEf123456").url)
    page.locator("#reveal").click()
    expect(page.locator("#notice h1")).to_have_text(text_of("notAuthentic.title"))
    assert "hello" not in page_contents(page)


def test_start_page_loads_no_opener(page: Page, server: Server, watch: Watch) -> None:
    visit(page, server.url)
    assert watch.urls("opener") == []
