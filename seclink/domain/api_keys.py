"""Who holds which API key:

making, finding and revoking them. A key is shown once; what is kept is its SHA-256 and its beginning.
"""

from seclink.domain import tokens
from seclink.errors import KeyInvalid
from seclink.model import ApiKey, Rate, Scope
from seclink.store.contract import Store


class ApiKeys:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(
        self, account: str, scopes: frozenset[Scope], ttl_seconds: int | None, rate: Rate | None, now: int
    ) -> str:
        """A new key of `account`, in full: the only time it exists here."""
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
        """The live key; looked up afresh each time, so that a revoked one is refused at once. Raises KeyInvalid."""
        found = await self._store.find_key(tokens.digest(key)) if tokens.is_key(key) else None
        if found is None or not found.is_live(now):
            raise KeyInvalid()
        return found

    async def all(self) -> tuple[ApiKey, ...]:
        return await self._store.keys()

    async def revoke(self, prefix: str, now: int) -> tuple[ApiKey, ...]:
        return await self._store.revoke_keys(prefix, now)
