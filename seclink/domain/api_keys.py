"""API keys: adding, authenticating and revoking them. A key is shown once; stored are its SHA-256 and its prefix."""

import math

from seclink.domain import tokens
from seclink.errors import KeyInvalid
from seclink.model import ApiKey, Rate, Scope
from seclink.store.contract import Store

REREAD_SECONDS = 1


class ApiKeys:
    """The API keys of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._digests, self._read_at = frozenset[bytes](), -math.inf

    async def add(
        self, account: str, scopes: frozenset[Scope], ttl_seconds: int | None, rate: Rate | None, now: int
    ) -> str:
        """Add a key to `account` and return it in full, which is not possible later."""
        key = tokens.mint_key()
        await self._store.add_key(
            ApiKey(
                digest=tokens.digest(key),
                prefix=key[: tokens.SHOWN_PREFIX],
                account=account,
                scopes=scopes,
                created_at=now,
                expires_at=None if ttl_seconds is None else now + ttl_seconds * 1000,
                rate=rate,
            )
        )
        return key

    async def find(self, key: str, now: int) -> ApiKey:
        """Return the live key. Raise KeyInvalid.

        It is read from the store each time, so that a revoked key is refused at once.
        """
        api_key = await self._store.find_key(tokens.digest(key)) if tokens.is_key(key) else None
        if api_key is None or not api_key.is_live(now):
            raise KeyInvalid()
        return api_key

    async def is_known(self, key: str, monotonic: float) -> bool:
        """Return whether there is such a key, live or not, among those read at most a second ago.

        Made-up keys of a client over its rate are refused by this, without a query to the store for each.
        """
        digest = tokens.digest(key)
        if digest not in self._digests and tokens.is_key(key) and monotonic - self._read_at >= REREAD_SECONDS:
            self._read_at = monotonic
            self._digests = frozenset(key.digest for key in await self._store.keys())
        return digest in self._digests

    async def all(self) -> tuple[ApiKey, ...]:
        """Return all keys, oldest first."""
        return await self._store.keys()

    async def revoke(self, prefix: str, now: int) -> tuple[ApiKey, ...]:
        """Revoke the live keys whose shown prefix starts with `prefix`, and return them."""
        return await self._store.revoke_keys(prefix, now)
