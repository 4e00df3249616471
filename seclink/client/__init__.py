"""The Python client; `from seclink import Client, AsyncClient` is the same and loads it only when it is used."""

from seclink.client.client import AsyncClient, Client

__all__ = ["AsyncClient", "Client"]
