"""Every file of our own format under tests/vectors, against the modules the pages run, in the browser (PC-01, PC-09,
BOT-05, BOT-06). Those of other systems' formats are in test_openers.py."""

import json
import re
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from broken_scripts import broken_scripts
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from playwright.sync_api import Browser, Page, Route, expect
from support.server import Server

from seclink.errors import NotAuthentic
from seclink.format import envelope

FILES = sorted((Path(__file__).parent.parent / "vectors").glob("*.json"))
VECTORS = {file.stem: json.loads(file.read_text()) for file in FILES if not file.stem.startswith("foreign_")}

Json = dict[str, Any]


def as_url(vector: Json) -> Json:
    """Return those texts of a vector that somebody can open in the browser, as the URL of a page."""
    texts = {name: text for name, text in vector["given"]["texts"].items() if re.fullmatch(SERVER_URL, text)}
    kind = {"pasted": "opened", "receipt": "openedReceipt"}[vector["kind"]]
    return vector | {
        "kind": kind,
        "given": {"texts": texts},
        "expect": {name: vector["expect"][name] for name in texts},
    }


SERVER_URL = r"(?i)https://secret\.example/\S+"
VECTORS |= {f"{name}_in_url": as_url(vector) for name, vector in VECTORS.items() if name.startswith("pasted_")}

