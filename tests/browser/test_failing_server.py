"""Lines that are cut, slow, or gone, and clocks that are wrong: the page asks again under the same name, and what was
lost on the way is still there for whoever presses again (LR-02, LR-06).
"""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from between import Asked, Between, answered
from playwright.sync_api import BrowserContext, Page, expect
from untold import Untold
from visitors import events, receipt, result, says, seal, visit

from seclink import Client
from seclink.format.link import parse

PLAINTEXT = "meet me at the old mill"
CUTS = {"at once": 0, "after one byte": 1, "in the head": 100, "in the body": -100, "before the last byte": -1}


@pytest.fixture
def between(server: Any, watch: Any, untold: Untold) -> Iterator[Between]:
    """The page's own origin: its files come through it as well. What was really sent tells nothing either."""
    between = Between(server.url)
    watch.allow(between.url)
    watch.expect("net::ERR_", r"status of 50\d")
    yield between
    between.close()
    untold.check(each.whole.decode("latin-1") for each in between.asked)


def cut(between: Between, end: str, where: int, times: int) -> None:
    """Cut the first answers to such a path there; the server has done what it was asked for."""
    left = [None] * times

    def pieces(asked: Asked, raw: bytes) -> Iterator[bytes]:
        if asked.method != "POST" or not asked.path.endswith(end) or not left:
            yield raw
            return
        left.pop()
        yield raw[:where]

    between.pieces = pieces


def names(asked: list[Asked]) -> set[str]:
    return {each.headers["Idempotency-Key"] for each in asked}


def moved(between: Between, link: str) -> str:
    """The link as it is on this side of the line."""
    found = parse(link)
    return f"{between.url}/{found.link_id}#{found.fragment}"


@pytest.mark.parametrize("where", CUTS.values(), ids=CUTS)
def test_a_lost_answer_to_a_reveal_is_asked_for_again_and_spends_one_view(
    server: Any, python: Client, between: Between, page: Page, untold: Untold, where: int
) -> None:
    """LR-02, from the page."""
    made = python.create(PLAINTEXT, views=3)
    untold.add(made.link, None, PLAINTEXT)
    visit(page, moved(between, made.link))
    cut(between, "/reveal", where, times=1)
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(PLAINTEXT)
    asked = between.of("/reveal", "POST")
    assert [each.status for each in asked] == [200, 200]
    assert len(names(asked)) == 1
    assert receipt(server.url, made)["views"] == 1


@pytest.mark.parametrize("where", CUTS.values(), ids=CUTS)
def test_a_lost_answer_to_a_creation_makes_one_secret(
    python: Client, between: Between, page: Page, untold: Untold, where: int
) -> None:
    """LR-06, from the page: the link that is shown belongs to the only secret there is."""
    visit(page, between.url)
    cut(between, "/secrets", where, times=1)
    page.locator("#secret").fill(PLAINTEXT)
    page.locator("#create").click()
    link = untold.add(result(page).link, None, PLAINTEXT)
    asked = between.of("/secrets", "POST")
    assert [each.status for each in asked] == [201, 201]
    assert len(names(asked)) == len({each.body for each in asked}) == 1
    assert python.reveal(link).text == PLAINTEXT


def test_an_answer_that_is_lost_every_time_is_had_by_pressing_again(
    server: Any, python: Client, between: Between, page: Page, untold: Untold
) -> None:
    made = python.create(PLAINTEXT, password="told by phone")
    untold.add(made.link, "told by phone", PLAINTEXT)
    visit(page, moved(between, made.link))
    cut(between, "/reveal", -1, times=3)
    page.locator("#passcode").fill("told by phone")
    page.locator("#reveal").click()
    expect(page.locator("#problem")).to_have_text(says("offline.what"))
    assert receipt(server.url, made)["views"] == 1, "the server has done it, and the page could not know"
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(PLAINTEXT)
    assert len(names(between.of("/reveal", "POST"))) == 1
    assert events(server.url, made).count("revealed") == 1


def test_a_busy_server_is_waited_for(python: Client, between: Between, page: Page, untold: Untold) -> None:
    """Retry-After is kept to, and the question stays the same one."""
    made = python.create(PLAINTEXT)
    untold.add(made.link, None, PLAINTEXT)
    problem = json.dumps({"code": "busy"}).encode()
    refusals = iter([answered(503, problem, Retry_After="1"), answered(502, b"<html>")])
    between.answer = lambda asked: next(refusals, None) if asked.path.endswith("/reveal") else None
    visit(page, moved(between, made.link))
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(PLAINTEXT)
    asked = between.of("/reveal")
    assert ([each.status for each in asked], len(names(asked))) == ([503, 502, 200], 1)


