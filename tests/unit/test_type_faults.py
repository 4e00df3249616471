"""The fault of a document that does not fit its struct, found without reading msgspec's messages."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from seclink.dialects import enigmacrypt, scrt_link, seecret, sharokey
from seclink.errors import Fault, Limit
from seclink.web import schemas
from seclink.web.type_faults import first_fault

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
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_every_rejected_document_has_a_fault_with_a_code(kind: type[Struct], data: st.DataObject) -> None:
    names = [field.encode_name for field in msgspec.structs.fields(kind)]
    document = data.draw(st.dictionaries(st.sampled_from([*names, "x"]), VALUES) | VALUES)
    strict = data.draw(st.booleans())
    try:
        msgspec.convert(document, kind, strict=strict)
    except msgspec.ValidationError as error:
        fault = first_fault(document, kind, strict=strict)
        assert fault.code != "invalid"
        path = str(error).partition(" - at `$")[2].strip("`").lstrip(".")
        assert fault.field == path or fault.code in ("required", "unknown")


@pytest.mark.parametrize(
    ("kind", "document", "fault"),
    [
        (schemas.RevealSecret, [], Fault("", "must be an object", "wrong_type")),
        (schemas.RevealSecret, {"access": 1}, Fault("access", "must be a string or null", "wrong_type")),
        (
            sharokey.SharokeyCreate,
            {"attachments": [{"name": "a", "data": "x"}, {"name": "", "data": "x"}]},
            Fault("attachments[1].name", "must have 1 to 255 characters", "too_short", Limit(1, 255)),
        ),
        (
            sharokey.SharokeyCreate,
            {"attachments": [{"data": ""}]},
            Fault("attachments[0].name", "is missing", "required"),
        ),
        (seecret.SeecretById, {}, Fault("id", "is missing", "required")),
        (seecret.SeecretListing, {"limit": "0"}, Fault("limit", "must be 1 to 100", "out_of_range", Limit(1, 100))),
        (
            seecret.SeecretListing,
            {"search": "x" * 201},
            Fault("search", "must have at most 200 characters", "too_long", Limit(max=200)),
        ),
        (
            seecret.SeecretUpdate,
            {"expiration_date": "tomorrow"},
            Fault("expiration_date", "must be a date, written YYYY-MM-DD", "wrong_format"),
        ),
        (seecret.SeecretUpdate, {"lang": "de"}, Fault("lang", "is not one of the values allowed", "not_one_of")),
    ],
)
def test_fault_says_what_is_wrong(kind: type[Struct], document: Any, fault: Fault) -> None:
    assert first_fault(document, kind, strict=kind.__module__ != seecret.__name__) == fault
