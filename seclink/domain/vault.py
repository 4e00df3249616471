"""The operations on secrets (create, reveal, peek, burn, report) and their upkeep; those on receipts are in `receipts`.

A reveal passes all checks (`release_checks`) and only then takes the view, durably, before a byte of the payload
leaves. A failed check spends nothing. `now` is epoch milliseconds and comes from the caller.
"""

import contextlib
import hashlib
from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from seclink.config.schema import Config
from seclink.domain import policy, tokens
from seclink.domain.downloads import Downloads
from seclink.domain.idempotency import group_of
from seclink.domain.policy import Terms
from seclink.domain.receipts import Receipts
from seclink.domain.release_checks import ReleaseChecks, access_hash_of, gone_error, require_live
from seclink.domain.shares import Holder, holder_of
from seclink.domain.uploads import Uploads
from seclink.domain.vault_state import VaultState
from seclink.errors import AccessDenied, Busy, Gone, NameTaken, PasscodeLocked
from seclink.model import Actor, Attach, Claimed, Created, NewSecret, Peek, Proof, Rate, Secret, State
from seclink.store.contract import IdTaken, NewGrant

SMALL_BYTES = 65_536  # a payload of this size needs no room of its own: the number of connections bounds them
REAP_BATCH = 250
MAX_DRAWS = 3  # of ids for one secret: 71 random bits collide only where something is broken
AUDITED_FAILURES = Rate(10, 86400)  # per secret, in the audit trail


