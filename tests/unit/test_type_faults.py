"""The fault of a document that does not fit its struct, found without reading msgspec's messages."""

from datetime import date
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Meta, Struct, UnsetType

from seclink.dialects import enigmacrypt, scrt_link, seecret, sharokey
from seclink.errors import Fault, Limit
from seclink.web import schemas
from seclink.web.type_faults import MAX_FAULTS, faults

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(["raw", "en", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "data", "x"]), inner),
    max_leaves=5,
)


def requests(module: Any) -> list[type[Struct]]:
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Struct)]
    return [kind for kind in kinds if kind.__module__ == module.__name__]


KINDS = [kind for module in (schemas, enigmacrypt, scrt_link, seecret, sharokey) for kind in requests(module)]


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(data=st.data())
def test_every_rejected_document_has_a_fault_with_a_code(kind: type[Struct], data: st.DataObject) -> None:
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    document = data.draw(st.dictionaries(st.sampled_from([*names, "x"]), VALUES) | VALUES)
    strict = data.draw(st.booleans())
    try:
        msgspec.convert(document, kind, strict=strict)
    except msgspec.ValidationError as error:
        fault = faults(document, kind, strict=strict)[0]
        assert fault.code != "invalid"
        path = str(error).partition(" - at `$")[2].strip("`").lstrip(".")
        assert fault.field == path or fault.code in ("required", "unknown")


class Part(Struct):
    name: Annotated[str, Meta(min_length=1, max_length=255)]


class Form(Struct, forbid_unknown_fields=True):
    id: str
    limit: Annotated[int, Meta(ge=1, le=100)] = 1
    offset: Annotated[int, Meta(ge=0)] = 0
    search: Annotated[str, Meta(max_length=200)] | None = None
    digest: Annotated[str, Meta(pattern="^[0-9a-f]*$")] = ""
    day: date | UnsetType = UNSET
    lang: Literal["en", "fr"] = "en"
    parts: list[Part] = []


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ([], Fault("", "must be an object", "wrong_type")),
        ({}, Fault("id", "is missing", "required")),
        ({"id": "x", "password": "y"}, Fault("password", "is not known", "unknown")),
        ({"id": None}, Fault("id", "must be a string", "wrong_type")),
        ({"search": 1}, Fault("search", "must be a string or null", "wrong_type")),
        ({"limit": "x"}, Fault("limit", "must be an integer", "wrong_type")),
        ({"limit": 0}, Fault("limit", "must be 1 to 100", "out_of_range", Limit(1, 100))),
        ({"offset": -1}, Fault("offset", "must be at least 0", "out_of_range", Limit(min=0))),
        ({"search": "x" * 201}, Fault("search", "must have at most 200 characters", "too_long", Limit(max=200))),
        ({"digest": "g"}, Fault("digest", "does not have the right format", "wrong_format")),
        ({"day": "today"}, Fault("day", "must be a date, written YYYY-MM-DD", "wrong_format")),
        ({"lang": "de"}, Fault("lang", "is not one of the values allowed", "not_one_of")),
        ({"parts": {}}, Fault("parts", "must be a list", "wrong_type")),
        ({"parts": [{"name": "a"}, {}]}, Fault("parts[1].name", "is missing", "required")),
        (
            {"parts": [{"name": "a"}, {"name": ""}]},
            Fault("parts[1].name", "must have 1 to 255 characters", "too_short", Limit(1, 255)),
        ),
    ],
)
def test_fault_names_the_member_and_the_reason(document: Any, fault: Fault) -> None:
    assert faults(document, Form)[0] == fault


def test_number_as_text_has_the_bounds_of_the_number() -> None:
    fault = Fault("limit", "must be 1 to 100", "out_of_range", Limit(1, 100))
    assert faults({"limit": "101"}, Form, strict=False)[0] == fault


def test_all_faults_are_reported_up_to_a_limit() -> None:
    document = {"ident": "a", "limit": 0, "parts": [{"name": 1}, {}], "lang": "xx"}
    assert [(fault.field, fault.code) for fault in faults(document, Form)] == [
        ("ident", "unknown"),
        ("limit", "out_of_range"),
        ("parts[0].name", "wrong_type"),
        ("parts[1].name", "required"),
        ("lang", "not_one_of"),
        ("id", "required"),
    ]
    assert len(faults({str(number): 1 for number in range(1000)}, Form)) == MAX_FAULTS
