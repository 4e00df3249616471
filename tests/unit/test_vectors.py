"""Every file of our own format under tests/vectors, against the Python implementation (PC-01, PC-09, BOT-05, BOT-06,
IN-05), and every address. The other vectors of other formats are tested in the page."""

import base64
import hashlib
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seclink.cli.wordlist import passcode_candidates
from seclink.errors import LinkIncomplete, SecLinkError
from seclink.format import envelope
from seclink.format import link as links
from seclink.format import passcode as passcodes
from seclink.format.file_header import FileEntry
from seclink.format.file_name import saved_names
from seclink.format.file_stream import CHUNK_BYTES, FileStream
from seclink.format.pasted_link import parse, parse_receipt

FOLDER = Path(__file__).parent.parent / "vectors"
ALL = sorted(FOLDER.glob("*.json"))
FILES = [file for file in ALL if not file.name.startswith("foreign_") or file.name.startswith("foreign_addresses_")]

Json = dict[str, Any]


def derive(inputs: Json) -> Json:
    keys = envelope.derive(bytes.fromhex(inputs["key"]), inputs["passcode"])
    return {
        "access": keys.access,
        "accessHash": keys.access_hash,
        "contentKey": keys.content_key.hex(),
        "passcodeHash": keys.passcode_hash,
    }


def seal(inputs: Json) -> Json:
    keys = envelope.derive(bytes.fromhex(inputs["key"]), inputs["passcode"])
    rule = inputs.get("bodyRule")
    body = bytes.fromhex(rule["byte"]) * rule["count"] if rule else base64.b64decode(inputs["body"])
    blob = envelope.seal(keys.content_key, bytes.fromhex(inputs["iv"]), inputs["header"], body)
    if rule:
        return {"sha256": hashlib.sha256(blob).hexdigest(), "bytes": len(blob)}
    return {"encryptedBlob": base64.b64encode(blob).decode()}


def open_(inputs: Json) -> Json:
    keys = envelope.derive(bytes.fromhex(inputs["key"]), inputs["passcode"])
    blob = base64.b64decode(inputs["encryptedBlob"])
    opened = envelope.open(keys.content_key, bytes.fromhex(inputs["iv"]), blob)
    return {"header": opened.header, "body": base64.b64encode(opened.body).decode()}


def raw(inputs: Json) -> Json:
    key = links.raw_key_of(inputs["fragment"])
    body = envelope.open_raw(key, bytes.fromhex(inputs["iv"]), base64.b64decode(inputs["encryptedBlob"]))
    return {"body": base64.b64encode(body).decode()}


def build(inputs: Json) -> Json:
    return {"link": links.build(inputs["shareUrl"], bytes.fromhex(inputs["key"]))}


def draw(inputs: Json) -> Json:
    draws = iter(inputs["draws"])
    return {"key": links.draw_key(lambda _: bytes.fromhex(next(draws))).hex()}


def link(inputs: Json) -> Json:
    parsed = parse(inputs["text"])
    return {"base": parsed.base, "linkId": parsed.link_id, "key": links.key_of(parsed.fragment).hex()}


def rawlink(inputs: Json) -> Json:
    parsed = parse(inputs["text"])
    return {"base": parsed.base, "linkId": parsed.link_id, "rawKey": links.raw_key_of(parsed.fragment).hex()}


def pasted(inputs: Json) -> Json:
    return {name: or_error(secret, text) for name, text in inputs["texts"].items()}


def receipt(inputs: Json) -> Json:
    return {name: or_error(receipt_in, text) for name, text in inputs["texts"].items()}


def secret(text: str) -> Json:
    """Return the parts of a link. Without a whole key it is incomplete, unless its kind has none."""
    link = parse(text)
    if not link.fragment and not link.link_id.startswith("enigmacrypt."):
        raise LinkIncomplete
    return {"base": link.base, "linkId": link.link_id, "fragment": link.fragment, "isExposed": link.is_exposed}


def receipt_in(text: str) -> Json:
    link = parse_receipt(text)
    if not link.manage_token:
        raise LinkIncomplete
    parts = {"receiptId": link.receipt_id, "manageToken": link.manage_token}
    return {"base": link.base, **parts, "isExposed": link.is_exposed}


