"""Seecret.it."""

from collections.abc import Iterable

from seclink.dialects.seam import Dialect, Refusal
from seclink.errors import SecLinkError
from seclink.web.operations import Operation


class Seecret(Dialect):
    name = "seecret"

    def operations(self) -> Iterable[Operation]:
        return ()

    def refusal(self, error: SecLinkError) -> Refusal:
        return error.status, {"error": error.message}
