"""The options of the TOML file, each with its type, default, bounds and help. No other code reads configuration.

An option is a field of a section below, or of the tables of an array, and `Declared` in its `Annotated[...]` is its
metadata. From it come the checks (`parser`), `seclink config`, systemd/seclink.toml and the table in operating.md
(`options`). An unknown name, a wrong type or a value out of bounds stops the start, with file, line and a hint: with a
silent default, an operator would rely on a setting that is not in force.
"""

from typing import Annotated, Any, Literal, get_args, get_origin

from msgspec import Struct, field

from seclink.config.dialects import DialectsOptions
from seclink.config.option_types import (
    BOOLEAN,
    CIDR,
    COLOUR,
    ENDPOINT,
    FILE_PATH,
    HOST_NAME,
    IMAGE_PATH,
    ORIGIN,
    PUBLIC_URL,
    RATE,
    Declared,
    Endpoint,
    choice,
    duration,
    integer,
    links,
    list_of,
    text,
)
from seclink.model import Rate

DAY_SECONDS = 86_400
MAX_BYTES = 2**44

Creators = Literal["anyone", "keys"]
FileCreators = Literal["anyone", "keys", "nobody"]
PasscodeProfile = Literal["standard", "strong"]
LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "human", "json"]


def section_of(kind: Any) -> type[Struct] | None:
    """Return the section that the type of a field is, or is an array of; None for the type of an option."""
    item = get_args(kind)[0] if is_array(kind) else kind
    return item if isinstance(item, type) and issubclass(item, Struct) else None


def is_array(kind: Any) -> bool:
    """Return whether the type of a field is an array of tables."""
    return get_origin(kind) is list


class ServerOptions(Struct, frozen=True, kw_only=True):
    host: Annotated[str, Declared(HOST_NAME, "Address to listen on.", at_start=True)] = "127.0.0.1"
    port: Annotated[int, Declared(integer(1, 65535), "TCP port to listen on.", at_start=True)] = 8080
    public_url: Annotated[
        str | None,
        Declared(
            PUBLIC_URL,
            "The URL at which people reach the server; links begin with it. Unset: made of host and port.",
            "https://secrets.example.org",
        ),
    ] = None
    tls_cert: Annotated[
        str | None,
        Declared(
            FILE_PATH,
            "The certificate for https with its chain, in PEM, relative to this file; read again when it changes. "
            "Unset: plain http, for a proxy that does https.",
            "fullchain.pem",
            at_start=True,
        ),
    ] = None
    tls_key: Annotated[
        str | None,
        Declared(
            FILE_PATH,
            "The private key of tls_cert, in PEM, not encrypted, relative to this file.",
            "privkey.pem",
            at_start=True,
        ),
    ] = None
    allowed_hosts: Annotated[
        list[str], Declared(list_of(HOST_NAME), "Host names to accept besides those of host, public_url and [[hosts]].")
    ] = field(default_factory=list)
    trusted_proxies: Annotated[
        list[str], Declared(list_of(CIDR), "Reverse proxies whose X-Forwarded-For and X-Forwarded-Host are trusted.")
    ] = field(default_factory=list)
    requests: Annotated[
        int, Declared(integer(1, 100_000), "Requests handled at the same time; more are refused (503).")
    ] = 1024
    body_timeout: Annotated[int, Declared(duration("1s", "1h"), "Time for a request's body to arrive.")] = 30
    shutdown_timeout: Annotated[
        int, Declared(duration("1s", "5m"), "Time for requests in flight to finish when the server stops.")
    ] = 10


class HostOptions(Struct, frozen=True, kw_only=True):
    """One table of [[hosts]]."""

    origin: Annotated[
        str,
        Declared(
            ORIGIN,
            "A further origin at which people reach the server. A link begins with it if the request that created the "
            "secret went there, or named it as `host`.",
            "https://send.example.org",
        ),
    ] = ""


