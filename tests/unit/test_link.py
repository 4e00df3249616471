"""Links survive what people and programs do to them, or are recognised as incomplete before a view is spent."""

import base64
import re
import secrets

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seclink.errors import LinkIncomplete
from seclink.format.host import is_usable
from seclink.format.link import build, draw_key, fragment_of, key_of, raw_key_of
from seclink.format.pasted_link import MAX_TEXT_CHARS, parse

KEY = bytes(range(32))
SHARE_URL = "https://secret.example/s/AbCdEf123456"
LINK = build(SHARE_URL, KEY)


def key_in(text: str) -> bytes:
    return key_of(parse(text).fragment)


@given(st.binary(min_size=32, max_size=32))
def test_every_key_round_trips(key: bytes) -> None:
    assert key_in(build(SHARE_URL, key)) == key


def test_ten_thousand_links_are_safe_in_mail() -> None:
    """BOT-06"""
    for _ in range(10_000):
        link = build(SHARE_URL, draw_key(secrets.token_bytes))
        head, _, fragment = link.partition("#")
        assert head == SHARE_URL
        assert len(fragment) == 48
        assert set(fragment) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-")
        assert fragment[-1].isalnum()
        assert len(link) < 120


@pytest.mark.parametrize("length", range(48))
def test_every_truncation_is_incomplete(length: int) -> None:
    """BOT-05"""
    fragment = fragment_of(KEY)
    with pytest.raises(LinkIncomplete):
        key_in(f"{SHARE_URL}#{fragment[:length]}")


@pytest.mark.parametrize("position", range(48))
def test_every_single_substitution_is_incomplete(position: int) -> None:
    """BOT-05"""
    fragment = list(fragment_of(KEY))
    for other in "Aa9_-":
        if other != fragment[position]:
            mistyped = "".join([*fragment[:position], other, *fragment[position + 1 :]])
            with pytest.raises(LinkIncomplete):
                key_in(f"{SHARE_URL}#{mistyped}")


@given(st.text(alphabet="0123456789ABCDEFabcdef_-+/=", max_size=60))
def test_random_fragments_are_incomplete(fragment: str) -> None:
    """BOT-05"""
    with pytest.raises(LinkIncomplete):
        key_of(fragment)


@given(before=st.sampled_from(["", " ", "<", "(", "\n\t", '"', "['"]), after=st.text(max_size=20))
def test_text_around_a_link_is_ignored(before: str, after: str) -> None:
    """BOT-05: unless a letter or digit may have come to the key, and then it is noticed."""
    glue = r"[-_=+/~$\\\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]*"
    text = f"{before}{LINK}{after}"
    if re.match(rf"{glue}[A-Za-z0-9]", after):
        with pytest.raises(LinkIncomplete):
            key_in(text)
    elif not re.match(rf"{glue}%", after):
        assert key_in(text) == KEY


@given(st.text(alphabet=">%20=3D \n\u200b" + LINK, max_size=30))
def test_a_key_is_never_made_of_other_characters(inside: str) -> None:
    """BOT-05: whatever stands in the middle of a key, the key that is found is the whole one or none."""
    middle = len(LINK) - 20
    try:
        assert key_in(LINK[:middle] + inside + LINK[middle:]) == KEY
    except LinkIncomplete:
        return


@given(st.text(max_size=200))
def test_arbitrary_text_raises_nothing_but_link_incomplete(text: str) -> None:
    try:
        parse(text)
    except LinkIncomplete:
        return


@pytest.mark.parametrize(
    "part",
    [
        "a/", "/v3/__http:", "http-3A__", "http://a", "https://a/AbCdEf123456/", "https://a/AbCdEf123456%23",
        "/AbCdEf123456;", "/AbCdEf123456....", "\r\n>|", "=", "%25", "://", "?", " ",
        "https://a/AbCdEf123456#" + "a.b " * 300,
    ],
)  # fmt: skip
def test_long_text_is_refused(part: str) -> None:
    """In time that grows with its length: with its square, each of these would take hours."""
    with pytest.raises(LinkIncomplete):
        key_in("https://a/" + part * (1_000_000 // len(part)))


def test_end_of_a_huge_text_is_not_looked_at() -> None:
    assert key_in(" " * (MAX_TEXT_CHARS - len(LINK)) + LINK) == KEY
    with pytest.raises(LinkIncomplete):
        parse(" " * MAX_TEXT_CHARS + LINK)


@pytest.mark.parametrize("text", ["a.b", "1.2.3.4:80", "[::1]:1"])
def test_usable_hosts_are_what_httpx_takes(text: str) -> None:
    assert is_usable(text)
    assert httpx.URL(f"http://{text}").host


@given(st.text(alphabet="0189ax.-_:[]%@/\n\u200bü\uff0e", max_size=12) | st.text(max_size=8))
def test_usable_hosts_end_no_client_in_an_exception(text: str) -> None:
    """Whatever passes is a URL for httpx, too; but for names of the IDNA encoding, which it decodes and may refuse."""
    if is_usable(text) and "xn--" not in text:
        url = httpx.URL(f"http://{text}/")
        assert (url.host, url.path) != ("", "")


def test_parts_of_a_link_under_a_prefix() -> None:
    link = parse(LINK)
    assert (link.base, link.origin, link.link_id) == (
        "https://secret.example/s",
        "https://secret.example",
        "AbCdEf123456",
    )


def test_repr_shows_no_key() -> None:
    assert parse(LINK).fragment not in repr(parse(LINK))


@pytest.mark.parametrize("length", [0, 15, 17, 24, 31, 33, 36])
def test_raw_keys_have_16_or_32_bytes(length: int) -> None:
    with pytest.raises(LinkIncomplete):
        raw_key_of(base64.b64encode(bytes(length)).decode())


def test_native_fragment_is_not_a_raw_key() -> None:
    with pytest.raises(LinkIncomplete):
        raw_key_of(fragment_of(KEY))
