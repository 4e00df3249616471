"""The table of dialects: everything that code outside a dialect's own module knows about it.

`config.schema` takes the TOML sections from the rows, `domain.tokens` the forms of link ids, `domain.policy` the
formats and the text limits, `dialects.loader` the classes. The pages' counterpart is `static/js/formats.js`. A row
names its class and does not import it, so that a dialect that is switched off is never loaded.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Struct

from seclink.config.option_types import BOOLEAN, HOST_NAME, Declared


class DialectOptions(Struct, frozen=True, kw_only=True):
    """The section [dialects.NAME] of a dialect without options of its own. DIALECT in a help stands for its name."""

    enabled: Annotated[bool, Declared(BOOLEAN, "Serve the clients of DIALECT, below the path /DIALECT.")] = True
    host: Annotated[
        str | None,
        Declared(
            HOST_NAME,
            "A host name on which the paths of DIALECT work from the root. Unset: none.",
            "DIALECT.example.org",
        ),
    ] = None

    @property
    def warning(self) -> tuple[str, str]:
        """A risk that the log repeats at every start and `seclink doctor` reports, and the line that ends it."""
        return "", ""


class SharokeyOptions(DialectOptions, frozen=True, kw_only=True):
    allow_attachments: Annotated[
        bool,
        Declared(
            BOOLEAN,
            "Accept attachments, although the clients seal them with the key and iv of the text: "
            "anyone who knows one of the two can read the other without the key.",
        ),
    ] = False

    @property
    def warning(self) -> tuple[str, str]:
        if not self.allow_attachments:
            return "", ""
        risk = "its clients seal attachments with the key and iv of the text: anyone who controls the server or its TLS"
        return f"{risk} proxy, and knows or guesses one attachment, can read the rest", "allow_attachments = false"


class SeecretOptions(DialectOptions, frozen=True, kw_only=True):
    enabled: Annotated[
        bool,
        Declared(
            BOOLEAN,
            "Serve the clients of DIALECT, below the path /DIALECT. They send plaintext, which the server "
            "seals on arrival: anyone who controls the server or its TLS proxy can read every secret.",
        ),
    ] = False

    @property
    def warning(self) -> tuple[str, str]:
        risk = "its clients send plaintext: this server seals it on arrival and stores only ciphertext, but anyone who"
        return f"{risk} controls the server or its TLS proxy can read it", "enabled = false"


class DialectRow(Struct, frozen=True, kw_only=True):
    """One dialect.

    `name` is the path below which it is served, its TOML section, the format of its secrets and the beginning of their
    link ids. `implementation` is `module:Class` below `seclink.dialects`.

    `address` is the path below the prefix that belongs to the address in its clients' settings.

    `id_pattern` is the form of its own ids: the link id is `{name}.{id}`. A dialect without one uses native link ids
    and native links. `page` is the path, below the prefix, of the page that opens its links; `{id}` stands for the id,
    and without `{id}` the opener derives the id from the fragment.

    Payloads of a dialect `in_base64` are JSON of texts in base64: `limits.payload_bytes` counts what these stand for.

    `text_limits` are the characters its clients may put in a note and in a label, if more than the native API allows.
    """

    name: str
    implementation: str
    address: str = ""
    id_pattern: str = ""
    page: str = ""
    options: type[DialectOptions] = DialectOptions
    in_base64: bool = True
    text_limits: tuple[int, int] | None = None

    @property
    def attribute(self) -> str:
        """The name as a Python attribute of the options."""
        return self.name.replace("-", "_")


DIALECTS = (
    DialectRow(
        name="scrt-link",
        implementation="scrt_link:ScrtLink",
        id_pattern="[0-9a-f]{64}",
        page="/s",
    ),
    DialectRow(
        name="sharokey",
        implementation="sharokey:Sharokey",
        address="/api/v1",
        options=SharokeyOptions,
        text_limits=(500, 255 + 10 * (255 + 3)),  # a description, and the names of attachments
    ),
    DialectRow(
        name="seecret",
        implementation="seecret:Seecret",
        address="/api",
        id_pattern="[A-Za-z0-9]{6}",
        page="/_{id}",
        options=SeecretOptions,
        in_base64=False,
    ),
    DialectRow(
        name="enigmacrypt",
        implementation="enigmacrypt:EnigmaCrypt",
        id_pattern="[A-Za-z0-9]{8}",
        page="/s/{id}",
    ),
)


class DialectSections(Struct, frozen=True, kw_only=True):
    """The section [dialects]. `DialectsOptions` adds a field for each row."""

    def by_name(self) -> dict[str, DialectOptions]:
        """Return the options of each dialect by its name in the TOML and in paths."""
        return {row.name: getattr(self, row.attribute) for row in DIALECTS}

    def enabled(self) -> Iterator[tuple[DialectRow, DialectOptions]]:
        """Yield the row and the options of each dialect that is switched on."""
        options = self.by_name()
        yield from ((row, options[row.name]) for row in DIALECTS if options[row.name].enabled)


if TYPE_CHECKING:
    DialectsOptions = DialectSections
else:
    DialectsOptions = msgspec.defstruct(
        "DialectsOptions",
        [(row.attribute, row.options, msgspec.field(default_factory=row.options)) for row in DIALECTS],
        bases=(DialectSections,),
        rename={row.attribute: row.name for row in DIALECTS},
        frozen=True,
        kw_only=True,
    )