class StoreOptions(Struct, frozen=True, kw_only=True):
    path: Annotated[
        str,
        Declared(
            text(min_length=1),
            "The database file. Its folder must exist; a relative path begins beside this file, or in "
            "/var/lib/seclink if this is /etc/seclink/seclink.toml.",
            at_start=True,
        ),
    ] = "seclink.db"
    max_bytes: Annotated[
        int, Declared(integer(2**20, MAX_BYTES), "Maximum size of the database; then creating is refused (507).")
    ] = 10 * 2**30


class AccessOptions(Struct, frozen=True, kw_only=True):
    create: Annotated[
        Creators,
        Declared(
            choice(Creators), "Who may create secrets: anyone, or only holders of an API key. Revealing needs no key."
        ),
    ] = "anyone"


class ExpiryOptions(Struct, frozen=True, kw_only=True):
    default: Annotated[int, Declared(duration("1m", "365d"), "Lifetime of a view_once secret that sets none.")] = (
        7 * DAY_SECONDS
    )
    max: Annotated[int, Declared(duration("1h", "365d"), "The longest lifetime that a secret may have.")] = (
        30 * DAY_SECONDS
    )
    choices: Annotated[
        list[int],
        Declared(
            list_of(duration("1m", "365d"), 1, 20),
            "Lifetimes that the page offers; those above expiry.max are left out.",
        ),
    ] = field(default_factory=lambda: [600, 3600, DAY_SECONDS, 7 * DAY_SECONDS, 30 * DAY_SECONDS])


class LimitsOptions(Struct, frozen=True, kw_only=True):
    payload_bytes: Annotated[
        int, Declared(integer(1024, 2**26), "Maximum size of a secret's ciphertext, decoded from base64.")
    ] = 2 * 2**20
    client_bytes: Annotated[
        int, Declared(integer(1024, MAX_BYTES), "Bytes of ciphertext that an anonymous client may store in a day.")
    ] = 64 * 2**20

    @property
    def body_bytes(self) -> int:
        """The size of the largest request: a payload in base64, and all other members."""
        return self.payload_bytes * 4 // 3 + 16_384


class FilesOptions(Struct, frozen=True, kw_only=True):
    create: Annotated[
        FileCreators | None,
        Declared(
            choice(FileCreators),
            "Who may add files to secrets: anyone, holders of an API key, or nobody. Unset: as access.create.",
            "keys",
        ),
    ] = None
    max_bytes: Annotated[
        int, Declared(integer(1024, 2**40), "Maximum size of the files of one secret, before encryption.")
    ] = 2**30
    total_bytes: Annotated[
        int, Declared(integer(2**20, MAX_BYTES), "Maximum size of all files; then new ones are refused (507).")
    ] = 10 * 2**30
    client_bytes: Annotated[
        int, Declared(integer(1024, MAX_BYTES), "Bytes of files that an anonymous client may upload in a day.")
    ] = 256 * 2**20
    grant: Annotated[
        int, Declared(duration("1m", "24h"), "Time that a reader has for the download after opening a secret.")
    ] = 12 * 3600
    path: Annotated[
        str | None,
        Declared(
            text(min_length=1),
            "The folder of the encrypted files, which contains nothing else; relative paths begin at the folder of the "
            "database. Unset: the name of the database with `.files`.",
            "/srv/seclink-files",
            at_start=True,
        ),
    ] = None


class RatesOptions(Struct, frozen=True, kw_only=True):
    create: Annotated[Rate, Declared(RATE, "Anonymous creates and reports, by client address.")] = Rate(20, 3600)
    reveal: Annotated[Rate, Declared(RATE, "Anonymous reveals, by client address.")] = Rate(120, 3600)
    peek: Annotated[Rate, Declared(RATE, "Anonymous peeks at secrets and receipts, by client address.")] = Rate(
        600, 3600
    )
    key: Annotated[Rate, Declared(RATE, "All requests with an API key that has no rate of its own.")] = Rate(
        10_000, 3600
    )


