"""Who asks and how often, settled before a body is read.

An API key is only ever a Bearer token: one in a query is refused, so that nobody gets used to writing keys into
logs. A bad key is refused and never falls back to anonymous, and the refusal counts against the address.
Anonymous clients are counted by IPv4 address or IPv6 /64, and ten times as generously by /48, because a /48 is
one customer with 65,536 of them.
"""

import ipaddress
import math
from functools import lru_cache
from typing import Any, cast

from msgspec import Struct

from seclink.config.schema import Config
from seclink.domain.api_keys import ApiKeys
from seclink.domain.clock import Clock
from seclink.domain.rate_limiter import Decision, RateLimiter
from seclink.errors import BadRequest, Forbidden, KeyInvalid, KeyRequired, RateLimited
from seclink.model import Actor, Rate, Scope

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
WIDE_FACTOR = 10
BYTES_WINDOW = 86400


class AccessRule(Struct, frozen=True, kw_only=True):
    """What a route asks of its callers:

    the class of `rate` that anonymous ones share, the scopes of which one is needed, what may stand in the `query`
    (None: anything, what is not known is ignored).
    """

    rate: str
    scopes: tuple[Scope, ...] = ()
    needs_key: bool = False
    query: tuple[str, ...] | None = ()


class Admission:
    """`admit` stands before every limited route; handlers read the Actor it leaves in the scope with `actor`."""

    def __init__(self, keyring: ApiKeys, limiter: RateLimiter, keys: RateLimiter, config: Config, clock: Clock) -> None:
        """`limiter` counts addresses and `keys` API keys: a flood of addresses may not crowd out a key."""
        self._keyring, self._limiter, self._keys, self._config, self._clock = keyring, limiter, keys, config, clock
        self._rates: dict[str, Rate] = {name: getattr(config.rates, name) for name in ("create", "reveal", "peek")}
        self._proxies = [ipaddress.ip_network(each) for each in config.server.trusted_proxies]

    async def admit(self, scope: dict[str, Any], rule: AccessRule) -> None:
        """Leave an Actor in the scope, or raise BadRequest, KeyInvalid, KeyRequired, Forbidden or RateLimited."""
        client, subnet = self._client(scope)
        actor = Actor(client=client, subnet=subnet)
        given = headers(scope, b"authorization")
        if given:
            actor = await self._authenticate(scope, given, rule, client, subnet)
        else:
            self._count_anonymous(scope, rule.rate, client, subnet)
        _refuse_query(scope, rule)
        if rule.needs_key and actor.key is None:
            raise KeyRequired()
        if actor.key is not None and rule.scopes and not actor.key.scopes.intersection(rule.scopes):
            raise Forbidden(f"The API key lacks the scope {' or '.join(rule.scopes)}")
        scope["state"]["actor"] = actor

    def client(self, scope: Any) -> str:
        """The range that a request is counted by."""
        return self._client(scope)[0]

    def charge_storage(self, actor: Actor, count: int) -> None:
        """Hold anonymous clients to what they may store in a day. Raises RateLimited."""
        if actor.key is None:
            rate = Rate(self._config.limits.client_bytes, BYTES_WINDOW)
            _, decision = self._count("bytes", rate, actor.client, actor.subnet, cost=min(count, rate.count))
            if not decision.is_allowed:
                wait = math.ceil(decision.retry_after)
                raise RateLimited("You have stored as much as one client may in a day", wait, "bytes")

    def enforce_extra(self, scope: dict[str, Any], name: str, anonymous: Rate, keyed: Rate) -> None:
        """Hold a caller who was admitted to a further rate, on top of the general one. Raises RateLimited."""
        who = actor(scope)
        if who.key is None:
            rate, decision = self._count(name, anonymous, who.client, who.subnet)
        else:
            rate, decision = keyed, self._keys.take(f"{name} {_key_bucket(who)}", keyed, self._clock.monotonic())
        self._enforce(scope, name, rate, decision)

    def remaining(self, actor: Actor) -> tuple[Rate, int]:
        """A key's rate and what is left of it; counts nothing."""
        rate = self._key_rate(actor)
        return rate, self._keys.take(_key_bucket(actor), rate, self._clock.monotonic(), cost=0).remaining

    async def _authenticate(
        self, scope: dict[str, Any], given: list[bytes], rule: AccessRule, client: str, subnet: str | None
    ) -> Actor:
        try:
            key = await self._keyring.find(_bearer(given), self._clock.now())
        except (KeyInvalid, BadRequest):
            self._count_anonymous(scope, rule.rate, client, subnet)
            raise
        actor = Actor(client=client, subnet=subnet, key=key)
        decision = self._keys.take(_key_bucket(actor), self._key_rate(actor), self._clock.monotonic())
        self._enforce(scope, "key", self._key_rate(actor), decision)
        return actor

    def _count_anonymous(self, scope: dict[str, Any], name: str, client: str, subnet: str | None) -> None:
        rate, decision = self._count(name, self._rates[name], client, subnet)
        self._enforce(scope, name, rate, decision)

    def _count(self, name: str, rate: Rate, client: str, subnet: str | None, cost: float = 1) -> tuple[Rate, Decision]:
        """Count against a client, then against its wider range: what is refused to one client is not charged to its
        neighbours. The rate that decided, and its decision.
        """
        now = self._clock.monotonic()
        wider = Rate(rate.count * WIDE_FACTOR, rate.seconds)
        if subnet is not None and not self._limiter.would_allow(f"{name} {subnet}", wider, now, cost):
            # Before its 65,536 clients are remembered one by one: that would fill the limiter for everybody.
            return wider, self._limiter.take(f"{name} {subnet}", wider, now, cost)
        decision = self._limiter.take(f"{name} {client}", rate, now, cost)
        if subnet is None or not decision.is_allowed:
            return rate, decision
        further = self._limiter.take(f"{name} {subnet}", wider, now, cost)
        return (rate, decision) if further.is_allowed else (wider, further)

    def _enforce(self, scope: dict[str, Any], name: str, rate: Rate, decision: Decision) -> None:
        scope["state"]["seclink_headers"] = [
            (b"ratelimit-policy", b'"%s";q=%d;w=%d' % (name.encode(), rate.count, rate.seconds)),
            (b"ratelimit", b'"%s";r=%d;t=%d' % (name.encode(), decision.remaining, math.ceil(decision.reset))),
        ]
        if not decision.is_allowed:
            raise RateLimited(retry_after=math.ceil(decision.retry_after), rate=name)

    def _key_rate(self, actor: Actor) -> Rate:
        return (actor.key.rate if actor.key else None) or self._config.rates.key

    def _client(self, scope: dict[str, Any]) -> tuple[str, str | None]:
        peer = (scope.get("client") or ("",))[0]
        if self._proxies:
            peer = self._forwarded(peer, headers(scope, b"x-forwarded-for"))
        return ranges(peer)

    def _forwarded(self, peer: str, given: list[bytes]) -> str:
        """The right-most hop that is not one of our proxies.

        A malformed hop is not believed, nor anything left of it.
        """
        hops = [each.strip() for value in given for each in value.decode("latin-1").split(",")]
        current = peer
        while hops and self._is_trusted(current):
            hop = _without_port(hops.pop())
            if _address(hop) is None:
                return peer
            current = hop
        return current

    def _is_trusted(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self._proxies)


