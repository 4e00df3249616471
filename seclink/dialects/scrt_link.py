"""scrt.link: https://scrt.link/docs/api, its npm client and CLI, and clients that use the same API.

    create   POST /api/v1/secrets          under an id that the client chooses: SHA-256 of its key's last 8 characters
    probe    POST /api/v1/secrets/{hash}   reports whether the secret exists; spends no view
    module   GET  /api/v1/client-module    our client module, under the names that theirs exports
    page     /s                            id and key are in the fragment: /s#{36 characters}

A secret is sealed with the key in the link, and once more with the password, if it has one. Clients also send the
password in the clear; here it guards the release, and only argon2id of its hash is stored. The public key signs the
chunks of files, which are not supported, and is not stored. Checks run, and reject, in the original's order.
"""

import hashlib
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from seclink.dialects.base import NO_IV, Dialect, ErrorBody, hash_password, iso, pack_payload
from seclink.domain import tokens
from seclink.domain.policy import MAX_VIEWS
from seclink.errors import BadRequest, Gone, KeyInvalid, KeyRequired, NameTaken, NotFound, SecLinkError
from seclink.model import NewSecret, Scope
from seclink.web.admission import AccessRule
from seclink.web.cors import CORS_HEADERS
from seclink.web.middleware import host_name
from seclink.web.pages import MODULE
from seclink.web.request import RequestContext
from seclink.web.response import Response, json_response
from seclink.web.routes import Operation

Sealed = Annotated[str, Meta(min_length=1, max_length=1_000_000)]


class ScrtLinkCreate(Struct, rename="camel"):
    secret_id_hash: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    meta: Sealed
    content: Sealed
    public_key: Annotated[str, Meta(min_length=212, max_length=212)]
    public_note: Annotated[str, Meta(max_length=150)] | None = None
    expires_in: Literal[600_000, 3_600_000, 86_400_000, 604_800_000, 2_592_000_000] = 86_400_000
    view_limit: Annotated[int, Meta(ge=1, le=1000)] = 1
    password: Annotated[str, Meta(min_length=6, max_length=512)] | None = None
    # Sealed in `meta`; where a client also sends it, a type that no page opens is rejected.
    secret_type: Literal["text", "redirect", "neogram"] | None = None


class ScrtLink(Dialect):
    member_names: ClassVar = {"maxViews": "viewLimit", "encryptedBlob": "content", "passcodeHash": "password"}
    allowed_methods = "GET, POST, OPTIONS"
    sign = (b"x-checksum", b"")
    allowed_headers = "Content-Type, Authorization, X-Checksum, X-Host"

    def operations(self) -> Iterator[Operation]:
        yield Operation(
            method="POST",
            path="/api/v1/secrets",
            handler=self.create,
            summary="Create a secret",
            access_rule=AccessRule(rate="create", scopes=(Scope.CREATE,), needs_key=True),
        )
        yield Operation(
            method="POST",
            path="/api/v1/secrets/{secret_id_hash:str}",
            handler=self.probe,
            summary="Report whether a secret exists; changes nothing",
            access_rule=AccessRule(rate="peek"),
        )
        yield Operation(
            method="GET",
            path="/api/v1/client-module",
            handler=self.client_module,
            summary="The client module",
            access_rule=AccessRule(rate="peek", query=None),
        )

    @property
    def client_address(self) -> str:
        return f"host {super().client_address.partition('://')[2]}"

    async def create(self, request: RequestContext) -> Response:
        body, content = await self.read(request, ScrtLinkCreate)
        checksum = request.header(b"x-checksum") or ""
        if not tokens.equal(hashlib.sha256(content).hexdigest(), checksum.encode()):
            raise BadRequest("Checksum mismatch.")
        if not self._is_own_host(request.header(b"x-host")):
            raise BadRequest("Not allowed to create secret for this host.")
        new = NewSecret(
            link_id=self.link_id(body.secret_id_hash),
            payload=pack_payload(meta=body.meta, content=body.content),
            iv=NO_IV,
            format=self.name,
            expiry_type="custom",
            ttl_seconds=body.expires_in // 1000,
            max_views=body.view_limit,
            passcode_hash=hash_password(body.password),
            public_note=body.public_note,
        )
        created = await self.create_secret(request, new)
        return json_response(
            {
                "receiptId": created.receipt_id,
                "expiresIn": body.expires_in,
                "expiresAt": iso(created.expires_at),
                "viewLimit": created.max_views,
            }
        )

    async def probe(self, request: RequestContext, secret_id_hash: str) -> Response:
        try:
            peek = await self.vault.peek(self.link_id(secret_id_hash), self.now())
        except (NotFound, Gone):
            return json_response({"message": "Secret has been viewed, has expired or never existed."}, 400)
        views_left = MAX_VIEWS if peek.views_left is None else peek.views_left
        return json_response({"isPasswordProtected": peek.passcode_required, "remainingViews": views_left})

    async def client_module(self, request: RequestContext) -> Response:
        body = MODULE.format(script=self.origins.of(request.scope) + self.context.script).encode()
        headers = [(b"content-type", b"text/javascript; charset=utf-8"), (b"content-length", b"%d" % len(body))]
        return Response(200, body, [*headers, (b"cache-control", b"no-cache"), *CORS_HEADERS])

    def render_error(self, error: SecLinkError) -> ErrorBody:
        if isinstance(error, KeyRequired):
            return 403, {"error": "No API bearer token provided."}
        if isinstance(error, KeyInvalid):
            return 403, {"error": "Invalid API key."}
        if isinstance(error, NameTaken):
            return 400, {"error": "Couldn't save secret."}
        messages: dict[str, list[str]] = {}
        for name, message in self.member_faults(error):
            messages.setdefault(name, []).append(message)
        if messages:
            return 400, {"error": "Invalid request", "issues": {"formErrors": [], "fieldErrors": messages}}
        return error.status, {"error": error.message}

    def _is_own_host(self, host: str | None) -> bool:
        """Return whether X-Host, without port and path, is a Host name of this server. A missing one is accepted."""
        return host is None or host_name(host.partition("/")[0]) in self.context.hosts
