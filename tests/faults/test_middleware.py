"""Hostile requests against the real server: IN-01, IN-09, IN-13, IN-14, IN-15, and what answers carry."""

import contextlib

import pytest
from sockets import (
    CHUNKED,
    POST,
    SECURITY,
    SmallServer,
    check_error_response,
    check_security_headers,
    parse_responses,
    read_all,
    small_server,
)
from support.waiting import TIMEOUT_SECONDS

MOST = 1_000_000
BURN = b"GET /burn HTTP/1.1\r\nHost: x\r\n\r\n"


def test_body_at_the_limit_is_accepted(server: SmallServer) -> None:
    """IN-01"""
    [answer] = server.ask(POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % MOST + b"x" * MOST)
    assert answer.json["body"] == MOST


@pytest.mark.parametrize("size", [MOST + 1, 11_000_000, 1_000_000_000, 10**18])
def test_content_length_over_the_limit_is_refused_before_the_body(server: SmallServer, size: int) -> None:
    """IN-01: 413 before the first byte of the body was sent, and without calling the application."""
    before = server.seen("/big-body")
    with server.connect(b"POST /big-body HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size) as client:
        [answer] = parse_responses(read_all(client))
    check_error_response(answer, 413, "payload_too_large")
    assert server.seen("/big-body") == before == 0


def test_client_that_sends_its_whole_oversize_body_still_reads_the_error(server: SmallServer) -> None:
    """IN-01: a plain close would reset the connection over the unread bytes."""
    with server.connect(POST + b"Content-Length: 11000000\r\n\r\n") as client:
        client.sendall(b"x" * 11_000_000)
        [answer] = parse_responses(read_all(client))
    check_error_response(answer, 413, "payload_too_large")


def test_expectation_over_the_limit_gets_no_100_continue(server: SmallServer) -> None:
    """IN-01"""
    with server.connect(POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (MOST + 1)) as client:
        [answer] = parse_responses(read_all(client))
    check_error_response(answer, 413, "payload_too_large")


def test_chunks_over_the_limit_are_refused(server: SmallServer) -> None:
    """IN-01"""
    with server.connect(CHUNKED) as client:
        for _ in range(20):
            client.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        [answer] = parse_responses(read_all(client))
    check_error_response(answer, 413, "payload_too_large")


@pytest.mark.parametrize(
    "piece", [b"10000\r\n" + b"x" * 65536 + b"\r\n", b"1;" + b"e" * 65536, b"0\r\nx: " + b"t" * 65536]
)
def test_endless_body_is_cut_off_and_memory_stays_flat(server: SmallServer, piece: bytes) -> None:
    """IN-01: chunks, a chunk extension, a trailer; all endless."""
    server.get()
    before = server.get().json["rss"]
    for _ in range(5):
        with server.connect(CHUNKED) as client, contextlib.suppress(ConnectionError):
            client.sendall(piece)
            for _ in range(1000):
                client.sendall(piece if piece.endswith(b"\r\n") else piece[-65536:])
            pytest.fail("64 MB were taken")
    assert server.get().json["rss"] - before < 30_000_000


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 500\r\n",
        b"Content-Length: 0\r\nContent-Length: 34\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length: +5\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x5\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: identity\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding : chunked\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding: \x0bchunked\r\nContent-Length: 5\r\n",
        b"X: folded\r\n Content-Length: 5\r\n",
        b"X: a\rContent-Length: 5\r\n",
        b"X: a\x00b\r\n",
        b"X: a\nContent-Length: 5\r\n",
        b"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n",
    ],
)
def test_ambiguous_request_is_refused_and_no_request_after_it_runs(server: SmallServer, head: bytes) -> None:
    """IN-09"""
    with server.connect(POST + head + b"\r\n0\r\n\r\n" + BURN) as client:
        responses = parse_responses(read_all(client))
    assert [answer.status for answer in responses] == [400]
    check_error_response(responses[0], 400, "bad_request")
    assert server.seen("/burn") == 0


