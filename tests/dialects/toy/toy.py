"""Toy: a dialect for tests/browser/test_toy_dialect.py, which adds it to a copy of the package.

create   POST /things      {"sealed": base64(iv 12 || AES-256-GCM(key, iv, text))}
page     /t/{id}           the key is in the fragment, as 43 characters of base64url
"""

from collections.abc import Iterator
from typing import ClassVar

from msgspec import Struct

from seclink.dialects.base import NO_IV, Dialect, ErrorBody, pack_payload
from seclink.errors import SecLinkError
from seclink.model import NewSecret
from seclink.web.admission import AccessRule
from seclink.web.request import RequestContext
from seclink.web.response import Response, json_response
from seclink.web.routes import Operation

ID_LENGTH = 7


class ToyCreate(Struct):
    sealed: str
    times: int = 1


class Toy(Dialect):
    member_names: ClassVar = {"maxViews": "times"}

    def operations(self) -> Iterator[Operation]:
        rule = AccessRule(rate="create")
        yield Operation(method="POST", path="/things", handler=self.create, summary="Create a thing", access_rule=rule)

    async def create(self, request: RequestContext) -> Response:
        body, _ = await self.read(request, ToyCreate)
        new = NewSecret(
            payload=pack_payload(sealed=body.sealed),
            iv=NO_IV,
            format=self.name,
            expiry_type="24hours",
            max_views=body.times,
        )
        created = await self.create_with_short_id(request, new, ID_LENGTH)
        return json_response({"thing": self.foreign_id(created.link_id)}, 201)

    def render_error(self, error: SecLinkError) -> ErrorBody:
        return error.status, {"broken": error.code, "parts": dict(self.member_faults(error))}
