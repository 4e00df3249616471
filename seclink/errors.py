"""The exceptions of server and client: the server raises one, HTTP carries its code, the client raises it again.

    SecLinkError
    ├── BadRequest             400 bad_request            body, parameter or header is not valid
    │   ├── NavigationRefused  400 not_a_navigation       a browser followed a link to the destructive GET
    │   ├── UnknownHost        400 unknown_host           Host is missing, repeated or not one of this server
    │   ├── ChunkLength        400 chunk_length           a chunk has another length than its place in the upload
    │   └── DigestMismatch     400 digest_mismatch        a body has not the SHA-256 of its Content-Digest
    ├── KeyInvalid             401 key_invalid            API key unknown, revoked, expired or malformed
    ├── KeyRequired            401 key_required           this call, or this server, requires an API key
    ├── AccessRequired         401 access_required        the proof of the link's key is missing
    ├── AccessDenied           401 access_denied          ... or wrong
    ├── PasscodeRequired       401 passcode_required
    ├── PasscodeWrong          401 passcode_wrong         attempts_left is the number of attempts left
    ├── Forbidden              403 forbidden              the key lacks the scope
    │   └── FilesNotAllowed    403 files_not_allowed      this server takes no files from this caller
    ├── NotFound               404 not_found
    │   └── UploadUnknown      404 upload_unknown         no such upload, or the token is another one's
    ├── MethodNotAllowed       405 method_not_allowed
    ├── RequestTimeout         408 request_timeout        the body came too slowly
    ├── NotActive              409 not_active             the secret has ended, so it cannot be changed
    ├── TooManyChanges         409 too_many_changes       the secret was changed as often as it may be
    ├── NameTaken              409 name_taken             the chosen name is or was the name of another secret
    ├── HasFiles               409 has_files              the reader has not said that it can take files
    ├── UploadIncomplete       409 upload_incomplete      chunks of the upload are missing
    ├── UploadUsed             409 upload_used            the upload has all the secrets it was made for
    ├── Superseded             409 superseded             a newer PUT of the same chunk has taken over
    ├── Gone                   410 gone                   state and ended_at are how and when it ended
    ├── PayloadTooLarge        413 payload_too_large
    │   └── FilesTooLarge      413 too_large              the files of a secret are over the limit
    ├── UnsupportedMediaType   415 unsupported_media_type
    ├── IdempotencyMismatch    422 idempotency_mismatch   the Idempotency-Key was used for another request
    ├── RateLimited            429 rate_limited           retry_after seconds
    │   ├── PasscodeLocked     429 passcode_locked        too many wrong passcodes
    │   └── FilesQuota         429 files_quota            this client has no more room for files, for now
    ├── HeadersTooLarge        431 headers_too_large
    ├── Internal               500 internal
    ├── Busy                   503 busy                   nothing was done; try again later
    ├── StorageFailed          503 storage                the write is not durable, so nothing was done
    ├── StorageFull            507 storage_full
    │   └── FilesFull          507 files_full             there is no room for more files
    ├── StartRefused           stays in the server, which does not start
    │   ├── ConfigError        config: the TOML is not valid; one line per problem
    │   └── StoreUnusable      store: the database is in use, damaged, newer or of another program
    └── ClientError            stays in the client
        ├── Unreachable        no response, or not one of SecLink
        ├── LinkIncomplete     the link was cut off or mistyped; no request was sent
        ├── SourceChanged      a file changed or disappeared while it was sent; nothing was created
        └── NotAuthentic       the payload does not open: it is damaged or forged

A message is for people; programs use the code and the attributes. The messages of StartRefused, for the operator, name
files; those that HTTP carries never repeat input, paths or SQL.
"""

from enum import Enum
from typing import ClassVar, Literal, NamedTuple

