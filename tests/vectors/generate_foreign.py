"""Writes the vectors of the formats that come from elsewhere, and of the addresses their secrets are read at.

    python tests/vectors/generate_foreign.py [FOLDER]

As in generate.py, nothing here is made by the code under test: every format is written out below from what its
system's clients do, and what those clients really sent (`CLIENT_...`) stands as literals.

    kind      given                                            expect
    address   pathname, hash                                   linkId, fragment, formats, isExposed; or error
    foreign   format, fragment, passcode, iv, encryptedBlob    proof, type, text, files (name, text); or error

`encryptedBlob` is what the server hands out: base64 of the JSON that it keeps, under an iv of one zero byte. Errors:
not_authentic, link_incomplete, passcode_wrong.
"""

import base64
import hashlib
import hmac
import json
import sys
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SALT, LONG_IV = bytes(range(16)), bytes(range(16, 32))
HELLO = "hello ✓"

# scrt.link's client 0.0.11, a neogram with a password
CLIENT_SCRT_LINK_KEY = "zyRjlpKCprn9DzRLnTY6PJA_8Focz0tju2N8"
CLIENT_SCRT_LINK_META = (
    "data:application/octet-stream;base64,H8qbmkW9U8dZQGzA+hrxGAmzqdxHUHGfmsNLBjzjW04LEOdPpqxKwvhvD8N4YpykjKaibJQT2Zz"
    "dU6gpogeqdy2IssAPHZN1Mh/BJGhAmJhaPlfr9ssOkcZtdvXFUGgWl/d31L+j93KA4eX+DfMRJx2NqlQFXjDfG/A2+ghk/YemxaQFMlQaxAGb4ma"
    "FFwAMAZygVgzHJSmwiOMDhzjxMeUCoLt/UKwOydwqgOzk5LEe4lv4uA=="
)
CLIENT_SCRT_LINK_CONTENT = (
    "data:application/octet-stream;base64,Z7iG5PjBful3YfoFhdAeymhEn4l8OabkNvQ09U4AYDHP07wdJ01YKXgsrWSR0q79GtCvd54oa4F"
    "mNT53hdJLVNBgwr70XgbXw8taEAj6lmfyrMB/zA2cITYuwkZims8JI4fPWafmGqOOCh0ArwpyFkvv63BUnCBPuS6JPsHpbrJgaJRh9el3F8BEVTO"
    "SICsX/Xwuw55iqlf9DfAS8QNtN21HnV90"
)
# its alphabet before 2026-06-17, from its documentation
SCRT_LINK_KEY = "gOOei~kEkcYAAX-YJQnGooSXdSJg8MXkzk~2"
SCRT_LINK_ID = "ad3ff7cfa82d47dcc13c5bdfdcca46df46f981b364fb93f18c7174116016823e"
SCRT_LINK_HELLO = (
    "data:application/octet-stream;base64,AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh/ZaiG0U+PJywfqX4nhlOjjpViJWSjsqEMA"
)
# sharokey-js, index.js; the attachment is 70 times x, under the same key and iv
CLIENT_SHAROKEY = {
    "content": "21w8z/ad2gBg7c54T+aRSl1GHKU3MZ5hlA==",
    "iv": "FDCD357La1vqT5le",
    "salt": "doPwdVttrQlwfT2a+HL/Tg==",
    "key": "6Z5UPnjq",
}
CLIENT_SHAROKEY_KEY_B = "rUflg8gs8m9Fj9NJS7kQwvNR"
CLIENT_SHAROKEY_ATTACHMENT = (
    "y0Eo2+HFQOSLfanznL7yOACSGXekqYDtZOo4E/pu97jNp2yIptxovxIwTl6MUgFY1BT17jWcgBscpErksIPcwS87A8Uhs6qjCKLFWM61xFQZH3+D"
    "OnI="
)
# the Python package sharokey 1.0.0
CLIENT_SHAROKEY_PYTHON = {
    "content": "DvcY2ohZKArFiqnmUYv4dy7s/W4wOsYt3OI6lg==",
    "iv": "8f6ntJ9ZhZhufpDg",
    "salt": "Wf12wUOcaLh3xowZTS6T/g==",
    "key": "gA0OjPA4",
}
CLIENT_SHAROKEY_PYTHON_KEY_B = "Q7Ca21jnJQTSuzgZ6OhPb5IQ"
KEY_A, KEY_B = "Ab3dEf9h", "0123456789abcdefghijABCD"
SHAROKEY_HELLO = "Dwv9u3hJ1Sn3jZi4tFJLGVpc1cO1v3goIg=="
# EnigmaCrypt's sample on crypto-js 4.1.1 and 4.2.0
CLIENT_ENIGMACRYPT_SHA1 = (
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f3IkUpn9Z4J6RdVrugFepONZDC5rHPZ7UOpX0zmoTpw9liYQW"
    "stwk09WxwwHZSqlxZoM+EYenziTuB+fl65SeRcXtok/SQeaAu3OLYGg8t7s="
)
CLIENT_ENIGMACRYPT_SHA256 = (
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1fMwIDeJXLuolE5TCBZ0P65j3jid8O5P+mfVeYN/HnQHp1/UUX"
    "1hhGgjR195//SElKwzctSLsr0YWhPSrKFaV5aoARDMYgqtLDs4n9gJMi9c8="
)