@pytest.mark.parametrize(
    "request_line", [b"GET http://evil/burn HTTP/1.1", b"GET /burn", b"GET /burn HTTP/3.7", b"GET /burn x HTTP/1.1"]
)
def test_odd_request_line_is_refused(server: SmallServer, request_line: bytes) -> None:
    """IN-09"""
    with server.connect(request_line + b"\r\nHost: x\r\n\r\n") as client:
        check_error_response(parse_responses(read_all(client))[0], 400, "bad_request")
    assert server.seen("/burn") == 0


def test_malformed_chunk_ends_the_request(server: SmallServer) -> None:
    """IN-09"""
    for chunk in (b"+0\r\n\r\n", b"0\n\n", b"fffffffffffffffff1\r\nA\r\n", b"zz\r\n"):
        with server.connect(CHUNKED + chunk + BURN) as client:
            assert parse_responses(read_all(client))[0].status == 400
    assert server.seen("/burn") == 0


def test_request_after_an_upgrade_does_not_run(server: SmallServer) -> None:
    """IN-09"""
    head = b"GET /look HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n"
    [answer] = server.ask(head + BURN)
    assert answer.headers["connection"] == "close"
    assert server.seen("/burn") == 0


def test_pipelined_requests_are_served_in_order_and_a_flood_is_not(server: SmallServer) -> None:
    """IN-09"""
    ask = b"GET /pipe HTTP/1.1\r\nHost: x\r\n\r\n"
    with server.connect(ask * 5) as client:
        client.settimeout(TIMEOUT_SECONDS)
        data = b""
        while data.count(b"HTTP/1.1 200") < 5:
            data += client.recv(65536)
    with server.connect(ask * 2000) as client:
        assert read_all(client).count(b"HTTP/1.1 200") < 100
    assert server.seen("/pipe") < 100


def test_garbage_after_a_request_does_not_cost_its_response(server: SmallServer) -> None:
    """IN-09: the request was complete and is executed; an error would make its sender retry it."""
    with server.connect(b"GET /slow?0.3 HTTP/1.1\r\nHost: x\r\n\r\n\x00\x01\x02 garbage\r\n\r\n" + BURN) as client:
        [answer] = parse_responses(read_all(client))
    assert answer.status == 200
    assert server.seen("/burn") == 0


def test_trailers_do_not_become_headers(server: SmallServer) -> None:
    """IN-09: bytes after the body have not been checked."""
    body = b"1\r\nA\r\n0\r\nAuthorization: Bearer late\r\nConnection: close\r\n\r\n"
    with server.connect(POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + body) as client:
        [answer] = parse_responses(read_all(client))
    assert "authorization" not in dict(answer.json["headers"])


@pytest.mark.parametrize(
    "lines", [b"", b"Host: x\r\nHost: x\r\n", b"Host:\r\n", b"Host: a b\r\n", b"Host: a/../b\r\n", b"Host: x:99x\r\n"]
)
def test_host_must_be_sent_once_and_be_a_name(server: SmallServer, lines: bytes) -> None:
    """IN-13"""
    [answer] = server.ask(b"GET /look HTTP/1.1\r\n" + lines + b"\r\n")
    check_error_response(answer, 400, "unknown_host")


def test_only_allowed_hosts_are_served() -> None:
    """IN-13: port and case do not matter, and no forwarded header helps."""
    with small_server(web={"allowed_hosts": ["secrets.example.org", "[::1]"]}) as server:
        for host in (b"secrets.example.org", b"SECRETS.example.ORG:8443", b"secrets.example.org.", b"[::1]:8080"):
            assert server.ask(b"GET /look HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n" % host)[0].status == 200
        for host in (b"evil.example", b"127.0.0.1", b"x.secrets.example.org", b"secrets.example.org@evil", b"[::2]"):
            head = b"GET /look HTTP/1.1\r\nHost: %s\r\nX-Forwarded-Host: secrets.example.org\r\n\r\n" % host
            check_error_response(server.ask(head)[0], 400, "unknown_host")


def test_client_address_is_the_peer_despite_headers(server: SmallServer) -> None:
    """IN-13: admission decides which proxies are trusted, not the server."""
    head = b"GET /look HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"
    assert server.ask(head)[0].json["client"][0] == "127.0.0.1"


