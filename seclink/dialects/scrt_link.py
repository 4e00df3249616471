"""scrt.link: https://scrt.link/docs/api, its npm client and CLI, and what speaks like them.

    create   POST /api/v1/secrets          under the client's own id: SHA-256 of the last 8 characters of its key
    probe    POST /api/v1/secrets/{hash}   whether it is there, spends nothing
    module   GET  /api/v1/client-module    our own, under the names theirs exports
    page     /s                            id and key are in the fragment: /s#{36 characters}

What is in a secret is sealed with the key in the link; a password, which its clients send in the clear, seals it once
more, and here it guards the release: only argon2id of its hash is kept. The public key signs file chunks, which there
are none of, and is not kept. The order of the refusals is that of the original.
"""

import hashlib
from collections.abc import Iterator
from re import compile as pattern
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from seclink.dialects.base import NO_IV, Dialect, Refusal, iso, pack_payload, password_hash
from seclink.domain import tokens
from seclink.domain.policy import MAX_VIEWS
from seclink.errors import BadRequest, Gone, KeyInvalid, KeyRequired, NameTaken, NotFound, SecLinkError
from seclink.model import NewSecret, Scope
from seclink.web.admission import AccessRule
from seclink.web.cors import CORS_HEADERS
from seclink.web.middleware import host_name
from seclink.web.request import RequestContext
from seclink.web.response import Response, json_response
from seclink.web.routes import Operation

MODULE = """\
export {{ Refusal, scrtLink, scrtLink as default, seclink }} from "{script}";
export const SecretType = Object.freeze({{ TEXT: "text", REDIRECT: "redirect", NEOGRAM: "neogram" }});
"""
HASH = pattern("[0-9a-f]{64}")
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


class ScrtLink(Dialect):
    name = "scrt-link"
    page = pattern("/s")
    fields: ClassVar = {"maxViews": "viewLimit", "encryptedBlob": "content", "passcodeHash": "password"}
    methods = "GET, POST, OPTIONS"
    headers = "Content-Type, Authorization, X-Checksum, X-Host"

    def operations(self) -> Iterator[Operation]:
        yield Operation(
            method="POST",
            path="/api/v1/secrets",
            handler=self.create,
            summary="Create a secret",
            admission=AccessRule(rate="create", scopes=(Scope.CREATE,), needs_key=True),
        )
        yield Operation(
            method="POST",
            path="/api/v1/secrets/{secret_id_hash:str}",
            handler=self.probe,
            summary="Look at a secret; changes nothing",
            admission=AccessRule(rate="peek"),
        )
        yield Operation(
            method="GET",
            path="/api/v1/client-module",
            handler=self.client_module,
            summary="The client module",
            admission=AccessRule(rate="peek", query=None),
        )

    async def create(self, call: RequestContext) -> Response:
        sent, body = await self.read(call, ScrtLinkCreate)
        checksum = call.header(b"x-checksum") or ""
        if not tokens.equal(hashlib.sha256(body).hexdigest(), checksum.encode()):
            raise BadRequest("Checksum mismatch.")
        if not self._is_ours(call.header(b"x-host")):
            raise BadRequest("Not allowed to create secret for this host.")
        made = await self.create_secret(
            call,
            NewSecret(
                link_id=self.link_id(sent.secret_id_hash),
                payload=pack_payload(meta=sent.meta, content=sent.content),
                iv=NO_IV,
                format=self.name,
                expiry_type="custom",
                ttl_seconds=sent.expires_in // 1000,
                max_views=sent.view_limit,
                passcode_hash=password_hash(sent.password),
                public_note=sent.public_note,
            ),
        )
        return json_response(
            {
                "receiptId": made.receipt_id,
                "expiresIn": sent.expires_in,
                "expiresAt": iso(made.expires_at),
                "viewLimit": made.max_views,
            }
        )

    async def probe(self, call: RequestContext, secret_id_hash: str) -> Response:
        try:
            if not HASH.fullmatch(secret_id_hash):
                raise NotFound()
            peek = await self.vault.peek(self.link_id(secret_id_hash), self.now())
        except (NotFound, Gone):
            return json_response({"message": "Secret has been viewed, has expired or never existed."}, 400)
        left = MAX_VIEWS if peek.views_left is None else peek.views_left
        return json_response({"isPasswordProtected": peek.passcode_required, "remainingViews": left})

    async def client_module(self, call: RequestContext) -> Response:
        body = MODULE.format(script=self.parts.script).encode()
        fixed = [(b"content-type", b"text/javascript; charset=utf-8"), (b"content-length", b"%d" % len(body))]
        return Response(200, body, [*fixed, (b"cache-control", b"no-cache"), *CORS_HEADERS])

    def refusal(self, error: SecLinkError) -> Refusal:
        if isinstance(error, KeyRequired):
            return 403, {"error": "No API bearer token provided."}
        if isinstance(error, KeyInvalid):
            return 403, {"error": "Invalid API key."}
        if isinstance(error, NameTaken):
            return 400, {"error": "Couldn't save secret."}
        wrong: dict[str, list[str]] = {}
        for name, message in self.faults(error):
            wrong.setdefault(name, []).append(message)
        if wrong:
            return 400, {"error": "Invalid request", "issues": {"formErrors": [], "fieldErrors": wrong}}
        return error.status, {"error": error.message}

    def _is_ours(self, host: str | None) -> bool:
        """Whether a link may begin so: with a name that is answered here, whatever port or path follow it."""
        return host is None or host_name(host.partition("/")[0]) in self.parts.hosts
