"""Errors of `seclink create` in terms of its options: the API names its own members.

Only the codes and limits of the faults are interpreted, never their messages. A fault without a known code or limit, as
from an older or a newer server, keeps the server's message.
"""

from collections.abc import Mapping
from typing import NamedTuple

from seclink.cli.display import exact_duration
from seclink.cli.terminal import printable
from seclink.client.secrets import max_body_bytes
from seclink.errors import BadRequest, Fault, Limit, PayloadTooLarge, SecLinkError

_OPTIONS = {"maxViews": "--views", "publicNote": "--note", "label": "--label", "hours": "--hours"}


class RequestedOptions(NamedTuple):
    """The options of a `create`: the name and seconds of its lifetime, texts by option, and the size of the secret."""

    lifetime: tuple[str, float]
    texts: Mapping[str, str | None]
    size: int


def in_options(error: BadRequest | PayloadTooLarge, options: RequestedOptions) -> SecLinkError:
    """Return the same error with one line per fault."""
    if isinstance(error, PayloadTooLarge) and not error.faults:
        return PayloadTooLarge(f"{error.message}\n  {_too_large(None, options.size)}")
    # Printable before the lines are joined, so that a server's message cannot add lines of its own.
    lines = [printable(_line(fault, options)) for fault in error.faults]
    return type(error)("\n  ".join(lines) or error.message)


def _line(fault: Fault, options: RequestedOptions) -> str:
    option = options.lifetime[0] if fault.field == "expiresIn" else _OPTIONS.get(fault.field, fault.field)
    text = options.texts.get(option)
    match fault:
        case Fault(field="encryptedBlob", code="too_long", limit=limit):
            return _too_large(limit, options.size)
        case Fault(field="expiresIn", code="out_of_range", limit=Limit() as limit):
            return f"{option}: {_lifetime(limit, *options.lifetime) or fault.message}"
        case Fault(field="text", code="wrong_format"):
            return "--type redirect: the secret must be an http or https URL, and nothing else"
        case Fault(field="maxViews", code="out_of_range", limit=Limit(min=int(low), max=int(high))):
            return f"{option}: must be {low} to {high} on this server"
        case Fault(code="too_long", limit=Limit(max=int(max_characters))) if text:
            return f"{option}: at most {max_characters} characters on this server, and this has {len(text)}"
        case _:
            return f"{option}: {fault.message}"


def _lifetime(limit: Limit, option: str, seconds: float) -> str:
    """Return the violated bound in the unit of the option, "" if there is none."""
    if limit.min is not None and seconds < limit.min:
        relation, bound = "at least", limit.min
    elif limit.max is not None and seconds > limit.max:
        relation, bound = "at most", limit.max
    else:
        return ""
    count, unit = exact_duration(bound)
    in_words = f"{count} {unit}{'' if count == 1 else 's'}"
    if option == "--expires":
        value = in_words if unit == "second" else f"{count}{unit[0]}"
    else:
        value = f"{round(bound / 3600, 4):.10g}" + ("" if unit == "hour" else f" ({in_words})")
    return f"{relation} {value} on this server"


def _too_large(limit: Limit | None, size: int) -> str:
    max_bytes = limit.max if limit else None
    maximum = "" if max_bytes is None else f", at most {max_body_bytes(max_bytes):,} on this server"
    return f"the secret is too large: {size:,} bytes{maximum}"