FORGED = {"error": "not_authentic"}
CUT = {"error": "link_incomplete"}
WRONG = {"error": "passcode_wrong"}


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def stretched(password: str, salt: bytes, rounds: int, hash_name: str = "sha256") -> bytes:
    return hashlib.pbkdf2_hmac(hash_name, password.encode(), salt, rounds, 32)


def vector(kind: str, comment: str, given: dict[str, Any], expect: dict[str, Any]) -> dict[str, Any]:
    return {"comment": comment, "kind": kind, "given": given, "expect": expect}


def foreign(
    comment: str,
    format_name: str,
    fragment: str,
    payload: Any,
    expect: dict[str, Any],
    passcode: str | None = None,
    iv: bytes = b"\0",
) -> dict[str, Any]:
    """`payload` is the object that the server keeps, or bytes that are none."""
    blob = payload if isinstance(payload, bytes) else json.dumps(payload, separators=(",", ":")).encode()
    given = {"format": format_name, "fragment": fragment, "passcode": passcode}
    return vector("foreign", comment, {**given, "iv": iv.hex(), "encryptedBlob": b64(blob)}, expect)


def opened(text: str, kind: str = "text", passcode: str | None = None, **more: Any) -> dict[str, Any]:
    gate = {"passcodeHash": hashlib.sha256(passcode.encode()).hexdigest()} if passcode else {}
    return {"proof": {**more.pop("proof", {}), **gate}, "type": kind, "text": text, "files": [], **more}


# scrt.link


def scrt_sealed(plain: str | bytes, *passwords: str) -> str:
    """From the outermost layer inwards."""
    if passwords[1:]:
        plain = scrt_sealed(plain, *passwords[1:])
    data = plain.encode() if isinstance(plain, str) else plain
    sealed = AESGCM(stretched(passwords[0], SALT, 100_000)).encrypt(LONG_IV, data, None)
    return "data:application/octet-stream;base64," + b64(SALT + LONG_IV + sealed)


def scrt_payload(text: str, meta: Any, *passwords: str) -> dict[str, str]:
    layers = (SCRT_LINK_KEY, *passwords)
    said = meta if isinstance(meta, str) else json.dumps(meta)
    return {"meta": scrt_sealed(said, *layers), "content": scrt_sealed(text, *layers)}


def scrt(comment: str, payload: Any, expect: dict[str, Any], passcode: str | None = None, **more: Any) -> Any:
    return foreign(comment, "scrt-link", more.pop("key", SCRT_LINK_KEY), payload, expect, passcode, **more)


