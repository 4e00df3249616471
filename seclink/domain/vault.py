"""Every use case about secrets, in the order that keeps the promises; those of their senders are in `receipts`.

Revealing asks its questions (`questions.py`) and only then takes the view, durably, before a byte of payload leaves.
A wrong answer to any of them spends nothing. `now` is epoch milliseconds and comes from the caller.
"""

import contextlib
import copy
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator

import msgspec
from msgspec import UNSET

from seclink.config.schema import Config
from seclink.domain import policy, tokens
from seclink.domain.background import BackgroundTasks
from seclink.domain.idempotency import IdempotencyCache
from seclink.domain.passcodes import Passcodes
from seclink.domain.rate_limiter import RateLimiter
from seclink.domain.receipts import Receipts
from seclink.domain.release_checks import ReleaseChecks, access_hash_of, gone, live
from seclink.errors import AccessDenied, Busy, Gone, NameTaken, PasscodeLocked
from seclink.model import Actor, Claimed, Created, NewSecret, Peek, Proof, Rate, Secret, State
from seclink.store.contract import IdTaken, Store
from seclink.telemetry.log import Log

REPLAY_SECONDS, REPLAY_BYTES = 60, 64 * 2**20
CREATE_REPLAY_SECONDS, CREATE_REPLAYS = 600, 20_000
REAPED_AT_ONCE = 250
MAX_DRAWS = 3  # of ids for one secret: 71 random bits collide only where something is broken
FAILURES = Rate(10, 86400)  # to open one secret, in the audit trail


