"""Starting and stopping the real server: CR-13, and what makes a start fail."""

import contextlib
import signal
import socket
import time

import pytest
from sockets import CHUNKED, SmallServer, parse_responses, read_all, small_server
from support.waiting import TIMEOUT_SECONDS

SLOW = b"GET /slow?1.5 HTTP/1.1\r\nHost: x\r\n\r\n"


def wait_until_running(server: SmallServer, count: int) -> None:
    while server.seen("/slow") < count:
        time.sleep(0.05)


def test_stop_finishes_requests_in_flight_and_accepts_no_new_ones() -> None:
    """CR-13: 20 requests finish; a slow upload and an idle connection are closed; exit status 0."""
    with (
        small_server(serve={"grace_seconds": 3.0}, web={"body_seconds": 60.0}) as server,
        contextlib.ExitStack() as stack,
    ):
        in_flight = [stack.enter_context(server.connect(SLOW)) for _ in range(20)]
        upload = stack.enter_context(server.connect(CHUNKED))
        idle = stack.enter_context(server.connect())
        wait_until_running(server, 20)
        server.popen.send_signal(signal.SIGTERM)
        assert read_all(idle) == b""
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        responses = [parse_responses(read_all(each))[0] for each in in_flight]
        assert [response.status for response in responses] == [200] * 20
        assert {response.headers["connection"] for response in responses} == {"close"}
        read_all(upload)
        code, out, err = server.finish()
    assert (code, out, err) == (0, "closed 20\n", "")


def test_stop_ends_after_the_grace_period() -> None:
    """CR-13: what does not finish is cut, and the application is still shut down in order."""
    with small_server(serve={"grace_seconds": 0.5}) as server:
        with server.connect(SLOW.replace(b"1.5", b"60")) as client:
            wait_until_running(server, 1)
            server.popen.send_signal(signal.SIGTERM)
            [answer] = parse_responses(read_all(client))
        assert (answer.status, answer.json["code"]) == (500, "internal")
        code, out, err = server.finish()
    assert (code, out, err) == (0, "closed 0\n", "")


def test_second_signal_exits_at_once() -> None:
    """CR-13"""
    with small_server(serve={"grace_seconds": 60.0}) as server, server.connect(SLOW.replace(b"1.5", b"60")):
        wait_until_running(server, 1)
        server.popen.send_signal(signal.SIGTERM)
        with contextlib.suppress(ConnectionError):
            while True:
                server.connect().close()
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while server.popen.poll() is None and time.monotonic() < deadline:  # on the heels of the first it is the first
            server.popen.send_signal(signal.SIGINT)
            time.sleep(0.05)
        code, out, _ = server.finish()
    assert (code, out) == (1, "")


def test_doubled_signal_counts_once_and_a_hangup_stops() -> None:
    """CR-13: wrappers pass on the Ctrl-C that a terminal has sent to everybody."""
    with small_server(serve={"grace_seconds": 60.0}) as server, server.connect(SLOW):
        wait_until_running(server, 1)
        server.popen.send_signal(signal.SIGINT)
        server.popen.send_signal(signal.SIGHUP)
        assert server.finish()[:2] == (0, "closed 1\n")


def test_stop_without_requests_is_fast() -> None:
    with small_server() as server:
        server.popen.send_signal(signal.SIGINT)
        assert server.finish() == (0, "closed 0\n", "")


def test_port_in_use_is_reported() -> None:
    with small_server() as first, small_server(serve={"port": first.port}) as second:
        code, out, err = second.finish()
    assert (code, out, err) == (1, "", f"127.0.0.1:{first.port} is in use\n")


def test_address_of_another_machine_is_reported() -> None:
    for host in ("192.0.2.1", "no such host"):
        with small_server(serve={"host": host}) as server:
            code, _, err = server.finish()
        assert (code, err) == (1, f"{host} is not an address of this machine\n")


def test_failing_start_raises_the_reason_and_serves_no_request() -> None:
    with small_server(broken=True) as server:
        code, out, err = server.finish()
    assert (code, out) == (1, "")
    assert err.endswith("RuntimeError: cannot start\n")


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_ipv6_host_works() -> None:
    with small_server(serve={"host": "::1"}) as server:
        assert server.url == f"http://[::1]:{server.port}"
        with socket.create_connection(("::1", server.port)) as client:
            client.sendall(b"GET /look HTTP/1.1\r\nHost: [::1]:1\r\nConnection: close\r\n\r\n")
            assert parse_responses(read_all(client))[0].json["client"][0] == "::1"
