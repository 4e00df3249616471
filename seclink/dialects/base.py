"""Other systems' wire formats over the same vault: their clients, pointed at this server, work unmodified.

A dialect is one module with one class, one row of `config.dialects.DIALECTS` and, in the pages, one opener with one row
of `static/js/formats.js`. Nothing else names it. It translates and never decides: a foreign request becomes a
`NewSecret`, a `Filter` or an `Edit` and goes to the same vault under the same rate limits and rules; the result or the
error goes back in the foreign system's format. To write one:

    allowed_methods, allowed_headers, member_names    constants of the class, described at `Dialect`
    operations()         its routes, as `web.routes.Operation`s relative to its prefix, with their access rules
    one method a route   `read` the body into a struct, build a NewSecret, `create_secret`, return a `json_response`
    render_error(error)  any SecLinkError as (status, JSON): the only place that knows the system's error envelope

    class Example(Dialect):
        member_names: ClassVar = {"maxViews": "views"}    # the system calls the native API's maxViews views

        def operations(self) -> Iterator[Operation]:
            rule = AccessRule(rate="create", scopes=(Scope.CREATE,), needs_key=True)
            yield Operation(method="POST", path="/secrets", handler=self.create, summary="...", access_rule=rule)

        async def create(self, request: RequestContext) -> Response:
            body, _ = await self.read(request, ExampleCreate)    # unknown members are ignored, misspelled ones rejected
            self.reject_unsupported(captcha=body.captcha)        # features that the server cannot enforce
            payload = pack_payload(content=body.content)
            new = NewSecret(payload=payload, iv=NO_IV, format=self.name, expiry_type="view_once")
            created = await self.create_secret(request, new)
            return json_response({"id": created.link_id})

        def render_error(self, error: SecLinkError) -> ErrorBody:
            return error.status, {"error": error.message, "fields": dict(self.member_faults(error))}

A dialect is served below `/{name}` and, if it has a `host`, at the root of that host. `dispatch` tells dialects apart
before routing, by path and Host alone, and renders every error of theirs, whether the middleware, the access rules, the
framework or the vault raised it, with the dialect's `render_error` and with CORS. A dialect that is switched off is not
loaded: its prefix is a path like any other that does not exist.
"""

import contextlib
import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

import msgspec
from msgspec import Struct

from seclink.config.addresses import bracketed, dialect_origin
from seclink.config.dialects import DialectRow
from seclink.config.schema import Config
from seclink.domain import tokens
from seclink.domain.clock import Clock
from seclink.domain.policy import raise_faults
from seclink.domain.vault import Vault
from seclink.errors import BadRequest, Busy, Fault, FaultCode, Limit, NameTaken, NotFound, SecLinkError
from seclink.model import Created, NewSecret, Receipt
from seclink.web import json_body
from seclink.web.admission import Admission
from seclink.web.middleware import host_name
from seclink.web.origins import Origins
from seclink.web.request import RequestContext, header_values
from seclink.web.routes import Operation

T = TypeVar("T", bound=Struct)
ErrorBody = tuple[int, dict[str, Any]]
"""The status and the JSON of an error response."""

TAG_BYTES = 16
MAX_DRAWS = 5  # ids of 6 or 8 characters are short enough to collide one day
NO_IV = b"\0"  # a foreign payload carries its own iv

UNSUPPORTED = "is not supported here"
UNKNOWN_ALIAS = "was sent under another name, which is not known here"
PASSWORD_ALIASES = ("password", "passwordhash", "passcode", "passcodehash")


class DialectContext(Struct, frozen=True, kw_only=True):
    """The parts of the server that dialects use.

    `origins` has the beginnings of links, `hosts` are the Host names that the server accepts, `script` is the path of
    the client module below them.
    """

    vault: Vault
    admission: Admission
    clock: Clock
    config: Config
    origins: Origins
    hosts: frozenset[str]
    script: str


