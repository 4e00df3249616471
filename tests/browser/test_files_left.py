"""What the reader's page says of files that are still on the server once their secret is opened, burned or wiped."""

from file_secrets import create_with_files, with_pickers
from page_actions import reveal, text_of
from playwright.sync_api import BrowserContext, Page, expect
from support.server import Server

FILES = [("a.txt", b""), ("b.txt", bytes(1000))]


def test_files_that_are_still_on_the_server_are_not_said_to_be_erased(
    page: Page, context: BrowserContext, server: Server
) -> None:
    with_pickers(context)
    reveal(page, create_with_files(server.url, FILES).link)
    expect(page.locator("#remaining")).to_have_text(text_of("opened.lastOneFiles"))
    expect(page.locator(".files li .hint").first).to_have_text("0 bytes")
    page.locator("#wipe").click()
    expect(page.locator("#notice p").nth(1)).to_have_text(text_of("wiped.files"))
    reveal(page, create_with_files(server.url, FILES).link)
    expect(page.locator("#status")).to_be_hidden()
    expect(page.locator("#countdown")).to_be_hidden()  # the page stays while files can still be saved
    page.locator("[data-t='files.done']").dblclick()
    expect(page.locator("#status")).to_have_text(text_of("files.allSaved"))
    expect(page.locator("#remaining")).to_be_hidden()  # there is no text to save
    expect(page.locator("#countdown")).to_have_text(text_of("opened.wipesIn"))
    page.locator("#wipe").click()
    expect(page.locator("#notice p").nth(1)).to_have_text(text_of("wiped.gone"))


def test_burning_by_a_reader_leaves_the_files_it_can_still_save(
    page: Page, context: BrowserContext, server: Server
) -> None:
    with_pickers(context)
    reveal(page, create_with_files(server.url, FILES, views=2).link)
    expect(page.locator("#remaining")).to_have_text(text_of("opened.left"))
    page.locator("#burn").dblclick()
    expect(page.locator("#remaining")).to_have_text(text_of("opened.lastOneFiles"))
