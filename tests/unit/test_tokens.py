"""Ids and tokens: unbiased, of fixed shapes, and a mistyped key is distinguished from a guess."""

import collections
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seclink.client import receipts
from seclink.config.dialects import DIALECTS
from seclink.domain import tokens
from seclink.format import link, pasted_link


def test_characters_are_drawn_evenly() -> None:
    text = tokens.draw(620_000, random.Random(1).randbytes)
    counts = collections.Counter(text)
    assert set(counts) == set(tokens.ALPHABET)
    assert max(counts.values()) < 1.06 * 10_000
    assert min(counts.values()) > 0.94 * 10_000


def test_new_ids_have_their_shapes() -> None:
    names = tokens.mint(1_800_000_000_000)
    assert tokens.LINK_ID.fullmatch(names.link_id)
    assert tokens.RECEIPT_ID.fullmatch(names.receipt_id)
    assert len(names.manage_token) == 32
    assert not set(names.link_id) <= set(names.receipt_id[8:])


FOREIGN = ["scrt-link." + "0a" * 32, "enigmacrypt.AbCd0189", "seecret.AbC019"]
MALFORMED = [
    "scrt-link." + "0A" * 32, "scrt-link." + "0a" * 31, "scrt-link", "enigmacrypt.AbCd01890", "enigmacrypt.AbCd018-",
    "seecret.AbC01", "sharokey.AbCdEfGhIjKl", "seecret.AbC019\n", "AbCdEfGhIjK", "AbCdEfGhIjKl\n", "",
    "xseecret.AbC019",
]  # fmt: skip


@pytest.mark.parametrize("link_id", FOREIGN)
def test_dialect_ids_have_their_shapes(link_id: str) -> None:
    assert tokens.LINK_ID.fullmatch(link_id)
    assert not tokens.DRAWN_ID.fullmatch(link_id)


@pytest.mark.parametrize("link_id", MALFORMED)
def test_malformed_ids_are_rejected(link_id: str) -> None:
    assert not tokens.LINK_ID.fullmatch(link_id)


def test_receipt_ids_grow_with_time() -> None:
    receipt_ids = [tokens.mint(1_800_000_000_000 + n * 1000).receipt_id for n in range(100)]
    assert receipt_ids == sorted(receipt_ids)


@given(position=st.integers(8, 45), character=st.sampled_from(tokens.ALPHABET))
def test_mistyped_key_fails_its_check_characters(position: int, character: str) -> None:
    key = tokens.mint_key(random.Random(2).randbytes)
    typed = key[:position] + character + key[position + 1 :]
    assert tokens.is_key(typed) is (typed == key)


@pytest.mark.parametrize("text", ["", "sk_live_", "sk_live_" + "a" * 38, "sk_test_" + "a" * 38, "ü" * 46, "x" * 10_000])
def test_malformed_keys_are_rejected(text: str) -> None:
    assert not tokens.is_key(text)


def test_comparison_accepts_texts_and_bytes() -> None:
    assert tokens.equal("ü", "ü".encode())
    assert not tokens.equal("", "x")


def test_server_and_client_agree_on_the_forms_of_ids() -> None:
    """The client may not import the server's patterns, nor the server the client's; the pages' are in test_openers."""
    assert link.LINK_ID == tokens.DRAWN_ID
    assert receipts.RECEIPT_ID == tokens.RECEIPT_ID
    pages = {row.name: f"/{row.name}{row.page.replace('{id}', f'({row.id_pattern})')}" for row in DIALECTS if row.page}
    read = {form.format: form.path.pattern for form in pasted_link.SECRETS}
    assert read.pop("").startswith(f"/({tokens.DRAWN_ID.pattern})")
    assert read.keys() == pages.keys()
    assert all(pattern.startswith(pages[name]) for name, pattern in read.items())