class Dialect:
    """One foreign system: `row` is its row of the table, `options` its section of the TOML."""

    member_names: ClassVar[dict[str, str]] = {}
    """The system's name for each member of the native API that the rules can reject."""
    allowed_methods: ClassVar[str] = "GET, POST, DELETE, OPTIONS"
    allowed_headers: ClassVar[str] = "Content-Type, Authorization"
    """The response to a CORS preflight."""
    sign: ClassVar[tuple[bytes, bytes]] = (b"", b"")
    """A header that only this system's clients send to the paths of the native API, and how its value begins."""

    def __init__(self, row: DialectRow, context: DialectContext, options: Any) -> None:
        self.row, self.context, self.options = row, context, options
        self.vault, self.admission, self.origins = context.vault, context.admission, context.origins
        self.host = host_name(bracketed(options.host or ""))
        self.name, self.prefix = row.name, f"/{row.name}"
        self._id = re.compile(row.id_pattern)
        self._page = re.compile(row.page.replace("{id}", row.id_pattern) + tokens.LINK_END)

    def operations(self) -> Iterable[Operation]:
        """Return the routes; their paths begin below the prefix."""
        raise NotImplementedError

    def render_error(self, error: SecLinkError) -> ErrorBody:
        """Render an error in the system's own envelope, without repeating anything of the request."""
        raise NotImplementedError

    def is_page(self, path: str) -> bool:
        """Return whether a path below the prefix is the page that opens a link."""
        return bool(self.row.page) and bool(self._page.fullmatch(path))

    def now(self) -> int:
        return self.context.clock.now()

    def link_base(self, request: RequestContext, host: str = "", member: str = "") -> str:
        """Return what links begin with: the host that the request went to, or `host`; except at the dialect's own host,
        and for native links, with the prefix. Raises BadRequest about the member for a host that is not ours.
        """
        name = host_name(host or self.origins.host(request.scope))
        if self.host and name == self.host:
            return dialect_origin(self.context.config, self.host)
        base = self.origins.named(host, member) if host else self.origins.of(request.scope)
        return base + (self.prefix if self.row.page else "")

    @property
    def client_address(self) -> str:
        """The address to set in the system's clients."""
        return f"{self.origins.public_url}{self.prefix}{self.row.address}"

    def is_astray(self, scope: Any, error: SecLinkError) -> bool:
        """Return whether a request that failed outside the dialects comes from a client without the prefix."""
        name, beginning = self.sign
        is_signed = bool(name) and any(value.startswith(beginning) for value in header_values(scope, name))
        is_own_path = type(error) is NotFound and scope["path"] in {route.path for route in self.operations()}
        return is_own_path or (is_signed and scope["path"].startswith("/api/v1/"))

    def link_id(self, foreign_id: str) -> str:
        """Return the link id of an id in this system's form. Raises NotFound for any other text."""
        if not self._id.fullmatch(foreign_id):
            raise NotFound()
        return f"{self.name}.{foreign_id}"

    def foreign_id(self, link_id: str) -> str:
        """Return the id in this system's form of one of its link ids."""
        return link_id.removeprefix(f"{self.name}.")

    async def read(self, request: RequestContext, kind: type[T]) -> tuple[T, bytes]:
        """Return the body, parsed strictly as JSON, and its bytes.

        Raises BadRequest, UnsupportedMediaType, PayloadTooLarge.
        """
        body = await request.body()
        json_body.check_type(request.header(b"content-type"))
        document = json_body.decode(body)
        members = json_body.convert(document, kind)
        reject_typos(document, kind)
        return members, body

    async def create_secret(self, request: RequestContext, new: NewSecret) -> Created:
        """Create a secret as the request's actor, under the rules of the native API."""
        self.admission.charge_storage(request.actor, len(new.payload))
        return await self.vault.create(new, request.actor, self.now())

    async def create_with_short_id(self, request: RequestContext, new: NewSecret, length: int) -> Created:
        """Create a secret under a random id of `length` characters. Raises Busy if every id drawn was taken."""
        for _ in range(MAX_DRAWS):
            with contextlib.suppress(NameTaken):
                link_id = self.link_id(tokens.draw(length))
                return await self.create_secret(request, msgspec.structs.replace(new, link_id=link_id))
        raise Busy()

    async def receipt_id(self, link_id: str) -> str:
        """Return the receipt id of a secret of this dialect. It names the receipt and grants no access to it."""
        return await self.vault.receipts.receipt_id_for(link_id, self.name, self.now())

    async def own_receipt(self, request: RequestContext, link_id: str) -> Receipt:
        """Return the receipt of a secret of the actor's own account, even for an admin key. Raises NotFound."""
        receipt_id = await self.receipt_id(link_id)
        receipt = await self.vault.receipts.get(receipt_id, request.actor, None, self.now())
        if not receipt.link_id:
            raise NotFound()
        return receipt

    def reject_unsupported(self, **members: Any) -> None:
        """Raise BadRequest for every member that asks for a feature which the server cannot enforce.

        False, None, "", [] and {} ask for nothing.
        """
        raise_faults(Fault(name, UNSUPPORTED, "unsupported") for name, value in members.items() if value)

    def member_faults(self, error: SecLinkError) -> Iterator[tuple[str, str]]:
        """Yield the system's name of each rejected member, and the message."""
        if isinstance(error, BadRequest):
            for fault in error.faults:
                yield self.member_names.get(fault.field, fault.field), fault.message