class PasscodesOptions(Struct, frozen=True, kw_only=True):
    profile: Annotated[
        PasscodeProfile,
        Declared(
            choice(PasscodeProfile),
            "Cost of argon2id: standard is 19 MiB and 2 passes, strong is 64 MiB, 3 passes and 4 lanes.",
        ),
    ] = "standard"


class ReceiptsOptions(Struct, frozen=True, kw_only=True):
    keep_days: Annotated[
        int, Declared(integer(1, 3650), "Days that the receipt is kept after its secret has ended.")
    ] = 30


class AuditOptions(Struct, frozen=True, kw_only=True):
    keep_days: Annotated[
        int,
        Declared(
            integer(0, 3650), "Days that entries of the audit trail are kept. 0: entries are removed within an hour."
        ),
    ] = 90


class ReaperOptions(Struct, frozen=True, kw_only=True):
    every: Annotated[int, Declared(duration("1s", "1h"), "Interval between rounds of erasing expired secrets.")] = 30


class LogOptions(Struct, frozen=True, kw_only=True):
    level: Annotated[
        LogLevel, Declared(choice(LogLevel), "The lowest level that is logged; debug adds every refused request.")
    ] = "info"
    format: Annotated[
        LogFormat,
        Declared(
            choice(LogFormat),
            "Format of log lines: auto is human on a terminal and in systemd's journal, else JSON.",
        ),
    ] = "auto"


class MetricsOptions(Struct, frozen=True, kw_only=True):
    enabled: Annotated[
        bool,
        Declared(BOOLEAN, "Serve Prometheus metrics at /metrics to API keys of the scope metrics or admin."),
    ] = False
    listen: Annotated[
        Endpoint | None,
        Declared(
            ENDPOINT,
            "A second address that serves /metrics, /healthz and /readyz without a key. Unset: none.",
            "127.0.0.1:9464",
            at_start=True,
        ),
    ] = None


class BrandingOptions(Struct, frozen=True, kw_only=True):
    name: Annotated[str, Declared(text(1, 40), "The name of this server on its pages.")] = "SecLink"
    accent: Annotated[
        str | None, Declared(COLOUR, "The accent colour of the pages. Unset: SecLink's own.", "#1a5fb4")
    ] = None
    logo: Annotated[
        str | None,
        Declared(
            IMAGE_PATH,
            "The image at the top of the pages, at most 64 KiB, relative to this file. Unset: SecLink's own.",
            "logo.svg",
        ),
    ] = None
    footer: Annotated[str, Declared(text(0, 200), "A line of text at the foot of the pages.")] = ""
    footer_links: Annotated[
        dict[str, str],
        Declared(links(8), "Links at the foot of the pages, such as an imprint or a privacy notice."),
    ] = field(default_factory=dict)


class Config(Struct, frozen=True, kw_only=True):
    server: ServerOptions = field(default_factory=ServerOptions)
    hosts: list[HostOptions] = field(default_factory=list)
    store: StoreOptions = field(default_factory=StoreOptions)
    access: AccessOptions = field(default_factory=AccessOptions)
    expiry: ExpiryOptions = field(default_factory=ExpiryOptions)
    limits: LimitsOptions = field(default_factory=LimitsOptions)
    files: FilesOptions = field(default_factory=FilesOptions)
    rates: RatesOptions = field(default_factory=RatesOptions)
    passcodes: PasscodesOptions = field(default_factory=PasscodesOptions)
    receipts: ReceiptsOptions = field(default_factory=ReceiptsOptions)
    audit: AuditOptions = field(default_factory=AuditOptions)
    reaper: ReaperOptions = field(default_factory=ReaperOptions)
    log: LogOptions = field(default_factory=LogOptions)
    metrics: MetricsOptions = field(default_factory=MetricsOptions)
    branding: BrandingOptions = field(default_factory=BrandingOptions)
    dialects: DialectsOptions = field(default_factory=DialectsOptions)

    @property
    def file_creators(self) -> FileCreators:
        """The callers who may add files: unless set, those who may create secrets."""
        return self.files.create or self.access.create
