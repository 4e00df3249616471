"""Lines that are cut, slow, or gone, and clocks that are wrong: the page asks again under the same name, and what was
lost on the way is still there for whoever presses again (LR-02, LR-06).
"""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from leak_check import LeakCheck
from page_actions import create, events, receipt, result, text_of, visit
from playwright.sync_api import BrowserContext, Page, expect
from proxy import ProxiedRequest, Proxy, http_response
from support.server import Server
from support.waiting import TIMEOUT_SECONDS
from watch import Watch

from seclink import Client
from seclink.format.pasted_link import parse

PLAINTEXT = "meet me at the old mill"
CUTS = {"at once": 0, "after one byte": 1, "in the head": 100, "in the body": -100, "before the last byte": -1}


@pytest.fixture
def proxy(server: Server, watch: Watch, leak_check: LeakCheck) -> Iterator[Proxy]:
    """The page's own origin: its files come through it as well. What was really sent tells nothing either."""
    proxy = Proxy(server.url)
    watch.allow(proxy.url)
    watch.expect("net::ERR_", r"status of 50\d")
    yield proxy
    proxy.close()
    leak_check.check(item.whole.decode("latin-1") for item in proxy.requests)


def cut(proxy: Proxy, end: str, where: int, times: int) -> None:
    """Cut the first answers to such a path there; the server has done what it was asked for."""
    remaining = [None] * times

    def pieces(request: ProxiedRequest, raw: bytes) -> Iterator[bytes]:
        if request.method != "POST" or not request.path.endswith(end) or not remaining:
            yield raw
            return
        remaining.pop()
        yield raw[:where]

    proxy.pieces = pieces


def names(requests: list[ProxiedRequest]) -> set[str]:
    return {item.headers["Idempotency-Key"] for item in requests}


def moved(proxy: Proxy, link: str) -> str:
    """The link as it is on this side of the line."""
    match = parse(link)
    return f"{proxy.url}/{match.link_id}#{match.fragment}"


def test_a_lost_answer_to_a_reveal_is_asked_for_again_and_spends_one_view(
    server: Server, python: Client, proxy: Proxy, page: Page, leak_check: LeakCheck
) -> None:
    """LR-02, from the page."""
    for name, where in CUTS.items():
        created = python.create(PLAINTEXT, views=3)
        leak_check.add(created.link, None, PLAINTEXT)
        visit(page, moved(proxy, created.link))
        cut(proxy, "/reveal", where, times=1)
        page.locator("#reveal").click()
        expect(page.locator("#content pre"), name).to_have_text(PLAINTEXT)
        requests = proxy.of(f"{created.link_id}/reveal", "POST")
        assert [item.status for item in requests] == [200, 200], name
        assert len(names(requests)) == 1, name
        assert receipt(server.url, created)["views"] == 1, name


def test_a_lost_answer_to_a_creation_makes_one_secret(
    python: Client, proxy: Proxy, page: Page, leak_check: LeakCheck
) -> None:
    """LR-06, from the page: the link that is shown belongs to the only secret there is."""
    visit(page, proxy.url)
    for at, (name, where) in enumerate(CUTS.items()):
        cut(proxy, "/secrets", where, times=1)
        page.locator("#secret").fill(PLAINTEXT)
        page.locator("#create").click()
        link = leak_check.add(result(page).link, None, PLAINTEXT)
        requests = proxy.of("/secrets", "POST")[2 * at :]
        assert [value.status for value in requests] == [201, 201], name
        assert len(names(requests)) == len({item.body for item in requests}) == 1, name
        assert python.reveal(link).text == PLAINTEXT, name
        page.locator("#another").click()


def test_an_answer_that_is_lost_every_time_is_had_by_pressing_again(
    server: Server, python: Client, proxy: Proxy, page: Page, leak_check: LeakCheck
) -> None:
    created = python.create(PLAINTEXT, password="told by phone")
    leak_check.add(created.link, "told by phone", PLAINTEXT)
    visit(page, moved(proxy, created.link))
    cut(proxy, "/reveal", -1, times=3)
    page.locator("#passcode").fill("told by phone")
    page.locator("#reveal").click()
    expect(page.locator("#problem")).to_have_text(text_of("offline.what"))
    assert receipt(server.url, created)["views"] == 1, "the server has done it, and the page could not know"
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(PLAINTEXT)
    assert len(names(proxy.of("/reveal", "POST"))) == 1
    assert events(server.url, created).count("revealed") == 1


def test_a_busy_server_is_waited_for(python: Client, proxy: Proxy, page: Page, leak_check: LeakCheck) -> None:
    """Retry-After is kept to, and the question stays the same one."""
    created = python.create(PLAINTEXT)
    leak_check.add(created.link, None, PLAINTEXT)
    problem = json.dumps({"code": "busy"}).encode()
    refusals = iter([http_response(503, problem, Retry_After="1"), http_response(502, b"<html>")])
    proxy.answer = lambda request: next(refusals, None) if request.path.endswith("/reveal") else None
    visit(page, moved(proxy, created.link))
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(PLAINTEXT)
    requests = proxy.of("/reveal")
    assert ([item.status for item in requests], len(names(requests))) == ([503, 502, 200], 1)


