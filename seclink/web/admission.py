"""Admission of requests before their bodies are read: API key, rate limits, scopes, query parameters.

An API key is accepted only as a Bearer token. A key in the query is rejected, so that clients do not get used to
writing keys into logs. A bad key is rejected and never treated as anonymous, and the rejection counts against the
address. Anonymous clients are counted by IPv4 address or IPv6 /64, and by /48 at ten times the rate (twice for the
bytes of files), because a /48 is one customer with 65,536 /64 networks.
"""

import ipaddress
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from msgspec import Struct

from seclink.config.schema import Config
from seclink.domain.api_keys import ApiKeys
from seclink.domain.clock import Clock
from seclink.domain.rate_limiter import Decision, Place, RateLimiter
from seclink.domain.shares import Holder
from seclink.errors import BadRequest, FilesQuota, Forbidden, KeyInvalid, KeyRequired, RateLimited
from seclink.model import Actor, Rate, Scope
from seclink.web.fetch_metadata import is_cross_origin, needs_preflight
from seclink.web.request import RequestContext, header_values

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
SUBNET_FACTOR = 10
SUBNET_FILES_FACTOR = 2  # an upload reserves room before it has a byte, so a few /48 could hold all of it
NO_RATE = ""
TOO_MANY_CREATED = "Too many requests for new secrets and reports from this address; an API key has its own limit"
SUBNET_LOGS, NETWORK_LOGS = 256, 16  # a /48 has at most a 256th of the limiter, a /32 or an IPv4 /16 a 16th
DAY_SECONDS = 86400


class AccessRule(Struct, frozen=True, kw_only=True):
    """The conditions for an operation.

    `rate` names the rate limit of anonymous callers: one of the configuration, or a new one with the limit `own_rate`.
    With NO_RATE, only bad API keys are counted: the call is about a piece of something that was counted as a whole.
    An API key needs one of `scopes`. `query` lists the allowed query parameters; None allows any.
    """

    rate: str
    own_rate: Rate | None = None
    scopes: tuple[Scope, ...] = ()
    needs_key: bool = False
    query: tuple[str, ...] | None = ()


_BAD_KEYS = AccessRule(rate="peek")