def address(inputs: Json) -> Json:
    link = parse(f"https://secret.example{inputs['pathname']}{inputs['hash']}")
    name, dot, _ = link.link_id.partition(".")
    formats = [name] if dot else ["raw", "sharokey", "seclink/v1"]
    return {"linkId": link.link_id, "fragment": link.fragment, "formats": formats, "isExposed": link.is_exposed}


def or_error(run: Callable[[Any], Json], inputs: Any) -> Json:
    try:
        return run(inputs)
    except SecLinkError as error:
        return {"error": error.code}


def typed(inputs: Json) -> Json:
    return {"passcodes": [typed_passcode(text) for text in inputs["typed"]]}


def typed_passcode(text: str) -> Json:
    fault, cleaned = passcodes.fault(text), passcodes.cleaned(text)
    return {"fault": fault and fault.code, "cleaned": cleaned, "plainer": passcodes.plainer(cleaned)}


def padded(inputs: Json) -> Json:
    return {"padded": [envelope.padded(length) for length in inputs["lengths"]]}


def fold(size: int, seed: int) -> bytes:
    """Return the content that a vector gives by its seed."""
    row = bytes(range(256))
    block = b"".join(row.translate(bytes(byte ^ middle ^ seed for byte in row)) for middle in range(256))
    blocks = [block.translate(bytes(byte ^ high & 255 for byte in row)) for high in range(-(-size // len(block)))]
    return b"".join(blocks)[:size]


def sealed_chunks(inputs: Json) -> tuple[FileStream, list[bytes]]:
    stream = FileStream(bytes.fromhex(inputs["streamKey"]), inputs["size"])
    content = fold(inputs["size"], inputs["seed"])
    nonces = [bytes.fromhex(nonce) for nonce in inputs["nonces"]]
    places = [content[index * CHUNK_BYTES :][:CHUNK_BYTES] for index in range(stream.chunks)]
    return stream, [stream.seal(index, nonces[index], place) for index, place in enumerate(places)]


def chunks(inputs: Json) -> Json:
    stream, sealed = sealed_chunks(inputs)
    assert b"".join(stream.open(index, part) for index, part in enumerate(sealed)) == fold(
        inputs["size"], inputs["seed"]
    )
    parts = [{"bytes": len(part), "sha256": hashlib.sha256(part).hexdigest()} for part in sealed]
    return {"padded": stream.padded, "sealedBytes": stream.sealed_bytes, "chunks": parts}


def unseal(inputs: Json) -> Json:
    stream, sealed = sealed_chunks(inputs)
    parts = [sealed[place] for place in inputs["order"]]
    stream.check(stream.sealed_bytes, len(parts))
    return {"content": [stream.open(index, part) for index, part in enumerate(parts)]}


def chunk(inputs: Json) -> Json:
    stream = FileStream(bytes.fromhex(inputs["streamKey"]), inputs["size"])
    content = stream.open(inputs["index"], base64.b64decode(inputs["sealed"]))
    return {"content": base64.b64encode(content).decode()}


def names(inputs: Json) -> Json:
    files = [FileEntry(file["name"], 0, folder=file.get("folder")) for file in inputs["files"]]
    return {"names": [name._asdict() for name in saved_names(files)]}


def dictated(inputs: Json) -> Json:
    return {"candidates": [passcode_candidates(typed) for typed in inputs["typed"]]}


RUN: dict[str, Callable[[Json], Json]] = {
    "derive": derive,
    "seal": seal,
    "open": open_,
    "raw": raw,
    "build": build,
    "draw": draw,
    "link": link,
    "rawlink": rawlink,
    "pasted": pasted,
    "receipt": receipt,
    "address": address,
    "padded": padded,
    "chunks": chunks,
    "unseal": unseal,
    "chunk": chunk,
    "names": names,
    "typed": typed,
    "dictated": dictated,
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_vector(file: Path) -> None:
    vector = json.loads(file.read_text())
    assert or_error(RUN[vector["kind"]], vector["given"]) == vector["expect"], vector["comment"]


@pytest.mark.slow
def test_generators_still_write_exactly_these_files(tmp_path: Path) -> None:
    for name in ("generate", "generate_foreign"):
        load(name).write(tmp_path)
    written = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert written == {file.name: file.read_bytes() for file in ALL}


def test_vectors_of_the_format_and_more_than_thirty_others_exist() -> None:
    own = [file for file in FILES if file.stem.startswith("format_")]
    assert {"format_1", "format_2", "format_3"} == {file.stem[:8] for file in own}
    assert len(FILES) - len(own) > 30


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(f"vectors_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
