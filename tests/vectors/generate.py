"""Writes the vectors: one scenario per file, its name says why it exists, any language can run it.

    python tests/vectors/generate.py [FOLDER]

Everything here is deterministic and made without the code under test: HKDF and the envelope are written out below
from the format's definition, and what the format's own document promises stands as literals, typed in by hand.

    kind     given                                  expect
    derive   key, passcode                          access, accessHash, contentKey, passcodeHash (null without passcode)
    seal     key, passcode, iv, header, body        encryptedBlob; or, for a bodyRule, its sha256 and bytes
    open     key, passcode, iv, encryptedBlob       header, body; or error
    raw      fragment, iv, encryptedBlob            body; or error
    build    shareUrl, key                          link
    draw     draws                                  key: the first of them whose fragment may end a link
    link     text                                   base, linkId, key; or error
    rawlink  text                                   base, linkId, rawKey; or error
    pasted   texts                                  for each text: base, linkId, fragment, isExposed; or error
    receipt  texts                                  likewise: base, receiptId, manageToken, isExposed; or error
    padded   lengths                                padded
    chunks   streamKey, size, seed, nonces          padded, sealedBytes, chunks: bytes and sha256 of each
    unseal   the same, order                        error: what `chunks` made, put in another order
    chunk    streamKey, size, index, sealed         content; or error
    names    files: name and folder                 names: of each file, the folder and name that it is saved under
    dictated typed                                  candidates: of each, the passcodes to try

`key`, `contentKey`, `iv`, `draws` are hex, `body` and `encryptedBlob` base64. `size` is not given in a header: it
is put second by whoever seals. A bodyRule repeats a byte: {"byte": hex, "count": n}. Byte j of a stream with a seed is
(j ^ (j >> 8) ^ (j >> 16) ^ seed) & 255. Errors: not_authentic,
link_incomplete.
"""

import base64
import hashlib
import hmac
import json
import re
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY = bytes(range(32))
IV = bytes(range(0x64, 0x70))
OTHER_IV = bytes(range(0x70, 0x7C))
NFD = "pa\u0308sswörd 123"
URL = "https://secret.example/AbCdEf123456"
FRAGMENT = "AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fSRF2"

# The format document's own numbers.
FORMAT_1_DERIVED = {
    "access": "oGm3Oe-f_dLBcrlDqzhGf9Al9HCrhmk-LkZTtzTTMX4",
    "accessHash": "35bddb1d9275ffefa265d85c31e4b9d6ee7ff4be1b36d6b4d1d38f0b15528e2d",
    "contentKey": "6fedb0c187d7b84f4bee5bd8d4fa11d5a94570a5581c5bc5466fff923d2c6247",
    "passcodeHash": None,
}
FORMAT_1_BLOB = (
    "7KS7HBLGgpNkIVmEB9SnfzFlCkRcDKv6IWn5W2oIJJHRKp5O+RG0qjXPUMyuKvZ6g60SWCnKIuKh4MRdfOIvQZ4Zxzmu+ZiLDM8DQOr+"
    "rsKUmyQD48VVH2v1BjdUM8pk5cfT2A4tIgTGuUZsU6qw+EVoKUOL2Po251ut22ExcS4Vbz5VgQEY7kyPgbUUZns/ZcmWYeoLMSdtVH0c"
    "NdJDqV9/6PB/J77GSodO4g4Ken0CnxsciCJThAsjm+X4mYJHVPv51koskZMub1LXB3pqs5FQBaOw5hIvnBWkteaHGFf/KMKjw1ht4VDL"
    "kZdz6dhK49ejVHOrkiL/mtXOLh84vGJbxUnDdT+tEmZl624SsRY="
)
FORMAT_2_PASSCODE_HASH = "8dd90ef8343c44043aa0dd6891b92ba3c82d50c919692b7122582d82b77cabd0"
FORMAT_2_CONTENT_KEY = "22e99666ff872cf7780f284b4bb0656a1dc1fcec7002a8b88e2ec9d9aa1b73c4"
FORMAT_3_LENGTHS = [1, 255, 256, 257, 300, 1000, 4095, 4096, 10000, 1000000]
FORMAT_3_PADDED = [256, 256, 256, 272, 304, 1024, 4096, 4096, 10240, 1015808]


def hkdf(secret: bytes, info: str, length: int = 32) -> bytes:
    """RFC 5869 with an empty salt, for one block of output."""
    extracted = hmac.digest(bytes(32), secret, "sha256")
    return hmac.digest(extracted, f"seclink/v1/{info}".encode() + b"\x01", "sha256")[:length]


def stretched(passcode: str | None) -> bytes:
    if passcode is None:
        return b""
    normal = unicodedata.normalize("NFC", passcode).encode()
    return hashlib.pbkdf2_hmac("sha256", normal, hkdf(KEY, "passcode-salt", 16), 600_000, 32)


def content_key(passcode: str | None) -> bytes:
    return hkdf(KEY + stretched(passcode), "content")


def derived(passcode: str | None) -> dict[str, Any]:
    access = hkdf(KEY, "access")
    return {
        "access": base64.urlsafe_b64encode(access).decode().rstrip("="),
        "accessHash": hashlib.sha256(access).hexdigest(),
        "contentKey": content_key(passcode).hex(),
        "passcodeHash": hkdf(KEY + stretched(passcode), "passcode").hex() if passcode else None,
    }