class Vault:
    """The use cases under one configuration; vaults may share their state."""

    def __init__(self, state: VaultState, config: Config) -> None:
        self._state, self._config = state, config
        self._store, self._log, self._events = state.store, state.log, state.events
        self._checks = ReleaseChecks(state.store, state.passcodes)
        self.receipts = Receipts(
            state.store, state.passcodes, config, state.log, state.events, state.lists, state.files.end_transfers
        )
        self.uploads = Uploads(state.files, config, state.log)
        self.downloads = Downloads(state.files)

    def with_config(self, config: Config) -> "Vault":
        """Return a vault on the same state. Calls in progress finish under the old configuration."""
        return Vault(self._state, config)

    async def create(self, new: NewSecret, actor: Actor, now: int, retry: tuple[str, bytes] | None = None) -> Created:
        """Create a secret. Raise NameTaken if the chosen `link_id` is or was in use, BadRequest, StorageFull, Busy,
        and for files UploadUnknown, UploadUsed, UploadIncomplete.

        `retry` is (Idempotency-Key, digest of the request): the same pair within ten minutes returns the same result.
        """
        return await self._state.created.once_for(actor, retry, lambda: self._create(new, actor, now))

    async def reveal(
        self,
        link_id: str,
        proof: Proof,
        actor: Actor,
        now: int,
        retry_key: str | None = None,
        *,
        takes_files: bool = False,
    ) -> Claimed:
        """Take one view; of a secret with files only for a reader who can take them, and gets a grant for them.

        With `retry_key`, the same proof gets the same result again for a minute, unless the secret was burned
        meanwhile: a response may get lost.
        """
        if retry_key is None:
            return await self._reveal(link_id, proof, actor, now, takes_files)
        request = msgspec.json.encode((link_id, retry_key, proof.access, proof.passcode_hash))
        is_first = False

        async def reveal_once() -> Claimed:
            nonlocal is_first
            is_first = True
            return await self._reveal(link_id, proof, actor, now, takes_files)

        claimed = await self._state.revealed.once(
            hashlib.sha256(request).hexdigest(), b"", reveal_once, group_of(actor)
        )
        if not is_first:
            peek = await self._store.peek(link_id, now)
            if peek is None or peek.state is State.BURNED:
                with self._audited_failures(link_id, now, actor.account):
                    raise gone_error(peek)
        return claimed

    async def burn_as_recipient(self, link_id: str, proof: Proof, actor: Actor, now: int) -> None:
        """End and erase a secret for a reader, after the same checks as a reveal; spends no view.

        Without proof of the key, a reader cannot be told from a stranger who came across the linkId, so a secret
        that needs none cannot be burned this way.
        """
        with self._audited_failures(link_id, now, actor.account):
            peek = await self._checks.require(link_id, proof, actor, now, needs_key_proof=True)
            if await self._store.burn(peek.receipt_id, now, actor.account, "by the link") is not State.ACTIVE:
                raise gone_error(await self._store.peek(link_id, now))
        if peek.files_size is not None:
            self._state.files.erase_ended()
        self._events["burned", peek.format] += 1
        self._log.info("burned", receipt=peek.receipt_id)

    async def peek(self, link_id: str, now: int) -> Peek:
        """Return a live secret without its payload; spends nothing. Raise NotFound, Gone."""
        with self._audited_failures(link_id, now):
            peek = require_live(await self._store.peek(link_id, now))
        if not peek.was_peeked:
            self._state.background.spawn(self._store.record(link_id, "peeked", now))
        return peek

    async def attempts_left(self, link_id: str, actor: Actor, now: int) -> int:
        """Return the number of passcode attempts that the actor's client range has left."""
        return await self._store.attempts_left(link_id, actor.client, now)

    async def report(self, link_id: str, reason: str | None, now: int) -> None:
        """Add an abuse report to the secret's history; burns nothing and does not reveal whether the secret exists."""
        policy.raise_faults(policy.text_faults(reason=reason))
        peek = await self._store.peek(link_id, now)
        if peek is not None:
            await self._store.record(link_id, "reported", now, reason)
            self._events["reported", peek.format] += 1
            self._log.warning("reported", receipt=peek.receipt_id)

    # Upkeep

    async def reap(self, now: int) -> int:
        """Erase and delete one batch of the rows that are due; return its size, 0 if none is left."""
        if count := await self._store.reap(now, REAP_BATCH):
            self._log.info("reaped", count=count)
        return count

    async def sweep_files(self, now: int) -> int:
        """End the uploads that are due, and erase one batch of chunks that nobody needs; return its size."""
        return await self._state.files.sweep(now)

    async def ping(self, now: int) -> None:
        await self._store.ping(now)

    async def last_seen_at(self) -> int:
        return await self._store.last_seen_at()

    async def audit_mark(self) -> str:
        return await self._store.audit_mark()

    async def free_bytes(self) -> int:
        """Return the bytes that may still be stored; new secrets are refused a little earlier."""
        return await self._store.free_bytes()

    async def drain(self) -> None:
        """Wait for the background tasks."""
        await self._state.background.join()

    async def close(self) -> None:
        """Finish background tasks and hashes, then close the store."""
        await self.drain()
        self._state.passcodes.close()
        await self._store.close()

    # Steps

    async def _create(self, new: NewSecret, actor: Actor, now: int) -> Created:
        terms = policy.check_new(new, self._config, actor)
        passcode = await self._state.passcodes.hash_if_set(new.passcode_hash, holder_of(actor))
        names, secret = await self._add(new, terms, passcode, actor.account, now)
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
        self, new: NewSecret, terms: Terms, passcode: str | None, account: str | None, now: int
    ) -> tuple[tokens.Names, Secret]:
        """Store a secret, with new ids if the drawn ones are taken.

        Raises NameTaken if a chosen linkId is, Busy if all draws are.
        """
        for _ in range(MAX_DRAWS):
            names = tokens.mint(now)
            secret = _row(new, terms, names, passcode, account, now)
            try:
                await self._store_secret(secret, new.upload)
            except IdTaken:
                if new.link_id is not None:
                    raise NameTaken() from None
            else:
                return names, secret
        raise Busy()

    async def _store_secret(self, secret: Secret, upload: Attach | None) -> None:
        if upload is None:
            await self._store.add(secret)
            return
        digest = tokens.digest(upload.token)
        outstanding = await self._store.add_with_files(secret, upload.upload_id, digest)
        self._state.files.attach(upload.upload_id, outstanding)

    async def _reveal(self, link_id: str, proof: Proof, actor: Actor, now: int, takes_files: bool) -> Claimed:
        access_hash = access_hash_of(proof.access)
        claimed = None
        if proof.passcode_hash is None:  # mostly there is no passcode: one transaction then checks and claims
            claimed = await self._store.claim(
                link_id, now, access_hash=access_hash, by=actor.account, max_bytes=SMALL_BYTES
            )
        if claimed is None:
            with self._audited_failures(link_id, now, actor.account):
                claimed = await self._reveal_checked(link_id, proof, access_hash, actor, now, takes_files)
        self._events["revealed", claimed.format] += 1
        self._log.info("revealed", receipt=claimed.receipt_id)
        return claimed

    async def _reveal_checked(
        self, link_id: str, proof: Proof, access_hash: str | None, actor: Actor, now: int, takes_files: bool
    ) -> Claimed:
        peek = await self._checks.require(link_id, proof, actor, now, takes_files=takes_files)
        token = tokens.draw(tokens.TOKEN_CHARACTERS) if peek.files_size is not None else ""
        with self._room(peek.size, actor):
            claimed = await self._store.claim(
                link_id,
                now,
                access_hash=access_hash,
                passcode=peek.passcode,
                client=actor.client,
                by=actor.account,
                max_bytes=max(peek.size, SMALL_BYTES),
                grant=NewGrant(tokens.digest(token), now + self._config.files.grant * 1000) if token else None,
            )
        if claimed is None:  # another reader took the last view, or the sender changed the secret, since the checks
            require_live(await self._store.peek(link_id, now))
            raise Busy("The secret was changed during this request; nothing was spent, try again")
        if claimed.files is not None:
            claimed = replace(claimed, files=replace(claimed.files, token=token))
        return claimed

    def _room(self, size: int, actor: Actor) -> contextlib.AbstractContextManager[None]:
        """Hold room for a large response during the claim; the server counts it while it is unsent. Raise Busy."""
        address, needed = Holder(client=actor.client, subnet=actor.subnet, is_anonymous=False), size * 4 // 3
        if size <= SMALL_BYTES:
            return contextlib.nullcontext()
        message = "Too many responses are waiting for their readers; nothing was spent, try again"
        return self._state.unsent.hold(address, message, needed)

    @contextlib.contextmanager
    def _audited_failures(self, link_id: str, now: int, by: str | None = None) -> Iterator[None]:
        """Audit a failed access, rate-limited per secret so that it cannot fill the disk."""
        try:
            yield
        except (AccessDenied, PasscodeLocked, Gone) as error:
            state = self._state
            if state.failures.take(f"failed {link_id}", AUDITED_FAILURES, state.monotonic()).is_allowed:
                state.background.spawn(self._store.record(link_id, error.code, now, by=by))
            raise


def _row(
    new: NewSecret, terms: Terms, names: tokens.Names, passcode: str | None, account: str | None, now: int
) -> Secret:
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
        expires_at=now + terms.ttl_seconds * 1000,
        max_views=terms.max_views,
        access_hash=new.access_hash.lower() if new.access_hash else None,
        passcode=passcode,
        public_note=new.public_note,
        label=new.label,
    )
