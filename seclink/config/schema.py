"""The one TOML file: every option with its name, type, default, bounds and help. Nothing else reads configuration.

An option is a field of a section below; `Annotated[...]` carries bounds and help, and from that come the checks,
`seclink config`, systemd/seclink.toml and the README's table (`options.py`). What is unknown, of the wrong type or out
of bounds stops the start with file, line and a hint: a silent default would be a setting somebody believes in.
Durations are written `90s`, `15m`, `24h`, `7d`; rates `20/hour`.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from seclink.config.dialects import DialectsOptions
from seclink.config.types import (
    Cidr,
    Colour,
    Duration,
    Endpoint,
    FilePath,
    HostName,
    ImagePath,
    PublicUrl,
    Url,
)
from seclink.model import Rate

AT_START = {"at_start": True}  # read once; a reload says that it needs a restart


class ServerOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    host: Annotated[HostName, Meta(extra=AT_START, description="Address to listen on.")] = HostName("127.0.0.1")
    port: Annotated[int, Meta(ge=1, le=65535, extra=AT_START, description="TCP port to listen on.")] = 8080
    public_url: Annotated[
        PublicUrl | None,
        Meta(description="The address people use; links are built from it. Unset: from host and port."),
    ] = None
    tls_cert: Annotated[
        FilePath | None,
        Meta(
            extra=AT_START,
            description="The certificate for https with its chain, in PEM, relative to this file; read again when it "
            "changes. Unset: plain http, for a proxy with https in front.",
        ),
    ] = None
    tls_key: Annotated[
        FilePath | None,
        Meta(extra=AT_START, description="The key of tls_cert, in PEM and not encrypted, relative to this file."),
    ] = None
    allowed_hosts: Annotated[
        list[HostName],
        Meta(description="Further Host names to answer to, besides those of host and public_url."),
    ] = field(default_factory=list)
    trusted_proxies: Annotated[
        list[Cidr],
        Meta(description="Reverse proxies (addresses or CIDR) whose X-Forwarded-For is believed."),
    ] = field(default_factory=list)
    requests: Annotated[
        int, Meta(ge=1, le=100_000, description="Requests handled at the same time; more are refused (503).")
    ] = 1024
    body_timeout: Annotated[
        Duration, Meta(ge=1, le=3600, description="How long a request's body may take to arrive.")
    ] = Duration(30)
    shutdown_timeout: Annotated[
        Duration, Meta(ge=1, le=300, description="How long a stop waits for requests in flight.")
    ] = Duration(10)


class StoreOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    path: Annotated[
        str,
        Meta(
            min_length=1,
            extra=AT_START,
            description="The database file. Its folder must exist; a relative path begins beside this file, or in "
            "/var/lib/seclink where this is /etc/seclink/seclink.toml.",
        ),
    ] = "seclink.db"
    max_bytes: Annotated[
        int,
        Meta(ge=1_048_576, le=2**44, description="Size the database may reach; then creating is refused (507)."),
    ] = 10_737_418_240


class AccessOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    create: Annotated[
        Literal["anyone", "keys"],
        Meta(description="Who may create: anyone, or only holders of an API key. Revealing never needs a key."),
    ] = "anyone"


class ExpiryOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    default: Annotated[
        Duration, Meta(ge=60, le=31_536_000, description="How long a view_once secret waits for its reader.")
    ] = Duration(7 * 86400)
    max: Annotated[Duration, Meta(ge=3600, le=31_536_000, description="The longest lifetime a caller may ask for.")] = (
        Duration(30 * 86400)
    )
    choices: Annotated[
        list[Duration],
        Meta(
            min_length=1,
            max_length=20,
            extra={"each": Meta(ge=60, le=31_536_000)},
            description="Lifetimes the page offers; those beyond expiry.max are left out.",
        ),
    ] = field(default_factory=lambda: [Duration(each) for each in (600, 3600, 86400, 7 * 86400, 30 * 86400)])


class LimitsOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    payload_bytes: Annotated[
        int, Meta(ge=1024, le=67_108_864, description="Size of one secret's ciphertext, decoded.")
    ] = 2_097_152
    client_bytes: Annotated[
        int, Meta(ge=1024, le=2**44, description="Ciphertext an anonymous client may store in a day.")
    ] = 67_108_864


class RatesOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    create: Annotated[Rate, Meta(description="Anonymous creates and reports, by client address.")] = Rate(20, 3600)
    reveal: Annotated[Rate, Meta(description="Anonymous reveals, by client address.")] = Rate(120, 3600)
    peek: Annotated[Rate, Meta(description="Anonymous looks at secrets and receipts, by client address.")] = Rate(
        600, 3600
    )
    key: Annotated[Rate, Meta(description="All calls of one API key that has no rate of its own.")] = Rate(10_000, 3600)


class PasscodesOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    profile: Annotated[
        Literal["standard", "strong"],
        Meta(description="argon2id cost: standard is 19 MiB and 2 passes, strong 64 MiB, 3 passes and 4 lanes."),
    ] = "standard"


class ReceiptsOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    keep_days: Annotated[int, Meta(ge=1, le=3650, description="Days the receipt of an ended secret is kept.")] = 30


class AuditOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    keep_days: Annotated[
        int, Meta(ge=0, le=3650, description="Days the audit trail goes back. 0: entries leave it within the hour.")
    ] = 90


class ReaperOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    every: Annotated[Duration, Meta(ge=1, le=3600, description="Pause between two rounds of erasing the expired.")] = (
        Duration(30)
    )


class LogOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least important event that is written; debug adds every refusal."),
    ] = "info"
    format: Annotated[
        Literal["auto", "human", "json"],
        Meta(description="How: auto is human on a terminal and in systemd's journal, JSON otherwise."),
    ] = "auto"


class MetricsOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    enabled: Annotated[
        bool,
        Meta(description="Whether /metrics answers API keys of the scope metrics or admin, in Prometheus' format."),
    ] = False
    listen: Annotated[
        Endpoint | None,
        Meta(
            extra=AT_START,
            description="A further address at which /metrics, /healthz and /readyz answer, to anybody. Unset: none.",
        ),
    ] = None


class BrandingOptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=40, description="What the pages call this server.")] = "SecLink"
    accent: Annotated[Colour | None, Meta(description="The pages' accent colour. Unset: theirs.")] = None
    logo: Annotated[
        ImagePath | None,
        Meta(description="An image for the pages' head, 64 KiB at most, relative to this file. Unset: theirs."),
    ] = None
    footer: Annotated[str, Meta(max_length=200, description="A line of text at the foot of the pages.")] = ""
    footer_links: Annotated[
        dict[str, Url],
        Meta(max_length=8, description="Links at the foot of the pages, by their texts: an imprint, a privacy notice."),
    ] = field(default_factory=dict)


class Config(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    server: ServerOptions = field(default_factory=ServerOptions)
    store: StoreOptions = field(default_factory=StoreOptions)
    access: AccessOptions = field(default_factory=AccessOptions)
    expiry: ExpiryOptions = field(default_factory=ExpiryOptions)
    limits: LimitsOptions = field(default_factory=LimitsOptions)
    rates: RatesOptions = field(default_factory=RatesOptions)
    passcodes: PasscodesOptions = field(default_factory=PasscodesOptions)
    receipts: ReceiptsOptions = field(default_factory=ReceiptsOptions)
    audit: AuditOptions = field(default_factory=AuditOptions)
    reaper: ReaperOptions = field(default_factory=ReaperOptions)
    log: LogOptions = field(default_factory=LogOptions)
    metrics: MetricsOptions = field(default_factory=MetricsOptions)
    branding: BrandingOptions = field(default_factory=BrandingOptions)
    dialects: DialectsOptions = field(default_factory=DialectsOptions)