def padded(n: int) -> int:
    if n <= 256:
        return 256
    exponent = len(f"{n:b}") - 1
    step = 1 << (exponent - (len(f"{exponent:b}") - 1) - 1)
    return -(-n // step) * step


def plaintext(header: bytes, body: bytes, claimed: int | None = None) -> bytes:
    plain = (len(header) if claimed is None else claimed).to_bytes(4, "big") + header + body
    return plain + bytes(padded(len(plain)) - len(plain))


def encrypt(plain: bytes, passcode: str | None = None, aad: bytes | None = b"seclink/v1", iv: bytes = IV) -> str:
    return b64(AESGCM(content_key(passcode)).encrypt(iv, plain, aad))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def fragment(key: bytes, version: int = 1, spoil: int = 0) -> str:
    checked = bytes([version]) + key
    check = bytearray(hashlib.sha256(checked).digest()[:3])
    check[0] ^= spoil
    return base64.urlsafe_b64encode(checked + check).decode()


def encoded(header: dict[str, Any], body: bytes) -> bytes:
    rest = {name: value for name, value in header.items() if name != "type"}
    members = {"type": header["type"], "size": len(body)} | rest
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()


def seal(comment: str, body: bytes, passcode: str | None = None, **header: Any) -> dict[str, Any]:
    given = {"key": KEY.hex(), "passcode": passcode, "iv": IV.hex(), "header": header, "body": b64(body)}
    blob = encrypt(plaintext(encoded(header, body), body), passcode)
    return vector("seal", comment, given, {"encryptedBlob": blob})


def opened(
    comment: str, blob: str, expect: dict[str, Any], passcode: str | None = None, iv: bytes = IV
) -> dict[str, Any]:
    given = {"key": KEY.hex(), "passcode": passcode, "iv": iv.hex(), "encryptedBlob": blob}
    return vector("open", comment, given, expect)


def header_case(comment: str, header: bytes, expect: dict[str, Any], body: bytes = b"hello") -> dict[str, Any]:
    return opened(comment, encrypt(plaintext(header, body)), expect)


def link(comment: str, text: str, base: str | None = "https://secret.example") -> dict[str, Any]:
    whole = {"base": base, "linkId": "AbCdEf123456", "key": KEY.hex()}
    return vector("link", comment, {"text": text}, whole if base else CUT)


def raw_link(comment: str, text: str, key: bytes | None) -> dict[str, Any]:
    found = {"base": "https://secret.example", "linkId": "AbCdEf123456", "rawKey": key.hex() if key else None}
    return vector("rawlink", comment, {"text": f"{URL}#{text}"}, found if key else CUT)


def raw(comment: str, key: bytes, text: str, body: bytes | None) -> dict[str, Any]:
    blob = b64(AESGCM(key).encrypt(IV, body if body is not None else b"other", None))
    given = {"fragment": text, "iv": IV.hex(), "encryptedBlob": blob}
    return vector("raw", comment, given, {"body": b64(body)} if body is not None else FORGED)


def vector(kind: str, comment: str, given: dict[str, Any], expect: dict[str, Any]) -> dict[str, Any]:
    return {"comment": comment, "kind": kind, "given": given, "expect": expect}


FORGED = {"error": "not_authentic"}
CUT = {"error": "link_incomplete"}
HELLO = {"header": {"type": "text", "size": 5}, "body": b64(b"hello")}
HELLO_BLOB = base64.b64decode(encrypt(plaintext(b'{"type":"text","size":5}', b"hello")))


def from_the_format() -> dict[str, Any]:
    assert derived(None) == FORMAT_1_DERIVED
    assert [padded(n) for n in FORMAT_3_LENGTHS] == FORMAT_3_PADDED
    first = seal("The format's vector 1: what sealing gives", "hello ✓".encode(), type="text")
    first["expect"] = {"encryptedBlob": FORMAT_1_BLOB}
    second = derived(NFD) | {"passcodeHash": FORMAT_2_PASSCODE_HASH, "contentKey": FORMAT_2_CONTENT_KEY}
    lengths = {"lengths": FORMAT_3_LENGTHS}
    return {
        "format_1_derive_without_passcode": vector(
            "derive", "The format's vector 1: keys", {"key": KEY.hex(), "passcode": None}, FORMAT_1_DERIVED
        ),
        "format_1_seal_text": first,
        "format_1_build": vector(
            "build",
            "The format's vector 1: fragment",
            {"shareUrl": URL, "key": KEY.hex()},
            {"link": f"{URL}#{FRAGMENT}"},
        ),
        "format_2_derive_passcode_nfd": vector(
            "derive", "The format's vector 2: a decomposed passcode", {"key": KEY.hex(), "passcode": NFD}, second
        ),
        "format_2_seal_redirect": seal(
            "The format's vector 2: sealed", b"https://example.com/a?b=c#d", NFD, type="redirect"
        ),
        "format_3_padded": vector("padded", "The format's vector 3", lengths, {"padded": FORMAT_3_PADDED}),
    }


def deriving() -> dict[str, Any]:
    def case(comment: str, passcode: str) -> dict[str, Any]:
        return vector("derive", comment, {"key": KEY.hex(), "passcode": passcode}, derived(passcode))

    return {
        "passcode_nfc_is_the_same_as_nfd": case(
            "IN-05: composed, same keys as vector 2", unicodedata.normalize("NFC", NFD)
        ),
        "passcode_spaces_count": case("Nothing is trimmed", " 1234 "),
        "passcode_six_digits": case("PC-08: the common one", "493027"),
        "passcode_outside_bmp": case("Surrogate pairs in UTF-16 languages", "🗝️🔒𝒜"),
        "passcode_rtl_with_marks": case("IN-05: right-to-left, bidi controls are part of it", "סיסמה\u200f\u202e42"),
        "passcode_compatibility_forms_stay_apart": case("NFC, not NFKC: the ligature is not f + i", "ﬁsh"),
        "passcode_longer_than_a_hash_block": case(
            "HMAC hashes keys over 64 bytes", "correct horse battery staple " * 4
        ),
    }


def sealing() -> dict[str, Any]:
    header_bytes = 4 + len(b'{"type":"text","size":200}')
    return {
        "seal_empty_body": seal("No body at all", b"", type="text"),
        "seal_neogram": seal("Type neogram", "Wake up, Neo…".encode(), type="neogram"),
        "seal_file_with_unicode_name": seal(
            "Type file: name and mediaType follow size",
            b"\x00\x01\xff",
            type="file",
            name="größe 🗝.bin",
            mediaType="a/b",
        ),
        "seal_body_outside_bmp": seal("IN-05: 4-byte characters, ZWJ", "👩‍👩‍👧 𝔘𝔫𝔦".encode(), type="text"),
        "seal_body_rtl_and_nul": seal("IN-05: bidi override and NUL are bytes", "a\u202eb\0c".encode(), type="text"),
        "seal_body_is_not_normalised": seal("Only passcodes are NFC", "a\u0308".encode(), type="text"),
        "seal_pad_255": seal("One below the smallest size", b"x" * (255 - header_bytes), type="text"),
        "seal_pad_256": seal("Exactly the smallest size", b"x" * (256 - header_bytes), type="text"),
        "seal_pad_257": seal("One above it: 272", b"x" * (257 - header_bytes), type="text"),
        "seal_with_passcode": seal("PC-01: the passcode is in the content key", b"hello", "1234", type="text"),
        "seal_one_megabyte": megabyte(),
        "padded_around_powers_of_two": vector(
            "padded",
            "Where the step doubles",
            {"lengths": (lengths := [511, 512, 513, 1023, 1024, 1025, 65535, 65536, 65537, 2**32 - 1])},
            {"padded": [padded(n) for n in lengths]},
        ),
    }


def megabyte() -> dict[str, Any]:
    body = b"\xa5" * 1_000_000
    blob = base64.b64decode(encrypt(plaintext(encoded({"type": "text"}, body), body)))
    rule = {"byte": "a5", "count": len(body)}
    given = {"key": KEY.hex(), "passcode": None, "iv": IV.hex(), "header": {"type": "text"}, "bodyRule": rule}
    expect = {"sha256": hashlib.sha256(blob).hexdigest(), "bytes": len(blob)}
    return vector("seal", "A megabyte, as a rule", given, expect)


def opening() -> dict[str, Any]:
    swapped = encrypt(plaintext(b'{"type":"redirect","size":5}', b"hello"), "1234")
    flipped = HELLO_BLOB[:-1] + bytes([HELLO_BLOB[-1] ^ 1])
    changed = bytes([HELLO_BLOB[8] ^ 2]) + HELLO_BLOB[1:]
    plain = plaintext(b'{"type":"text","size":5}', b"hello")
    extra = {"header": {"type": "text", "size": 5, "x": {"y": [1]}, "name": None}, "body": b64(b"hello")}
    return {
        "open_hello": opened("The plain case", b64(HELLO_BLOB), HELLO),
        "open_flipped_tag": opened("One bit of the tag", b64(flipped), FORGED),
        "open_changed_ciphertext": opened("PC-09: one bit of the ciphertext", b64(changed), FORGED),
        "open_truncated_blob": opened("The last byte is missing", b64(HELLO_BLOB[:-1]), FORGED),
        "open_shorter_than_a_tag": opened("Not even a tag", b64(HELLO_BLOB[:15]), FORGED),
        "open_swapped_iv": opened("PC-09: the iv of another secret", b64(HELLO_BLOB), FORGED, iv=OTHER_IV),
        "open_iv_of_one_byte": opened("An iv AES-GCM does not take", b64(HELLO_BLOB), FORGED, iv=b"\x01"),
        "open_passcode_missing": opened("PC-09: the server says there is no passcode", swapped, FORGED),
        "open_passcode_wrong": opened("PC-01: one character off", swapped, FORGED, "1235"),
        "open_passcode_where_none_is": opened(
            "PC-09: a passcode for a secret without", b64(HELLO_BLOB), FORGED, "1234"
        ),
        "open_wrong_version_in_aad": opened("Sealed as v2", encrypt(plain, aad=b"seclink/v2"), FORGED),
        "open_without_aad": opened("Sealed under no format at all", encrypt(plain, aad=None), FORGED),
        "open_plaintext_of_three_bytes": opened("No room for the length", encrypt(b"\0\0\0"), FORGED),
        "open_without_padding": opened("A reader does not insist on padding", encrypt(plain[:33]), HELLO),
        "open_header_unknown_members": header_case(
            "Ignored, whatever they hold", b'{"type":"text","size":5,"x":{"y":[1]},"name":null}', extra
        ),
        "open_header_other_order": header_case("Only writers order members", b'{"size":5,"type":"text"}', HELLO),
        "open_header_size_overruns": header_case("More than there is", b'{"type":"text","size":99999}', FORGED),
        "open_header_size_negative": header_case("Would cut from the end", b'{"type":"text","size":-1}', FORGED),
        "open_header_size_fraction": header_case("Half a byte", b'{"type":"text","size":4.5}', FORGED),
        "open_header_size_is_a_float": header_case(
            "Whole to some languages only", b'{"type":"text","size":5.0}', FORGED
        ),
        "open_header_size_has_an_exponent": header_case("Likewise", b'{"type":"text","size":5e0}', FORGED),
        "open_header_numbers_elsewhere": header_case(
            "In text, or in members that are ignored, a number is written as it likes",
            b'{"x":{"size":5.0,"y":[-1E+2]},"name":"\\"size\\":5.0","type":"text","size":5}',
            {
                "header": {"x": {"size": 5.0, "y": [-100.0]}, "name": '"size":5.0', "type": "text", "size": 5},
                "body": HELLO["body"],
            },
        ),
        "open_header_size_is_text": header_case("A numeral is not a number", b'{"type":"text","size":"5"}', FORGED),
        "open_header_size_is_true": header_case("Nor is a truth", b'{"type":"text","size":true}', FORGED),
        "open_header_size_missing": header_case("No size", b'{"type":"text"}', FORGED),
        "open_header_type_missing": header_case("No type", b'{"size":5}', FORGED),
        "open_header_type_is_number": header_case("Type is a word", b'{"type":1,"size":5}', FORGED),
        "open_header_is_a_list": header_case("Not an object", b'["text",5]', FORGED),
        "open_header_not_json": header_case("Cut off", b'{"type":"text","size":5', FORGED),
        "open_header_not_utf8": header_case("Latin-1", b'{"type":"text","size":5,"name":"\xe4"}', FORGED),
        "open_header_utf16": header_case("Only UTF-8", '{"type":"text","size":5}'.encode("utf-16-le"), FORGED),
        "open_header_nan": header_case("Not JSON", b'{"type":"text","size":5,"x":NaN}', FORGED),
        "open_header_length_overruns": opened(
            "The header is longer than the plaintext", encrypt(plaintext(b"{}", b"", claimed=253)), FORGED
        ),
        "open_header_length_maximal": opened(
            "2^32-1 bytes are not allocated", encrypt(plaintext(b"{}", b"", claimed=2**32 - 1)), FORGED
        ),
    }


STREAM_KEY = bytes(range(0x80, 0xA0))
CHUNK = 4_194_304


def fold(size: int, seed: int) -> bytes:
    rows = [bytes((low ^ middle ^ seed) & 255 for low in range(256)) for middle in range(256)]
    block = b"".join(rows)
    blocks = [block.translate(bytes(byte ^ high & 255 for byte in range(256))) for high in range(-(-size // 65_536))]
    return b"".join(blocks)[:size]


def nonce_of(index: int) -> bytes:
    return b"\xa0" + index.to_bytes(11, "big")


def sealed_chunk(index: int, chunk: bytes, is_last: bool) -> bytes:
    aad = b"seclink/v1/file" + index.to_bytes(8, "big") + bytes([is_last])
    return nonce_of(index) + AESGCM(hkdf(STREAM_KEY, "file")).encrypt(nonce_of(index), chunk, aad)


def stream_given(size: int) -> dict[str, Any]:
    count = -(-padded(size) // CHUNK)
    nonces = [nonce_of(index).hex() for index in range(count)]
    return {"streamKey": STREAM_KEY.hex(), "size": size, "seed": size & 255, "nonces": nonces}


def stream(comment: str, size: int) -> dict[str, Any]:
    whole = fold(size, size & 255) + bytes(padded(size) - size)
    parts = [whole[at : at + CHUNK] for at in range(0, len(whole), CHUNK)]
    sealed = [sealed_chunk(index, part, index == len(parts) - 1) for index, part in enumerate(parts)]
    chunks = [{"bytes": len(part), "sha256": hashlib.sha256(part).hexdigest()} for part in sealed]
    expect = {"padded": len(whole), "sealedBytes": sum(len(part) for part in sealed), "chunks": chunks}
    return vector("chunks", comment, stream_given(size), expect)


def unsealed(comment: str, size: int, order: list[int]) -> dict[str, Any]:
    return vector("unseal", comment, stream_given(size) | {"order": order}, FORGED)


def one_chunk(
    comment: str, chunk: bytes, *, is_last: bool = True, size: int = 5, index: int = 0, **change: Any
) -> dict[str, Any]:
    """One small chunk, damaged by `flip` (a place), `cut` (bytes off its end) or `asked` (another index)."""
    sealed = bytearray(sealed_chunk(index, chunk, is_last))
    if "flip" in change:
        sealed[change["flip"]] ^= 1
    whole = bytes(sealed[: len(sealed) - change.get("cut", 0)])
    given = {"streamKey": STREAM_KEY.hex(), "size": size, "index": change.get("asked", index), "sealed": b64(whole)}
    is_good = not change and is_last and len(chunk) == 256 and not any(chunk[size:])
    return vector("chunk", comment, given, {"content": b64(chunk[:size])} if is_good else FORGED)


def streams() -> dict[str, Any]:
    hello = b"hello" + bytes(251)
    lengths = [0, CHUNK - 1, CHUNK, CHUNK + 1, 2**31 - 1, 2**31, 2**31 + 1, 2**32 + 1, 2**40 - 1, 2**52, 2**53 - 1]
    return {
        "padded_beyond_32_bits": vector(
            "padded", "Without bit operators", {"lengths": lengths}, {"padded": [padded(n) for n in lengths]}
        ),
        "stream_empty": stream("One chunk of 256 zeros", 0),
        "stream_one_byte": stream("One byte and 255 zeros", 1),
        "stream_chunk_less_one": stream("Padded to one chunk", CHUNK - 1),
        "stream_chunk": stream("Its own padded length: no empty chunk behind", CHUNK),
        "stream_chunk_and_one": stream("Two chunks, the second of 131,072 bytes", CHUNK + 1),
        "stream_two_chunks": stream("Two chunks of one length", 2 * CHUNK),
        "unseal_swapped": unsealed("Chunks of different lengths", CHUNK + 1, [1, 0]),
        "unseal_swapped_of_one_length": unsealed("Only the AAD tells", 2 * CHUNK, [1, 0]),
        "unseal_doubled": unsealed("The second in place of both", 2 * CHUNK, [1, 1]),
        "unseal_cut": unsealed("The last one is missing", CHUNK + 1, [0]),
        "unseal_one_too_many": unsealed("A third one", CHUNK + 1, [0, 1, 1]),
        "chunk_hello": one_chunk("The plain case", hello),
        "chunk_empty": one_chunk("An empty file", bytes(256), size=0),
        "chunk_flipped_nonce": one_chunk("One bit of the nonce", hello, flip=0),
        "chunk_flipped_ciphertext": one_chunk("One bit of the content", hello, flip=12),
        "chunk_flipped_tag": one_chunk("One bit of the tag", hello, flip=-1),
        "chunk_cut": one_chunk("A byte short", hello, cut=1),
        "chunk_without_a_tag": one_chunk("Nothing but a nonce", hello, cut=272),
        "chunk_not_last": one_chunk("No chunk is the last", hello, is_last=False),
        "chunk_padding_not_zero": one_chunk("The last byte of the padding is 1", hello[:-1] + b"\x01"),
        "chunk_of_another_place": one_chunk("Sealed as number 1", hello, index=1, asked=0),
        "chunk_of_another_length": one_chunk("Half of the padding is missing", hello[:128]),
    }


def file_headers() -> dict[str, Any]:
    key = "gIGCg4SFhoeIiYqLjI2Oj5CRkpOUlZaXmJmam5ydnp8"

    def case(
        comment: str, files: Any, stream: Any = None, type: str = "text", is_good: bool = False, **more: Any
    ) -> dict[str, Any]:
        stream = stream or {"key": key, "size": sum(each.get("size", 0) for each in files or [])}
        header = {"type": type, "size": 5} | {"files": files, "stream": stream} | more
        members = {name: value for name, value in header.items() if value != "absent"}
        expect = {"header": members, "body": b64(b"hello")} if is_good else FORGED
        return header_case(comment, json.dumps(members).encode(), expect)

    def file(size: Any = 5, **members: Any) -> dict[str, Any]:
        return {"name": "a", "mediaType": "", "size": size} | members

    def folder(comment: str, path: Any) -> dict[str, Any]:
        return case(comment, [file(folder=path)])

    largest = 2**53 - 1
    return {
        "files_one": case("The plain case", [file()], is_good=True),
        "files_unknown_members": case("Are ignored", [file(later=2.0)], is_good=True, later=None),
        "files_in_folders": case("A relative path", [file(folder="a b/ç..")], is_good=True),
        "files_name_like_a_path": case("Cleaned where it is saved, never refused", [file(name="../x\\")], is_good=True),
        "files_100": case("As many as may be", [file()] * 100, is_good=True),
        "files_101": case("One too many", [file()] * 101),
        "files_none": case("An empty list", []),
        "files_an_object": case("Not a list", {}, {"key": key, "size": 0}),
        "files_null": case("null is not absence", None, {"key": key, "size": 0}),
        "files_alone": case("No stream", [file()], "absent"),
        "files_stream_alone": case("No files", "absent", {"key": key, "size": 5}),
        "files_of_type_file": case("Only text has files beside it", [file()], type="file"),
        "files_sum": case("Not the sum of the sizes", [file(), file(6)], {"key": key, "size": 12}),
        "files_largest": case("2^53 - 1 bytes", [file(largest - 1), file(1)], is_good=True),
        "files_too_large": case("2^53 bytes", [file(largest), file(1)]),
        "files_size_negative": case("-1 and 6", [file(-1), file(6)]),
        "files_size_half": case("2.5 twice", [file(2.5), file(2.5)], {"key": key, "size": 5}),
        "files_size_is_a_float": case("Whole to some languages only", [file(5.0)], {"key": key, "size": 5}),
        "files_stream_size_is_a_float": case("Likewise", [file()], {"key": key, "size": 5.0}),
        "files_size_is_true": case("A truth is no number", [file(True)], {"key": key, "size": 1}),
        "files_name_is_a_number": case("Not a text", [file(name=1)]),
        "files_media_type_is_null": case("May be empty, but not null", [file(mediaType=None)]),
        "files_stream_key_short": case("31 bytes", [file()], {"key": "A" * 42, "size": 5}),
        "files_stream_key_padded": case("With padding", [file()], {"key": key + "=", "size": 5}),
        "files_stream_key_unused_bits": case("Not canonical", [file()], {"key": "A" * 42 + "B", "size": 5}),
        "files_stream_key_other_alphabet": case("Not base64url", [file()], {"key": "+" + "A" * 42, "size": 5}),
        "files_folder_absolute": folder("An absolute path", "/a"),
        "files_folder_upwards": folder("A way out", "a/../b"),
        "files_folder_here": folder("A dot", "./a"),
        "files_folder_empty": folder("Empty", ""),
        "files_folder_empty_part": folder("Two slashes", "a//b"),
        "files_folder_backslash": folder("A separator of some systems", "a\\b"),
        "files_folder_null": folder("null is not absence", None),
    }


def saved(comment: str, names: dict[str, str]) -> dict[str, Any]:
    """Return names that are cleaned one by one: each file is in a folder of its own."""
    folders = [f"f{number}" for number in range(len(names))]
    files = [{"name": name, "folder": folder} for name, folder in zip(names, folders, strict=True)]
    expect = [{"folder": folder, "name": name} for name, folder in zip(names.values(), folders, strict=True)]
    return vector("names", comment, {"files": files}, {"names": expect})


def told_apart(comment: str, paths: list[tuple[str | None, str, str, str]]) -> dict[str, Any]:
    """Return files of one secret: the folder and name of each, and the folder and name that it is saved under."""
    files = [{"name": name} | ({"folder": folder} if folder else {}) for folder, name, _, _ in paths]
    expect = [{"folder": folder, "name": name} for _, _, folder, name in paths]
    return vector("names", comment, {"files": files}, {"names": expect})


def file_names() -> dict[str, Any]:
    devices = ["CON", "prn", "Aux", "nul", "COM1", "com0", "LPT9", "COM\xb9", "lpt\xb2", "COM\xb3", "CONIN$", "conout$"]
    bidi = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    hidden = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)])) + "\u2028\u2029\ufeff" + bidi
    kept = [
        "a.txt",
        "Über uns.pdf",
        "a..b",
        "console",
        "com10",
        "COM",
        "nul-1",
        "a;b&c$d'e",
        "👩\u200d👧.png",
        "❤\ufe0f",
        "می\u200cخواهم",
    ]
    return {
        "names_kept": saved("Nothing to clean", {name: name for name in kept}),
        "names_separators": saved(
            "One component, on every system",
            {"../../etc/passwd": "__.._etc_passwd", "C:\\x": "C__x", "a:b": "a_b", '<>"|?*': "______", "/": "_"},
        ),
        "names_hidden": saved(
            "Control and bidi characters",
            {hidden: "unnamed", f"a{hidden}b": "ab", "cod\u202etxt.exe": "codtxt.exe", "a\nb": "ab"}
            | {"👩\u200d👧.png": "👩\u200d👧.png"},
        ),
        "names_invisible": saved(
            "Format characters and fillers; joiners that join nothing",
            dict.fromkeys(("\u200b", "\u00ad", "\u3164", "\u2800", "\U000e0041", "\u200d", "\ufe0f ."), "unnamed")
            | {f"a{letter}.txt": "a.txt" for letter in "\u200b\u2060\u180e\uffa0\U000e0041\U0001d173"}
            | {"\u200d \u200ba": "a", "\u200b.bashrc": "_bashrc", "a\u200b.": "a"},
        ),
        "names_dots": saved(
            "What programs read unasked and lists of files leave out",
            {".bash_profile": "_bash_profile", "..a": "_a", "...a": "_a", " .a": "_a", ". a": "_ a", ".a.": "_a"}
            | {"." + "a" * 300: "_" + "a" * 199, "." + "a" * 300 + ".txt": "_" + "a" * 195 + ".txt", "\u202e.a": "_a"},
        ),
        "names_ends": saved(
            "Dots and spaces that Windows drops or nobody sees",
            {"a.": "a", "a. .": "a", " a ": "a", "\xa0\u3000a\u2003": "a", "a .txt": "a .txt", "\u202e a": "a"},
        ),
        "names_empty": saved("Never empty", dict.fromkeys(("", ".", "..", " ", "...", "\u202e", " . "), "unnamed")),
        "names_reserved": saved(
            "Devices of Windows, whatever their extension",
            {name: f"_{name}" for name in devices}
            | {"NUL.txt": "_NUL.txt", "con .tar.gz": "_con .tar.gz", "aux.": "_aux", "\u202econ": "_con"}
            | {"_con": "_con"},
        ),
        "names_surrogates": saved(
            "What has no UTF-8 form", {"a\ud83d": "a\ufffd", "\udc00\ud800.b": "\ufffd\ufffd.b", "\ud83d\udd11": "🔑"}
        ),
        "names_long": long_names(),
        "names_twice": told_apart(
            "Equal after cleaning and case folding, also where letters are composed",
            [
                (None, "a.txt", "", "a.txt"), (None, "A.TXT", "", "A (2).TXT"), (None, "a.txt", "", "a (3).txt"),
                (None, "a.txt.", "", "a (4).txt"), (None, "a (2).txt", "", "a (2) (2).txt"), (None, "", "", "unnamed"),
                (None, "..", "", "unnamed (2)"), (None, ".a", "", "_a"), (None, ".A", "", "_A (2)"),
                (None, "straße", "", "straße"), (None, "STRASSE", "", "STRASSE (2)"), (None, "\xe9", "", "\xe9"),
                (None, "e\u0301", "", "e\u0301 (2)"), (None, "x.tar.gz", "", "x.tar.gz"),
                (None, "x.tar.gz", "", "x.tar (2).gz"),
            ],
        ),
        "names_folders": told_apart(
            "Components are cleaned like names, and names told apart in each folder",
            [
                ("b", "a", "b", "a"), ("c", "a", "c", "a"), ("B", "a", "B", "a (2)"), ("b/c", "a", "b/c", "a"),
                (".ssh", "authorized_keys", "_ssh", "authorized_keys"), ("d/..b", ".c", "d/_b", "_c"),
                ("b/NUL", "a", "b/_NUL", "a"), ("b /\u202e/...", "a", "b/unnamed/unnamed", "a"), (None, "a", "", "a"),
            ],
        ),
        "names_of_folders": told_apart(
            "A file is never in the place of a folder, whichever comes first",
            [
                (None, "b", "", "b (2)"), ("b/c.d", "a", "b/c.d", "a"), ("B", "C.d", "B", "C (2).d"),
                (None, "b", "", "b (3)"),
            ],
        ),
    }  # fmt: skip


def long_names() -> dict[str, Any]:
    """Return names beyond 200 bytes, cut at a character, and a folder beyond 600."""
    names = {
        "a" * 200: "a" * 200,
        "a" * 201: "a" * 200,
        "a" * 300 + ".txt": "a" * 196 + ".txt",
        "é" * 150 + ".tar.gz": "é" * 98 + ".gz",
        "🔑" * 51: "🔑" * 50,
        "🔑" * 60 + ".pdf": "🔑" * 49 + ".pdf",
        "a." + "b" * 300: "a." + "b" * 198,
        "." * 300: "unnamed",
        "." * 300 + "x": "_x",
        "con" + " " * 300 + "x": "_con",
        "nul." + "b" * 300: "_nul." + "b" * 195,
        "a" + " " * 300 + ".b": "a" + " " * 197 + ".b",
        "a" * 199 + "  b": "a" * 199,
        " " * 30_000 + "." * 30_000: "unnamed",
    }
    comment = "Short enough for every system, with the extension, in time that grows with the length alone"
    cleaned = saved(comment, names)
    deep = "/".join(["a" * 99] * 9)
    folders = [(deep, "a", deep[:599]), (f"{deep}/b", "a", deep[:599]), ("b" * 300 + "/c", "a", "b" * 200 + "/c")]
    for (folder, name, short), number in zip(folders, ("", " (2)", ""), strict=True):
        cleaned["given"]["files"].append({"name": name, "folder": folder})
        cleaned["expect"]["names"].append({"folder": short, "name": name + number})
    numbered = ("a" * 200, "a" * 196 + " (2)")
    for name in numbered:
        cleaned["given"]["files"].append({"name": "a" * 250})
        cleaned["expect"]["names"].append({"folder": "", "name": name})
    return cleaned


def links() -> dict[str, Any]:
    whole = f"{URL}#{FRAGMENT}"
    cut = None
    return {
        "link_plain": link("As it was made", whole),
        "link_whitespace_around": link("BOT-06: copied with its line", f"  {whole} \r\n"),
        "link_angle_brackets": link("BOT-05: as in mail", f"<{whole}>"),
        "link_trailing_dot": link("BOT-05: ends a sentence", f"{whole}."),
        "link_trailing_parenthesis": link("BOT-05: stood in brackets", f"({whole})."),
        "link_trailing_greater": link("BOT-05: half of a pair of brackets", f"{whole}>"),
        "link_trailing_comma_and_text": link("What follows in the sentence", f"{whole}, see you"),
        "link_trailing_nbsp": link("A space that does not look like one", f"{whole}\u00a0"),
        "link_markdown": link("Emphasised", f"**{whole}**"),
        "link_tracker_before_fragment": link("BOT-05: trackers", f"{URL}?fbclid=IwAR0&utm_source=x#{FRAGMENT}"),
        "link_tracker_after_fragment": link("BOT-05: careless trackers", f"{whole}?fbclid=IwAR0"),
        "link_tracker_ampersand": link("More careless still", f"{whole}&utm_source=mail"),
        "link_slash_after_id": link("Some put a slash behind a path", f"{URL}/#{FRAGMENT}"),
        "link_prefix_path": link(
            "public_url may have a path",
            f"https://host.example:8443/a/secrets/AbCdEf123456#{FRAGMENT}",
            "https://host.example:8443/a/secrets",
        ),
        "link_ipv6_host": link(
            "Brackets belong to the host", f"http://[::1]:8080/AbCdEf123456#{FRAGMENT}", "http://[::1]:8080"
        ),
        "link_no_fragment": link("BOT-05: a scanner's view", URL, cut),
        "link_one_character_short": link("BOT-05: cut off", whole[:-1], cut),
        "link_half": link("BOT-05: wrapped", whole[: len(URL) + 25], cut),
        "link_one_character_long": link("BOT-05: a letter too many", f"{whole}A", cut),
        "link_case_flipped": link("BOT-05: spelled by somebody", f"{URL}#{FRAGMENT.swapcase()}", cut),
        "link_bad_checksum": link("BOT-05: one character mistyped", f"{URL}#{fragment(KEY, spoil=1)}", cut),
        "link_wrong_version": link("A version to come", f"{URL}#{fragment(KEY, version=2)}", cut),
        "link_broken_by_newline": link("Wrapped in the middle", f"{whole[:60]}\n{whole[60:]}"),
        "link_id_too_short": link("11 characters", f"https://secret.example/AbCdEf12345#{FRAGMENT}", cut),
        "link_id_other_alphabet": link("An underscore", f"https://secret.example/AbCdEf_23456#{FRAGMENT}", cut),
        "link_other_scheme": link("Not the web", f"ftp://secret.example/AbCdEf123456#{FRAGMENT}", cut),
        "link_user_in_host": link(
            "Pretends to lead elsewhere", f"https://good.example@evil.example/AbCdEf123456#{FRAGMENT}", cut
        ),
        "link_not_a_link": link("Something else was pasted", "AbCdEf123456", cut),
    }


def drawing() -> dict[str, Any]:
    # Found by counting up: the first keys whose fragments end in "-", in "_" and in a letter or digit.
    keys = [n.to_bytes(32, "big") for n in range(1000)]
    minus = next(key for key in keys if fragment(key).endswith("-"))
    under = next(key for key in keys if fragment(key).endswith("_"))
    plain = next(key for key in keys if fragment(key)[-1].isalnum())
    draws = {"draws": [minus.hex(), under.hex(), plain.hex()]}
    return {
        "draw_again_after_minus_and_underscore": vector(
            "draw", "BOT-06: mail clients leave - and _ out of a link's end", draws, {"key": plain.hex()}
        ),
        "draw_keeps_a_good_key": vector(
            "draw",
            "BOT-06: nothing is drawn twice without need",
            {"draws": [plain.hex(), minus.hex()]},
            {"key": plain.hex()},
        ),
    }


def raws() -> dict[str, Any]:
    long = bytes(range(0xE0, 0x100))
    short = long[16:]
    url = base64.urlsafe_b64encode
    return {
        "raw_32_bytes_base64": raw("AES-256, + and / and =", long, b64(long), b"hello"),
        "raw_16_bytes_base64url_unpadded": raw("AES-128", short, url(short).decode().rstrip("="), "grüße".encode()),
        "raw_16_bytes_base64url_padded": raw("AES-128", short, url(short).decode(), b""),
        "raw_other_key": raw("Not what it was encrypted with", short, b64(long), None),
        "rawlink_base64": raw_link("Raw keys may have + and / and =", b64(long), long),
        "rawlink_trailing_dot": raw_link(
            "The same tolerance as for ours", url(short).decode().rstrip("=") + ".", short
        ),
        "rawlink_24_bytes": raw_link("Not a length the reveal page takes", b64(long[:24]), None),
        "rawlink_cut": raw_link("One character short", url(long).decode().rstrip("=")[:-1], None),
    }


# What mail and chat programs make of links

SCRT_LINK_KEY = "gOOei~kEkcYAAX-YJQnGooSXdSJg8MXkzk~2"
SCRT_LINK_ID = "ad3ff7cfa82d47dcc13c5bdfdcca46df46f981b364fb93f18c7174116016823e"
MARKS = ".,;:!?)]>}\"'_-/=+*~`|$^&\\…»›”’“‘。、）！？\u00a0\ufffc"


def escaped(text: str, times: int = 1) -> str:
    """Escape all but letters and digits, again and again."""
    for _ in range(times):
        text = re.sub(r"[^A-Za-z0-9]", lambda match: f"%{ord(match[0]):02X}", text)
    return text


def kept(url: str, key: str) -> dict[str, str]:
    """The ways in which a link arrives whole, and whose key no server has seen."""
    whole, third = f"{url}#{key}", len(key) // 3
    in_json = whole.replace("/", r"\/", url.count("/"))
    return {
        "plain": whole,
        **{f"before {mark!a}": f"{whole}{mark}" for mark in MARKS},
        "before several marks": f"_**{whole}**_).",
        "before a closing tag": f'<a href="{whole}">here</a>',
        "before a sentence": f"{whole}, see you",
        "before another line": f"{whole}\nPlease open it today.",
        "before a tracker": f"{whole}?utm_source=x&fbclid=y",
        "before a careless tracker": f"{whole}&utm_source=mail",
        "before an escaped mark": f"{whole}%29",
        "before escaped quotation marks": f"{whole}%E2%80%9D",
        "before an escaped space": f"{whole}%20",
        "before a quoted-printable space": f"{whole}=20",
        "before quoted-printable quotation marks": f"{whole}=E2=80=9D",
        "quoted": f"> {whole}",
        "quoted twice": f"> > {whole}",
        "with a label": f"URL: {whole}",
        "with a label and no space": f"URL:{whole}",
        "in angle brackets": f"<{whole}>",
        "in a sentence": f"Look at https://example.org/ and then open {whole} today",
        "in Markdown": f"[the secret]({whole})",
        "in Markdown with itself": f"[{whole}]({whole})",
        "in JSON": f'{{"url": "{in_json}"}}',
        "with Markdown's backslashes": f"{url}\\#" + re.sub(r"([-_~])", r"\\\1", key),
        "with a byte order mark": f"\ufeff{whole}",
        "with invisible characters around": f"\u200b\u200e{whole}\u200d\u2069",
        "with invisible characters inside": f"{url[:-3]}\u00ad{url[-3:]}#{key[:third]}\u200b{key[third:]}\ufeff",
        "with escaped invisible characters": f"{url}#{key[:third]}%E2%80%8B{key[third:]}%EF%BB%BF",
        "with a slash behind the id": f"{url}/#{key}",
        "with a dot behind the id": f"{url}.#{key}",
        "with a session behind the id": f"{url};jsessionid=0A1B2C3D4E5F#{key}",
        "with x behind the id": f"{url};x#{key}",
        "with marks behind the id": f"{url}),#{key}",
        "with trackers": f"{url}?fbclid=IwAR0-x_y&utm_source=a%2Fb#{key}",
        "with a tracker that has a # of its own": f"{url}?utm_source=a%23b#{key}",
        "with two #": f"{url}##{key}",
        "in upper case": f"HTTPS://SECRET.EXAMPLE{url[22:]}#{key}",
        "escaped key": f"{url}#{escaped(key)}",
        "key escaped in lower case": f"{url}#{lower_escapes(key)}",
        "key escaped twice": f"{url}#{escaped(key, 2)}",
        "key escaped three times": f"{url}#{escaped(key, 3)}",
        "a letter of the key escaped": f"{url}#%{ord(key[0]):02X}{key[1:]}",
        "a letter of the path escaped": f"{url[:-1]}%{ord(url[-1]):02X}#{key}",
        "quoted-printable": quopri(f"{url}?a=b#{key}"),
        "quoted-printable key": f"{url}#{key[:third]}={ord(key[third]):02X}{key[third + 1 :]}",
        "broken in the path": f"{url[:-3]}\r\n{url[-3:]}#{key}",
    }


def lower_escapes(key: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", lambda match: f"%{ord(match[0]):02x}", key)


def quopri(text: str) -> str:
    """As mail carries it, with soft line breaks."""
    encoded = text.replace("=", "=3D")
    return "=\r\n".join((encoded[:50], encoded[50:]))


def broken(url: str, key: str) -> dict[str, str]:
    """Line breaks in the key, which a checksum or its length proves whole."""
    half = len(key) // 2 + 1
    return {
        "broken": f"{url}#{key[:half]}\n{key[half:]}",
        "broken and quoted": f"> {url}#{key[:half]}\r\n> {key[half:]}",
        "broken after the #": f"{url}#\n{key}",
        "broken by a space": f"{url}#{key[:half]} {key[half:]}",
        "broken by an escaped line": f"{url}#{key[:half]}%0D%0A{key[half:]}",
    }


def exposed(url: str, key: str) -> dict[str, str]:
    """The ways in which a link arrives whole, but servers on its way may have seen the key."""
    whole = f"{url}#{key}"
    once, twice = escaped(whole), escaped(whole, 2)
    return {
        "escaped #": f"{url}%23{key}",
        "# escaped twice": f"{url}%2523{key}",
        "# escaped three times": f"{url}%252523{key}",
        "escaped # and key": f"{url}{escaped('#' + key)}",
        "# and key escaped twice": f"{url}{escaped('#' + key, 2)}",
        "slash and escaped #": f"{url}/%23{key}",
        "dot and escaped #": f"{url}.%23{key}",
        "escaped # and tracker": f"{url}%23{key}?utm_source=x",
        "escaped # and mark": f"{url}%23{key}.",
        "escaped # and empty fragment": f"{url}%23{key}#",
        "escaped # and other fragment": f"{url}%23{key}#top",
        "escaped # behind trackers": f"{url}?utm_source=x%23{key}",
        "escaped # in upper case": f"HTTPS://SECRET.EXAMPLE{url[22:]}%23{key}",
        "all escaped": once,
        "all escaped twice": twice,
        "Safe Links": f"https://eur01.safelinks.protection.outlook.com/?url={once}&data=05%7C02%7Ca%40b.example%7C&sdata=x%3D&reserved=0",
        "Safe Links, escaped twice": f"https://nam02.safelinks.protection.outlook.com/?url={twice}&data=05%257C&reserved=0",
        "Safe Links in angle brackets": f"<https://eur01.safelinks.protection.outlook.com/?url={once}&data=05>",
        "Google": f"https://www.google.com/url?q={once}&sa=D&source=editors&ust=1700000000000000&usg=AOvVaw0x",
        "Facebook": f"https://l.facebook.com/l.php?u={once}&h=AT0x_y-z",
        "another URL's parameter": f"https://example.org/redirect?a=b&to={whole}",
        "Proofpoint, version 2": f"https://urldefense.proofpoint.com/v2/url?u={proofpoint(whole)}&d=DwMFaQ&c=x-Y_z",
        "Proofpoint, version 3": f"https://urldefense.com/v3/__{whole.replace('#', '*')}__;Iw!!Nx!x_y-z$ ",
    }


def proofpoint(url: str) -> str:
    return re.sub(r"[^A-Za-z0-9./]", lambda match: f"-{ord(match[0]):02X}", url).replace("/", "_")


def refused(url: str, key: str) -> dict[str, str]:
    """Links that have no whole key any more."""
    whole = f"{url}#{key}"
    return {
        "without a key": url,
        "with an empty key": f"{url}#",
        "a letter too long": f"{whole}A",
        "a digit too long": f"{whole}0",
        "a mark and a letter too long": f"{whole}-A",
        "two marks and a digit too long": f"{whole}_=7",
        "an escaped letter too long": f"{whole}%41",
        "a letter too long, escaped #": f"{url}%23{key}A",
        "a character too short": whole[:-3] if key.endswith("=") else whole[:-1],
        "a character lost inside": f"{url}#{key[:9]}{key[10:]}",
        "half": f"{url}#{key[: len(key) // 2 - 1]}",
        "another alphabet": f"{url}#{key[:9]}é{key[10:]}",
        "a long dash": f"{url}#{key[:9]}\u2013{key[10:]}",
        "of a host that is another's user": f"https://good.example@evil.example{url[22:]}#{key}",
        "of an impossible port": f"https://secret.example:99999{url[22:]}#{key}",
        "of another scheme": f"ftp{whole[5:]}",
        "of a host broken into lines": f"https://secret.exam\nple{url[22:]}#{key}",
        "of a host with an invisible character": f"https://secret.exam\u200bple{url[22:]}#{key}",
        "below another path": f"{url}/edit#{key}",
        "with a longer id": f"{url}A#{key}",
        "alone": key,
        "nothing": "",
    }


def pasted(kind: str, comment: str, url: str, key: str, parts: dict[str, str], breaks: bool = True) -> dict[str, Any]:
    def each(make: Callable[[str, str], dict[str, str]], expect: dict[str, Any]) -> dict[str, Any]:
        return {name: [text, expect] for name, text in make(url, key).items()}

    whole = {"base": "https://secret.example", **parts}
    cases = each(kept, {**whole, "isExposed": False}) | each(exposed, {**whole, "isExposed": True}) | each(refused, CUT)
    if breaks:
        cases |= each(broken, {**whole, "isExposed": False})
    texts = {name: text for name, (text, _) in cases.items()}
    return vector(kind, comment, {"texts": texts}, {name: expect for name, (_, expect) in cases.items()})


def pasting() -> dict[str, Any]:
    long, short = b64(bytes(range(0xE0, 0x100))), b64(bytes(range(0xF0, 0x100)))
    unpadded = long.rstrip("=").replace("+", "-").replace("/", "_")
    base = "https://secret.example"
    token = "AbCdEfGhIjKlMnOpQrStUvWxYz012345"

    def secret(comment: str, path: str, key: str, link_id: str = "AbCdEf123456", **more: Any) -> dict[str, Any]:
        return pasted("pasted", comment, f"{base}{path}", key, {"linkId": link_id, "fragment": key.rstrip("=")}, **more)

    receipt = {"receiptId": "01AbCdEf234567GhIjKl", "manageToken": token}
    return {
        "pasted_native": secret("A checksum proves the key", "/AbCdEf123456", FRAGMENT),
        "pasted_raw_32_bytes": secret("With padding", "/AbCdEf123456", long),
        "pasted_raw_32_bytes_unpadded": secret("Of the other alphabet", "/AbCdEf123456", unpadded),
        "pasted_raw_16_bytes": secret("The shortest key", "/AbCdEf123456", short),
        "pasted_sharokey": secret("Native path, 24 letters and digits", "/AbCdEf123456", "a1B2c3D4e5F6g7H8i9J0kLmN"),
        "pasted_scrt_link": secret("The id is in the key", "/scrt-link/s", SCRT_LINK_KEY, f"scrt-link.{SCRT_LINK_ID}"),
        "pasted_seecret": secret("Key as 43 characters", "/seecret/_a1B2c3", unpadded, "seecret.a1B2c3"),
        "pasted_receipt": pasted("receipt", "A manage token", f"{base}/receipt/{receipt['receiptId']}", token, receipt),
    }


def damaging() -> dict[str, Any]:
    """Return a raw key of 32 bytes that was damaged so that its beginning is one of 16, and whole ones of 16."""
    key = base64.urlsafe_b64encode(bytes([*range(0xF0, 0xFF), 0, 0, *range(0xE0, 0xEF)])).decode().rstrip("=")
    head, rest = key[:22], key[23:]
    assert (len(key), key[21] in "AQgw") == (43, True)
    marks = "*.,;:!|^`&?\u2026\u2013\xe9"
    cut: dict[str, str] = {f"{mark!a} in the middle": f"{head}{mark}{rest}" for mark in marks}
    cut |= {f"{mark!a} in the middle and little behind": f"{head}{mark}{rest[:3]}" for mark in "*.:|"}
    cut |= {
        "two marks in the middle": f"{head}**{rest}",
        "a space in the middle": f"{head} {rest}",
        "a line break in the middle": f"{head}\n{rest}",
        "a mark and a space in the middle": f"{head}* {rest}",
        "an escaped mark in the middle": f"{head}%2A{rest}",
        "a tag in the middle": f"{head}<br>{rest}",
    }
    whole = {
        "alone": head,
        "in a sentence": f"{head}, see you",
        "before another line": f"{head}\nPlease open it today.",
        "before a tracker": f"{head}?utm_source=x&fbclid=y",
        "before a careless tracker": f"{head}&utm_source=mail",
        "before a closing tag": f"{head}</a>",
        "padded": f"{head}==*{rest}",
    }
    parts = {"base": "https://secret.example", "linkId": "AbCdEf123456", "fragment": head, "isExposed": False}
    texts = {name: f"{URL}#{text}" for name, text in (cut | whole).items()}
    comment = "The first half of a longer raw key looks like a shorter one, which would spend the view"
    expect = dict.fromkeys(cut, CUT) | dict.fromkeys(whole, parts)
    return {"pasted_raw_damaged": vector("pasted", comment, {"texts": texts}, expect)}


USABLE_HOSTS = (
    "secret.example", "a-b.example:8443", "my_server:8080", "localhost", "secret.example.", "1.2.3.4", "127.0.0.1:80",
    "[::1]", "[2001:db8::1]:8080", "xn--mnchen-3ya.example", "m\xfcnchen.example", "1a.example", f"{'a' * 63}.example",
)  # fmt: skip
UNUSABLE_HOSTS = (
    "010.1.2.3", "1.2.3", "1.2.3.4.5", "256.1.2.3", "0x7f.1", "1.2.3.4.", "a.1", "xn--.example", "a..b", ".a",
    "a..", "-a.example", "a-.example", "[::1]evil", "[::1", "::1", "[v1.a]", "[::g]", "[::1%25eth0]", "[1.2.3.4]",
    f"{'a' * 70}.example", ".".join(["a" * 50] * 6), "good%2fevil.example", "good%40evil.example", "good%2Eexample",
    "good%00.example", "good%0A.evil.example", "good%E2%80%8B.evil.example", "good,evil.example", "a&b", "a:b", "a:0",
    "a:", "a:65536", "a:08", "a:80:80", "a@b.example", "a:b@c.example", "good\uff0eevil", "\uff11.2.3.4",
    "\u2460.example",
    "good.example\n.evil.example", "good.exam\r\nple", "good\u200b.evil.example", "good\xad.evil.example",
    "\u202egood.example", "good\t.evil.example", "good\ufffd.example", "\u2028a.example",
)  # fmt: skip


def hosting() -> dict[str, Any]:
    """Return links at hosts that all clients can or cannot use, as what all of them agree on."""
    found = {"linkId": "AbCdEf123456", "fragment": FRAGMENT, "isExposed": False}
    texts = {host: f"https://{host}/AbCdEf123456#{FRAGMENT}" for host in USABLE_HOSTS + UNUSABLE_HOSTS}
    expect = {host: found | {"base": f"https://{host}"} for host in USABLE_HOSTS} | dict.fromkeys(UNUSABLE_HOSTS, CUT)
    wrapped = {f"wrapped {host!a}": f"https://a.example/?u={escaped(texts[host])}" for host in UNUSABLE_HOSTS}
    comment = "Hosts that no client can use, or that read as others than they are"
    vectors = vector("pasted", comment, {"texts": texts | wrapped}, expect | dict.fromkeys(wrapped, CUT))
    return {"pasted_hosts": vectors, "pasted_two_links": two_links()}


def two_links() -> dict[str, Any]:
    good, other = f"{URL}#{FRAGMENT}", f"https://other.example/ZyXwVu654321#{FRAGMENT}"
    first = {"base": "https://secret.example", "linkId": "AbCdEf123456", "fragment": FRAGMENT, "isExposed": False}
    texts: dict[str, tuple[str, dict[str, Any]]] = {
        "both whole": (f"{good} {other}", first),
        "the first cut": (f"{good[:-9]} {other}", CUT),
        "the first cut, on lines": (f"{good[:-9]}\n{other}\n", CUT),
        "the first with another key": (f"{URL}#{'x' * 48} or {other}", CUT),
        "the second cut": (f"{good} {other[:-9]}", first),
        "the first cut, at the same server": (f"{good[:-9]} {good}", first),
        "another page first": (f"https://news.example/announcement and {good}", first),
    }
    given = {"texts": {name: text for name, (text, _) in texts.items()}}
    comment = "A damaged link is not replaced by one of another server"
    return vector("pasted", comment, given, {name: expect for name, (_, expect) in texts.items()})


def dictating() -> dict[str, Any]:
    candidates = {
        "lemon-zebra-window-castle": [],
        "lemon zebra window castle": ["lemon-zebra-window-castle"],
        " Lemon, Zebra,  Window\u00a0Castle ": ["lemon-zebra-window-castle"],
        "Wolke Zimt Kaktus Lampe": ["wolke-zimt-kaktus-lampe"],
        "Ястреб лопата арбуз якорь": ["ястреб-лопата-арбуз-якорь"],
        "музеи\u0306 зебра лопата якорь": ["музей-зебра-лопата-якорь"],
        "lemon zebra лопата якорь": [],
        "lemon zebra window": [],
        "correct horse battery staple": [],
        "482913": [],
        " 482 913": ["482913"],
        "48-29-13": ["482913"],
        "4829 13 7": [],
        "４８２９１３": [],
        "": [],
    }
    expected = [[*generated, typed] for typed, generated in candidates.items()]
    given = {"typed": list(candidates)}
    comment = "Words of one list and six digits are tried as they were generated, then as typed"
    return {"dictated_passcodes": vector("dictated", comment, given, {"candidates": expected})}


def typing() -> dict[str, Any]:
    """Return passcodes as they are typed or pasted: the fault when creating, the cleaned and the plainer one."""
    hidden, family, flag = "control_characters", "👩\u200d👩\u200d👧", "🇫🇷"
    passcodes: dict[str, tuple[str | None, str, str]] = {
        "1234": (None, "1234", "1234"),
        "a b": (None, "a b", "a b"),
        " a ": (None, " a ", "a"),
        "a\u00a0b": (None, "a\u00a0b", "a b"),
        "a\u3000": (None, "a\u3000", "a"),
        "１２３": (None, "１２３", "123"),
        "ａＢ！～": (None, "ａＢ！～", "aB!~"),
        "it’s “x” – y…": (None, "it’s “x” – y…", 'it\'s "x" - y...'),
        "pässwörd": (None, "pässwörd", "pässwörd"),
        "ﬁ²": (None, "ﬁ²", "ﬁ²"),
        f"{family}{flag}❤\ufe0f\u200d🔥": (None, f"{family}{flag}❤\ufe0f\u200d🔥", f"{family}{flag}❤\ufe0f\u200d🔥"),
        "👩🏽\u200d💻": (None, "👩🏽\u200d💻", "👩🏽\u200d💻"),
        "": ("required", "", ""),
        "   ": ("required", "   ", ""),
        "\u00a0\u2003": ("required", "\u00a0\u2003", ""),
        **{f"a{mark}b": (hidden, "ab", "ab") for mark in "\0\t\n\r\v\f\x1b\x7f\x85\u2028\u2029"},
        **{
            f"{mark}ab": (hidden, "ab", "ab") for mark in "\ufeff\u200b\u200c\u200d\u2060\u00ad\u180e\u034f\u3164\u2800"
        },
        **{f"ab{mark}": (hidden, "ab", "ab") for mark in "\u200e\u200f\u061c\u202a\u202e\u2066\u2069"},
        "ab \r\n": (hidden, "ab ", "ab"),
        "a\u200d👧": (hidden, "a👧", "a👧"),
        "👧\u200d": (hidden, "👧", "👧"),
        "👧\u200d\u200d👧": (hidden, "👧👧", "👧👧"),
    }
    for character in ("x", "e\u0301", "🗝", family, flag, "👍🏽", "한"):
        longest = character * 200
        passcodes |= {longest: (None, longest, longest), f"{longest}x": ("too_long", f"{longest}x", f"{longest}x")}
    expected = [{"fault": fault, "cleaned": cleaned, "plainer": plain} for fault, cleaned, plain in passcodes.values()]
    comment = "Creating refuses what nobody can type or see; a reader drops it, and asks about spaces and look-alikes"
    return {"typed_passcodes": vector("typed", comment, {"typed": list(passcodes)}, {"passcodes": expected})}


def vectors() -> dict[str, Any]:
    own = typing() | from_the_format() | deriving() | sealing() | opening() | links() | drawing() | raws() | pasting()
    return own | dictating() | damaging() | hosting() | streams() | file_headers() | file_names()


def write(folder: Path) -> None:
    for name, content in vectors().items():
        (folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