def scrt_link() -> dict[str, Any]:
    assert scrt_sealed(HELLO, SCRT_LINK_KEY) == SCRT_LINK_HELLO
    client = {"meta": CLIENT_SCRT_LINK_META, "content": CLIENT_SCRT_LINK_CONTENT}
    text = scrt_payload(HELLO, {"secretType": "text"})
    protected = scrt_payload(HELLO, {"secretType": "text"}, "foobar123")
    stripped = {**text, "content": text["content"].replace("data:application/octet-stream;base64,", "")}
    return {
        "client_neogram_password": scrt(
            "As its client sent it",
            client,
            opened("héllo ✓", "neogram", "foobar123"),
            "foobar123",
            key=CLIENT_SCRT_LINK_KEY,
        ),
        "text_of_the_older_alphabet": scrt("With ~ in the key", text, opened(HELLO)),
        "redirect": scrt(
            "A web address", scrt_payload("https://example.org/", {"secretType": "redirect"}),
            opened("https://example.org/", "redirect"),
        ),
        "meta_with_more_members": scrt(
            "Only the type counts", scrt_payload(HELLO, {"secretType": "text", "x": [1]}), opened(HELLO)
        ),
        "password_wrong": scrt("The inner layer does not open", protected, FORGED, "foobar124"),
        "password_not_asked_for": scrt("The server says there is none: no ciphertext is shown", protected, FORGED),
        "password_where_none_is": scrt("The server says there is one", text, FORGED, "foobar123"),
        "key_with_one_character_off": scrt("Another key", text, FORGED, key="h" + SCRT_LINK_KEY[1:]),
        "key_one_short": scrt("35 characters", text, CUT, key=SCRT_LINK_KEY[1:]),
        "key_of_another_alphabet": scrt("An exclamation mark", text, CUT, key="!" + SCRT_LINK_KEY[1:]),
        "type_file": scrt("Only of its own site", scrt_payload(HELLO, {"secretType": "file"}), FORGED),
        "type_is_a_list": scrt("Types are words", scrt_payload(HELLO, {"secretType": ["text"]}), FORGED),
        "type_missing": scrt("No type", scrt_payload(HELLO, {}), FORGED),
        "meta_is_null": scrt("JSON, but no object", scrt_payload(HELLO, "null"), FORGED),
        "meta_swapped_with_content": scrt("Both under one key", {**text, "meta": text["content"]}, FORGED),
        "content_without_its_prefix": scrt("No data URL", stripped, FORGED),
        "content_too_short": scrt(
            "No room for salt, iv and tag", {**text, "content": "data:application/octet-stream;base64,AAAA"}, FORGED
        ),
        "content_missing": scrt("Half of a payload", {"meta": text["meta"]}, FORGED),
        "payload_is_a_list": scrt("No object", [text], FORGED),
        "payload_is_not_json": scrt("Cut off", json.dumps(text).encode()[:-1], FORGED),
        "payload_is_not_utf8": scrt("Latin-1", b'{"meta":"\xe4"}', FORGED),
        "envelope_iv_of_another_format": scrt("Twelve bytes", text, FORGED, iv=bytes(12)),
    }  # fmt: skip


# Sharokey


def sharokey_sealed(data: bytes, key_a: str = KEY_A, salt: bytes = SALT, iv: bytes = LONG_IV[:12]) -> dict[str, str]:
    content = b64(AESGCM(stretched(key_a + KEY_B, salt, 10_000)).encrypt(iv, data, None))
    return {"content": content, "iv": b64(iv), "salt": b64(salt), "key": key_a}


def shared(comment: str, payload: Any, expect: dict[str, Any], passcode: str | None = None, key: str = KEY_B) -> Any:
    return foreign(comment, "sharokey", key, payload, expect, passcode)


