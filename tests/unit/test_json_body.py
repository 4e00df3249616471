"""The cost of a JSON body: it is decoded on the event loop, so its parts and its depth are limited (IN-03)."""

import json
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from seclink.errors import BadRequest, Fault
from seclink.web import json_body

JSON = "application/json"


class Model(Struct):
    """A model that ignores unknown members, as most dialects do."""

    a: Any = None
    number: int = 0
    bounded: Annotated[int, Meta(ge=-1000, le=1000)] = 0


def read(body: bytes) -> Model:
    return json_body.parse(body, JSON, Model)


def nested(depth: int, begin: str, end: str) -> bytes:
    return (begin * depth + "1" + end * depth).encode()


@pytest.mark.parametrize("part", [b"0", b'{"":0}', b"[]", b'"\\u0041"'])
def test_too_many_parts_are_refused_before_decoding(part: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """IN-03"""
    monkeypatch.setattr(json_body, "_decode_json", lambda _: pytest.fail("the body was decoded"))
    with pytest.raises(BadRequest, match="too many"):
        read(b'{"x":[' + b",".join([part] * 100_000) + b"]}")


def test_limit_of_parts_leaves_room_for_honest_bodies() -> None:
    """IN-03: a secret with a thousand attachments, say."""
    assert len(read(b'{"a":[' + b",".join([b"0"] * 4095) + b"]}").a) == 4095
    assert len(read(json.dumps({"a": [{"name": "n", "data": "d"}] * 1000}).encode()).a) == 1000
    with pytest.raises(BadRequest, match="too many"):
        read(b'{"a":[' + b",".join([b"0"] * 4096) + b"]}")


@pytest.mark.parametrize("member", ["a", "nobody knows"])
@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"b":', "}"), ('[0,{"b":0,"c":', "}]")])
def test_nesting_is_limited_in_known_and_unknown_members(member: str, begin: str, end: str) -> None:
    """IN-03"""
    levels = 31 // (2 if begin.startswith("[0") else 1)  # the document itself is one
    deepest = b'{"%s":%s}' % (member.encode(), nested(levels, begin, end))
    assert isinstance(read(deepest), Model)
    for more in (1, 100):
        with pytest.raises(BadRequest):
            read(b'{"%s":%s}' % (member.encode(), nested(levels + more, begin, end)))
    with pytest.raises(BadRequest, match="deep"):
        read(b'{"%s":%s}' % (member.encode(), nested(levels + 1, begin, end)))


def test_integer_with_too_many_digits_becomes_a_huge_number() -> None:
    """IN-03: the digits are not parsed, and the number is outside every bound."""
    assert read(b'{"number":%d}' % 2**63).number == 2**63
    assert read(b'{"number":-%d}' % 2**63).number == -(2**63)
    for digits in (20, 40, 4000, 100_000):
        for sign in (b"", b"-"):
            assert read(b'{"number":' + sign + b"9" * digits + b"}").number == (-(10**19) if sign else 10**19)
            with pytest.raises(BadRequest) as refused:
                read(b'{"bounded":' + sign + b"9" * digits + b"}")
            assert [fault.field for fault in refused.value.faults] == ["bounded"]


@pytest.mark.parametrize("text", ["\\ud800", "\\uDFFF", "\\udbff x", "\\ude00\\ud83d", "\\ud83d\\\\ude00"])
def test_lone_surrogates_are_refused(text: str) -> None:
    """IN-03: in a value, a name, and deep inside."""
    for body in ('{"a":"%s"}', '{"%s":1}', '{"x":[{"y":["%s"]}]}'):
        with pytest.raises(BadRequest):
            read((body % text).encode())


@pytest.mark.parametrize(
    ("text", "value"), [("\\ud83d\\ude00", "\U0001f600"), ("\\\\ud800", "\\ud800"), ("\\u0041", "A")]
)
def test_escaped_characters_are_decoded(text: str, value: str) -> None:
    assert read(f'{{"a":"{text}"}}'.encode()).a == value


def test_unknown_name_is_cut_in_the_message() -> None:
    """IN-16"""

    class Strict(Struct, forbid_unknown_fields=True):
        a: int = 0

    for name in ("x" * 2_000_000, "x" * 64 + "`" * 2_000_000):
        with pytest.raises(BadRequest) as refused:
            json_body.parse(json.dumps({name: 1}).encode(), JSON, Strict)
        assert refused.value.faults == (Fault("x" * 64, "is not known", "unknown"),)
