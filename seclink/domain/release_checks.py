"""The checks before a secret is revealed or burned by its recipient, in this order: it is live, the link's key is
proved, a passcode attempt is left, the passcode is right. A failed check spends nothing, except that a passcode attempt
is counted before it is checked.
"""

import base64
import binascii
import hashlib

from seclink.domain import policy, tokens
from seclink.domain.files_state import storage_errors
from seclink.domain.passcodes import Passcodes
from seclink.domain.shares import holder_of
from seclink.errors import (
    AccessDenied,
    AccessRequired,
    Gone,
    HasFiles,
    NotFound,
    PasscodeLocked,
    PasscodeRequired,
    PasscodeWrong,
    SecLinkError,
    StorageFailed,
)
from seclink.model import Actor, Peek, Proof, State
from seclink.store.contract import Store


class ReleaseChecks:
    """The checks of one store's secrets."""

    def __init__(self, store: Store, passcodes: Passcodes) -> None:
        self._store, self._passcodes = store, passcodes

    async def require(
        self,
        link_id: str,
        proof: Proof,
        actor: Actor,
        now: int,
        *,
        needs_key_proof: bool = False,
        takes_files: bool | None = None,
    ) -> Peek:
        """Return the secret if all checks pass. With `needs_key_proof`, a secret that needs no proof of key fails.

        A secret with files passes only for a reader who `takes_files`, and if they are there; None does not check that.
        Raises NotFound, Gone, AccessRequired, AccessDenied, HasFiles, StorageFailed, PasscodeRequired, PasscodeLocked,
        PasscodeWrong, Busy.
        """
        peek = require_live(await self._store.peek(link_id, now))
        if peek.access_hash is None and needs_key_proof:
            raise AccessRequired("This secret needs no proof of its link's key; only its sender can burn it")
        # A proof that this secret does not need belongs to another secret's key, which would not open this payload.
        if peek.access_hash is not None or proof.access is not None:
            check_access(peek, proof.access)
        if peek.files_size is not None and takes_files is not None:
            await self._check_files(link_id, takes_files)
        if peek.passcode is not None:
            await self._check_passcode(link_id, peek.passcode, proof.passcode_hash, actor, now)
        return peek

    async def _check_files(self, link_id: str, takes_files: bool) -> None:
        if not takes_files:
            raise HasFiles("The secret has files, which the caller must be able to take; nothing was spent")
        uploads = self._store.uploads
        name, size = await uploads.attached_file(link_id) or ("", 0)
        with storage_errors():
            is_whole = bool(name) and await uploads.files.size(name) == size
        if not is_whole:
            raise StorageFailed("The files of this secret are not there; nothing was spent")

    async def _check_passcode(
        self, link_id: str, stored: str, passcode_hash: str | None, actor: Actor, now: int
    ) -> None:
        if passcode_hash is None:
            raise PasscodeRequired()
        policy.raise_faults(policy.digest_faults(passcodeHash=passcode_hash))
        with self._passcodes.slot(holder_of(actor)):
            attempt = await self._store.attempt(link_id, actor.client, now)
            if attempt is None:
                raise gone_error(await self._store.peek(link_id, now))
            if not attempt.is_allowed:
                raise PasscodeLocked(retry_after=attempt.retry_after)
            is_right = await self._passcodes.verify(stored, passcode_hash.lower())
        if not is_right:
            await self._store.record(link_id, "passcode_wrong", now, by=actor.account)
            if not attempt.attempts_left:
                await self._store.record(link_id, "locked", now, by=actor.account)
            raise PasscodeWrong(attempts_left=attempt.attempts_left)


def check_access(peek: Peek, access: str | None) -> None:
    """Raise AccessRequired without a proof, AccessDenied if it does not prove the key of this secret."""
    access_hash = access_hash_of(access)
    if access_hash is None:
        raise AccessRequired()
    if peek.access_hash is None or not tokens.equal(peek.access_hash, access_hash):
        raise AccessDenied()


def access_hash_of(access: str | None) -> str | None:
    """Return hex(SHA-256) of a base64url proof, None for None, and "" for invalid base64url: a wrong proof."""
    if access is None:
        return None
    try:
        proof = base64.b64decode(access + "=" * (-len(access) % 4), altchars="-_", validate=True)
    except (binascii.Error, ValueError):
        return ""
    return hashlib.sha256(proof).hexdigest()


def require_live(peek: Peek | None) -> Peek:
    """Return the peek if the secret is live. Raise NotFound, Gone."""
    if peek is None or peek.state is not State.ACTIVE:
        raise gone_error(peek)
    return peek


def gone_error(peek: Peek | None) -> SecLinkError:
    """Return the error for a secret that does not exist or has ended."""
    return NotFound() if peek is None else Gone(state=peek.state, ended_at=peek.ended_at)
