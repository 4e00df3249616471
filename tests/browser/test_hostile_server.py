"""Servers that lie, fail, or are not SecLink, seen through http.js and the client module (PC-09)."""

import json
import re
from collections.abc import Callable
from typing import Any

import httpx
from other_origin import Site
from playwright.sync_api import Page, Route
from support.server import Server
from watch import Watch

from seclink import Client
from seclink.format import envelope
from seclink.format.link import key_of
from seclink.format.pasted_link import parse

Call = Callable[..., Any]

EXPOSED = {"Access-Control-Expose-Headers": "Retry-After"}


def answering(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Route], None]:
    def answer(route: Route) -> None:
        real = route.fetch()
        route.fulfill(response=real, json=change(real.json()))

    return answer


def proof(link: str) -> dict[str, str]:
    return {"access": envelope.derive(key_of(parse(link).fragment)).access}


def test_a_foreign_server_is_distinguished_from_an_unreachable_one(
    call: Call, site: Site, watch: Watch, foreign: Page
) -> None:
    site.pages["/api/v1/stats"] = "<h1>Welcome</h1>"
    assert call({"server": site.url}, "getStats")["error"]["code"] == "bad_answer"
    watch.expect("ERR_CONNECTION_REFUSED", "ERR_UNSAFE_PORT")
    watch.allow("http://127.0.0.1:1")
    error = call({"server": "http://127.0.0.1:1"}, "deleteSecret", "x" * 20)["error"]
    assert error["code"] == "unreachable"


def test_the_key_never_goes_where_a_link_points(
    call: Call, server: Server, python: Client, key: str, watch: Watch
) -> None:
    link = python.create("x").link
    assert call({"token": key, "server": server.url}, "revealSecret", link)["text"] == "x"
    bodies = [request.all_headers() for request in watch.requests if "/api/v1/secrets/" in request.url]
    assert bodies
    assert not any("authorization" in item for item in bodies)


def test_no_request_carries_fragment_passcode_or_text(call: Call, server: Server, watch: Watch) -> None:
    created = call({}, "createSecret", "in-the-clear", {"passcode": "told-by-phone"})
    call({}, "revealSecret", created["link"], {"passcode": "told-by-phone"})
    bodies = "".join(
        request.url + json.dumps(request.all_headers()) + (request.post_data or "") for request in watch.requests
    )
    for secret in (created["link"].split("#")[1], "in-the-clear", "told-by-phone"):
        assert secret not in bodies
    assert created["linkId"] in bodies


WRONG_META: tuple[tuple[dict[str, Any], str], ...] = (
    ({"passcodeRequired": False}, "passcode_required"),
    ({"format": "raw"}, "link_incomplete"),
    ({"expiresAt": 1e300}, "bad_answer"),
    ({"viewsLeft": "1"}, "bad_answer"),
    ({"publicNote": {"toString": "x"}}, "bad_answer"),
    ({"linkId": "<b>"}, "bad_answer"),
)


def test_wrong_meta_data_spends_nothing(call: Call, foreign: Page, python: Client) -> None:
    """PC-09: "there is no passcode", "it is somebody else's format", and answers that are none."""
    link = python.create("kept", password="right").link
    lie: dict[str, Any] = {}
    foreign.route("**/meta", answering(lambda answer: answer | lie))
    for lie, code in WRONG_META:
        assert call({}, "revealSecret", link)["error"]["code"] == code, lie
    foreign.unroute_all()
    assert call({}, "revealSecret", link, {"passcode": "right"})["text"] == "kept"


WRONG_ANSWERS: tuple[tuple[dict[str, Any], str | None], ...] = (
    ({"format": "raw"}, None),
    ({"encryptedBlob": "QUJD"}, "not_authentic"),
    ({"iv": "AAAAAAAAAAAAAAAA"}, "not_authentic"),
    ({"encryptedBlob": "QUI"}, "bad_answer"),
    ({"encryptedBlob": None}, "bad_answer"),
    ({"expiresAt": -1}, "bad_answer"),
)