RUN = """
async ([base, vectors]) => {
  const { fromBase64, toBase64, toHex } = await import(`${base}/js/bytes.js`);
  const envelope = { ...await import(`${base}/js/envelope.js`), ...await import(`${base}/js/open-envelope.js`) };
  const link = { ...await import(`${base}/js/link.js`), ...await import(`${base}/js/link-key.js`) };
  const { CHUNK_BYTES, FileStream } = await import(`${base}/js/file-stream.js`);
  const { readUrl, findLink } = await import(`${base}/js/pasted-link.js`);
  const { secretFromText, secretFromUrl } = await import(`${base}/js/secret-url.js`);
  const hex = (text) => Uint8Array.from(text.match(/../g) ?? [], (each) => parseInt(each, 16));
  const keys = (given) => envelope.derive(hex(given.key), given.passcode);
  const RECEIPT = { path: "/receipt/([A-Za-z0-9]{20})", isKey: (text) => /^[A-Za-z0-9]{32}$/.test(text) };
  const whole = ({ base, linkId, fragment, isWhole, isExposed }) =>
    isWhole ? { base, linkId, fragment, isExposed } : { error: "link_incomplete" };
  const receipt = (found) => found?.key
    ? { base: found.base, receiptId: found.id, manageToken: found.key, isExposed: found.isExposed }
    : { error: "link_incomplete" };
  const every = async (texts, read) => {
    const results = Object.entries(texts).map(async ([name, text]) =>
      [name, await read(text).catch((error) => ({ error: error.code ?? String(error) }))]);
    return Object.fromEntries(await Promise.all(results));
  };
  const RUN = {
    async derive(given) {
      const { access, accessHash, contentKey, passcodeHash } = await keys(given);
      return { access, accessHash, contentKey: toHex(contentKey), passcodeHash };
    },
    async seal(given) {
      const { contentKey } = await keys(given);
      const rule = given.bodyRule;
      const body = rule ? new Uint8Array(rule.count).fill(hex(rule.byte)[0]) : fromBase64(given.body);
      const blob = await envelope.seal(contentKey, hex(given.iv), given.header, body);
      if (!rule) return { encryptedBlob: toBase64(blob) };
      return { sha256: toHex(await envelope.sha256(blob)), bytes: blob.length };
    },
    async open(given) {
      const { contentKey } = await keys(given);
      const { header, body } = await envelope.open(contentKey, hex(given.iv), fromBase64(given.encryptedBlob));
      return { header, body: toBase64(body) };
    },
    async raw(given) {
      const key = link.rawKeyOf(given.fragment);
      return { body: toBase64(await envelope.openRaw(key, hex(given.iv), fromBase64(given.encryptedBlob))) };
    },
    async build(given) {
      return { link: await link.build(given.shareUrl, hex(given.key)) };
    },
    async draw(given) {
      const draws = given.draws.values();
      return { key: toHex(await link.drawKey(() => hex(draws.next().value))) };
    },
    async link(given) {
      const { base, linkId, fragment } = await secretFromText(given.text);
      return { base, linkId, key: toHex(await link.keyOf(fragment)) };
    },
    async rawlink(given) {
      const { base, linkId, fragment } = await secretFromText(given.text);
      return { base, linkId, rawKey: toHex(link.rawKeyOf(fragment)) };
    },
    pasted: ({ texts }) => every(texts, async (text) => whole(await secretFromText(text))),
    opened: ({ texts }) => every(texts, async (text) => whole(await secretFromUrl(new URL(text)))),
    receipt: ({ texts }) => every(texts, async (text) => receipt(await findLink(text, [RECEIPT]))),
    openedReceipt: ({ texts }) => every(texts, async (text) => receipt(await readUrl(new URL(text).href, [RECEIPT]))),
    async names({ files }) {
      const { savedNames } = await import(`${base}/js/file-name.js`);
      return { names: savedNames(files) };
    },
    async dictated(given) {
      const { passcodeCandidates } = await import(`${base}/js/dictated-passcode.js`);
      const languages = ["ru", "de", "en"];
      return { candidates: await Promise.all(given.typed.map((each) => passcodeCandidates(each, languages))) };
    },
    async typed(given) {
      const { cleaned, passcodeFault } = await import(`${base}/js/passcode.js`);
      const { plainer } = await import(`${base}/js/passcode-question.js`);
      const typed = (text) => ({ fault: passcodeFault(text), cleaned: cleaned(text), plainer: plainer(cleaned(text)) });
      return { passcodes: given.typed.map(typed) };
    },
    async padded(given) {
      return { padded: given.lengths.map(envelope.padded) };
    },
    async chunks(given) {
      const { stream, content, sealed } = await sealedChunks(given);
      for (const [index, part] of sealed.entries()) {
        const opened = await stream.open(index, part);
        if (await digest(opened) !== await digest(content(index))) throw new Error("opened something else");
      }
      const describe = async (part) => ({ bytes: part.length, sha256: await digest(part) });
      const chunks = await Promise.all(sealed.map(describe));
      return { padded: stream.padded, sealedBytes: stream.sealedBytes, chunks };
    },
    async unseal(given) {
      const { stream, sealed } = await sealedChunks(given);
      const parts = given.order.map((place) => sealed[place]);
      stream.check(stream.sealedBytes, parts.length);
      return { content: await Promise.all(parts.map((part, index) => stream.open(index, part))) };
    },
    async chunk(given) {
      const stream = await FileStream.of(hex(given.streamKey), given.size);
      return { content: toBase64(await stream.open(given.index, fromBase64(given.sealed))) };
    },
  };
  const digest = async (bytes) => toHex(await envelope.sha256(bytes));
  const sealedChunks = async ({ streamKey, size, seed, nonces }) => {
    const stream = await FileStream.of(hex(streamKey), size);
    const bytes = Uint8Array.from({ length: size }, (_, at) => at ^ (at >> 8) ^ (at >> 16) ^ seed);
    const content = (index) => bytes.subarray(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES);
    const sealed = await Promise.all(nonces.map((nonce, index) => stream.seal(index, hex(nonce), content(index))));
    return { stream, content, sealed };
  };
  const results = {};
  for (const [name, { kind, given }] of Object.entries(vectors)) {
    const runs = (async () => RUN[kind](given))(); // a kind nobody runs is that vector's failure, not everybody's
    results[name] = await runs.catch((error) => ({ error: error.code ?? String(error) }));
  }
  return results;
}
"""
DRAW = """
async ([base, count]) => {
  const { build, drawKey } = await import(`${base}/js/link.js`);
  const links = [];
  while (links.length < count) links.push(await build("https://secrets.example.org/AbCdEf123456", await drawKey()));
  return links;
}
"""
BREAK = {
    "another AAD": ("AAD = utf8(FORMAT)", 'AAD = utf8("seclink/v2")'),
    "no AAD": ("iv, additionalData: AAD }, blob", "iv }, blob"),
    "fewer rounds": ("600000", "599999"),
    "no normal form": ('.normalize("NFC")', ""),
    "other padding": ("SMALLEST = 256", "SMALLEST = 128"),
    "a letter too many": ("A-Za-z0-9])/;", "])/;"),
    "one escape": ("MAX_ESCAPES = 3", "MAX_ESCAPES = 1"),
    "line breaks in the key": (".split(GAP)", ".split()"),
    "any of several keys": ("keys.length === 1 || ", "true || "),
    "any host": ('!isUsableHost(host.replace(/^https?:\\/\\//, "")) || ', ""),
    "broken hosts": (" || !source.includes(host)", ""),
    "halves of keys": ("return isPart ?", "return false ?"),
    "another server's link": ("!keyless?.isDamaged", "true"),
    "no warning": ("sources.length - 1)], true]", "sources.length - 1)], false]"),
    "no place of a chunk": ("place.setBigUint64(0, BigInt(index))", ""),
    "no last chunk": ("Number(index === this.chunks - 1)", "0"),
    "any padding of chunks": ("byte !== 0", "false"),
    "any number of files": ("files.length <= MAX_FILES", "true"),
    "any folder": ('["", ".", ".."].includes(part)', "false"),
    "any size of files": ("size === stream.size", "true"),
    "names with separators": ('[<>:"/\\\\|?*]', "[*]"),
    "names in any direction": (r"\\u2060-\\u206f", ""),
    "names with hidden letters": (r"\\u{e0000}-\\u{e0fff}", ""),
    "names that lists of files leave out": ('.replace(LEADING_DOTS, "_")', ""),
    "names of joiners": (r"\u200c\u200d\ufe00-\ufe0f", ""),
    "names of devices": ("RESERVED.test(cleaned)", "false"),
    "names of any length": ("MAX_NAME_BYTES = 200", "MAX_NAME_BYTES = 2000"),
    "names that hide a folder": ("new Set(folders.flatMap(withParents).map(folded))", "new Set()"),
    "names by their case": (".toUpperCase().toLowerCase()", ""),
    "no checksum": ("(await fragmentOf(key)) !== toBase64url(whole)", "false"),
}

