"""What a reader must answer before a secret is released or ended, in this order: is it still there, is the link's key
proved, may a passcode still be tried, is it right. A wrong answer spends nothing, except that a passcode try is counted
before it is checked.
"""

import base64
import binascii
import hashlib

from seclink.domain import policy, tokens
from seclink.domain.passcodes import Passcodes
from seclink.errors import (
    AccessDenied,
    AccessRequired,
    Gone,
    NotFound,
    PasscodeLocked,
    PasscodeRequired,
    PasscodeWrong,
    SecLinkError,
)
from seclink.model import Actor, Peek, Proof, State
from seclink.store.contract import Store


class ReleaseChecks:
    def __init__(self, store: Store, passcodes: Passcodes) -> None:
        self._store, self._passcodes = store, passcodes

    async def require(self, link_id: str, proof: Proof, actor: Actor, now: int, *, wants_access: bool = False) -> Peek:
        """The secret, where every answer was right. With `wants_access` one that asks for no proof of key is refused.

        Raises NotFound, Gone, AccessRequired, AccessDenied, PasscodeRequired, PasscodeLocked, PasscodeWrong, Busy.
        """
        peek = live(await self._store.peek(link_id, now))
        if peek.access_hash is None and wants_access:
            raise AccessRequired("This secret asks for no proof of its link's key; only its sender can end it")
        # A proof that nobody asks for is one of another secret's key: what came would not open with it.
        if peek.access_hash is not None or proof.access is not None:
            check_access(peek, proof.access)
        if peek.passcode is not None:
            await self._check_passcode(link_id, peek.passcode, proof.passcode_hash, actor, now)
        return peek

    async def _check_passcode(self, link_id: str, stored: str, offered: str | None, actor: Actor, now: int) -> None:
        if offered is None:
            raise PasscodeRequired()
        policy.raise_faults(policy.digest_faults(passcodeHash=offered))
        with self._passcodes.place():
            attempt = await self._store.attempt(link_id, actor.client, now)
            if attempt is None:
                raise gone(await self._store.peek(link_id, now))
            if not attempt.is_allowed:
                raise PasscodeLocked(retry_after=attempt.retry_after)
            is_right = await self._passcodes.verify(stored, offered.lower())
        if not is_right:
            await self._store.record(link_id, "passcode_wrong", now, by=actor.account)
            raise PasscodeWrong(attempts_left=attempt.left)


def check_access(peek: Peek, access: str | None) -> None:
    """Raises AccessRequired, or AccessDenied where that is not the proof of the key which the secret asks for."""
    offered = access_hash_of(access)
    if offered is None:
        raise AccessRequired()
    if peek.access_hash is None or not tokens.equal(peek.access_hash, offered):
        raise AccessDenied()


def access_hash_of(access: str | None) -> str | None:
    """hex(SHA-256) of the proof; what is no base64url at all proves nothing, like any wrong proof."""
    if access is None:
        return None
    try:
        proof = base64.b64decode(access + "=" * (-len(access) % 4), altchars="-_", validate=True)
    except (binascii.Error, ValueError):
        return ""
    return hashlib.sha256(proof).hexdigest()


def live(peek: Peek | None) -> Peek:
    if peek is None or peek.state is not State.ACTIVE:
        raise gone(peek)
    return peek


def gone(peek: Peek | None) -> SecLinkError:
    """Why there is nothing to be had."""
    return NotFound() if peek is None else Gone(state=peek.state, ended_at=peek.ended_at)