@pytest.mark.parametrize("end", ["/meta", "/words.txt"])
def test_a_lost_look_is_repeated(python: Client, between: Between, page: Page, untold: Untold, end: str) -> None:
    lost = iter([None])

    def pieces(asked: Asked, raw: bytes) -> Iterator[bytes]:
        yield raw[: len(raw) // 2] if asked.path.endswith(end) and next(lost, 0) is None else raw

    between.pieces = pieces
    if end == "/meta":
        visit(page, moved(between, untold.add(python.create(PLAINTEXT).link, None, PLAINTEXT)))
        expect(page.locator("#reveal")).to_be_visible()
    else:
        made = seal(page, between.url, PLAINTEXT, passcode="words")
        untold.add(made.link, made.passcode, PLAINTEXT)
    assert len(between.of(end)) == 2


def test_an_endless_answer_is_given_up(python: Client, between: Between, page: Page, untold: Untold) -> None:
    """One byte a second for ever: half a minute a try, three tries, then the page says so."""
    stop = threading.Event()
    made = python.create(PLAINTEXT)
    untold.add(made.link, None, PLAINTEXT)

    def pieces(asked: Asked, raw: bytes) -> Iterator[bytes]:
        at = len(raw) if not asked.path.endswith("/meta") else raw.index(b"{") + 1
        yield raw[:at]
        while at < len(raw) and not stop.wait(1):
            at += 1
            yield raw[at - 1 : at]

    between.pieces = pieces
    page.clock.install()
    page.goto(moved(between, made.link))
    for tries in (1, 2, 3):
        between.wait(tries, "/meta")
        expect(page.locator("#waiting")).to_be_visible()
        page.clock.run_for(31_000)
        page.clock.run_for(1_000)  # the pause before the next try
    expect(page.locator("#notice p").first).to_have_text(says("offline.what"))
    stop.set()
    between.pieces = None
    page.locator("#notice button").click()
    expect(page.locator("#reveal")).to_be_visible()
    assert len(between.of("/meta")) == 4


def test_offline_before_the_press_and_online_again(
    server: Any, python: Client, context: BrowserContext, page: Page, watch: Any, untold: Untold
) -> None:
    watch.expect("net::ERR_")
    made = python.create(PLAINTEXT)
    visit(page, untold.add(made.link, None, PLAINTEXT))
    context.set_offline(True)
    page.locator("#reveal").click()
    expect(page.locator("#problem")).to_have_text(says("offline.what"))
    assert set(events(server.url, made)) == {"created", "peeked"}
    context.set_offline(False)
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(PLAINTEXT)


def test_offline_during_the_reveal_and_online_again(
    server: Any, python: Client, context: BrowserContext, between: Between, page: Page, untold: Untold
) -> None:
    """The server spent the view, the line went before the answer came; pressed again, it is there. One view."""
    made = python.create(PLAINTEXT, views=2)
    untold.add(made.link, None, PLAINTEXT)
    gone = threading.Event()

    def pieces(asked: Asked, raw: bytes) -> Iterator[bytes]:
        if asked.path.endswith("/reveal"):
            gone.wait(20)
            yield raw[:100]
        else:
            yield raw

    between.pieces = pieces
    visit(page, moved(between, made.link))
    page.locator("#reveal").click()
    between.wait(1, "/reveal")
    context.set_offline(True)
    gone.set()
    expect(page.locator("#problem")).to_have_text(says("offline.what"))
    between.pieces = None
    context.set_offline(False)
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text(PLAINTEXT)
    assert len(names(between.of("/reveal", "POST"))) == 1
    assert receipt(server.url, made)["views"] == 1


def test_offline_while_sealing_keeps_what_was_typed(
    server: Any, python: Client, context: BrowserContext, page: Page, watch: Any, untold: Untold
) -> None:
    watch.expect("net::ERR_")
    visit(page, server.url)
    page.locator("#secret").fill(PLAINTEXT)
    context.set_offline(True)
    page.locator("#create").click()
    expect(page.locator("#problem")).to_have_text(says("error.unreachable"))
    expect(page.locator("#secret")).to_have_value(PLAINTEXT)
    context.set_offline(False)
    page.locator("#create").click()
    assert python.reveal(untold.add(result(page).link, None, PLAINTEXT)).text == PLAINTEXT


@pytest.mark.parametrize("days", [-1, 1, -400])
def test_a_wrong_clock_changes_nothing(
    server: Any, context: BrowserContext, page: Page, untold: Untold, days: int
) -> None:
    """Times are the server's; what is left and whether it has ended is not worked out from the device's clock."""
    now = datetime.now(UTC)
    context.clock.install(time=now + timedelta(days=days))
    made = seal(page, server.url, PLAINTEXT, lifetime="3600")
    untold.add(made.link, None, PLAINTEXT)
    ends = datetime.fromtimestamp(
        httpx.get(f"{server.url}/api/v1/secrets/{made.link_id}/meta").json()["expiresAt"] / 1000, UTC
    )
    assert abs(ends - now - timedelta(hours=1)) < timedelta(minutes=5)
    reader = context.new_page()
    visit(reader, made.link)
    shown = reader.evaluate(
        "(ms) => new Intl.DateTimeFormat('en', {dateStyle: 'long'}).format(ms)", ends.timestamp() * 1000
    )
    expect(reader.locator("#expires")).to_contain_text(shown)
    reader.locator("#reveal").click()
    expect(reader.locator("#content pre")).to_have_text(PLAINTEXT)
    reader.goto(made.receipt_url)
    expect(reader.locator("#state")).to_have_text(says("state.revealed"))