def bad_member(name: str, message: str, code: FaultCode) -> BadRequest:
    """Return the error for one member that is at fault."""
    return BadRequest(faults=(Fault(name, message, code),))


def base64_faults(name: str, text: str | None, exact_bytes: int | None = None) -> Iterator[Fault]:
    """Yield a fault unless `text` is base64 of `exact_bytes`, or of at least an AES-GCM tag if that is None."""
    if not text:
        yield Fault(name, "is required", "required")
        return
    try:
        count = len(json_body.decode_base64(name, text))
    except BadRequest as error:
        yield from error.faults
        return
    if count < TAG_BYTES if exact_bytes is None else count != exact_bytes:
        yield Fault(name, f"must be base64 of {exact_bytes or f'at least {TAG_BYTES}'} bytes", "wrong_format")


def range_faults(name: str, number: int, max_value: int) -> Iterator[Fault]:
    if not 1 <= number <= max_value:
        yield Fault(name, f"must be between 1 and {max_value}", "out_of_range", Limit(1, max_value))


def reject_typos(document: dict[str, Any], kind: type[Struct]) -> None:
    """Raise BadRequest for members whose names differ from an optional one's only in spelling or a plural.

    Other unknown members are ignored. Ignoring these, too, would create a secret without its password, or with more
    views or time than its sender meant.
    """
    known, optional = _member_names(kind)
    meant = {optional.get(_letters(name)) for name, value in document.items() if value and name not in known}
    raise_faults(
        Fault(name, UNKNOWN_ALIAS, "unknown") if name in known else Fault(name, UNSUPPORTED, "unsupported")
        for name in sorted(filter(None, meant))
    )


@functools.cache
def _member_names(kind: type[Struct]) -> tuple[frozenset[str], dict[str, str]]:
    """Return the member names, and the optional ones by their letters, with every common name for a password."""
    fields = msgspec.structs.fields(kind)
    optional = {_letters(field.encode_name): field.encode_name for field in fields if not field.required}
    return frozenset(field.encode_name for field in fields), dict.fromkeys(PASSWORD_ALIASES, "password") | optional


def _letters(name: str) -> str:
    return name.replace("-", "").replace("_", "").casefold().rstrip("s")


def pack_payload(**members: Any) -> bytes:
    """Return the payload of a foreign secret: the JSON that its opener takes, without the members that are None."""
    return msgspec.json.encode({name: value for name, value in members.items() if value is not None})


def hash_password(password: str | None) -> str | None:
    """Return the proof of a password: SHA-256 as 64 hex digits. The vault stores only argon2id of it."""
    return hashlib.sha256(password.encode()).hexdigest() if password else None


def iso(ms: int, timespec: str = "milliseconds") -> str:
    """Return an instant as ISO 8601 in UTC: 2030-01-02T03:04:05.678Z."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec=timespec).replace("+00:00", "Z")