def sharokey() -> dict[str, Any]:
    hello = HELLO.encode()
    whole = sharokey_sealed(hello)
    assert whole["content"] == SHAROKEY_HELLO
    client = {**CLIENT_SHAROKEY, "attachments": [{"name": "f.txt", "data": CLIENT_SHAROKEY_ATTACHMENT}]}
    one, other = (sharokey_sealed(each)["content"] for each in (b"one", b"two"))
    two = [{"name": "../ä.txt", "data": one, "size": 3}, {"name": "b", "data": other, "size": 3}]
    files = [{"name": "../ä.txt", "text": "one"}, {"name": "b", "text": "two"}]
    damaged = [two[0], {**two[1], "data": one[:-4] + "AAA="}]
    python = CLIENT_SHAROKEY_PYTHON_KEY_B
    return {
        "client_javascript_with_attachment": shared(
            "As its client sent it", client, opened(HELLO, files=[{"name": "f.txt", "text": "x" * 70}]),
            key=CLIENT_SHAROKEY_KEY_B,
        ),
        "client_python": shared("Spaces are kept", CLIENT_SHAROKEY_PYTHON, opened("  hello ✓ "), key=python),
        "text": shared("Its documentation's vector", whole, opened(HELLO)),
        "password": shared("For the server alone", whole, opened(HELLO, passcode="secure123"), "secure123"),
        "two_attachments": shared("Names as they come", {**whole, "attachments": two}, opened(HELLO, files=files)),
        "no_attachments": shared("An empty list", {**whole, "attachments": []}, opened(HELLO)),
        "attachment_damaged": shared("One is enough", {**whole, "attachments": damaged}, FORGED),
        "attachment_without_name": shared("No name", {**whole, "attachments": [{"data": one}]}, FORGED),
        "attachment_is_null": shared("No object", {**whole, "attachments": [None]}, FORGED),
        "attachments_are_text": shared("No list", {**whole, "attachments": "none"}, FORGED),
        "other_key_half": shared("One character off", whole, FORGED, key="1" + KEY_B[1:]),
        "server_half_changed": shared("The server gives another", {**whole, "key": "Ab3dEf9i"}, FORGED),
        "server_half_too_long": shared("Nine, and it would open", sharokey_sealed(hello, KEY_A + "0"), FORGED),
        "iv_of_eleven_bytes": shared("It would open", sharokey_sealed(hello, iv=LONG_IV[:11]), FORGED),
        "salt_of_fifteen_bytes": shared("It would open", sharokey_sealed(hello, salt=SALT[:15]), FORGED),
        "salt_missing": shared("No salt", {name: whole[name] for name in ("content", "iv", "key")}, FORGED),
        "content_is_a_number": shared("No text", {**whole, "content": 7}, FORGED),
        "content_of_another_spelling": shared("Not canonical", {**whole, "content": "Dwv9u3=="}, FORGED),
        "key_one_short": shared("23 characters", whole, CUT, key=KEY_B[1:]),
        "key_one_long": shared("25 characters", whole, CUT, key=KEY_B + "0"),
        "key_of_another_alphabet": shared("An underscore", whole, CUT, key="_" + KEY_B[1:]),
    }  # fmt: skip


# Seecret.it: an envelope of SecLink's own, as the format says


def hkdf(secret: bytes, info: str) -> bytes:
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, f"seclink/v1/{info}".encode() + b"\x01", "sha256")


def url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def seecret() -> dict[str, Any]:
    key, iv = bytes(range(32)), bytes(range(12))
    access = {"access": url64(hkdf(key, "access"))}

    def sealed(kind: str) -> bytes:
        header = json.dumps({"type": kind, "size": len(HELLO.encode())}).encode()
        plain = (len(header).to_bytes(4, "big") + header + HELLO.encode()).ljust(256, b"\0")
        return AESGCM(hkdf(key, "content")).encrypt(iv, plain, b"seclink/v1")

    def case(comment: str, expect: Any, passcode: str | None = None, kind: str = "text", **more: Any) -> Any:
        fragment = more.get("fragment", url64(key))
        return foreign(comment, "seecret", fragment, sealed(kind), expect, passcode, more.get("iv", iv))

    return {
        "text": case("A key of 32 bytes", opened(HELLO, proof=access)),
        "password": case("For the server alone", opened(HELLO, passcode="pässword", proof=access), "pässword"),
        "type_redirect": case("There are only texts", FORGED, kind="redirect"),
        "iv_of_one_byte": case("Not its iv", FORGED, iv=b"\0"),
        "other_key": case("Another key", FORGED, fragment=url64(key[::-1])),
        "key_one_short": case("42 characters", CUT, fragment=url64(key)[:-1]),
        "key_with_padding": case("Somebody's repair", CUT, fragment=url64(key) + "="),
        "key_with_stray_bits": case("The last character is another", CUT, fragment=url64(key)[:-1] + "9"),
    }