class Admission:
    """Authenticates and counts requests; the rates and proxies are those of one configuration."""

    def __init__(
        self, api_keys: ApiKeys, address_limiter: RateLimiter, key_limiter: RateLimiter, config: Config, clock: Clock
    ) -> None:
        """Keys have a limiter of their own, so that a flood of addresses cannot evict a key's count."""
        self._api_keys, self._address_limiter, self._key_limiter = api_keys, address_limiter, key_limiter
        self._config, self._clock = config, clock
        self._rates: dict[str, Rate] = {name: getattr(config.rates, name) for name in ("create", "reveal", "peek")}
        self._proxies = [ipaddress.ip_network(network) for network in config.server.trusted_proxies]

    async def admit(self, scope: dict[str, Any], rule: AccessRule) -> Actor:
        """Return the actor. Raises BadRequest, KeyInvalid, KeyRequired, Forbidden or RateLimited."""
        client, subnet = self._client(scope)
        authorization = header_values(scope, b"authorization")
        if authorization:
            actor = await self._authenticate(scope, authorization, rule, client, subnet)
        else:
            actor = Actor(client=client, subnet=subnet)
            if rule.rate != NO_RATE:
                self._count_anonymous(scope, rule, client, subnet)
        _check_query(scope, rule)
        if rule.needs_key and actor.key is None:
            raise KeyRequired()
        if actor.key is not None and rule.scopes and not actor.key.scopes.intersection(rule.scopes):
            raise Forbidden(f"The API key lacks the scope {' or '.join(rule.scopes)}")
        return actor

    def count_apart(self, scope: dict[str, Any], rule: AccessRule) -> None:
        """Give the visitor's own rate a request back that was refused because another site's markup had sent it."""
        headers = dict(scope["headers"])
        if is_cross_origin(headers) and not needs_preflight(headers):
            for name in filter(None, self._client(scope)):
                self._address_limiter.give_back(f"{rule.rate} {name}")

    def holder(self, scope: Any) -> Holder:
        """Return the address range that a request is counted by, whoever its key belongs to."""
        client, subnet = self._client(scope)
        return Holder(client=client, subnet=subnet, is_anonymous=False)

    def peer_holder(self, address: str) -> Holder | None:
        """Return the range that a connection is counted by, None for a trusted proxy."""
        client, subnet = client_and_subnet(address)
        return None if self.is_trusted_proxy(address) else Holder(client=client, subnet=subnet, is_anonymous=False)

    def charge_storage(self, actor: Actor, size: int) -> None:
        """Count `size` bytes against an anonymous client's daily storage limit. Raises RateLimited."""
        if actor.key is None:
            rate = Rate(self._config.limits.client_bytes, DAY_SECONDS)
            _, decision = self._count("bytes", rate, actor.client, actor.subnet, cost=min(size, rate.count))
            if not decision.is_allowed:
                wait = math.ceil(decision.retry_after)
                raise RateLimited("You have reached the daily storage limit of one client", wait, "bytes")

    def charge_files(self, actor: Actor, size: int) -> Callable[[], None]:
        """Count bytes of files against an anonymous client's day; return a function that gives them back.

        Raises FilesQuota.
        """
        if actor.key is not None:
            return lambda: None
        rate = Rate(self._config.files.client_bytes, DAY_SECONDS)
        _, decision = self._count("files", rate, actor.client, actor.subnet, size, SUBNET_FILES_FACTOR)
        if not decision.is_allowed:
            message = "You have used up today's limit for files. An API key may have more"
            raise FilesQuota(message, math.ceil(decision.retry_after))

        def refund() -> None:
            for name in filter(None, (actor.client, actor.subnet)):
                self._address_limiter.give_back(f"files {name}", size)

        return refund

    def enforce_for_key(self, request: RequestContext, name: str, rate: Rate) -> None:
        """Count an admitted request against another rate of its API key, if it has one. Raises RateLimited."""
        if request.actor.key is not None:
            bucket = f"{name} {_bucket(request.actor)}"
            self._enforce(request.scope, name, rate, self._key_limiter.take(bucket, rate, self._clock.monotonic()))

    def remaining(self, actor: Actor) -> tuple[Rate, int]:
        """Return a key's rate and the number of requests left; counts nothing."""
        rate = self._key_rate(actor)
        return rate, self._key_limiter.look(_bucket(actor), rate, self._clock.monotonic(), cost=0).remaining

    async def _authenticate(
        self, scope: dict[str, Any], authorization: list[bytes], rule: AccessRule, client: str, subnet: str | None
    ) -> Actor:
        anonymous_rule = rule if rule.rate != NO_RATE else _BAD_KEYS
        try:
            token = _bearer(authorization)
            # Another client at this address may hold a key: it is let through, and a made-up one costs no query.
            if self._is_over(scope, anonymous_rule, client, subnet) and not await self._api_keys.is_known(
                token, self._clock.monotonic()
            ):
                raise KeyInvalid()
            key = await self._api_keys.find(token, self._clock.now())
        except (KeyInvalid, BadRequest):
            self._count_anonymous(scope, anonymous_rule, client, subnet)
            raise
        actor = Actor(client=client, subnet=subnet, key=key)
        if rule.rate == NO_RATE:
            return actor
        rate = self._key_rate(actor)
        self._enforce(scope, "key", rate, self._key_limiter.take(_bucket(actor), rate, self._clock.monotonic()))
        return actor

    def _count_anonymous(self, scope: dict[str, Any], rule: AccessRule, client: str, subnet: str | None) -> None:
        """Count a request against its client's rates. Raises RateLimited."""
        for name, rate in self._anonymous_rates(scope, rule):
            self._enforce(scope, name, *self._count(name, rate, client, subnet))

    def _anonymous_rates(self, scope: dict[str, Any], rule: AccessRule) -> list[tuple[str, Rate]]:
        """Return the rates that a request counts against; the pages of other sites may spend half of a rate."""
        rate = rule.own_rate or self._rates[rule.rate]
        if not is_cross_origin(dict(scope["headers"])):
            return [(rule.rate, rate)]
        half = Rate(max(1, rate.count // 2), rate.seconds)
        return [(f"{rule.rate}-cross-site", half), (rule.rate, rate)]

    def _is_over(self, scope: dict[str, Any], rule: AccessRule, client: str, subnet: str | None) -> bool:
        """Return whether an anonymous request would be refused; counts nothing."""
        now, limiter = self._clock.monotonic(), self._address_limiter
        for name, rate in self._anonymous_rates(scope, rule):
            if not limiter.look(f"{name} {client}", rate, now).is_allowed or (
                subnet and not limiter.look(f"{name} {subnet}", _subnet_rate(rate), now).is_allowed
            ):
                return True
        return False

    def _count(
        self, name: str, rate: Rate, client: str, subnet: str | None, cost: int = 1, factor: int = SUBNET_FACTOR
    ) -> tuple[Rate, Decision]:
        """Count against a client and its subnet, or against neither; return the rate that decided, and its decision."""
        now, limiter, places = self._clock.monotonic(), self._address_limiter, _places(client, subnet)
        if subnet is None:
            return rate, limiter.take(f"{name} {client}", rate, now, cost, places)
        subnet_rate = _subnet_rate(rate, factor)
        # The subnet decides before the client gets a log: 65,536 clients of one subnet would fill the limiter.
        of_subnet = limiter.look(f"{name} {subnet}", subnet_rate, now, cost)
        if not of_subnet.is_allowed:
            return subnet_rate, of_subnet
        decision = limiter.take(f"{name} {client}", rate, now, cost, places)
        if not decision.is_allowed:
            return rate, decision
        of_subnet = limiter.take(f"{name} {subnet}", subnet_rate, now, cost, places[1:])
        return (rate, decision) if of_subnet.is_allowed else (subnet_rate, of_subnet)

    def _enforce(self, scope: dict[str, Any], name: str, rate: Rate, decision: Decision) -> None:
        """Set the RateLimit headers of the response. Raises RateLimited."""
        scope["state"]["seclink_headers"] = [
            (b"ratelimit-policy", b'"%s";q=%d;w=%d' % (name.encode(), rate.count, rate.seconds)),
            (b"ratelimit", b'"%s";r=%d;t=%d' % (name.encode(), decision.remaining, math.ceil(decision.reset))),
        ]
        if not decision.is_allowed:
            message = TOO_MANY_CREATED if name.startswith("create") else ""
            raise RateLimited(message, math.ceil(decision.retry_after), name)

    def _key_rate(self, actor: Actor) -> Rate:
        return (actor.key.rate if actor.key else None) or self._config.rates.key

    def _client(self, scope: dict[str, Any]) -> tuple[str, str | None]:
        peer = (scope.get("client") or ("",))[0]
        if self._proxies:
            peer = self._forwarded(peer, header_values(scope, b"x-forwarded-for"))
        return client_and_subnet(peer)

    def _forwarded(self, peer: str, values: list[bytes]) -> str:
        """Return the right-most hop that is not one of our proxies.

        A malformed hop is not trusted, nor is anything to the left of it.
        """
        hops = [hop.strip() for value in values for hop in value.decode("latin-1").split(",")]
        current = peer
        while hops and self.is_trusted_proxy(current):
            hop = _without_port(hops.pop())
            if _address(hop) is None:
                return peer
            current = hop
        return current

    def is_trusted_proxy(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self._proxies)


@lru_cache(4096)
def client_and_subnet(peer: str) -> tuple[str, str | None]:
    """Return the range an address is counted by, IPv4 address or IPv6 /64, and for IPv6 its /48."""
    address = _address(peer)
    if address is None:
        return peer or "unknown", None
    if isinstance(address, ipaddress.IPv4Address):
        return str(address), None
    number = int(address)
    return f"{number >> 64:x}/64", f"{number >> 80:x}/48"


def _subnet_rate(rate: Rate, factor: int = SUBNET_FACTOR) -> Rate:
    return Rate(rate.count * factor, rate.seconds)


@lru_cache(4096)
def _places(client: str, subnet: str | None) -> tuple[Place, ...]:
    """Return the ranges that a client's logs are counted in: for IPv4 its /16, for IPv6 its /48 and its /32."""
    if subnet is None:
        return (Place(".".join(client.split(".")[:2]), NETWORK_LOGS),)
    network = int(subnet.partition("/")[0], 16) >> 16
    return Place(subnet, SUBNET_LOGS), Place(f"{network:x}/32", NETWORK_LOGS)


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


def _bearer(authorization: list[bytes]) -> str:
    if len(authorization) > 1:
        raise BadRequest("The header authorization was sent twice")
    scheme, _, token = authorization[0].decode("latin-1").partition(" ")
    if scheme.lower() != "bearer":
        raise KeyInvalid("Send the API key as: Authorization: Bearer sk_live_...")
    return token


def _bucket(actor: Actor) -> str:
    """Return the limiter's name for an API key."""
    return f"key {actor.key.digest.hex() if actor.key else ''}"


def _check_query(scope: dict[str, Any], rule: AccessRule) -> None:
    if scope["query_string"] and rule.query is not None:
        for pair in scope["query_string"].split(b"&"):
            if pair.partition(b"=")[0].decode("latin-1") not in rule.query:
                raise BadRequest("Unknown query parameter; keys and proofs belong in headers")