@pytest.mark.parametrize(
    "lines",
    [
        b"X: " + b"a" * 17_000 + b"\r\n",
        b"X: " + b"a" * 200_000 + b"\r\n",
        b"X: " + b"a" * 1_000_000 + b"\r\n",
        b"".join(b"X%d: y\r\n" % n for n in range(101)),
        b"".join(b"X%d: y\r\n" % n for n in range(1000)),
    ],
)
def test_header_bomb_is_refused(server: SmallServer, lines: bytes) -> None:
    """IN-14"""
    [answer] = server.ask(b"GET /bomb HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n")
    check_error_response(answer, 431, "headers_too_large")
    assert server.seen("/bomb") == 0


def test_endless_head_is_cut_off(server: SmallServer) -> None:
    """IN-14"""
    with server.connect(b"GET /bomb HTTP/1.1\r\nHost: x\r\nX: ") as client, contextlib.suppress(ConnectionError):
        for _ in range(1000):
            client.sendall(b"a" * 65536)
        pytest.fail("64 MB of head were taken")
    assert server.seen("/bomb") == 0


def test_long_target_is_refused(server: SmallServer) -> None:
    """IN-14"""
    check_error_response(
        server.ask(b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")[0], 431, "headers_too_large"
    )


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND", "BREW", "get"])
def test_other_methods_are_refused_with_allow(server: SmallServer, method: str) -> None:
    """IN-15"""
    [answer] = server.ask(f"{method} /look HTTP/1.1\r\nHost: x\r\nX-Probe: echo-me\r\n\r\n".encode())
    check_error_response(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    assert b"echo-me" not in answer.body


def test_connect_to_an_authority_is_refused(server: SmallServer) -> None:
    """IN-15"""
    check_error_response(server.ask(b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n")[0], 405, "method_not_allowed")


def test_response_has_security_headers_and_our_request_id(server: SmallServer) -> None:
    head = b"GET /look HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: theirs\r\n\r\n"
    first, second = server.ask(head)[0], server.ask(head)[0]
    check_security_headers(first)
    assert first.headers["x-request-id"] == first.json["request"]
    assert len({first.headers["x-request-id"], second.headers["x-request-id"], "theirs"}) == 3


def test_application_keeps_its_own_headers_and_adds_late_ones(server: SmallServer) -> None:
    response = server.get("/page")
    assert response.headers["content-security-policy"] == "default-src 'self'"
    assert response.headers["cache-control"] == "max-age=60"
    assert response.headers["ratelimit"] == "r=1"
    assert response.headers["x-frame-options"] == SECURITY["x-frame-options"]


def test_escaped_error_becomes_a_500_without_details(server: SmallServer) -> None:
    """IN-16"""
    response = server.get("/boom")
    check_error_response(response, 500, "internal")
    assert b"shadow" not in response.body


def test_error_after_half_a_response_closes_the_connection(server: SmallServer) -> None:
    with server.connect(b"GET /half HTTP/1.1\r\nHost: x\r\n\r\n") as client:
        data = read_all(client)
    assert b"half" in data
    assert not data.endswith(b"0\r\n\r\n")


def test_requests_over_the_limit_get_503() -> None:
    with small_server(web={"max_requests": 2}) as server:
        ask = b"GET /slow?2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        with server.connect(ask) as first, server.connect(ask) as second:
            while True:
                response = server.get("/look")
                if response.status == 503:
                    break
            check_error_response(response, 503, "busy")
            assert response.headers["retry-after"] == "1"
            assert [parse_responses(read_all(each))[0].status for each in (first, second)] == [200, 200]
        assert server.get().status == 200


def test_disconnect_does_not_stop_the_application(server: SmallServer) -> None:
    """A disconnect must not leave a claim half done."""
    before = server.seen("/slow done")
    server.connect(b"GET /slow?0.3 HTTP/1.1\r\nHost: x\r\n\r\n").close()
    while server.seen("/slow done") == before:
        assert server.popen.poll() is None
