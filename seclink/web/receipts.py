"""The sender's side of the native API: receipts, statistics, account.

It needs the manage token or an API key; without, the response is 404 or 401.
"""

from collections.abc import Iterator
from urllib.parse import parse_qsl

from msgspec import UNSET

from seclink.domain import tokens
from seclink.domain.clock import Clock
from seclink.domain.vault import Vault
from seclink.errors import (
    BadRequest,
    Busy,
    Fault,
    Gone,
    KeyRequired,
    Limit,
    NotActive,
    NotFound,
    StorageFull,
    TooManyChanges,
)
from seclink.model import ApiKey, Edit, Filter, Receipt, Scope, State, Stats
from seclink.web import json_body, schemas
from seclink.web.admission import AccessRule, Admission
from seclink.web.request import RequestContext, checked_id
from seclink.web.response import Response, json_response, no_content
from seclink.web.routes import Operation

STATES = frozenset(str(state) for state in State)
SENDER_SCOPES = (Scope.MANAGE, Scope.ADMIN)
BY_TOKEN = AccessRule(rate="peek")  # no scopes: a manage token is enough, whatever key comes with it
BY_KEY = AccessRule(rate="peek", scopes=SENDER_SCOPES, needs_key=True)
LIST_BY_KEY = AccessRule(rate="peek", scopes=SENDER_SCOPES, needs_key=True, query=("status", "search", "page", "limit"))


class ReceiptsApi:
    """The operations on `/receipts`, `/stats` and `/account`."""

    def __init__(self, vault: Vault, admission: Admission, clock: Clock) -> None:
        self._vault, self._admission, self._clock = vault, admission, clock

    def operations(self) -> Iterator[Operation]:
        receipt_path = "/receipts/{receipt_id:str}"
        yield Operation(
            method="GET",
            path="/receipts",
            handler=self.list_receipts,
            summary="List the account's receipts, newest first; an admin key lists all",
            access_rule=LIST_BY_KEY,
            response_body=schemas.ReceiptPage,
        )
        yield Operation(
            method="GET",
            path=receipt_path,
            handler=self.get_receipt,
            summary="Get a receipt with its history",
            access_rule=BY_TOKEN,
            response_body=schemas.ReceiptDetails,
            headers=("SecLink-Manage",),
            errors=(NotFound,),
            by_manage_token=True,
        )
        yield Operation(
            method="PATCH",
            path=receipt_path,
            handler=self.change_receipt,
            summary="Change a live secret",
            access_rule=BY_TOKEN,
            request_body=schemas.ChangeReceipt,
            response_body=schemas.ReceiptDetails,
            headers=("SecLink-Manage",),
            errors=(NotFound, NotActive, TooManyChanges, Busy, StorageFull),
            by_manage_token=True,
        )
        yield Operation(
            method="DELETE",
            path=receipt_path,
            handler=self.burn_secret,
            summary="Burn a live secret",
            access_rule=BY_TOKEN,
            status=204,
            headers=("SecLink-Manage",),
            errors=(NotFound, Gone),
            by_manage_token=True,
        )
        yield Operation(
            method="GET",
            path="/stats",
            handler=self.get_stats,
            summary="Get the account's statistics",
            access_rule=BY_KEY,
            response_body=Stats,
        )
        yield Operation(
            method="GET",
            path="/account",
            handler=self.get_account,
            summary="Get the account, with the scopes and the rate of its key",
            access_rule=AccessRule(rate="peek", needs_key=True),
            response_body=schemas.Account,
        )

    async def list_receipts(self, request: RequestContext) -> Response:
        key = _key(request)
        account = None if Scope.ADMIN in key.scopes else key.account
        page = await self._vault.receipts.list(_filter(request.scope["query_string"], account), self._clock.now())
        return json_response(schemas.receipt_page(page))

    async def get_receipt(self, request: RequestContext, receipt_id: str) -> Response:
        receipt = await self._receipt(request, receipt_id)
        return json_response(schemas.receipt_details(receipt, with_reasons=request.actor.may(Scope.ADMIN)))

    async def change_receipt(self, request: RequestContext, receipt_id: str) -> Response:
        actor = request.actor
        # Reject a caller without the right to change it before a large body is read.
        receipt = await self._receipt(request, receipt_id)
        edit = _edit(await request.json(schemas.ChangeReceipt))
        if edit.payload is not UNSET:
            self._admission.charge_storage(actor, len(edit.payload))
        updated = await self._vault.receipts.update(receipt, edit, actor, self._clock.now())
        return json_response(schemas.receipt_details(updated))

    async def burn_secret(self, request: RequestContext, receipt_id: str) -> Response:
        receipt = await self._receipt(request, receipt_id)
        await self._vault.receipts.burn(receipt, request.actor, self._clock.now())
        return no_content()

    async def _receipt(self, request: RequestContext, id: str) -> Receipt:
        """Return the receipt with this receiptId, or that of this linkId, if the caller may see it. Raise NotFound."""
        receipts, now, token = self._vault.receipts, self._clock.now(), request.header(b"seclink-manage")
        is_link_id = tokens.LINK_ID.fullmatch(id) is not None
        if is_link_id:
            id = await receipts.receipt_id_for(id, None, now)
        receipt = await receipts.get(checked_id(tokens.RECEIPT_ID, id), request.actor, token, now)
        if is_link_id and not receipt.link_id:  # an admin must not learn which receipt a link has
            raise NotFound()
        return receipt

    async def get_stats(self, request: RequestContext) -> Response:
        return json_response(await self._vault.receipts.stats(_key(request).account, self._clock.now()))

    async def get_account(self, request: RequestContext) -> Response:
        key, now = _key(request), self._clock.now()
        rate, remaining = self._admission.remaining(request.actor)
        account = schemas.Account(
            name=key.account,
            scopes=sorted(key.scopes),
            key_prefix=key.prefix,
            key_expires_at=key.expires_at,
            rate=schemas.RateState(limit=rate.count, window_seconds=rate.seconds, remaining=remaining),
            secrets=schemas.state_counts(await self._vault.receipts.stats(key.account, now)),
        )
        return json_response(account)


