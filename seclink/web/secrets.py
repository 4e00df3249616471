"""The operations on /secrets of the native API: create, reveal, peek, burn, report.

`GET /secrets/{linkId}` spends a view because its documentation says so. Browsers, link previews and scanners request
such URLs on their own, so requests that look like theirs are rejected and spend nothing (see `fetch_metadata`). So are
requests that another origin's page can send without a CORS preflight, and HEAD, range and conditional requests, which
ask for less than the whole secret.
"""

import hashlib
from collections.abc import Iterator

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
    HasFiles,
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
    UploadIncomplete,
    UploadUnknown,
    UploadUsed,
)
from seclink.model import Attach, NewSecret, Proof, Scope
from seclink.web import json_body, schemas
from seclink.web.admission import AccessRule, Admission
from seclink.web.fetch_metadata import reject_cross_origin_get, reject_navigation, reject_partial
from seclink.web.origins import Origins
from seclink.web.request import SMALL_BODY, RequestContext, checked_id
from seclink.web.response import Response, json_response, no_content
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
    "For programs. Requests that browsers, link previews and scanners send on their own are rejected as "
    "not_a_navigation and spend nothing: navigations, prefetches, and requests that prefer a document, an image or an "
    "event stream (Sec-Fetch-Mode, Sec-Fetch-Dest, Sec-Purpose, Accept). Requests from another origin's page "
    "(Sec-Fetch-Site, Origin) are rejected too, unless they carry one of Authorization, Idempotency-Key, "
    "SecLink-Access and SecLink-Passcode. A script on another origin can also reveal by POST."
)


