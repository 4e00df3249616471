"""Answers that never arrive: LR-01, LR-02 and LR-03 over real sockets."""

import socket
import time
import uuid
from typing import Any

import pytest
from api_client import ApiClient, payload_of
from crowd import close_with_reset, count_responses, post_reveal_request, read_response, reveal_request
from support.server import Server
from support.waiting import TIMEOUT_SECONDS


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), TIMEOUT_SECONDS)


def wait_for_state(api: ApiClient, receipt: dict[str, Any], state: str) -> dict[str, Any]:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while (told := api.receipt(receipt))["state"] != state:
        assert time.monotonic() < deadline, told
        time.sleep(0.02)
    return told


@pytest.mark.parametrize("how", [reveal_request, post_reveal_request])
def test_client_that_dies_has_spent_the_view_and_the_receipt_shows_it(
    appliance_server: Server, api: ApiClient, how: Any
) -> None:
    """LR-01: RST 20 ms after the request."""
    for _ in range(5):
        receipt = api.create()
        client = connect(appliance_server)
        client.sendall(how(receipt["linkId"]).encode())
        time.sleep(0.02)
        close_with_reset(client)
        told = wait_for_state(api, receipt, "revealed")
        assert told["views"] == 1
        assert [event["type"] for event in told["events"]] == ["created", "revealed"]
        assert api.reveal(receipt["linkId"]).status_code == 410


def test_client_that_dies_during_its_request_has_spent_nothing(appliance_server: Server, api: ApiClient) -> None:
    """LR-01"""
    for cut in (1, 20, 60):
        receipt = api.create(b"still there")
        client = connect(appliance_server)
        client.sendall(post_reveal_request(receipt["linkId"]).encode()[:-cut])
        time.sleep(0.02)
        close_with_reset(client)
        time.sleep(0.05)
        assert api.receipt(receipt)["state"] == "active"
        assert payload_of(api.reveal(receipt["linkId"]).json()) == b"still there"


@pytest.mark.parametrize("cut", ["nothing", "one", "half", "all but one"])
@pytest.mark.parametrize("how", [reveal_request, post_reveal_request])
def test_same_client_gets_the_lost_response_again_byte_for_byte(
    appliance_server: Server, api: ApiClient, how: Any, cut: str
) -> None:
    """LR-02: cut off after 0, 1, half and all but one of its bytes; one view is spent."""
    payload = bytes(range(256)) * 400
    key = ("Idempotency-Key", uuid.uuid4().hex)
    made, twin = (api.create(payload, expiryType="24hours", maxViews=3) for _ in range(2))
    whole = size(appliance_server, how(twin["linkId"], key).encode())
    assert whole > len(payload)
    for attempt in range(3):
        client = connect(appliance_server)
        client.sendall(how(made["linkId"], key).encode())
        take(client, {"nothing": 0, "one": 1, "half": whole // 2, "all but one": whole - 1}[cut])
        if not attempt:
            time.sleep(0.02)
        close_with_reset(client)
    with connect(appliance_server) as client:
        client.sendall(how(made["linkId"], key).encode())
        first = read_response(client)
        client.sendall(how(made["linkId"], key).encode())
        again = read_response(client)
    assert first.status == again.status == 200
    assert first.body == again.body
    assert payload_of(first.json) == payload
    assert first.json["viewsLeft"] == 2
    told = api.receipt(made)
    assert told["views"] == 1
    assert [event["type"] for event in told["events"]] == ["created", "revealed"]


def test_last_view_can_be_fetched_again_although_it_is_erased(appliance_server: Server, api: ApiClient) -> None:
    """LR-02"""
    receipt = api.create(b"the only view")
    key = ("Idempotency-Key", uuid.uuid4().hex)
    client = connect(appliance_server)
    client.sendall(post_reveal_request(receipt["linkId"], key).encode())
    close_with_reset(client)
    wait_for_state(api, receipt, "revealed")
    with connect(appliance_server) as client:
        client.sendall(post_reveal_request(receipt["linkId"], key).encode())
        assert payload_of(read_response(client).json) == b"the only view"


def test_other_client_gets_410_at_once(appliance_server: Server, api: ApiClient) -> None:
    """LR-03: another key, no key, and the same key for another secret."""
    made, other = api.create(b"mine"), api.create(b"other")
    key = ("Idempotency-Key", uuid.uuid4().hex)
    with connect(appliance_server) as client:
        client.sendall(post_reveal_request(made["linkId"], key).encode())
        assert read_response(client).status == 200
        for request in (
            post_reveal_request(made["linkId"], ("Idempotency-Key", uuid.uuid4().hex)),
            post_reveal_request(made["linkId"]),
            post_reveal_request(made["linkId"], key, ("SecLink-Access", "AAAA")),
        ):
            client.sendall(request.encode())
            assert read_response(client).status == 410
        client.sendall(post_reveal_request(other["linkId"], key).encode())
        assert payload_of(read_response(client).json) == b"other"


def test_concurrent_retries_spend_one_view(appliance_server: Server, api: ApiClient) -> None:
    """LR-02: the retry arrives during the first request."""
    for _ in range(10):
        receipt = api.create(b"overtaken", expiryType="24hours", maxViews=5)
        request = post_reveal_request(receipt["linkId"], ("Idempotency-Key", uuid.uuid4().hex)).encode()
        clients = [connect(appliance_server) for _ in range(8)]
        for client in clients:
            client.sendall(request)
        bodies = set()
        for client in clients:
            with client:
                bodies.add(read_response(client).body)
        assert len(bodies) == 1
        assert api.receipt(receipt)["views"] == 1


def size(server: Server, request: bytes) -> int:
    """Return the size of the response, including its headers."""
    with connect(server) as client:
        client.sendall(request)
        data = b""
        while not count_responses(data):
            data += client.recv(65536)
        return len(data)


def take(client: socket.socket, count: int) -> None:
    """Read exactly that many bytes."""
    while count > 0:
        data = client.recv(min(count, 65536))
        assert data
        count -= len(data)