# EnigmaCrypt


def enigma_sealed(plain: bytes, password: str = "pässword", hash_name: str = "sha256", padding: bytes = b"") -> str:
    pad = padding or bytes([16 - len(plain) % 16]) * (16 - len(plain) % 16)
    cipher = Cipher(algorithms.AES(stretched(password, SALT, 100_000, hash_name)), modes.CBC(LONG_IV)).encryptor()
    return SALT.hex() + LONG_IV.hex() + b64(cipher.update(plain + pad) + cipher.finalize())


def enigmacrypt() -> dict[str, Any]:
    said = json.dumps({"version": "v1", "content": "<b>hello</b>", "created": "2026-01-01"}).encode()
    whole = enigma_sealed(said)

    def case(comment: str, sealed: Any, expect: Any, passcode: str | None = "pässword", fragment: str = "") -> Any:
        return foreign(comment, "enigmacrypt", fragment, {"encryptedContent": sealed}, expect, passcode)

    return {
        "client_crypto_js_4_1_1": case("SHA-1", CLIENT_ENIGMACRYPT_SHA1, opened(HELLO)),
        "client_crypto_js_4_2_0": case("SHA-256", CLIENT_ENIGMACRYPT_SHA256, opened(HELLO)),
        "client_other_password": case("One character off", CLIENT_ENIGMACRYPT_SHA256, WRONG, "password"),
        "markup_is_text": case("Never anything else", whole, opened("<b>hello</b>")),
        "fragment_is_ignored": case("It has none, a tracker has", whole, opened("<b>hello</b>"), fragment="x"),
        "upper_case_hex": case("Hex is hex", whole[:64].upper() + whole[64:], opened("<b>hello</b>")),
        "no_passcode": case("Nobody asked for it", whole, WRONG, None),
        "sha1_other_password": case("Both hashes are tried", enigma_sealed(said, "other", "sha1"), WRONG),
        "padding_of_zeros": case("Not PKCS#7", enigma_sealed(said.ljust(127), padding=b"\0"), WRONG),
        "json_cut": case("It decrypts, and is not JSON", enigma_sealed(said[:-1]), WRONG),
        "not_utf8": case("It decrypts, and is not text", enigma_sealed(b"\xff" * 20), WRONG),
        "version_2": case("Another version", enigma_sealed(said.replace(b"v1", b"v2")), WRONG),
        "content_is_an_object": case("Content is text", enigma_sealed(b'{"version":"v1","content":{}}'), WRONG),
        "json_null": case("No object", enigma_sealed(b"null"), WRONG),
        "one_hex_digit_short": case("63", whole[1:], FORGED),
        "block_cut": case("Not whole blocks", whole[:64] + b64(bytes(17)), FORGED),
        "nothing_encrypted": case("Salt and iv alone", whole[:64], FORGED),
        "base64_of_another_spelling": case("Not canonical", whole[:64] + "AB==", FORGED),
        "content_is_null": case("No text", None, FORGED),
    }  # fmt: skip


# Where they are read


def address(comment: str, pathname: str, fragment: str, expect: dict[str, Any]) -> dict[str, Any]:
    return vector("address", comment, {"pathname": pathname, "hash": fragment}, expect)