class SecretsApi:
    """The operations on `/secrets`."""

    def __init__(self, vault: Vault, admission: Admission, clock: Clock, origins: Origins) -> None:
        self._vault, self._admission, self._clock, self._origins = vault, admission, clock, origins

    def operations(self) -> Iterator[Operation]:
        yield Operation(
            method="POST",
            path="/secrets",
            handler=self.create_secret,
            summary="Create a secret",
            access_rule=AccessRule(rate="create", scopes=(Scope.CREATE,)),
            request_body=schemas.CreateSecret,
            response_body=schemas.SecretCreated,
            status=201,
            headers=("Idempotency-Key",),
            errors=(KeyRequired, IdempotencyMismatch, StorageFull, UploadUnknown, UploadUsed, UploadIncomplete),
        )
        yield Operation(
            method="GET",
            path="/secrets/{link_id:str}",
            handler=self.get_secret,
            summary="Reveal a secret; spends a view",
            access_rule=AccessRule(rate="reveal"),
            response_body=schemas.SecretRevealed,
            headers=("SecLink-Access", "SecLink-Passcode", "SecLink-Files", "Idempotency-Key"),
            errors=(*REVEAL_ERRORS, HasFiles, NavigationRefused, PayloadTooLarge, RequestTimeout),
            description=NOT_A_NAVIGATION,
        )
        yield Operation(
            method="POST",
            path="/secrets/{link_id:str}/reveal",
            handler=self.reveal_secret,
            summary="Reveal a secret; spends a view",
            access_rule=AccessRule(rate="reveal"),
            request_body=schemas.RevealSecret,
            body_optional=True,
            response_body=schemas.SecretRevealed,
            headers=("SecLink-Access", "SecLink-Passcode", "SecLink-Files", "Idempotency-Key"),
            errors=(*REVEAL_ERRORS, HasFiles, NavigationRefused),
        )
        yield Operation(
            method="POST",
            path="/secrets/{link_id:str}/burn",
            handler=self.burn_secret,
            summary="Burn a secret as its recipient; needs the same proofs as revealing, and always proof of the key",
            access_rule=AccessRule(rate="reveal"),
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
            summary="Peek at a secret; changes nothing",
            access_rule=AccessRule(rate="peek"),
            response_body=schemas.SecretMeta,
            errors=(NotFound, Gone),
        )
        yield Operation(
            method="POST",
            path="/secrets/{link_id:str}/report",
            handler=self.report_secret,
            summary="Report abuse",
            access_rule=AccessRule(rate="create"),
            request_body=schemas.ReportSecret,
            body_optional=True,
            response_body=schemas.Accepted,
            status=202,
            errors=(NavigationRefused,),
        )

    async def create_secret(self, request: RequestContext) -> Response:
        key = request.idempotency_key()
        body = await request.body()
        members = json_body.parse(body, request.header(b"content-type"), schemas.CreateSecret)
        new = _new_secret(members)
        named = members.host
        share_base = self._origins.of(request.scope) if named is None else self._origins.named(named, "host")
        self._admission.charge_storage(request.actor, len(new.payload))
        retry = (key, hashlib.sha256(body).digest()) if key else None
        created = await self._vault.create(new, request.actor, self._clock.now(), retry)
        return json_response(schemas.secret_created(created, share_base), 201)

    async def get_secret(self, request: RequestContext, link_id: str) -> Response:
        reject_cross_origin_get(request.scope)
        await request.body(SMALL_BODY)  # a GET needs none, but a request that announces one is incomplete without it
        return await self._reveal(request, link_id, _with_headers(request, Proof(None, None)), takes_files=False)

    async def reveal_secret(self, request: RequestContext, link_id: str) -> Response:
        proof, takes_files = await _proof(request)
        return await self._reveal(request, link_id, proof, takes_files)

    async def burn_secret(self, request: RequestContext, link_id: str) -> Response:
        proof, _ = await _proof(request)
        link_id = checked_id(tokens.LINK_ID, link_id)
        await self._vault.burn_as_recipient(link_id, proof, request.actor, self._clock.now())
        return no_content()

    async def peek_secret(self, request: RequestContext, link_id: str) -> Response:
        now = self._clock.now()
        peek = await self._vault.peek(checked_id(tokens.LINK_ID, link_id), now)
        attempts_left = await self._vault.attempts_left(link_id, request.actor, now) if peek.passcode_required else None
        return json_response(schemas.secret_meta(link_id, peek, attempts_left))

    async def report_secret(self, request: RequestContext, link_id: str) -> Response:
        reject_navigation(request.scope)
        report = await request.json(schemas.ReportSecret, max_bytes=SMALL_BODY, may_be_empty=True)
        if tokens.LINK_ID.fullmatch(link_id):
            await self._vault.report(link_id, report.reason, self._clock.now())
        return json_response(schemas.Accepted(), 202)

    async def _reveal(self, request: RequestContext, link_id: str, proof: Proof, takes_files: bool) -> Response:
        reject_partial(request.scope)
        link_id, key = checked_id(tokens.LINK_ID, link_id), request.idempotency_key()
        takes_files = takes_files or request.header(b"seclink-files") == "1"
        claimed = await self._vault.reveal(
            link_id, proof, request.actor, self._clock.now(), key, takes_files=takes_files
        )
        return json_response(schemas.secret_revealed(claimed))


def _new_secret(body: schemas.CreateSecret) -> NewSecret:
    if body.expiry_type is None and body.expires_in is None:
        raise BadRequest(faults=(Fault("expiryType", "is missing, and so is expiresIn", "required"),))
    return NewSecret(
        payload=json_body.decode_base64("encryptedBlob", body.encrypted_blob),
        iv=json_body.decode_base64("iv", body.iv),
        format=body.format,
        expiry_type=body.expiry_type or "custom",
        ttl_seconds=body.expires_in,
        max_views=body.max_views,
        passcode_hash=body.passcode_hash,
        access_hash=body.access_hash,
        public_note=body.public_note,
        label=body.label,
        upload=Attach(body.upload.id, body.upload.token) if body.upload else None,
    )


async def _proof(request: RequestContext) -> tuple[Proof, bool]:
    """Return the proofs of a POST, from its body and headers, and whether the body says that files can be taken."""
    reject_navigation(request.scope)
    body = await request.json(schemas.RevealSecret, max_bytes=SMALL_BODY, may_be_empty=True)
    return _with_headers(request, Proof(body.access, body.passcode_hash)), body.files


def _with_headers(request: RequestContext, proof: Proof) -> Proof:
    """Return the proof, with the parts that the body lacks taken from headers."""
    return Proof(
        proof.access or request.header(b"seclink-access"), proof.passcode_hash or request.header(b"seclink-passcode")
    )
