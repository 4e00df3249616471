"""The operations on receipts, for senders: get, list, update, burn and count the secrets they have created.

A receipt is open to the holder of its manage token and to its account's API keys; to others it does not exist.
`now` is epoch milliseconds and comes from the caller.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager

import msgspec
from msgspec import UNSET

from seclink.config.schema import Config
from seclink.domain import policy
from seclink.domain.clock import day_week_month
from seclink.domain.passcodes import Passcodes
from seclink.domain.release_checks import check_access, require_live
from seclink.domain.shares import Holder, Shares, holder_of
from seclink.errors import Gone, NotActive, NotFound
from seclink.model import Actor, Edit, Filter, Page, Receipt, Scope, State, Stats
from seclink.store.contract import Store
from seclink.telemetry.log import Log


class Receipts:
    """`events` counts created, revealed, burned and reported secrets by (event, format); `lists` counts the lists that
    accounts are reading now. `end_transfers` stops the downloads that have no grant any more.
    """

    def __init__(
        self,
        store: Store,
        passcodes: Passcodes,
        config: Config,
        log: Log,
        events: Counter[tuple[str, str]],
        lists: Shares,
        end_transfers: Callable[[], None],
    ) -> None:
        self._store, self._passcodes, self._config, self._log = store, passcodes, config, log
        self._events, self._lists, self._end_transfers = events, lists, end_transfers

    async def get(self, receipt_id: str, actor: Actor, manage_token: str | None, now: int) -> Receipt:
        """Return a receipt for its sender, or for an admin without its linkId. Raise NotFound."""
        receipt = await self._store.receipt(receipt_id, now)
        is_own = policy.is_owner(receipt, actor, manage_token)
        if receipt is None or not (is_own or actor.may(Scope.ADMIN)):
            raise NotFound()
        return receipt if is_own else msgspec.structs.replace(receipt, link_id="")

    async def receipt_id_for(self, link_id: str, format: str | None, now: int) -> str:
        """Return the receiptId of a secret of that format, or of any, live or ended. Raise NotFound."""
        peek = await self._store.peek(link_id, now)
        if peek is None or format not in (None, peek.format):
            raise NotFound()
        return peek.receipt_id

    async def list(self, filter: Filter, now: int) -> Page:
        """Return one page of the matching receipts, newest first, without their events. Raise Busy."""
        with self._list_slot(filter.account):
            return await self._store.receipts(filter, now)

    async def update(self, receipt: Receipt, edit: Edit, actor: Actor, now: int) -> Receipt:
        """Edit a live secret and return its new receipt.

        `receipt` comes from `get`, which has checked that this actor may see it; an admin may not edit. Raise
        NotFound, NotActive, TooManyChanges, BadRequest, and AccessDenied or Gone if the edit offers proof of the key.
        """
        policy.check_edit(edit, receipt, self._config, now)
        if not receipt.link_id:
            raise NotFound()
        if edit.access is not None:
            check_access(require_live(await self._store.peek(receipt.link_id, now)), edit.access)
        passcode = edit.passcode_hash
        if passcode is not UNSET:
            passcode = await self._passcodes.hash_if_set(passcode, holder_of(actor))
        changes = policy.changes(edit, passcode, now)
        state = await self._store.edit(receipt.receipt_id, changes, now, actor.account, _audit_detail(actor))
        if state is not State.ACTIVE:
            raise NotActive()
        self._log.info("changed", receipt=receipt.receipt_id)
        updated = await self._store.receipt(receipt.receipt_id, now)
        if updated is None:  # burned by another request, and its retention is 0
            raise NotFound()
        return updated

    async def burn(self, receipt: Receipt, actor: Actor, now: int) -> None:
        """End and erase a live secret, and the downloads of its readers. Raise Gone if there is neither.

        `receipt` comes from `get`, which has checked that this actor may see it.
        """
        state = await self._store.burn(receipt.receipt_id, now, actor.account, _audit_detail(actor), with_grants=True)
        if state is not State.ACTIVE:
            ended = await self._store.receipt(receipt.receipt_id, now)
            raise Gone(state=state or "", ended_at=_ended_at(ended))
        if receipt.files is not None:
            self._end_transfers()
        self._events["burned", receipt.format] += 1
        self._log.info("burned", receipt=receipt.receipt_id)

    async def stats(self, account: str, now: int, format: str | None = None) -> Stats:
        """Return an account's counts, by days, weeks (from Monday) and months in UTC.

        With `format`, only secrets of that format are counted whose receipts still exist. Raise Busy.
        """
        with self._list_slot(account):
            return await self._store.stats(account, now, day_week_month(now), format)

    def _list_slot(self, account: str | None) -> AbstractContextManager[None]:
        """Hold a place among the lists that are being read, None for an admin's list of all accounts. Raise Busy."""
        reader = Holder(client=f"account {account or ''}", is_anonymous=False)
        return self._lists.hold(reader, "Too many lists are being read at the same time; try again")


def _ended_at(receipt: Receipt | None) -> int | None:
    """Return when a secret has ended; its readers may have downloaded its files since."""
    events = receipt.events if receipt is not None else ()
    return next((event.at for event in reversed(events) if receipt and event.type == str(receipt.state)), None)


def _audit_detail(actor: Actor) -> str | None:
    """Return how an actor without an account was authorised, for the audit trail."""
    return None if actor.account else "by the manage token"
