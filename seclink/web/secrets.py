"""Recipients' side of the native API: create, reveal, peek, report.

`GET /secrets/{linkId}` spends a view because its documentation says so. Browsers, previews and scanners follow
such addresses by themselves, so a request that looks like one of theirs is refused and spends nothing (`visits.py`);
so are what another origin's page can send without asking first, HEAD, ranges and conditional requests, which ask for
less than the whole.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

from seclink.domain import tokens
from seclink.domain.clock import Clock
from seclink.domain.vault import Vault
from seclink.errors import (
    AccessDenied,
    AccessRequired,
    BadRequest,
    Busy,
    Fault,
    Gone,
    IdempotencyMismatch,
    KeyRequired,
    NavigationRefused,
    NotFound,
    PasscodeLocked,
    PasscodeRequired,
    PasscodeWrong,
    PayloadTooLarge,
    RequestTimeout,
    StorageFull,
)
from seclink.model import NewSecret, Proof, Scope
from seclink.web import json_body, schemas
from seclink.web.admission import AccessRule, Admission, actor, header, retry_key
from seclink.web.fetch_metadata import reject_cross_origin_get, reject_navigation, reject_partial
from seclink.web.json_body import RequestContext, Response
from seclink.web.routes import Operation

REVEAL_ERRORS = (
    AccessRequired,
    AccessDenied,
    PasscodeRequired,
    PasscodeWrong,
    NotFound,
    Gone,
    PasscodeLocked,
    Busy,
)
NOT_A_NAVIGATION = (
    "For programs. What browsers, previews and scanners send by themselves is refused as not_a_navigation and spends "
    "nothing: navigations, prefetches, and what wants a document, a picture or events first (Sec-Fetch-Mode, "
    "Sec-Fetch-Dest, Sec-Purpose, Accept). So is what comes from another origin's page (Sec-Fetch-Site, Origin) "
    "without one of Authorization, Idempotency-Key, SecLink-Access and SecLink-Passcode; a script there may also "
    "reveal by POST."
)


class SecretsApi:
    """`share_base` is the address links are built from; it comes from the configuration, never from a request."""

    def __init__(self, vault: Vault, admission: Admission, clock: Clock, share_base: str) -> None:
        self._vault, self._admission, self._clock, self._share_base = vault, admission, clock, share_base

    def operations(self) -> Iterator[Operation]:
        yield Operation(
            method="POST",
            path="/secrets",
            handler=self.create_secret,
            summary="Create a secret",
            admission=AccessRule(rate="create", scopes=(Scope.CREATE,)),
            request_body=schemas.CreateSecret,
            response_body=schemas.SecretCreated,
            status=201,
            headers=("Idempotency-Key",),
            errors=(KeyRequired, IdempotencyMismatch, StorageFull),
        )
        yield Operation(
            method="GET",
            path="/secrets/{link_id:str}",
            handler=self.get_secret,
            summary="Reveal a secret; spends a view",
            admission=AccessRule(rate="reveal"),
            response_body=schemas.SecretRevealed,
            headers=("SecLink-Access", "SecLink-Passcode", "Idempotency-Key"),
            errors=(*REVEAL_ERRORS, NavigationRefused, PayloadTooLarge, RequestTimeout),
            description=NOT_A_NAVIGATION,
        )
        yield Operation(
            method="POST",
            path="/secrets/{link_id:str}/reveal",
            handler=self.reveal_secret,
            summary="Reveal a secret; spends a view",
            admission=AccessRule(rate="reveal"),
            request_body=schemas.RevealSecret,
            body_optional=True,
            response_body=schemas.SecretRevealed,
            headers=("SecLink-Access", "SecLink-Passcode", "Idempotency-Key"),
            errors=(*REVEAL_ERRORS, NavigationRefused),
        )
        yield Operation(
            method="POST",
            path="/secrets/{link_id:str}/burn",
            handler=self.burn_secret,
            summary="Destroy a secret one has; asks what revealing asks, and always for proof of the link's key",
            admission=AccessRule(rate="reveal"),
            request_body=schemas.RevealSecret,
            body_optional=True,
            status=204,
            headers=("SecLink-Access", "SecLink-Passcode"),
            errors=(*REVEAL_ERRORS, NavigationRefused),
        )
        yield Operation(
            method="GET",
            path="/secrets/{link_id:str}/meta",
            handler=self.peek_secret,
            summary="Look at a secret; changes nothing",
            admission=AccessRule(rate="peek"),
            response_body=schemas.SecretMeta,
            errors=(NotFound, Gone),
        )
        yield Operation(
            method="POST",
            path="/secrets/{link_id:str}/report",
            handler=self.report_secret,
            summary="Report abuse",
            admission=AccessRule(rate="create"),
            request_body=schemas.ReportSecret,
            body_optional=True,
            response_body=schemas.Accepted,
            status=202,
            errors=(NavigationRefused,),
        )

    async def create_secret(self, call: RequestContext) -> Response:
        who, key = actor(call.scope), retry_key(call.scope)
        body = await call.body()
        sent = json_body.parse(body, _content_type(call.scope), schemas.CreateSecret)
        if sent.expiry_type is None and sent.expires_in is None:
            raise BadRequest(faults=(Fault("expiryType", "is missing, and so is expiresIn", "required"),))
        new = NewSecret(
            payload=json_body.decode_base64("encryptedBlob", sent.encrypted_blob),
            iv=json_body.decode_base64("iv", sent.iv),
            format=sent.format,
            expiry_type=sent.expiry_type or "custom",
            ttl_seconds=sent.expires_in,
            max_views=sent.max_views,
            passcode_hash=sent.passcode_hash,
            access_hash=sent.access_hash,
            public_note=sent.public_note,
            label=sent.label,
        )
        self._admission.charge_storage(who, len(new.payload))
        retry = (key, hashlib.sha256(body).digest()) if key else None
        made = await self._vault.create(new, who, self._clock.now(), retry)
        return json_body.json_response(
            schemas.SecretCreated(
                link_id=made.link_id,
                share_url=f"{self._share_base}/{made.link_id}",
                expires_at=made.expires_at,
                receipt_id=made.receipt_id,
                manage_token=made.manage_token,
                expiry_type=made.expiry_type,
                max_views=made.max_views,
            ),
            201,
        )

    async def get_secret(self, call: RequestContext, link_id: str) -> Response:
        reject_cross_origin_get(call.scope)
        await call.body(json_body.SMALL_BODY)  # it takes none, but what announces one is not whole without it
        return await self._reveal(call, link_id, Proof(None, None))

    async def reveal_secret(self, call: RequestContext, link_id: str) -> Response:
        return await self._reveal(call, link_id, await self._proof(call))

    async def burn_secret(self, call: RequestContext, link_id: str) -> Response:
        proof = _with_headers(call.scope, await self._proof(call))
        await self._vault.burn_as_recipient(_known(link_id), proof, actor(call.scope), self._clock.now())
        return json_body.no_content()

    async def peek_secret(self, call: RequestContext, link_id: str) -> Response:
        now = self._clock.now()
        peek = await self._vault.peek(_known(link_id), now)
        left = await self._vault.attempts_left(link_id, actor(call.scope), now) if peek.passcode_required else None
        return json_body.json_response(schemas.meta(link_id, peek, left))

    async def report_secret(self, call: RequestContext, link_id: str) -> Response:
        reject_navigation(call.scope)
        body = await call.body(json_body.SMALL_BODY)
        sent = json_body.parse(body, _content_type(call.scope), schemas.ReportSecret, may_be_empty=True)
        if tokens.LINK_ID.fullmatch(link_id):
            await self._vault.report(link_id, sent.reason, self._clock.now())
        return json_body.json_response(schemas.Accepted(), 202)

    async def _proof(self, call: RequestContext) -> Proof:
        """What the body of a POST proves."""
        reject_navigation(call.scope)
        body = await call.body(json_body.SMALL_BODY)
        sent = json_body.parse(body, _content_type(call.scope), schemas.RevealSecret, may_be_empty=True)
        return Proof(sent.access, sent.passcode_hash)

    async def _reveal(self, call: RequestContext, link_id: str, proof: Proof) -> Response:
        scope = call.scope
        reject_partial(scope)
        proof, now = _with_headers(scope, proof), self._clock.now()
        claimed = await self._vault.reveal(_known(link_id), proof, actor(scope), now, retry_key(scope))
        return json_body.json_response(
            schemas.SecretRevealed(
                encrypted_blob=json_body.encode_base64(claimed.payload),
                iv=json_body.encode_base64(claimed.iv),
                expiry_type=claimed.expiry_type,
                format=claimed.format,
                views_left=claimed.views_left,
                expires_at=claimed.expires_at,
            )
        )


def _known(link_id: str) -> str:
    """What does not even look like a linkId is not looked up."""
    if not tokens.LINK_ID.fullmatch(link_id):
        raise NotFound()
    return link_id


def _with_headers(scope: Any, proof: Proof) -> Proof:
    """What the body does not say may stand in headers."""
    return Proof(
        proof.access or header(scope, b"seclink-access"), proof.passcode_hash or header(scope, b"seclink-passcode")
    )


def _content_type(scope: Any) -> bytes | None:
    value = header(scope, b"content-type")
    return None if value is None else value.encode("latin-1")
