"""SecLink: hand a secret to one person, once.

The client is importable from here (`from seclink import Client`); it is loaded when first used, so that
neither the server nor `seclink --help` pays for cryptography and HTTP they do not need.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seclink.client.client import AsyncClient, Client

__version__ = "0.1.0"
__all__ = ["AsyncClient", "Client", "__version__"]


def __getattr__(name: str) -> Any:
    if name in ("AsyncClient", "Client"):
        import seclink.client.client

        return getattr(seclink.client.client, name)
    raise AttributeError(f"module 'seclink' has no attribute {name!r}")