def test_a_changed_answer_shows_nothing(call: Call, foreign: Page, python: Client) -> None:
    """PC-09: what does not authenticate is not shown; what the server says of the format does not matter."""
    lie: dict[str, Any] = {}
    foreign.route("**/reveal", answering(lambda answer: answer | lie))
    for lie, code in WRONG_ANSWERS:
        result = call({}, "revealSecret", python.create("kept").link)
        if code is None:
            assert result["text"] == "kept", lie
        else:
            assert result["error"]["code"] == code, lie
            assert (result["error"].get("spent") is not None) is (code == "not_authentic"), lie


def test_a_server_cannot_send_the_codes_of_the_client(call: Call, foreign: Page, python: Client) -> None:
    """Only a reader can tell that a link is cut off or a secret forged; a server that says so is not SecLink."""
    link = python.create("x").link
    headers = {"Access-Control-Allow-Origin": "*"}
    code: Any = None
    foreign.route("**/reveal", lambda route: route.fulfill(status=404, json={"code": code}, headers=headers))
    for code in ("link_incomplete", "unreachable", "not_authentic", "bad_answer", "<b>", 7, None):
        assert call({}, "revealSecret", link)["error"]["code"] == "bad_answer", code


def test_swapped_payloads_do_not_open(call: Call, foreign: Page, server: Server, python: Client) -> None:
    """PC-09: two secrets of one sender, the server mixes them up."""
    one, two = python.create("one").link, python.create("two", type="neogram").link
    other = httpx.post(f"{server.url}/api/v1/secrets/{two.split('/')[-1].split('#')[0]}/reveal", json=proof(two))
    foreign.route("**/reveal", answering(lambda _: other.json()))
    assert call({}, "revealSecret", one)["error"]["code"] == "not_authentic"


def test_a_lost_answer_is_fetched_again_under_the_same_name(
    call: Call, foreign: Page, server: Server, watch: Watch
) -> None:
    """The secret was spent when the answer was lost; the same Idempotency-Key gives it again. Creating likewise."""
    watch.expect("ERR_FAILED")
    names: dict[str, list[str]] = {"create": [], "reveal": []}

    def lose_the_first(route: Route) -> None:
        tries = names["reveal" if route.request.url.endswith("reveal") else "create"]
        tries.append(route.request.headers["idempotency-key"])
        real = route.fetch()
        route.abort() if len(tries) == 1 else route.fulfill(response=real)

    foreign.route(re.compile(r"/secrets(/\w+/reveal)?$"), lose_the_first)
    client = {"token": server.key(account="loses")}
    created = call(client, "createSecret", "once")
    assert call(client, "getStats")["totalSecrets"] == 1
    assert call({}, "revealSecret", created["link"])["text"] == "once"
    assert [len(item) for item in names.values()] == [2, 2]
    assert [len(set(name)) for name in names.values()] == [1, 1]


def test_a_busy_server_is_asked_again_and_a_limit_is_not(
    call: Call, foreign: Page, python: Client, watch: Watch
) -> None:
    watch.expect("status of 503")
    link = python.create("x").link
    answers = [(503, "busy", "1"), (200, "", ""), (429, "rate_limited", "2")]
    tries: list[int] = []

    def answer(route: Route) -> None:
        status, code, wait = answers[min(len(tries), 2)]
        tries.append(status)
        if status == 200:
            route.continue_()
        else:
            headers = {"Retry-After": wait, "Access-Control-Allow-Origin": "*", **EXPOSED}
            route.fulfill(status=status, json={"code": code}, headers=headers)

    foreign.route("**/reveal", answer)
    assert call({}, "revealSecret", link)["text"] == "x"
    refused = call({}, "revealSecret", python.create("y").link)["error"]
    assert (refused["code"], refused["retryAfter"]) == ("rate_limited", 2)
    assert tries == [503, 200, 429]
