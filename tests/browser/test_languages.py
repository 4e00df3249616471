"""The language is the browser's, or the one that is chosen; what was typed or opened stays."""

from collections.abc import Callable

import pytest
from page_actions import LANGUAGES, choose, create, open_secret, reveal, text_of, texts, visit
from playwright.sync_api import BrowserContext, Page, expect
from support.server import Server
from watch import Watch

from seclink import Client

UNTRANSLATED = """(texts) => Array.from(document.querySelectorAll("[data-t]"))
  .filter((each) => !Object.values(texts).includes(each.textContent)).map((each) => each.outerHTML)"""
SPOKEN = [("en-GB", "en"), ("fr-CA", "fr"), ("pt-BR", "pt"), ("de-AT", "de"), ("ru", "ru"), ("ja-JP", "en")]


@pytest.mark.parametrize(("locale", "language"), SPOKEN)
def test_the_browser_chooses_the_language(
    make_context: Callable[..., BrowserContext], server: Server, locale: str, language: str
) -> None:
    page = make_context(locale=locale).new_page()
    visit(page, server.url)
    expect(page.locator("html")).to_have_attribute("lang", language)
    expect(page.locator("h1").filter(visible=True)).to_have_text(text_of("create.title", language))
    expect(page.locator("#language")).to_have_value(language)
    assert page.locator("#language option").all_inner_texts() == [
        texts(item)["language"] for item in ("en", *(item for item in LANGUAGES if item != "en"))
    ]


def test_every_page_follows_the_browser(
    make_context: Callable[..., BrowserContext], server: Server, python: Client, watch: Watch
) -> None:
    watch.expect("status of 404")
    page = make_context(locale="fr").new_page()
    created = python.create("x")
    visit(page, created.link)
    expect(page.locator("#reveal")).to_have_text(text_of("reveal.button", "fr"))
    visit(page, f"{server.url}/receipt/{created.receipt_id}#{created.manage_token}")
    expect(page.locator("h1").filter(visible=True)).to_have_text(text_of("receipt.waiting", "fr"))
    page.goto(f"{server.url}/no/such/page")
    expect(page.locator("h1")).to_have_text(text_of("missing.title", "fr"))
    expect(page.locator("html")).to_have_attribute("lang", "fr")


def test_switching_changes_all_words_and_nothing_that_was_typed(page: Page, server: Server) -> None:
    visit(page, server.url)
    typed = {"views": "5", "lifetime": "3600", "note": "note", "label": "label"}
    choose(page, **typed, kind="neogram", passcode="my own")
    page.locator("#secret").fill("typed")
    for language in LANGUAGES[::-1]:
        page.select_option("#language", language)
        expect(page.locator("html")).to_have_attribute("lang", language)
        expect(page.locator("#create span")).to_have_text(text_of("create.submit", language))
        expect(page.locator("#terms")).to_have_text(text_of("create.terms", language))
        expect(page.locator("#secret")).to_have_attribute("placeholder", texts(language)["create.placeholder"])
        expect(page.locator("#language")).to_have_attribute("aria-label", texts(language)["language.choose"])
        assert page.evaluate(UNTRANSLATED, texts(language)) == []
        assert {item: page.locator(f"#{item}").input_value() for item in typed} == typed
        expect(page.locator("#secret")).to_have_value("typed")
        expect(page.locator("#own-passcode")).to_have_value("my own")
        expect(page.locator("#neogram")).to_be_checked()


def test_switching_the_language_keeps_the_secret_and_the_result(page: Page, server: Server, python: Client) -> None:
    created = create(page, server.url, "x", views="2", passcode="words")
    page.select_option("#language", "fr")
    expect(page.locator("#copy")).to_have_text(text_of("result.copy", "fr"))
    expect(page.locator("#state")).to_have_text(text_of("state.active", "fr"))
    expect(page.locator("#message-language")).to_have_value("fr")
    expect(page.locator("#link")).to_have_value(created.link)
    expect(page.locator("#passcode")).to_have_text(str(created.passcode))
    assert open_secret(page, python.create("opened", views=2).link) == "opened"
    page.select_option("#language", "es")
    expect(page.locator("#remaining")).to_have_text(text_of("opened.left", "es"))
    expect(page.locator("#content pre")).to_have_text("opened")
    expect(page.locator("#content pre")).to_have_attribute("aria-label", texts("es")["opened.text"])
    assert "#" not in page.url


def test_notices_follow_the_language(page: Page, python: Client, watch: Watch) -> None:
    watch.expect("status of 410")
    created = python.create("x")
    python.reveal(created.link)
    visit(page, created.link)
    page.select_option("#language", "ru")
    expect(page.locator("#notice h1")).to_have_text(text_of("gone.revealed", "ru"))
    expect(page.locator("#notice p").nth(0)).to_have_text(text_of("gone.revealedWhat", "ru"))


def test_a_reload_speaks_the_language_that_was_chosen(page: Page, python: Client) -> None:
    created = python.create("x")
    visit(page, created.link)
    page.select_option("#language", "ru")
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    assert page.url.endswith("?lang=ru")
    page.reload()
    expect(page.locator("#reveal")).to_have_text(text_of("reveal.button", "ru"))
    page.locator("#reveal").click()
    expect(page.locator("#content pre")).to_have_text("x")


@pytest.mark.parametrize(
    ("language", "expected"),
    [("ru", {1: "1", 3: "few", 5: "many", 21: "one"}), ("pl", {1: "one", 2: "2", 3: "few", 5: "many", 22: "few"})],
)
def test_plurals_are_those_of_the_language(
    make_context: Callable[..., BrowserContext], python: Client, language: str, expected: dict[int, str]
) -> None:
    page = make_context(locale=language).new_page()
    forms = texts(language)["reveal.left"]
    for views, form in expected.items():
        visit(page, python.create("x", views=views).link)
        assert page.locator("#views-left").inner_text() == forms[form].replace("{count}", str(views))


def test_dates_and_durations_are_the_languages_own(page: Page, python: Client) -> None:
    created = python.create("x", views=2)
    reveal(page, created.link)
    for language, expected in (("en", "10 minutes"), ("ru", "10 минут"), ("es", "10 minutos"), ("pl", "10 minut")):
        page.select_option("#language", language)
        expect(page.locator("#countdown")).to_have_text(text_of("opened.wipesIn", language))
        expect(page.locator("#countdown")).to_contain_text(expected)
