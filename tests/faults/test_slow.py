"""Clients that take their time, against the real server with shortened limits: IN-10, IN-11."""

import contextlib

import pytest
from sockets import (
    CHUNKED,
    POST,
    SmallServer,
    check_error_response,
    parse_responses,
    read_all,
    read_slowly,
    seconds_until_closed,
    seconds_until_reset,
    small_server,
)


def test_slow_heads_are_closed_while_others_are_served(server: SmallServer) -> None:
    """IN-10: silent, half a head, one byte at a time, empty lines."""
    kinds = {b"": b"", b"GET /slow-head HT": b"", b"GET / HTTP/1.1\r\nHost: x\r\nX: ": b"a", b"\r\n": b"\r\n"}
    for start, drip in kinds.items():
        clients = [server.connect(start) for _ in range(100)]
        with contextlib.ExitStack() as stack:
            for client in clients:
                stack.enter_context(client)
            assert server.get().status == 200
            assert seconds_until_closed(clients, drip) < 10
    assert server.seen("/slow-head") == 0


def test_connection_that_was_idle_longest_is_closed_for_a_new_one() -> None:
    """IN-10: silence cannot keep others out."""
    with small_server(limits={"connections": 20, "header_seconds": 60.0}) as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect()) for _ in range(60)]
        assert server.get().status == 200
        assert seconds_until_closed(clients[:40]) < 10
        assert server.get().status == 200


@pytest.mark.parametrize("head", [POST + b"Content-Length: 5000\r\n\r\n", CHUNKED])
def test_slow_body_gets_408_and_is_closed(server: SmallServer, head: bytes) -> None:
    """IN-11"""
    drip = b"1\r\na\r\n" if head is CHUNKED else b"a"
    before = server.get().json["tasks"]
    with server.connect(head) as silent, server.connect(head) as dripping:
        check_error_response(parse_responses(read_all(silent))[0], 408, "request_timeout")
        assert seconds_until_closed([dripping], drip) < 10
    assert server.get().json["tasks"] == before


def test_server_does_not_wait_for_the_rest_of_a_refused_body(server: SmallServer) -> None:
    """IN-11: the application answered without reading."""
    with server.connect(b"POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\nx") as client:
        [answer] = parse_responses(read_all(client))
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert seconds_until_closed([client], b"x") < 10


def test_unread_response_is_dropped(server: SmallServer) -> None:
    """IN-11"""
    request = b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n"
    states = [server.get().json]
    for _ in range(2):
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(server.connect(request, small_window=True)) for _ in range(5)]
            assert seconds_until_reset(clients) < 10
        states.append(server.get().json)
    assert {state["tasks"] for state in states} == {states[0]["tasks"]}
    assert states[-1]["rss"] - states[0]["rss"] < 30_000_000


def test_slow_reader_that_makes_progress_gets_everything() -> None:
    """IN-11: over several times the limit, of which the kernel, with megabytes in its hands, has nothing to say."""
    request = b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with small_server(limits={"write_seconds": 2.5}) as server, server.connect(request, small_window=True) as client:
        [answer] = parse_responses(read_slowly(client, 8))
    assert len(answer.body) == 10_000_000


def test_idle_connection_is_closed_and_empty_lines_do_not_keep_it() -> None:
    """IN-10"""
    head = b"GET /look HTTP/1.1\r\nHost: x\r\n\r\n"
    with small_server(limits={"idle_seconds": 1.0}) as server, server.connect(head) as client:
        assert seconds_until_closed([client], b"\r\n") < 10