LARGE = {"seal_one_megabyte", "stream_chunk", "stream_chunk_less_one", "stream_two_chunks", "unseal_cut"}
MODULES = r"/js/(envelope|open-envelope|file-header|file-name|file-stream|link|link-key|pasted-link|host)\.js$"


def run(page: Page, server_url: str, static_url: str, vectors: Json) -> Json:
    page.goto(server_url)
    results: Json = page.evaluate(RUN, [static_url, vectors])
    return results


@pytest.fixture(scope="module")
def results(browser: Browser, server: Server, static_url: str) -> Json:
    with browser.new_context() as context:
        return run(context.new_page(), server.url, static_url, VECTORS)


@pytest.mark.parametrize("name", VECTORS)
def test_vector(name: str, results: Json) -> None:
    assert results[name] == VECTORS[name]["expect"], VECTORS[name]["comment"]


def test_the_vectors_notice_broken_code(page: Page, server: Server, static_url: str) -> None:
    def let_it(route: Route) -> None:
        """The page knows its scripts by their hashes, and would have none that is broken."""
        answer = route.fetch()
        route.fulfill(response=answer, body=re.sub(r' integrity="[^"]*"', "", answer.text()))

    page.route(f"{server.url}/", let_it)
    few = {key: vector for key, vector in VECTORS.items() if key not in LARGE}
    for name, change in BREAK.items():
        with broken_scripts(page, MODULES, *change):
            results = run(page, server.url, static_url, few)
        assert any(results[key] != item["expect"] for key, item in few.items()), name


def test_ten_thousand_drawn_links_survive_mail(page: Page, server: Server, static_url: str) -> None:
    """BOT-06: nothing but [A-Za-z0-9_-] and one #, a letter or digit at the end, under 120 characters."""
    page.goto(server.url)
    links = page.evaluate(DRAW, [static_url, 10_000])
    stored = re.compile(r"https://secrets\.example\.org/[A-Za-z0-9]{12}#[A-Za-z0-9_-]{47}[A-Za-z0-9]")
    assert [link for link in links if not stored.fullmatch(link) or len(link) >= 120] == []
    assert len(set(links)) == 10_000


SEALED = """
async ([base, [header, size]]) => {
  const { concat, fromUtf8, utf8 } = await import(`${base}/js/bytes.js`);
  const { open } = await import(`${base}/js/open-envelope.js`);
  const key = await crypto.subtle.importKey("raw", new Uint8Array(32), "AES-GCM", false, ["encrypt"]);
  const encoded = utf8(header);
  const plain = concat(new Uint8Array([0, 0, 0, encoded.length]), encoded, new Uint8Array(size));
  const iv = new Uint8Array(12);
  const blob = await crypto.subtle.encrypt({ name: "AES-GCM", iv, additionalData: utf8("seclink/v1") }, key, plain);
  try {
    return (await open(new Uint8Array(32), iv, new Uint8Array(blob))).header;
  } catch (error) {
    return error.code;
  }
}
"""


HEADERS = (
    '\ufeff{"type":"text","size":1}',
    '{"type":"text","size":1e999}',
    '{"type":"text","size":9007199254740993}',
    '{"type":"text","size":null}',
    '{"type":{},"size":1}',
    "null",
    "",
    "[" * 100,
)


def test_invalid_headers_do_not_open(page: Page, server: Server, static_url: str) -> None:
    page.goto(server.url)
    for header in HEADERS:
        assert page.evaluate(SEALED, [static_url, [header, 8]]) == "not_authentic", header


LONG = """
([base, blob]) => {
  const { dataset } = document.body;
  (async () => {
    const { fromBase64 } = await import(`${base}/js/bytes.js`);
    const { open } = await import(`${base}/js/open-envelope.js`);
    await open(new Uint8Array(32), new Uint8Array(12), fromBase64(blob));
  })().then(() => (dataset.ended = "opened"), (error) => (dataset.ended = error.code));
}
"""


