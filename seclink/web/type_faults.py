"""Which member of a JSON document does not fit a msgspec struct, and why.

msgspec reports this as an English sentence only, and only the first fault. So after it has rejected a document, the
document is compared with the struct's type information, member by member in the document's order, then for missing
members, up to MAX_FAULTS. Covered are the types that request structs of this package use; a rejection for another
reason is reported as `invalid`.
"""

import functools
import re
from collections.abc import Iterator
from datetime import date
from itertools import islice
from typing import Any

import msgspec
from msgspec import Struct, inspect

from seclink.errors import Fault, FaultCode, Limit

MAX_FAULTS = 20
MAX_NAME_CHARACTERS = 64  # of an unknown member's name, which comes from the request
_JSON_TYPES: dict[type[inspect.Type], tuple[Any, str]] = {
    inspect.IntType: (int, "an integer"),
    inspect.StrType: (str, "a string"),
    inspect.DateType: (str, "a string"),
    inspect.ListType: (list, "a list"),
    inspect.StructType: (dict, "an object"),
    inspect.NoneType: (None, "null"),
    inspect.BoolType: (bool, "true or false"),
}
_type_info = functools.cache(inspect.type_info)


def faults(document: Any, kind: type[Struct], *, strict: bool = True) -> tuple[Fault, ...]:
    """Return the reasons why `msgspec.convert(document, kind, strict=strict)` fails."""
    result = tuple(islice(_value_faults(document, _type_info(kind), "", strict), MAX_FAULTS))
    return result or (Fault("", "is not valid", "invalid"),)


def _value_faults(value: Any, info: inspect.Type, path: str, strict: bool) -> Iterator[Fault]:
    options = [_plain(option) for option in (info.types if isinstance(info, inspect.UnionType) else (info,))]
    for option in options:
        try:
            # Not strict, a number may be written as a text: its bounds are those of the number.
            value = msgspec.convert(value, _json_type(option)[0], strict=strict)
        except msgspec.ValidationError:
            continue
        yield from _option_faults(value, option, path, strict)
        return
    yield Fault(path, f"must be {' or '.join(_json_type(option)[1] for option in options)}", "wrong_type")


def _plain(info: inspect.Type) -> inspect.Type:
    return info.type if isinstance(info, inspect.Metadata) else info


def _json_type(info: inspect.Type) -> tuple[Any, str]:
    """The Python type of such a JSON value, and its name in a message."""
    if isinstance(info, inspect.LiteralType):
        return (int, "an integer") if isinstance(info.values[0], int) else (str, "a string")
    return _JSON_TYPES.get(type(info), (Any, "another value"))


def _option_faults(value: Any, info: inspect.Type, path: str, strict: bool) -> Iterator[Fault]:
    """Check a value that has the JSON type of `info`."""
    match info:
        case inspect.StructType():
            yield from _struct_faults(value, info, path, strict)
        case inspect.ListType(item_type=item_type):
            for index, item in enumerate(value):
                yield from _value_faults(item, item_type, f"{path}[{index}]", strict)
        case inspect.LiteralType(values=values) if value not in values:
            yield Fault(path, "is not one of the values allowed", "not_one_of")
        case inspect.IntType(ge=minimum, le=maximum) if not _is_within(value, minimum, maximum):
            yield Fault(path, f"must be {_range(minimum, maximum)}", "out_of_range", Limit(minimum, maximum))
        case inspect.StrType(min_length=minimum, max_length=maximum) if not _is_within(len(value), minimum, maximum):
            code: FaultCode = "too_short" if minimum is not None and len(value) < minimum else "too_long"
            message = f"must have {_range(minimum, maximum)} characters"
            yield Fault(path, message, code, Limit(minimum, maximum))
        case inspect.StrType(pattern=str(pattern)) if not re.search(pattern, value):
            yield Fault(path, "does not have the right format", "wrong_format")
        case inspect.DateType() if not _is_date(value):
            yield Fault(path, "must be a date, written YYYY-MM-DD", "wrong_format")


def _struct_faults(members: dict[str, Any], info: inspect.StructType, path: str, strict: bool) -> Iterator[Fault]:
    prefix = f"{path}." if path else ""
    fields = {field.encode_name: field for field in info.fields}
    for name, value in members.items():
        if name in fields:
            yield from _value_faults(value, fields[name].type, prefix + name, strict)
        elif info.forbid_unknown_fields:
            printable = "".join(filter(str.isprintable, name[:MAX_NAME_CHARACTERS]))
            yield Fault(prefix + printable, "is not known", "unknown")
    missing = (name for name, field in fields.items() if field.required and name not in members)
    yield from (Fault(prefix + name, "is missing", "required") for name in missing)


def _is_within(number: int, minimum: int | None, maximum: int | None) -> bool:
    return (minimum is None or number >= minimum) and (maximum is None or number <= maximum)


def _range(minimum: int | None, maximum: int | None) -> str:
    if minimum is None:
        return f"at most {maximum}"
    if maximum is None:
        return f"at least {minimum}"
    return str(minimum) if minimum == maximum else f"{minimum} to {maximum}"


def _is_date(text: str) -> bool:
    try:
        msgspec.convert(text, date)
    except msgspec.ValidationError:
        return False
    return True
