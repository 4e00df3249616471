"""Searches everything that a page sends or ever contained for what it must not."""

import base64
import hashlib
import json
from collections.abc import Iterable

from playwright.sync_api import BrowserContext, Page
from watch import Watch

from seclink.format import envelope
from seclink.format.link import key_of
from seclink.format.pasted_link import parse

# Records every text and attribute that was ever in the document, fields included.
REMEMBER = """
(() => {
  const held = [];
  const keep = (node) => {
    held.push(node.nodeType === 1 ? node.outerHTML : node.nodeValue ?? "");
    if (node.nodeType === 1) node.querySelectorAll("input, textarea").forEach((each) => held.push(each.value));
  };
  new MutationObserver((records) => {
    for (const { target, addedNodes } of records) {
      addedNodes.forEach(keep);
      if (target.nodeType === 3 || target.tagName) keep(target.nodeType === 3 ? target : target.cloneNode(false));
    }
  }).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  window.everHeld = () => [...held, document.documentElement?.outerHTML, JSON.stringify(history.state)].join("\\n");
})();
"""


def record_document(context: BrowserContext) -> None:
    context.add_init_script(REMEMBER)


def document_history(page: Page) -> str:
    """Return everything that was in the page's document since it was loaded."""
    return str(page.evaluate("window.everHeld()"))


class LeakCheck:
    """`add` secrets; `check` that no request contains one, in any encoding."""

    def __init__(self) -> None:
        self.forms: set[str] = set()

    def add(self, link: str, passcode: str | None = None, *texts: str) -> str:
        """Add the link's key, the passcode and the texts. Return the link."""
        fragment = parse(link).fragment
        key = key_of(fragment)
        for item in (key, envelope.derive(key, passcode).content_key):
            self._bytes(item)
        for text in (fragment, *filter(None, (passcode, *texts))):
            self.forms.add(text)
            self._bytes(text.encode())
            self._bytes(hashlib.sha256(text.encode()).digest())
        return link

    def check(self, sent_requests: Iterable[str]) -> None:
        whole = "\n".join(sent_requests)
        assert not [form for form in self.forms if form in whole], "a request contains a secret"

    def _bytes(self, data: bytes) -> None:
        self.forms.add(data.hex())
        for encoded in (base64.b64encode(data), base64.urlsafe_b64encode(data)):
            self.forms.add(encoded.decode().rstrip("="))


def sent_requests(watch: Watch) -> list[str]:
    """Return the pages' requests: URL, headers and body."""
    return [request.url + json.dumps(request.headers) + (request.post_data or "") for request in watch.requests]
