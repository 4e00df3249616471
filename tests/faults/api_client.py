"""A client of the native API, and the JSON it sends and receives."""

import base64
import time
from typing import Any

import httpx
from support.server import Server
from support.waiting import TIMEOUT_SECONDS

NO_STORAGE_QUOTA = "[limits]\nclient_bytes = 17592186044416\n"


def create_request(payload: bytes = b"payload", iv: bytes = b"initialvectr", **members: Any) -> dict[str, Any]:
    """Return the JSON of a create request; one view, unless `members` replace that."""
    envelope = {"encryptedBlob": base64.b64encode(payload).decode(), "iv": base64.b64encode(iv).decode()}
    return {**envelope, "expiryType": "view_once", **members}


def payload_of(revealed: dict[str, Any]) -> bytes:
    return base64.b64decode(revealed["encryptedBlob"])


class ApiClient:
    """A client of a server's native API over keep-alive connections; a receipt is the response to a create request."""

    def __init__(self, server: Server, timeout: float = TIMEOUT_SECONDS) -> None:
        self.http = httpx.Client(base_url=f"{server.url}/api/v1", timeout=timeout)
        self.root = server.url

    def __enter__(self) -> "ApiClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def create(self, payload: bytes = b"payload", **members: Any) -> dict[str, Any]:
        response = self.http.post("/secrets", json=create_request(payload, **members))
        assert response.status_code == 201, response.text
        receipt: dict[str, Any] = response.json()
        return receipt

    def reveal(self, link_id: str, **headers: str) -> httpx.Response:
        return self.http.get(f"/secrets/{link_id}", headers=headers)

    def meta(self, link_id: str) -> httpx.Response:
        return self.http.get(f"/secrets/{link_id}/meta")

    def burn(self, receipt: dict[str, Any]) -> httpx.Response:
        headers = {"SecLink-Manage": receipt["manageToken"]}
        return self.http.delete(f"/receipts/{receipt['receiptId']}", headers=headers)

    def receipt(self, receipt: dict[str, Any]) -> dict[str, Any]:
        """Return the receipt as it is now, which has more members than the response to the create request."""
        headers = {"SecLink-Manage": receipt["manageToken"]}
        response = self.http.get(f"/receipts/{receipt['receiptId']}", headers=headers)
        assert response.status_code == 200, response.text
        current: dict[str, Any] = response.json()
        return current

    def ready(self) -> httpx.Response:
        return self.http.get(f"{self.root}/readyz")


def wait_until_ready(api: ApiClient) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while api.ready().status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.1)
