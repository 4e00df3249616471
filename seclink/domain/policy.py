"""The rules for creating and updating secrets: pure functions of a request, the configuration and the actor.

expiryType, as documented: view_once is one view within `expiry.default`; 1hour, 24hours and 7days are any number of
views until then. `expiresIn` and `maxViews` override what it implies. Values out of bounds are refused, never adjusted:
an adjusted lifetime would surprise the sender later.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator

from msgspec import UNSET, Struct, UnsetType

from seclink.config.dialects import DIALECTS
from seclink.config.schema import Config
from seclink.domain import tokens
from seclink.errors import BadRequest, Fault, KeyRequired, Limit
from seclink.model import Actor, Changes, Edit, NewSecret, Receipt, Scope

FORMATS = ("raw", "seclink/v1", *(row.name for row in DIALECTS))
FIXED_SECONDS = {"1hour": 3600, "24hours": 86400, "7days": 604800}
MIN_SECONDS, MAX_VIEWS = 60, 1000
BASE64_FORMATS = frozenset(row.name for row in DIALECTS if row.in_base64)
TEXT_LIMITS = {row.name: row.text_limits for row in DIALECTS if row.text_limits}
NOTE_CHARACTERS, LABEL_CHARACTERS, REASON_CHARACTERS, IV_BYTES = 300, 200, 500, 64
NO_DIGEST = bytes(32)  # compared where there is no secret
HEX_DIGEST = re.compile(r"[0-9a-fA-F]{64}")


class Terms(Struct, frozen=True):
    """The lifetime and the number of views of a new secret; `max_views` None is unlimited."""

    ttl_seconds: int
    max_views: int | None


def check_new(new: NewSecret, config: Config, actor: Actor) -> Terms:
    """Return the terms of a new secret. Raise BadRequest with every fault, KeyRequired."""
    if config.access.create == "keys" and not actor.may(Scope.CREATE):
        raise KeyRequired("Only holders of an API key may create secrets here")
    raise_faults(_faults(new, config))
    implied_views = 1 if new.expiry_type == "view_once" else None
    return Terms(
        ttl_seconds=new.ttl_seconds or FIXED_SECONDS.get(new.expiry_type, int(config.expiry.default)),
        max_views=implied_views if new.max_views is UNSET else new.max_views,
    )


def check_edit(edit: Edit, receipt: Receipt, config: Config, now: int) -> None:
    """Raise BadRequest with the faults of the first kind: payload, lifetime, views, texts or passcode.

    Changes of the lifetime add up to at most that of a new secret.
    """
    if (edit.payload is UNSET) != (edit.iv is UNSET):
        raise_faults([Fault("iv", "must come together with encryptedBlob", "required_together")])
    if edit.payload is not UNSET and edit.iv is not UNSET:
        raise_faults(payload_faults(edit.payload, edit.iv, config))
    if edit.ttl_seconds is not UNSET:
        age_seconds = max(0, -((receipt.created_at - now) // 1000))
        raise_faults(ttl_faults(edit.ttl_seconds, config, age_seconds))
    raise_faults(views_faults(edit.max_views))
    raise_faults(text_faults(edit.public_note, edit.label))
    raise_faults(digest_faults(passcodeHash=edit.passcode_hash))


def changes(edit: Edit, passcode: str | UnsetType | None, now: int) -> Changes:
    """Return the changes that an edit makes; `passcode` is the argon2id string of its passcode hash."""
    return Changes(
        expires_at=UNSET if edit.ttl_seconds is UNSET else now + edit.ttl_seconds * 1000,
        max_views=edit.max_views,
        label=edit.label,
        public_note=edit.public_note,
        payload=edit.payload,
        iv=edit.iv,
        passcode=passcode,
        unlock=edit.unlock or UNSET,
    )


def is_owner(receipt: Receipt | None, actor: Actor, manage_token: str | None) -> bool:
    """Return whether the actor may manage a secret: by its manage token, or with a key of its account.

    A secret that does not exist costs as much.
    """
    manage_digest = NO_DIGEST if receipt is None else receipt.manage_digest
    if manage_token is not None and tokens.equal(manage_digest, tokens.digest(manage_token)):
        return True
    account = None if receipt is None else receipt.account
    return actor.may(Scope.MANAGE) and account is not None and account == actor.account


def raise_faults(faults: Iterable[Fault]) -> None:
    """Raise BadRequest with all faults, if there are any."""
    if faults := tuple(faults):
        raise BadRequest(faults=faults)


def ttl_faults(seconds: int | None, config: Config, age_seconds: int = 0) -> Iterator[Fault]:
    max_seconds = max(0, int(config.expiry.max) - age_seconds)
    if seconds is not None and not MIN_SECONDS <= seconds <= max_seconds:
        message = f"must be {MIN_SECONDS} to {max_seconds} seconds"
        if max_seconds < MIN_SECONDS:
            message = "can no longer be changed: the secret lives as long as one may"
        yield Fault("expiresIn", message, "out_of_range", Limit(MIN_SECONDS, max_seconds))


def views_faults(views: int | UnsetType | None) -> Iterator[Fault]:
    if isinstance(views, int) and not 1 <= views <= MAX_VIEWS:
        message = f"must be 1 to {MAX_VIEWS}, or null for any number"
        yield Fault("maxViews", message, "out_of_range", Limit(1, MAX_VIEWS))


def text_faults(
    public_note: str | UnsetType | None = None,
    label: str | UnsetType | None = None,
    reason: str | None = None,
    format: str = "",
) -> Iterator[Fault]:
    note_characters, label_characters = TEXT_LIMITS.get(format, (NOTE_CHARACTERS, LABEL_CHARACTERS))
    texts = (
        ("publicNote", public_note, note_characters),
        ("label", label, label_characters),
        ("reason", reason, REASON_CHARACTERS),
    )
    for name, text, max_characters in texts:
        if not isinstance(text, str):
            continue
        if len(text) > max_characters:
            yield Fault(name, f"must have at most {max_characters} characters", "too_long", Limit(max=max_characters))
        elif any(map(_is_control_character, text)):
            yield Fault(name, "must not contain control characters", "control_characters")


def payload_faults(payload: bytes, iv: bytes, config: Config, format: str = "") -> Iterator[Fault]:
    limits = config.limits
    payload_bytes = limits.body_bytes if format in BASE64_FORMATS else limits.payload_bytes
    for name, data, max_bytes in (("encryptedBlob", payload, payload_bytes), ("iv", iv, IV_BYTES)):
        if not 1 <= len(data) <= max_bytes:
            message = f"must have 1 to {max_bytes} bytes"
            yield Fault(name, message, "too_long" if data else "too_short", Limit(1, max_bytes))


def digest_faults(**digests: str | UnsetType | None) -> Iterator[Fault]:
    for name, digest in digests.items():
        if isinstance(digest, str) and not HEX_DIGEST.fullmatch(digest):
            yield Fault(name, "must be a SHA-256 as 64 hexadecimal digits", "not_sha256")


def _is_control_character(character: str) -> bool:
    """Return whether the character is a control character or a lone surrogate; line breaks and tabs are text."""
    return unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t"


def _faults(new: NewSecret, config: Config) -> Iterator[Fault]:
    yield from payload_faults(new.payload, new.iv, config, new.format)
    yield from ttl_faults(new.ttl_seconds, config)
    max_seconds = int(config.expiry.max)
    if new.ttl_seconds is None and FIXED_SECONDS.get(new.expiry_type, 0) > max_seconds:
        message = f"lasts longer than the {max_seconds} seconds allowed here"
        yield Fault("expiryType", message, "out_of_range", Limit(max=max_seconds))
    yield from views_faults(new.max_views)
    yield from digest_faults(passcodeHash=new.passcode_hash, accessHash=new.access_hash)
    yield from text_faults(new.public_note, new.label, format=new.format)
    if new.format not in FORMATS:
        yield Fault("format", f"must be one of {', '.join(FORMATS)}", "not_one_of")
