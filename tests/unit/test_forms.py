"""Strict parsing of forms: encoded members come out unchanged, and ambiguous forms are rejected."""

import tracemalloc
from urllib.parse import unquote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seclink.errors import BadRequest, UnsupportedMediaType
from seclink.web import forms

FORM = "application/x-www-form-urlencoded"
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(st.dictionaries(st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1), texts))
def test_encoded_members_are_decoded(members: dict[str, str]) -> None:
    assert forms.parse(urlencode(members).encode(), FORM) == members


@given(st.binary(max_size=200))
def test_any_body_is_parsed_or_rejected(body: bytes) -> None:
    try:
        read = forms.parse(body, FORM, ("a",))
    except BadRequest:
        return
    assert all(isinstance(each, str | list) for each in read.values())
    str(read).encode()  # no half characters


@given(
    st.lists(st.sampled_from(["%", "%4", "%41", "%C3%A9", "%ff", "é", "a", "+", "%%", "%zz"])).map("".join),
    st.integers(3, 9),
)
def test_piece_size_does_not_change_the_text(text: str, piece: int) -> None:
    """The result is that of the standard library in one piece."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forms, "PIECE_BYTES", piece)
        try:
            expected = unquote_plus(text, errors="strict")
        except UnicodeDecodeError:
            with pytest.raises(BadRequest):
                forms.parse(f"a={text}".encode(), FORM)
        else:
            assert forms.parse(f"a={text}".encode(), FORM) == ({"a": expected} if text else {})


@pytest.mark.parametrize("body", [b"a=" + b"%41" * 300_000, b"%41" * 300_000 + b"=x"], ids=["value", "name"])
def test_unquoting_uses_little_memory(body: bytes) -> None:
    """IN-03: for forms."""
    tracemalloc.start()
    try:
        forms.parse(body, FORM)
        assert tracemalloc.get_traced_memory()[1] < 10 * len(body)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("body", "members"),
    [
        (b"", {}),
        (b"&&", {}),
        (b"a=x", {"a": "x"}),
        (b"a=b+c%2B%26%3D%25", {"a": "b c+&=%"}),
        (b"a=x=y", {"a": "x=y"}),
        (b"a=50% off", {"a": "50% off"}),
        (b"a=%zz", {"a": "%zz"}),
        ("a=é".encode(), {"a": "é"}),
        (b"a=%C3%A9", {"a": "é"}),
        (b"a=%00", {"a": "\0"}),
        (b"a=x;b=y", {"a": "x;b=y"}),
        (b"a", {}),
        (b"a=&b=", {}),
        (b"%61=x", {"a": "x"}),
    ],
)
def test_member_is_a_string(body: bytes, members: dict[str, str]) -> None:
    assert forms.parse(body, FORM) == members


@pytest.mark.parametrize(
    "body",
    [
        b"a[0]=x&a[1]=y",
        b"a%5B0%5D=x&a%5B1%5D=y",
        b"a[]=x&a[]=y",
        b"a=x&a=y",
        b"a[]=x&a[]=&a=y",
        b"a[FR]=x&a=y",
    ],
)
def test_every_notation_of_a_list_is_accepted(body: bytes) -> None:
    assert forms.parse(body, FORM, ("a",)) == {"a": ["x", "y"]}


def test_empty_list_is_missing() -> None:
    assert forms.parse(b"a[]=&a=", FORM, ("a",)) == {}


@pytest.mark.parametrize(
    "body",
    [
        b"a=x&a=y",
        b"a=x&a=x",
        b"a=&a=x",
        b"a[]=x",
        b"a[0]=x",
        b"a[=x",
        b"[]=x",
        b"b[0][1]=x",
        b"b[=x",
        b"b[" + b"0" * 11 + b"]=x",
        b"b[]x=x",
        b"a=%FF",
        b"a=%ED%A0%80",
        b"a=\xff",
        b"\xff=a",
        b"&".join(b"a%d=x" % each for each in range(501)),
    ],
)
def test_ambiguous_form_is_rejected(body: bytes) -> None:
    with pytest.raises(BadRequest):
        forms.parse(body, FORM, ("b",))


def test_form_may_have_500_members() -> None:
    assert len(forms.parse(b"&".join(b"a%d=x" % each for each in range(500)), FORM)) == 500


@pytest.mark.parametrize("named", [FORM, FORM.upper(), f"{FORM};charset=UTF-8", f'{FORM} ; charset="utf-8" '])
def test_content_type_may_name_utf_8(named: str) -> None:
    assert forms.parse(b"a=x", named) == {"a": "x"}


@pytest.mark.parametrize(
    "named", [None, "", "application/json", "multipart/form-data; boundary=x", f"{FORM}; charset=latin-1", f"{FORM}x"]
)
def test_other_content_type_is_rejected(named: str | None) -> None:
    with pytest.raises(UnsupportedMediaType):
        forms.parse(b"a=x", named)