class Vault:
    """`events` counts what became of secrets: created, revealed, burned, reported, by (event, format)."""

    def __init__(
        self,
        store: Store,
        passcodes: Passcodes,
        config: Config,
        log: Log,
        monotonic: Callable[[], float],
        events: Counter[tuple[str, str]] | None = None,
    ) -> None:
        self._store, self._passcodes, self._config, self._log = store, passcodes, config, log
        self._events = Counter[tuple[str, str]]() if events is None else events
        self._checks = ReleaseChecks(store, passcodes)
        self.receipts = Receipts(store, passcodes, config, log, self._events)
        self._created: IdempotencyCache[Created] = IdempotencyCache(
            CREATE_REPLAY_SECONDS, CREATE_REPLAYS, 2**30, lambda _: 512, monotonic
        )
        self._revealed: IdempotencyCache[Claimed] = IdempotencyCache(
            REPLAY_SECONDS, 100_000, REPLAY_BYTES, lambda claimed: len(claimed.payload) + 512, monotonic
        )
        self._failures, self._monotonic = RateLimiter(), monotonic
        self._background = BackgroundTasks()

    def with_config(self, config: Config) -> "Vault":
        """The same vault by other rules: all that it keeps is shared. What has begun ends by the old ones."""
        other = copy.copy(self)
        other._config = config
        other.receipts = Receipts(self._store, self._passcodes, config, self._log, self._events)
        return other

    async def create(self, new: NewSecret, actor: Actor, now: int, retry: tuple[str, bytes] | None = None) -> Created:
        """Keep a secret. Raises NameTaken where there is or was one of the `link_id` that was chosen.

        `retry` is (Idempotency-Key, digest of the request): the same again within ten minutes gives the same
        answer.
        """
        if retry is None:
            return await self._create(new, actor, now)
        key, request = retry
        # Those without an account have only their address in common with themselves: what one sends under a key says
        # nothing to another.
        asker = f"account {actor.account}" if actor.account else f"client {actor.client}"
        return await self._created.once(f"{asker} {key}", request, lambda: self._create(new, actor, now))

    async def reveal(self, link_id: str, proof: Proof, actor: Actor, now: int, retry_key: str | None = None) -> Claimed:
        """Take one view.

        With `retry_key`, the same caller with the same proof gets a lost answer again for a minute, unless the secret
        was burned meanwhile.
        """
        if retry_key is None:
            return await self._reveal(link_id, proof, actor, now)
        same = msgspec.json.encode((link_id, retry_key, proof.access, proof.passcode_hash))
        is_first = False

        async def first() -> Claimed:
            nonlocal is_first
            is_first = True
            return await self._reveal(link_id, proof, actor, now)

        claimed = await self._revealed.once(hashlib.sha256(same).hexdigest(), b"", first)
        if not is_first:
            peek = await self._store.peek(link_id, now)
            if peek is None or peek.state is State.BURNED:
                with self._told(link_id, now, actor.account):
                    raise gone(peek)
        return claimed

    async def burn_as_recipient(self, link_id: str, proof: Proof, actor: Actor, now: int) -> None:
        """End a secret for a reader who has it: asks what revealing asks, spends nothing, erases it.

        Without a proof of key there is no telling a reader from whoever came across the linkId, so a secret that asks
        for none cannot be ended this way.
        """
        with self._told(link_id, now, actor.account):
            peek = await self._checks.require(link_id, proof, actor, now, wants_access=True)
            if await self._store.burn(peek.receipt_id, now, actor.account, "by the link") is not State.ACTIVE:
                raise gone(await self._store.peek(link_id, now))
        self._events["burned", peek.format] += 1
        self._log.info("burned", receipt=peek.receipt_id)

    async def peek(self, link_id: str, now: int) -> Peek:
        """Look at a live secret; spends nothing. Raises NotFound, Gone."""
        with self._told(link_id, now):
            peek = live(await self._store.peek(link_id, now))
        if not peek.was_peeked:
            self._background.spawn(self._store.record(link_id, "peeked", now))
        return peek

    async def attempts_left(self, link_id: str, actor: Actor, now: int) -> int:
        """How many passcode tries the asker has."""
        return await self._store.attempts_left(link_id, actor.client, now)

    async def report(self, link_id: str, reason: str | None, now: int) -> None:
        """Note an abuse report in the secret's history.

        Tells nobody whether there is such a secret, and burns nothing.
        """
        policy.raise_faults(policy.text_faults(reason=reason))
        peek = await self._store.peek(link_id, now)
        if peek is not None:
            await self._store.record(link_id, "reported", now, reason)
            self._events["reported", peek.format] += 1
            self._log.warning("reported", receipt=peek.receipt_id)

    # Upkeep

    async def reap(self, now: int) -> int:
        """Erase and forget what is due, one batch; 0 means that nothing is left."""
        count = await self._store.reap(now, REAPED_AT_ONCE)
        if count:
            self._log.info("reaped", count=count)
        return count

    async def ping(self, now: int) -> None:
        await self._store.ping(now)

    async def audit_checkpoint(self) -> str:
        return await self._store.audit_checkpoint()

    async def free_bytes(self) -> int:
        """Bytes that may still be stored; creating is refused before there are none."""
        return await self._store.free_bytes()

    async def settle(self) -> None:
        """Wait for what is done beside requests."""
        await self._background.join()

    async def close(self) -> None:
        """Finish what was begun."""
        await self.settle()
        self._passcodes.close()
        await self._store.close()

    # How

    async def _create(self, new: NewSecret, actor: Actor, now: int) -> Created:
        new = policy.check(new, self._config, actor)
        passcode = await self._passcodes.kept(new.passcode_hash)
        names, secret = await self._add(new, passcode, actor.account, now)
        self._events["created", new.format] += 1
        self._log.info("created", receipt=names.receipt_id, account=actor.account)
        return Created(
            link_id=secret.link_id,
            receipt_id=names.receipt_id,
            manage_token=names.manage_token,
            expiry_type=new.expiry_type,
            expires_at=secret.expires_at,
            max_views=secret.max_views,
        )

    async def _add(
        self, new: NewSecret, passcode: str | None, account: str | None, now: int
    ) -> tuple[tokens.Names, Secret]:
        """Store a secret, with new ids if the drawn ones are taken.

        Raises NameTaken if a chosen linkId is, Busy if all draws are.
        """
        for _ in range(MAX_DRAWS):
            names = tokens.mint(now)
            secret = _row(new, names, passcode, account, now)
            try:
                await self._store.add(secret)
            except IdTaken:
                if new.link_id is not None:
                    raise NameTaken() from None
            else:
                return names, secret
        raise Busy()

    async def _reveal(self, link_id: str, proof: Proof, actor: Actor, now: int) -> Claimed:
        access_hash = access_hash_of(proof.access)
        claimed = None
        if proof.passcode_hash is None:
            claimed = await self._store.claim(link_id, now, access_hash=access_hash, by=actor.account)
        if claimed is None:
            with self._told(link_id, now, actor.account):
                claimed = await self._reveal_checked(link_id, proof, access_hash, actor, now)
        self._events["revealed", claimed.format] += 1
        self._log.info("revealed", receipt=claimed.receipt_id)
        return claimed

    async def _reveal_checked(
        self, link_id: str, proof: Proof, access_hash: str | None, actor: Actor, now: int
    ) -> Claimed:
        peek = await self._checks.require(link_id, proof, actor, now)
        claimed = await self._store.claim(
            link_id, now, access_hash=access_hash, passcode=peek.passcode, client=actor.client, by=actor.account
        )
        if claimed is None:  # somebody was quicker, or its sender has changed it meanwhile
            live(await self._store.peek(link_id, now))
            raise Busy("The secret was changed while you asked; nothing was spent, try again")
        return claimed

    @contextlib.contextmanager
    def _told(self, link_id: str, now: int, by: str | None = None) -> Iterator[None]:
        """Whoever cannot open it is told of: often enough to be noticed, not so often that it fills a disk."""
        try:
            yield
        except (AccessDenied, PasscodeLocked, Gone) as error:
            if self._failures.take(f"failed {link_id}", FAILURES, self._monotonic()).is_allowed:
                self._background.spawn(self._store.record(link_id, error.code, now, by=by))
            raise


def _row(new: NewSecret, names: tokens.Names, passcode: str | None, account: str | None, now: int) -> Secret:
    """The row of a new secret whose lifetime and views the policy has settled."""
    assert new.ttl_seconds is not None  # noqa: S101  settled by the policy
    assert new.max_views is not UNSET  # noqa: S101
    return Secret(
        link_id=new.link_id or names.link_id,
        receipt_id=names.receipt_id,
        manage_digest=tokens.digest(names.manage_token),
        account=account,
        format=new.format,
        expiry_type=new.expiry_type,
        payload=new.payload,
        iv=new.iv,
        created_at=now,
        expires_at=now + new.ttl_seconds * 1000,
        max_views=new.max_views,
        access_hash=new.access_hash,
        passcode=passcode,
        public_note=new.public_note,
        label=new.label,
    )