def addresses() -> dict[str, Any]:
    ours = "AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fSRF2"
    hidden = {"isExposed": False}
    native = {"linkId": "AbCdEf123456", "fragment": ours, "formats": ["raw", "sharokey", "seclink/v1"]} | hidden
    scrt = {"linkId": f"scrt-link.{SCRT_LINK_ID}", "fragment": SCRT_LINK_KEY, "formats": ["scrt-link"]} | hidden
    seecret = {"linkId": "seecret.a1B2c3", "fragment": "x" * 42 + "w", "formats": ["seecret"]} | hidden
    enigma = {"linkId": "enigmacrypt.a1B2c3D4", "fragment": "", "formats": ["enigmacrypt"]} | hidden
    key = f"#{SCRT_LINK_KEY}"
    dollar = "$~_.-" + SCRT_LINK_KEY[5:]
    return {
        "native": address("Twelve characters", "/AbCdEf123456", f"#{ours}", native),
        "native_below_a_path": address("public_url has a path", "/a/secrets/AbCdEf123456", f"#{ours}.", native),
        "native_called_like_a_dialect": address(
            "Its public_url is", "/seecret/AbCdEf123456", "", {**native, "fragment": ""}
        ),
        "scrt_link": address("Its documentation's link", "/scrt-link/s", key, scrt),
        "scrt_link_below_a_path": address("public_url has a path", "/a/scrt-link/s", key, scrt),
        "scrt_link_every_character": address(
            "Nothing is cut", "/scrt-link/s", f"#{dollar}", {**scrt, "fragment": dollar}
        ),
        "scrt_link_ends_a_sentence": address("BOT-05", "/scrt-link/s", f"{key}.", scrt),
        "scrt_link_in_brackets": address("BOT-05", "/scrt-link/s", f"{key})", scrt),
        "scrt_link_tracker": address("BOT-05", "/scrt-link/s", f"{key}?utm_source=x", scrt),
        "scrt_link_one_short": address("BOT-05: cut off", "/scrt-link/s", key[:-1], CUT),
        "scrt_link_one_long": address("BOT-05: a letter too many", "/scrt-link/s", f"{key}A", CUT),
        "scrt_link_percent": address("BOT-05: rewritten", "/scrt-link/s", key.replace("~", "%7E"), scrt),
        "scrt_link_without_fragment": address("BOT-05: a scanner's view", "/scrt-link/s", "", CUT),
        "seecret": address("Six characters", "/seecret/_a1B2c3", f"#{'x' * 42}w", seecret),
        "seecret_below_a_path": address("public_url has a path", "/a/seecret/_a1B2c3", f"#{'x' * 42}w)", seecret),
        "seecret_without_underscore": address("Not its path", "/seecret/a1B2c3", f"#{'x' * 42}w", CUT),
        "enigmacrypt": address("Eight characters", "/enigmacrypt/s/a1B2c3D4", "", enigma),
        "enigmacrypt_below_a_path": address("public_url has a path", "/a/enigmacrypt/s/a1B2c3D4", "", enigma),
        **{
            f"enigmacrypt_{name}": address("BOT-05", f"/enigmacrypt/s/a1B2c3D4{end}", "", enigma)
            for name, end in {"slash": "/", "dot": ".", "bracket": ")", "session": ";x", "quote": "%E2%80%9D"}.items()
        },
        "native_key_in_the_path": address(
            "Escaped on its way", f"/AbCdEf123456%23{ours}", "", {**native, "isExposed": True}
        ),
        "native_key_in_the_path_twice": address(
            "And again", f"/a/AbCdEf123456/%2523{ours}", "#x", {**native, "isExposed": True}
        ),
        "scrt_link_key_in_the_path": address(
            "Escaped on its way", f"/scrt-link/s%23{SCRT_LINK_KEY}", "", {**scrt, "isExposed": True}
        ),
        "enigmacrypt_id_too_long": address("Nine characters", "/enigmacrypt/s/a1B2c3D4e", "", CUT),
        "start_page": address("No secret at all", "/", "", CUT),
    }


def vectors() -> dict[str, Any]:
    groups = [scrt_link, sharokey, seecret, enigmacrypt, addresses]
    return {f"foreign_{make.__name__}_{name}": each for make in groups for name, each in make().items()}


def write(folder: Path) -> None:
    for name, content in vectors().items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
