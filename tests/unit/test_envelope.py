"""Properties of the envelope that no single vector shows."""

import itertools
import re

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from seclink.errors import BadRequest, NotAuthentic
from seclink.format import envelope

KEY = bytes(range(32))
IV = bytes(12)
KEYS = envelope.derive(KEY)

headers = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "redirect", "neogram", "file"])},
    optional={"name": st.text(st.characters(exclude_categories=["Cs"])), "mediaType": st.just("text/plain")},
)


@given(body=st.binary(max_size=2000), header=headers)
def test_sealed_body_opens_byte_for_byte(body: bytes, header: dict[str, str]) -> None:
    opened = envelope.open(KEYS.content_key, IV, envelope.seal(KEYS.content_key, IV, header, body))
    assert opened.body == body
    assert opened.header == {**header, "size": len(body)}


@settings(max_examples=300)
@given(position=st.integers(0, 271), bit=st.integers(0, 7))
def test_any_flipped_bit_is_not_authentic(position: int, bit: int) -> None:
    """PC-09"""
    blob = bytearray(envelope.seal(KEYS.content_key, IV, {"type": "text"}, b"hello"))
    blob[position] ^= 1 << bit
    with pytest.raises(NotAuthentic):
        envelope.open(KEYS.content_key, IV, bytes(blob))


@given(st.binary(max_size=600))
def test_arbitrary_bytes_are_not_authentic(blob: bytes) -> None:
    with pytest.raises(NotAuthentic):
        envelope.open(KEYS.content_key, IV, blob)


@given(st.integers(0, 2**32))
def test_padding_never_shrinks_and_costs_at_most_an_eighth(length: int) -> None:
    size = envelope.padded(length)
    assert size >= length
    assert size <= max(256, length * 1.125)


def test_padding_leaves_few_distinct_sizes() -> None:
    sizes = {envelope.padded(length) for length in range(100_000)}
    assert len(sizes) < 150


def test_short_secrets_have_the_same_length() -> None:
    blobs = [envelope.seal(KEYS.content_key, IV, {"type": "text"}, b"x" * n) for n in (0, 1, 20, 200)]
    assert {len(blob) for blob in blobs} == {256 + 16}


def test_seal_overwrites_the_size_in_the_header() -> None:
    blob = envelope.seal(KEYS.content_key, IV, {"size": 99, "type": "text"}, b"hello")
    assert envelope.open(KEYS.content_key, IV, blob).body == b"hello"


def test_derived_values_reveal_no_secret() -> None:
    """PC-08: nothing a server receives is, or contains, what opens the secret."""
    keys = envelope.derive(KEY, "493027")
    shown = [keys.access, keys.access_hash, str(keys.passcode_hash)]
    secret = [KEY.hex(), keys.content_key.hex(), "493027"]
    assert not any(hidden in value for hidden, value in itertools.product(secret, shown))
    assert len({*shown, *secret}) == 6


def test_same_passcode_under_another_key_gives_another_hash() -> None:
    """PC-08: a table of hashes made for one secret says nothing about another."""
    other = envelope.derive(bytes(32), "493027")
    assert other.passcode_hash != envelope.derive(KEY, "493027").passcode_hash


def test_passcode_changes_the_content_key_but_not_the_proof() -> None:
    """PC-09: the proof of the link's key needs no passcode, the content does."""
    keys = envelope.derive(KEY, "1234")
    assert keys.access == KEYS.access
    assert keys.content_key != KEYS.content_key


def test_empty_passcode_is_none() -> None:
    assert envelope.derive(KEY, "") == envelope.derive(KEY)


@pytest.mark.parametrize("use", [lambda text: envelope.derive(KEY, text), envelope.raw_passcode_hash])
def test_lone_surrogate_in_a_passcode_is_refused(use) -> None:  # type: ignore[no-untyped-def]
    """IN-05"""
    with pytest.raises(BadRequest) as refused:
        use("12\ud80034")
    assert refused.value.faults[0].field == "passcode"


def test_wire_shapes() -> None:
    keys = envelope.derive(KEY, "1234")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", keys.access)
    assert re.fullmatch(r"[0-9a-f]{64}", keys.access_hash)
    assert re.fullmatch(r"[0-9a-f]{64}", str(keys.passcode_hash))


def test_repr_shows_no_key() -> None:
    shown = repr(envelope.derive(KEY, "1234"))
    assert "content_key" not in shown
    assert "passcode_hash" not in shown


def test_deeply_nested_header_is_not_authentic() -> None:
    header = b'{"type":"text","size":0,"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    plain = len(header).to_bytes(4, "big") + header
    blob = AESGCM(KEYS.content_key).encrypt(IV, plain, b"seclink/v1")
    with pytest.raises(NotAuthentic):
        envelope.open(KEYS.content_key, IV, blob)