FaultCode = Literal[
    "required",  # the member is missing
    "required_together",  # ... or must come together with another one that is
    "unknown",  # there is no such member
    "unsupported",  # there is one, but this server cannot do what it asks
    "conflict",  # the member contradicts another one
    "duplicate",  # the member is there twice
    "unexpected",  # the member means nothing for this secret
    "wrong_type",  # another JSON type
    "wrong_format",  # the right type, but not written as it must be
    "not_one_of",  # not one of the values allowed
    "out_of_range",  # a number outside `limit`
    "too_short",  # fewer characters or bytes than `limit` allows
    "too_long",  # ... or more
    "control_characters",
    "not_base64",
    "not_sha256",
    "not_unicode",
    "not_writable",  # a part of the server: the store accepts no writes
    "late",  # a part of the server: it has not run for too long
    "invalid",  # none of the above, or a code of a newer server
]
"""The reasons. Codes are added, never renamed; a client treats a code that it does not know as `invalid`."""


class Limit(NamedTuple):
    """The smallest and the largest value allowed, both included, in seconds, characters or bytes; None is unbounded."""

    min: int | None = None
    max: int | None = None


class Fault(NamedTuple):
    """A reason why one member of a request is not valid, or one part of the server fails.

    `field` is the member's JSON name, "" for the request as a whole. Programs act on `code` and `limit`; `message`
    is for people and may be reworded. `limit` is set where a bound is known.
    """

    field: str
    message: str
    code: FaultCode
    limit: Limit | None = None