def actor(scope: Any) -> Actor:
    """Who asks, as `admit` found."""
    return cast(Actor, scope["state"]["actor"])


def headers(scope: Any, name: bytes) -> list[bytes]:
    """Every value of a header; names arrive in lower case."""
    return [value for key, value in scope["headers"] if key == name]


def header(scope: Any, name: bytes) -> str | None:
    """The one value of a header. Raises BadRequest where it is given twice: two readers could take different ones."""
    values = headers(scope, name)
    if len(values) > 1:
        raise BadRequest(f"The header {name.decode()} is given twice")
    return values[0].decode("latin-1") if values else None


def retry_key(scope: Any) -> str | None:
    """The Idempotency-Key. Raises BadRequest where it is none."""
    key = header(scope, b"idempotency-key")
    if key is not None and not (16 <= len(key) <= 128 and key.isascii() and key.isprintable()):
        raise BadRequest("Idempotency-Key must have 16 to 128 printable characters")
    return key


@lru_cache(4096)
def ranges(peer: str) -> tuple[str, str | None]:
    """An address as the range that is counted, and for IPv6 the wider one."""
    address = _address(peer)
    if address is None:
        return peer or "unknown", None
    if isinstance(address, ipaddress.IPv4Address):
        return str(address), None
    number = int(address)
    return f"{number >> 64:x}/64", f"{number >> 80:x}/48"


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _without_port(hop: str) -> str:
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _bearer(given: list[bytes]) -> str:
    if len(given) > 1:
        raise BadRequest("The header authorization is given twice")
    scheme, _, token = given[0].decode("latin-1").partition(" ")
    if scheme.lower() != "bearer":
        raise KeyInvalid("Send the API key as: Authorization: Bearer sk_live_...")
    return token


def _key_bucket(actor: Actor) -> str:
    return f"key {actor.key.digest.hex() if actor.key else ''}"


def _refuse_query(scope: dict[str, Any], rule: AccessRule) -> None:
    if scope["query_string"] and rule.query is not None:
        for pair in scope["query_string"].split(b"&"):
            if pair.partition(b"=")[0].decode("latin-1") not in rule.query:
                raise BadRequest("This address takes no such query parameter; keys and proofs go into headers")
