"""The options of the other systems' dialects; `config` has the rest, and how options are declared."""

from typing import Annotated

from msgspec import Meta, Struct, field
from msgspec.structs import fields

from seclink.config.types import HostName


class DialectOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    enabled: Annotated[bool, Meta(description="Whether clients of that system are served, below the path /NAME.")] = (
        True
    )
    host: Annotated[
        HostName | None,
        Meta(description="A Host name at whose root that system's own paths work, too. Unset: none."),
    ] = None


class SharokeyOptions(DialectOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    allow_attachments: Annotated[
        bool,
        Meta(
            description="Take attachments, though its clients seal them with the text's key and iv: "
            "whoever knows one of them can read the rest without the key."
        ),
    ] = False


class SeecretOptions(DialectOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    enabled: Annotated[
        bool,
        Meta(
            description="Whether clients of that system are served, below the path /seecret. They send plaintext, "
            "which is sealed here on arrival: whoever controls this server or its TLS proxy can read every secret."
        ),
    ] = False


class DialectsOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"scrt_link": "scrt-link"}):
    scrt_link: DialectOptions = field(default_factory=DialectOptions)
    sharokey: SharokeyOptions = field(default_factory=SharokeyOptions)
    seecret: SeecretOptions = field(default_factory=SeecretOptions)
    enigmacrypt: DialectOptions = field(default_factory=DialectOptions)

    def by_name(self) -> dict[str, DialectOptions]:
        """Return the options of each dialect by its name in the TOML and in paths."""
        return {option.encode_name: getattr(self, option.name) for option in fields(self)}