LONG_NUMBERS = {
    "whole": ("1" * 400_000, "not_authentic"),
    "one digit too long": ("-" + "1" * 4301, "not_authentic"),
    "just not too long": ("-" + "1" * 4300, "opened"),
    "with a fraction": ("1" * 400_000 + ".5", "opened"),
    "a fraction": ("-1." + "1" * 400_000, "opened"),
}


def test_long_numbers_in_a_header_do_not_hold_the_page(page: Page, server: Server, static_url: str) -> None:
    """PC-01: whoever has a link made can write them; looked at once, and read or refused as Python does."""
    key, iv = bytes(32), bytes(12)
    page.goto(server.url)
    for name, (number, ended) in LONG_NUMBERS.items():
        header = f'{{"type":"text","size":1,"x":{number}}}'.encode()
        blob = AESGCM(key).encrypt(iv, len(header).to_bytes(4, "big") + header + b"x", b"seclink/v1")
        try:
            python = "opened" if envelope.open(key, iv, blob) else ""
        except NotAuthentic as refusal:
            python = refusal.code
        assert python == ended, name
        page.evaluate("delete document.body.dataset.ended")
        page.evaluate(LONG, [static_url, b64encode(blob).decode()])
        expect(page.locator("body"), name).to_have_attribute("data-ended", ended)


def test_text_without_utf8_form_is_rejected_not_repaired(page: Page, server: Server, static_url: str) -> None:
    """PC-01: half a surrogate pair would become U+FFFD, and the passcode would open nothing."""
    page.goto(server.url)
    refused = """async (base) => {
      const { derive } = await import(`${base}/js/envelope.js`);
      const { rawPasscodeHash } = await import(`${base}/js/open-envelope.js`);
      const { createSecret } = await import(`${base}/js/seal.js`);
      const half = "a" + String.fromCharCode(0xd83d) + "b";
      const tries = [
        derive(new Uint8Array(32), half),
        rawPasscodeHash(half),
        createSecret({}, half),
        createSecret({}, "x", { passcode: half }),
        createSecret({}, "x", { type: "file", name: half }),
      ];
      const outcomes = await Promise.allSettled(tries);
      return outcomes.map(({ reason }) => [reason?.code, ...(reason?.fields ?? [])]);
    }"""
    assert page.evaluate(refused, static_url) == [
        ["bad_request", "passcode"],
        ["bad_request", "passcode"],
        ["bad_request", "text"],
        ["bad_request", "passcode"],
        ["bad_request", "name"],
    ]


SECOND_SPELLINGS = ["AA", "AA=", "AAA", "AB==", "A A=", "AAAA\n", "AA-_", "=", "AAAA===="]


def test_base64_with_a_second_spelling_is_refused(page: Page, server: Server, static_url: str) -> None:
    page.goto(server.url)
    refused = """async ([base, texts]) => {
      const { fromBase64 } = await import(`${base}/js/bytes.js`);
      return texts.filter((text) => {
        try { return [fromBase64(text)]; } catch { return false; }
      });
    }"""
    assert page.evaluate(refused, [static_url, SECOND_SPELLINGS]) == [], "accepted"


ADDRESSES = {
    "https://example.org": "example.org",
    "HTTP://example.org:8080/a?b=c#d": "example.org:8080",
    "https://user:pass@example.org/": "example.org",
    "https://\u0435xample.org/": "xn--xample-2of.org",
    "https://[::1]/": "[::1]",
    "javascript:alert(1)": None,
    "java\tscript:alert(1)": None,
    "data:text/html,x": None,
    "blob:https://example.org/x": None,
    "file:///etc/passwd": None,
    "ftp://example.org": None,
    "//example.org": None,
    "/path": None,
    "example.org": None,
    "https:example.org": None,
    "https:/example.org": None,
    "https:///example.org": None,
    "https:\\\\example.org": None,
    "https://good.example\\@evil.example": None,
    "https://?x": None,
    "https://": None,
    " https://example.org": None,
    "https://example.org/a b": None,
    "https://example.org/\u202egpj.exe": None,
    "https://example.org/\u200b": None,
    "https://exam\nple.org": None,
    "https://example.org:99999/": None,
    "https://a%40b/": None,
    "": None,
}


def test_only_plain_web_addresses_are_redirects(page: Page, server: Server, static_url: str) -> None:
    """XSS-04: spelled from scheme to host, printable, http or https."""
    page.goto(server.url)
    hosts = """async ([base, texts]) => {
      const { redirectUrl } = await import(`${base}/js/seal.js`);
      return texts.map((text) => redirectUrl(text)?.host ?? null);
    }"""
    assert page.evaluate(hosts, [static_url, list(ADDRESSES)]) == list(ADDRESSES.values())
