"""Senders' side of the native API:

receipts, stats, account. Opened by a manage token or an API key; to anybody else there is nothing here.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from msgspec import UNSET

from seclink.domain import tokens
from seclink.domain.clock import Clock
from seclink.domain.vault import Vault
from seclink.errors import BadRequest, Busy, Fault, Gone, KeyRequired, Limit, NotActive, NotFound, StorageFull
from seclink.model import ApiKey, Edit, Filter, Scope, State, Stats
from seclink.web import json_body, schemas
from seclink.web.admission import AccessRule, Admission, actor, header
from seclink.web.json_body import RequestContext, Response
from seclink.web.routes import Operation

STATES = frozenset(str(each) for each in State)
SENDER = (Scope.MANAGE, Scope.ADMIN)
BY_TOKEN = AccessRule(rate="peek")  # a manage token is enough, whatever the key that comes with it may do
BY_KEY = AccessRule(rate="peek", scopes=SENDER, needs_key=True)
LISTING = AccessRule(rate="peek", scopes=SENDER, needs_key=True, query=("status", "search", "page", "limit"))


class ReceiptsApi:
    def __init__(self, vault: Vault, admission: Admission, clock: Clock) -> None:
        self._vault, self._admission, self._clock = vault, admission, clock

    def operations(self) -> Iterator[Operation]:
        one = "/receipts/{receipt_id:str}"
        yield Operation(
            method="GET",
            path="/receipts",
            handler=self.list_receipts,
            summary="Own receipts, newest first; an admin's: all",
            admission=LISTING,
            response_body=schemas.ReceiptPage,
        )
        yield Operation(
            method="GET",
            path=one,
            handler=self.get_receipt,
            summary="One receipt with its history",
            admission=BY_TOKEN,
            response_body=schemas.ReceiptDetails,
            headers=("SecLink-Manage",),
            errors=(NotFound,),
            by_manage_token=True,
        )
        yield Operation(
            method="PATCH",
            path=one,
            handler=self.change_receipt,
            summary="Change a live secret",
            admission=BY_TOKEN,
            request_body=schemas.ChangeReceipt,
            response_body=schemas.ReceiptDetails,
            headers=("SecLink-Manage",),
            errors=(NotFound, NotActive, Busy, StorageFull),
            by_manage_token=True,
        )
        yield Operation(
            method="DELETE",
            path=one,
            handler=self.burn_secret,
            summary="Burn a live secret",
            admission=BY_TOKEN,
            status=204,
            headers=("SecLink-Manage",),
            errors=(NotFound, Gone),
            by_manage_token=True,
        )
        yield Operation(
            method="GET",
            path="/stats",
            handler=self.get_stats,
            summary="Counts of the account",
            admission=BY_KEY,
            response_body=Stats,
        )
        yield Operation(
            method="GET",
            path="/account",
            handler=self.get_account,
            summary="The account and what its key may do",
            admission=AccessRule(rate="peek", needs_key=True),
            response_body=schemas.Account,
        )

    async def list_receipts(self, call: RequestContext) -> Response:
        key = _key(call.scope)
        account = None if Scope.ADMIN in key.scopes else key.account
        wanted = _filter(call.scope["query_string"], account)
        return json_body.json_response(schemas.receipt_page(await self._vault.receipts.list(wanted, self._clock.now())))

    async def get_receipt(self, call: RequestContext, receipt_id: str) -> Response:
        who = actor(call.scope)
        receipt = await self._vault.receipts.get(_known(receipt_id), who, _manage_token(call.scope), self._clock.now())
        return json_body.json_response(schemas.receipt_details(receipt, with_reasons=who.may(Scope.ADMIN)))

    async def change_receipt(self, call: RequestContext, receipt_id: str) -> Response:
        who, token = actor(call.scope), _manage_token(call.scope)
        # Whoever may not change it need not send a large body first.
        await self._vault.receipts.get(_known(receipt_id), who, token, self._clock.now())
        content_type = header(call.scope, b"content-type")
        sent = json_body.parse(
            await call.body(), content_type.encode("latin-1") if content_type else None, schemas.ChangeReceipt
        )
        edit = Edit(
            ttl_seconds=sent.expires_in,
            max_views=sent.max_views,
            label=sent.label,
            public_note=sent.public_note,
            payload=json_body.optional_base64("encryptedBlob", sent.encrypted_blob),
            iv=json_body.optional_base64("iv", sent.iv),
            passcode_hash=sent.passcode_hash,
        )
        if edit.payload is not UNSET:
            self._admission.charge_storage(who, len(edit.payload))
        return json_body.json_response(
            schemas.receipt_details(
                await self._vault.receipts.update(_known(receipt_id), edit, who, token, self._clock.now())
            )
        )

    async def burn_secret(self, call: RequestContext, receipt_id: str) -> Response:
        who, token = actor(call.scope), _manage_token(call.scope)
        await self._vault.receipts.burn(_known(receipt_id), who, token, self._clock.now())
        return json_body.no_content()

    async def get_stats(self, call: RequestContext) -> Response:
        return json_body.json_response(await self._vault.receipts.stats(_key(call.scope).account, self._clock.now()))

    async def get_account(self, call: RequestContext) -> Response:
        key, now = _key(call.scope), self._clock.now()
        rate, remaining = self._admission.remaining(actor(call.scope))
        return json_body.json_response(
            schemas.Account(
                name=key.account,
                scopes=sorted(key.scopes),
                key_prefix=key.prefix,
                key_expires_at=key.expires_at,
                rate=schemas.RateState(limit=rate.count, window_seconds=rate.seconds, remaining=remaining),
                secrets=schemas.state_counts(await self._vault.receipts.stats(key.account, now)),
            )
        )


def _key(scope: Any) -> ApiKey:
    key = actor(scope).key
    if key is None:
        raise KeyRequired()
    return key


def _known(receipt_id: str) -> str:
    if not tokens.RECEIPT_ID.fullmatch(receipt_id):
        raise NotFound()
    return receipt_id


def _manage_token(scope: Any) -> str | None:
    return header(scope, b"seclink-manage")


def _filter(query: bytes, account: str | None) -> Filter:
    """The query of a list. Raises BadRequest naming the parameter."""
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=8)
    except ValueError:
        raise BadRequest("The query cannot be read") from None
    given = dict(pairs)
    if len(given) != len(pairs):
        raise BadRequest("The query names a parameter twice")
    status, search = given.get("status"), given.get("search")
    if status is not None and status not in STATES:
        raise BadRequest(faults=(Fault("status", "must be active, revealed, burned or expired", "not_one_of"),))
    if search is not None and len(search) > 200:
        raise BadRequest(faults=(Fault("search", "must have at most 200 characters", "too_long", Limit(max=200)),))
    page, limit = _number(given, "page", 1, 1_000_000), _number(given, "limit", 50, 100)
    return Filter(
        account=account, state=State(status) if status else None, search=search or None, page=page, limit=limit
    )


def _number(given: dict[str, str], name: str, default: int, most: int) -> int:
    text = given.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and 1 <= int(text) <= most):
        raise BadRequest(faults=(Fault(name, f"must be 1 to {most}", "out_of_range", Limit(1, most)),))
    return int(text)