class SecLinkError(Exception):
    """The base of all. `str(error)` is the message; `code` and `status` belong to the class."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, message: str = "") -> None:
        super().__init__(message or self.title)
        self.message = message or self.title


class BadRequest(SecLinkError):
    """`faults` lists the invalid members; empty if the reason lies elsewhere."""

    code, status, title = "bad_request", 400, "The request is not valid"

    def __init__(self, message: str = "", faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults


class NavigationRefused(BadRequest):
    code, title = "not_a_navigation", "This address is for programs; open the link itself in a browser"


class UnknownHost(BadRequest):
    code, title = "unknown_host", "This server has another host name"


class ChunkLength(BadRequest):
    code, title = "chunk_length", "The chunk has not the length of its place in the upload"


class DigestMismatch(BadRequest):
    code, title = "digest_mismatch", "The body does not have the SHA-256 of its Content-Digest"


class KeyInvalid(SecLinkError):
    code, status, title = "key_invalid", 401, "The API key is not valid"


class KeyRequired(SecLinkError):
    code, status, title = "key_required", 401, "An API key is required"


class AccessRequired(SecLinkError):
    code, status, title = "access_required", 401, "Proof of the link's key is required"


class AccessDenied(SecLinkError):
    code, status, title = "access_denied", 401, "This is not the link's key; no view was spent"


class PasscodeRequired(SecLinkError):
    code, status, title = "passcode_required", 401, "A passcode is required"


class PasscodeWrong(SecLinkError):
    code, status, title = "passcode_wrong", 401, "The passcode is wrong"

    def __init__(self, message: str = "", attempts_left: int = 0) -> None:
        super().__init__(message)
        self.attempts_left = attempts_left


class Forbidden(SecLinkError):
    code, status, title = "forbidden", 403, "The API key does not permit this"


class FilesNotAllowed(Forbidden):
    code, title = "files_not_allowed", "This server does not accept files from you"


class NotFound(SecLinkError):
    code, status, title = "not_found", 404, "Nothing exists at this address"


class UploadUnknown(NotFound):
    code, title = "upload_unknown", "There is no such upload, or its token is another one"


class MethodNotAllowed(SecLinkError):
    code, status, title = "method_not_allowed", 405, "This address does not support that method"


class RequestTimeout(SecLinkError):
    code, status, title = "request_timeout", 408, "The request came too slowly"


class NotActive(SecLinkError):
    code, status, title = "not_active", 409, "The secret has ended and cannot be changed"


class TooManyChanges(SecLinkError):
    code, status, title = "too_many_changes", 409, "The secret cannot be changed any more"


class NameTaken(SecLinkError):
    code, status, title = "name_taken", 409, "The name is or was used by another secret"


class HasFiles(SecLinkError):
    code, status, title = "has_files", 409, "The secret has files; nothing was spent"


class UploadIncomplete(SecLinkError):
    code, status, title = "upload_incomplete", 409, "The upload is not complete; no secret was created"


class UploadUsed(SecLinkError):
    code, status, title = "upload_used", 409, "The upload belongs to all the secrets that it was made for"


class Superseded(SecLinkError):
    code, status, title = "superseded", 409, "The same chunk is being sent again by a newer request"


class Gone(SecLinkError):
    """`state` is revealed, burned or expired; `ended_at` is in epoch milliseconds, None if unknown."""

    code, status, title = "gone", 410, "The secret is gone"

    def __init__(self, message: str = "", state: str = "", ended_at: int | None = None) -> None:
        super().__init__(message)
        self.state = state
        self.ended_at = ended_at


class PayloadTooLarge(SecLinkError):
    """`faults` has the limit of a secret's payload, where the server knows it."""

    code, status, title = "payload_too_large", 413, "The request is too large"

    def __init__(self, message: str = "", faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults


class FilesTooLarge(PayloadTooLarge):
    code, title = "too_large", "The files of a secret are over the limit"


class UnsupportedMediaType(SecLinkError):
    code, status, title = "unsupported_media_type", 415, "Only application/json is accepted here"


class IdempotencyMismatch(SecLinkError):
    code, status, title = "idempotency_mismatch", 422, "This Idempotency-Key was used for another request"


class RateLimited(SecLinkError):
    """`retry_after` is in whole seconds, at least 1; `rate` is the name of the exceeded rate, if it has one."""

    code, status, title = "rate_limited", 429, "Too many requests"

    def __init__(self, message: str = "", retry_after: int = 1, rate: str = "") -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.rate = rate


class PasscodeLocked(RateLimited):
    code, title = "passcode_locked", "Too many wrong passcodes"


class FilesQuota(RateLimited):
    code, title = "files_quota", "You have reached the limit for files of one client"


class HeadersTooLarge(SecLinkError):
    code, status, title = "headers_too_large", 431, "The request's headers are too large"


class Internal(SecLinkError):
    code, status, title = "internal", 500, "The server failed with an internal error"


class Busy(SecLinkError):
    code, status, title = "busy", 503, "The server is busy; nothing was done, try again"


class StorageFailed(SecLinkError):
    """`faults` lists the failing parts of the server, in a response about its health."""

    code, status, title = "storage", 503, "The store is not available; nothing was done, try again"

    def __init__(self, message: str = "", faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults


class StorageFull(SecLinkError):
    code, status, title = "storage_full", 507, "There is no room for more secrets"


class FilesFull(StorageFull):
    code, title = "files_full", "There is no room for more files"


class StartRefused(SecLinkError):
    code, title = "start", "The server does not start"


class ConfigError(StartRefused):
    """One line per problem: `file:line: what is wrong (hint)`. `is_unreadable`: the file itself cannot be read."""

    code, title = "config", "The configuration is not valid"

    def __init__(self, message: str = "", *, is_unreadable: bool = False) -> None:
        super().__init__(message)
        self.is_unreadable = is_unreadable


class StoreFault(Enum):
    """Why a database cannot be used, for programs that suggest a fix."""

    OTHER = "other"  # damaged, missing, or in a way that no other member names
    NEWER = "newer"  # written by a later release
    FOREIGN = "foreign"  # the database of another program
    LOCKED = "locked"  # another program holds its lock
    ACCESS = "access"  # this user cannot open or write the file
    DISK_FULL = "disk_full"


class StoreUnusable(StartRefused):
    """`fault` is the reason as data; the message is for people and may be reworded."""

    code, title = "store", "The database cannot be used"

    def __init__(self, message: str = "", fault: StoreFault = StoreFault.OTHER) -> None:
        super().__init__(message)
        self.fault = fault


class ClientError(SecLinkError):
    code, title = "client", "The client gave up"


class Unreachable(ClientError):
    code, title = "unreachable", "The server cannot be reached"


class LinkIncomplete(ClientError):
    code, title = "link_incomplete", "This link is incomplete or was changed; ask for it again, no view was spent"


class SourceChanged(ClientError):
    code, title = "source_changed", "A file changed while it was sent; nothing was created"


class NotAuthentic(ClientError):
    code, title = "not_authentic", "The secret does not open: it is damaged, or this is not its key"


def _tree(cls: type[SecLinkError]) -> list[type[SecLinkError]]:
    return [cls, *(error for child in cls.__subclasses__() for error in _tree(child))]


BY_CODE: dict[str, type[SecLinkError]] = {cls.code: cls for cls in _tree(SecLinkError)}  # for the client