@pytest.mark.parametrize("end", ["/meta", "/words/en.txt"])
def test_a_lost_peek_is_repeated(python: Client, proxy: Proxy, page: Page, leak_check: LeakCheck, end: str) -> None:
    lost = iter([None])

    def pieces(request: ProxiedRequest, raw: bytes) -> Iterator[bytes]:
        yield raw[: len(raw) // 2] if request.path.endswith(end) and next(lost, 0) is None else raw

    proxy.pieces = pieces
    if end == "/meta":
        visit(page, moved(proxy, leak_check.add(python.create(PLAINTEXT).link, None, PLAINTEXT)))
        expect(page.locator("#reveal")).to_be_visible()
    else:
        created = create(page, proxy.url, PLAINTEXT, passcode="words")
        leak_check.add(created.link, created.passcode, PLAINTEXT)
    assert len(proxy.of(end)) == 2


def test_an_endless_answer_is_given_up(python: Client, proxy: Proxy, page: Page, leak_check: LeakCheck) -> None:
    """One byte a second for ever: half a minute a try, three tries, then the page says so."""
    stop = threading.Event()
    created = python.create(PLAINTEXT)
    leak_check.add(created.link, None, PLAINTEXT)

    def pieces(request: ProxiedRequest, raw: bytes) -> Iterator[bytes]:
        at = len(raw) if not request.path.endswith("/meta") else raw.index(b"{") + 1
        yield raw[:at]
        while at < len(raw) and not stop.wait(1):
            at += 1
            yield raw[at - 1 : at]

    proxy.pieces = pieces
    page.clock.install()
    page.goto(moved(proxy, created.link))
    for tries in (1, 2, 3):
        proxy.wait(tries, "/meta")
        expect(page.locator("#waiting")).to_be_visible()
        page.clock.run_for(31_000)
        page.clock.run_for(1_000)  # the pause before the next try
    expect(page.locator("#notice p").first).to_have_text(text_of("offline.what"))
    stop.set()
    proxy.pieces = None
    page.locator("#notice button").click()
    expect(page.locator("#reveal")).to_be_visible()
    assert len(proxy.of("/meta")) == 4


def test_offline_before_the_press_and_online_again(
    server: Server, python: Client, context: BrowserContext, page: Page, watch: Watch, leak_check: LeakCheck
) -> None:
    watch.expect("net::ERR_")
    created = python.create(PLAINTEXT)
    visit(page, leak_check.add(created.link, None, PLAINTEXT))
    context.set_offline(True)
    page.locator("#reveal").click()
    expect(page.locator("#problem")).to_have_text(text_of("offline.what"))
    assert set(events(server.url, created)) == {"created", "peeked"}
    context.set_offline(False)
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(PLAINTEXT)


def test_offline_during_the_reveal_and_online_again(
    server: Server, python: Client, context: BrowserContext, proxy: Proxy, page: Page, leak_check: LeakCheck
) -> None:
    """The server spent the view, the line went before the answer came; pressed again, it is there. One view."""
    created = python.create(PLAINTEXT, views=2)
    leak_check.add(created.link, None, PLAINTEXT)
    gone = threading.Event()

    def pieces(request: ProxiedRequest, raw: bytes) -> Iterator[bytes]:
        if request.path.endswith("/reveal"):
            gone.wait(TIMEOUT_SECONDS)
            yield raw[:100]
        else:
            yield raw

    proxy.pieces = pieces
    visit(page, moved(proxy, created.link))
    page.locator("#reveal").click()
    proxy.wait(1, "/reveal")
    context.set_offline(True)
    gone.set()
    expect(page.locator("#problem")).to_have_text(text_of("offline.what"))
    proxy.pieces = None
    context.set_offline(False)
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(PLAINTEXT)
    assert len(names(proxy.of("/reveal", "POST"))) == 1
    assert receipt(server.url, created)["views"] == 1


def test_offline_while_creating_keeps_the_form(
    server: Server, python: Client, context: BrowserContext, page: Page, watch: Watch, leak_check: LeakCheck
) -> None:
    watch.expect("net::ERR_")
    visit(page, server.url)
    with page.expect_response("**/qr.js"):  # the last part of the result
        page.locator("#secret").fill(PLAINTEXT)
    context.set_offline(True)
    page.locator("#create").click()
    expect(page.locator("#problem")).to_have_text(text_of("error.unreachable"))
    expect(page.locator("#secret")).to_have_value(PLAINTEXT)
    context.set_offline(False)
    page.locator("#create").click()
    assert python.reveal(leak_check.add(result(page).link, None, PLAINTEXT)).text == PLAINTEXT


@pytest.mark.parametrize("days", [-1, 1, -400])
def test_a_wrong_clock_changes_nothing(
    server: Server, context: BrowserContext, page: Page, leak_check: LeakCheck, days: int
) -> None:
    """Times are the server's; what is left and whether it has ended is not worked out from the device's clock."""
    now = datetime.now(UTC)
    context.clock.install(time=now + timedelta(days=days))
    created = create(page, server.url, PLAINTEXT, lifetime="3600")
    leak_check.add(created.link, None, PLAINTEXT)
    ends = datetime.fromtimestamp(
        httpx.get(f"{server.url}/api/v1/secrets/{created.link_id}/meta").json()["expiresAt"] / 1000, UTC
    )
    assert abs(ends - now - timedelta(hours=1)) < timedelta(minutes=5)
    reader = context.new_page()
    visit(reader, created.link)
    shown = reader.evaluate(
        "(ms) => new Intl.DateTimeFormat('en', {dateStyle: 'long'}).format(ms)", ends.timestamp() * 1000
    )
    expect(reader.locator("#expires")).to_contain_text(shown)
    reader.locator("#reveal").click()
    expect(reader.locator("#content pre")).to_have_text(PLAINTEXT)
    reader.goto(created.receipt_url)
    expect(reader.locator("#state")).to_have_text(text_of("state.revealed"))
