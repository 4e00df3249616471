"""Other systems' wire formats over the same vault: their clients, pointed at this server, work unmodified.

A dialect is one module with one class (`seam.Dialect`), listed in the table below. It translates and never decides: a
foreign request becomes a `NewSecret`, a `Filter`, an `Edit`, goes to the same vault under the same guards and rules,
and what comes back, an answer or an error, is said in the foreign system's words. How to write one:

    name, page, fields, methods, headers   what can be said as data: see `seam.Dialect`
    operations()      its routes, as `web.operations.Operation`s, relative to its prefix, with their admission
    one method each   `self.read` the body as a struct, build the NewSecret, `self.keep` it, answer with `bodies.answer`
    refusal(error)    any SecLinkError as (status, JSON): the one place that knows the system's error envelope

    class Example(Dialect):
        name = "example"
        fields: ClassVar = {"maxViews": "views"}         # what the rules call maxViews is called views here

        def operations(self) -> Iterator[Operation]:
            admission = Admission(rate="create", scopes=(Scope.CREATE,), needs_key=True)
            yield Operation(method="POST", path="/secrets", handler=self.create, summary="...", admission=admission)

        async def create(self, call: Call) -> Answer:
            sent, _ = await self.read(call, Create)      # unknown members are ignored, wrong and misspelt ones refused
            self.unsupported(captcha=sent.captcha)       # what cannot be enforced here is refused by name
            made = await self.keep(call, NewSecret(payload=kept(content=sent.content), iv=NO_IV, format=self.name, ...))
            return bodies.answer({"id": made.link_id})

        def refusal(self, error: SecLinkError) -> Refusal:
            return error.status, {"error": error.message, "fields": dict(self.faults(error))}

Everything lies below `/{name}`; where the dialect has a `host`, the same at that host's root. There, and in nothing
else, are they told apart: before routing, by path and Host. Whatever is refused on the way, by the gate, the guards,
the framework or the vault, comes out of the dialect's `refusal`, with CORS. One that is switched off is not loaded:
its prefix is an address like any other at which there is nothing.
"""

from importlib import import_module
from typing import cast

from seclink.config.schema import Config
from seclink.dialects.base import Dialect, DialectContext

TABLE = {
    "scrt-link": "scrt_link.ScrtLink",
    "sharokey": "sharokey.Sharokey",
    "seecret": "seecret.Seecret",
    "enigmacrypt": "enigmacrypt.EnigmaCrypt",
}


def load(config: Config, parts: DialectContext) -> list[Dialect]:
    """The dialects that are switched on; the others' modules are not even imported."""
    made = []
    for name, section in config.dialects.by_name().items():
        if not section.enabled:
            continue
        module, _, kind = TABLE[name].partition(".")
        found = cast("type[Dialect]", getattr(import_module(f"seclink.dialects.{module}"), kind))
        made.append(found(parts, section))
    return made
