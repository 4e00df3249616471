"""Loads the dialects that are switched on. The table of all dialects is `config.dialects.DIALECTS`."""

from importlib import import_module
from typing import cast

from seclink.dialects.base import Dialect, DialectContext


def load(context: DialectContext) -> list[Dialect]:
    """Return the dialects that are switched on. The modules of the others are not imported."""
    dialects = []
    for row, options in context.config.dialects.enabled():
        module, _, class_name = row.implementation.partition(":")
        dialect = cast("type[Dialect]", getattr(import_module(f"seclink.dialects.{module}"), class_name))
        dialects.append(dialect(row, context, options))
    return dialects