def _edit(body: schemas.ChangeReceipt) -> Edit:
    return Edit(
        ttl_seconds=body.expires_in,
        max_views=body.max_views,
        label=body.label,
        public_note=body.public_note,
        payload=json_body.optional_base64("encryptedBlob", body.encrypted_blob),
        iv=json_body.optional_base64("iv", body.iv),
        passcode_hash=body.passcode_hash,
        unlock=body.unlock,
    )


def _key(request: RequestContext) -> ApiKey:
    key = request.actor.key
    if key is None:
        raise KeyRequired()
    return key


def _filter(query: bytes, account: str | None) -> Filter:
    """Return the filter that a list's query describes. Raises BadRequest naming the parameter."""
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=8)
    except ValueError:
        raise BadRequest("The query is not valid") from None
    parameters = dict(pairs)
    if len(parameters) != len(pairs):
        raise BadRequest("The query names a parameter twice")
    status, search = parameters.get("status"), parameters.get("search")
    if status is not None and status not in STATES:
        raise BadRequest(faults=(Fault("status", "must be active, revealed, burned or expired", "not_one_of"),))
    if search is not None and len(search) > 200:
        raise BadRequest(faults=(Fault("search", "must have at most 200 characters", "too_long", Limit(max=200)),))
    return Filter(
        account=account,
        state=State(status) if status else None,
        search=search or None,
        page=_number(parameters, "page", 1, 1_000_000),
        limit=_number(parameters, "limit", 50, 100),
    )


def _number(parameters: dict[str, str], name: str, default: int, maximum: int) -> int:
    text = parameters.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and 1 <= int(text) <= maximum):
        raise BadRequest(faults=(Fault(name, f"must be 1 to {maximum}", "out_of_range", Limit(1, maximum)),))
    return int(text)
