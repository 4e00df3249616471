"""Every use case of a sender about what was sent: look, list, change, burn, count.

A receipt is for whoever holds its manage token or its account's key; nobody else learns whether there is one. `now` is
epoch milliseconds and comes from the caller.
"""

from collections import Counter

import msgspec
from msgspec import UNSET

from seclink.config.schema import Config
from seclink.domain import policy
from seclink.domain.clock import day_week_month
from seclink.domain.passcodes import Passcodes
from seclink.domain.release_checks import check_access, live
from seclink.errors import Gone, NotActive, NotFound
from seclink.model import Actor, Edit, Filter, Page, Receipt, Scope, State, Stats
from seclink.store.contract import Store
from seclink.telemetry.log import Log


class Receipts:
    """`events` counts what became of secrets, by (event, format)."""

    def __init__(
        self, store: Store, passcodes: Passcodes, config: Config, log: Log, events: Counter[tuple[str, str]]
    ) -> None:
        self._store, self._passcodes, self._config, self._log, self._events = store, passcodes, config, log, events

    async def get(self, receipt_id: str, actor: Actor, manage_token: str | None, now: int) -> Receipt:
        """One receipt, for whoever holds its manage token, its account's key, or an admin's (who is not told the
        linkId).
        """
        receipt = await self._store.receipt(receipt_id, now)
        is_own = receipt is not None and policy.is_owner(receipt, actor, manage_token)
        if receipt is None or not (is_own or actor.may(Scope.ADMIN)):
            raise NotFound()
        return receipt if is_own else msgspec.structs.replace(receipt, link_id="")

    async def receipt_id_for(self, link_id: str, format: str, now: int) -> str:
        """The receiptId of a secret of that format, ended or not: for senders who know it by its link. NotFound."""
        peek = await self._store.peek(link_id, now)
        if peek is None or peek.format != format:
            raise NotFound()
        return peek.receipt_id

    async def list(self, wanted: Filter, now: int) -> Page:
        """Those that are wanted, newest first, without their events."""
        return await self._store.receipts(wanted, now)

    async def update(self, receipt_id: str, edit: Edit, actor: Actor, manage_token: str | None, now: int) -> Receipt:
        """Edit a live secret. Raises NotFound, NotActive, BadRequest; AccessDenied and Gone where proof was offered."""
        policy.check_edit(edit, self._config)
        receipt = await self.get(receipt_id, actor, manage_token, now)
        if not receipt.link_id:
            raise NotFound()
        if edit.access is not None:
            check_access(live(await self._store.peek(receipt.link_id, now)), edit.access)
        passcode = UNSET if edit.passcode_hash is UNSET else await self._passcodes.kept(edit.passcode_hash)
        changes = policy.changes(edit, passcode, now)
        if await self._store.replace(receipt_id, changes, now, actor.account, _how(actor)) != State.ACTIVE:
            raise NotActive()
        self._log.info("changed", receipt=receipt_id)
        return await self.get(receipt_id, actor, manage_token, now)

    async def burn(self, receipt_id: str, actor: Actor, manage_token: str | None, now: int) -> None:
        """End a live secret and erase it. Raises NotFound, or Gone where it has ended already."""
        receipt = await self.get(receipt_id, actor, manage_token, now)
        found = await self._store.burn(receipt_id, now, actor.account, _how(actor))
        if found is not State.ACTIVE:
            ended = await self._store.receipt(receipt_id, now)
            raise Gone(state=found or "", ended_at=ended.events[-1].at if ended else None)
        self._events["burned", receipt.format] += 1
        self._log.info("burned", receipt=receipt_id)

    async def stats(self, account: str, now: int, format: str | None = None) -> Stats:
        """Days, weeks (from Monday) and months are those of UTC. With `format`, of what is kept of that kind."""
        return await self._store.stats(account, now, day_week_month(now), format)


def _how(actor: Actor) -> str | None:
    """What the audit trail is told of those who have no account."""
    return None if actor.account else "by the manage token"
