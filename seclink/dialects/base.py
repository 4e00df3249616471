"""What a dialect is, and what every dialect needs: see the package's docstring for how to write one."""

import contextlib
import functools
import hashlib
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, ClassVar, TypeVar

import msgspec
from msgspec import Struct

from seclink.config.schema import Config
from seclink.domain import tokens
from seclink.domain.clock import Clock
from seclink.domain.policy import raise_faults
from seclink.domain.vault import Vault
from seclink.errors import BadRequest, Busy, Fault, NameTaken, SecLinkError
from seclink.model import Created, NewSecret
from seclink.web import json_body
from seclink.web.admission import Admission
from seclink.web.request import RequestContext
from seclink.web.routes import Operation

T = TypeVar("T", bound=Struct)
Refusal = tuple[int, dict[str, Any]]
DRAWS = 5  # of ids that are short enough to be taken some day
NO_IV = b"\0"  # a foreign payload carries its own

UNSUPPORTED = "is not supported here"
OTHERWISE = "was sent under another name, which is not known here"
PASSWORDS = ("password", "passwordhash", "passcode", "passcodehash")  # as one system or another calls it

# What the rules find fault with, as the native API calls it.
RULE_FIELDS = frozenset(
    ("encryptedBlob", "iv", "expiresIn", "maxViews", "passcodeHash", "accessHash", "publicNote", "label")
)


class DialectContext(Struct, frozen=True, kw_only=True):
    """What a dialect is made of: `public_url` is what addresses begin with, `hosts` the Host names answered to,
    `script` the address of the client module.
    """

    vault: Vault
    admission: Admission
    clock: Clock
    config: Config
    public_url: str
    hosts: frozenset[str]
    script: str


class Dialect:
    """One foreign system. `section` is what the TOML says of it."""

    name: ClassVar[str]
    """Its prefix is `/{name}`, its section `[dialects.{name}]`, its secrets' format and the beginning of their ids."""
    page: ClassVar[re.Pattern[str]] = re.compile(r"(?!)")
    """Paths below the prefix that are the page which opens its links."""
    fields: ClassVar[dict[str, str]] = {}
    """What the rules call a member, see RULED, and what it is called here."""
    methods: ClassVar[str] = "GET, POST, DELETE, OPTIONS"
    headers: ClassVar[str] = "Content-Type, Authorization"
    """What a preflight allows."""
    warning: ClassVar[str] = ""
    """What every start says of it, in the log."""

    def __init__(self, parts: DialectContext, section: Any) -> None:
        self.parts, self.section = parts, section
        self.vault, self.admission, self.public_url = parts.vault, parts.admission, parts.public_url

    def operations(self) -> Iterable[Operation]:
        """Its routes; their paths begin below the prefix."""
        raise NotImplementedError

    def refusal(self, error: SecLinkError) -> Refusal:
        """An error in its own envelope: status and JSON. Knows nothing of the request, and repeats nothing of it."""
        raise NotImplementedError

    @property
    def prefix(self) -> str:
        return f"/{self.name}"

    def now(self) -> int:
        return self.parts.clock.now()

    def link_id(self, own: str) -> str:
        """The linkId of a secret that has an id of this system's shape."""
        return f"{self.name}.{own}"

    async def read(self, call: RequestContext, kind: type[T]) -> tuple[T, bytes]:
        """The body as JSON, strictly, and as it came. Raises BadRequest, UnsupportedMediaType, PayloadTooLarge."""
        body = await call.body()
        json_body.check_type(call.header(b"content-type"))
        said = json_body.decode(body)
        sent = json_body.convert(said, kind)
        refuse_misspelt(said, kind)
        return sent, body

    async def create_secret(self, call: RequestContext, new: NewSecret) -> Created:
        """Create a secret as whoever asks, under the rules that hold for everybody."""
        who = call.actor
        self.admission.charge_storage(who, len(new.payload))
        return await self.vault.create(new, who, self.now())

    async def create_with_short_id(self, call: RequestContext, new: NewSecret, length: int) -> Created:
        """The same under an id of this system's shape, drawn again where it is taken. Raises Busy when all were."""
        for _ in range(DRAWS):
            with contextlib.suppress(NameTaken):
                link_id = self.link_id(tokens.draw(length))
                return await self.create_secret(call, msgspec.structs.replace(new, link_id=link_id))
        raise Busy()

    async def receipt_id(self, link_id: str) -> str:
        """What the vault's verbs for senders call a secret of this dialect; who may use them is theirs to say."""
        return await self.vault.receipts.receipt_id_for(link_id, self.name, self.now())

    def unsupported(self, **wishes: Any) -> None:
        """Refuse by name what nobody here could hold to. Not asked for is False, None, "", [], {} or left out."""
        raise_faults(Fault(name, UNSUPPORTED, "unsupported") for name, wish in wishes.items() if wish)

    def faults(self, error: SecLinkError) -> Iterator[tuple[str, str]]:
        """The members a request was wrong in, as they are called here, and what was wrong with them."""
        if isinstance(error, BadRequest):
            for fault in error.faults:
                yield self.fields.get(fault.field, fault.field), fault.message


def refuse_misspelt(said: dict[str, Any], kind: type[Struct]) -> None:
    """Members that nobody knows are ignored, but one that is called like another apart from its spelling was meant: it
    would make a secret without the password, or with more views or time, than its sender wanted. Raises BadRequest."""
    known, optional = _names(kind)
    meant = {optional.get(_plain(name)) for name, wish in said.items() if wish and name not in known}
    raise_faults(
        Fault(name, OTHERWISE, "unknown") if name in known else Fault(name, UNSUPPORTED, "unsupported")
        for name in sorted(filter(None, meant))
    )


@functools.cache
def _names(kind: type[Struct]) -> tuple[frozenset[str], dict[str, str]]:
    """Its members' names, and by their letters alone those of what may be left out; a password's by others', too."""
    fields = msgspec.structs.fields(kind)
    optional = {_plain(each.encode_name): each.encode_name for each in fields if not each.required}
    return frozenset(each.encode_name for each in fields), dict.fromkeys(PASSWORDS, "password") | optional


def _plain(name: str) -> str:
    return name.replace("-", "").replace("_", "").casefold()


def pack_payload(**members: Any) -> bytes:
    """The payload of a foreign secret: the JSON its opener takes. Members that are None are left out."""
    return msgspec.json.encode({name: value for name, value in members.items() if value is not None})


def password_hash(password: str | None) -> str | None:
    """What a reader proves in place of the password: SHA-256 as 64 hex digits. The vault keeps argon2id of that."""
    return hashlib.sha256(password.encode()).hexdigest() if password else None


def iso(ms: int, timespec: str = "milliseconds") -> str:
    """An instant as ISO 8601 in UTC: 2030-01-02T03:04:05.678Z."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec=timespec).replace("+00:00", "Z")
