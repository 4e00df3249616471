"""What must never be told or shown: looked for in everything a page sends, and in everything it ever held."""

import base64
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from playwright.sync_api import BrowserContext, Page

from seclink.format import envelope
from seclink.format.link import key_of, parse

# Every text and attribute that was in the document for a moment, fields included.
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


def remember(context: BrowserContext) -> None:
    context.add_init_script(REMEMBER)


def ever_held(page: Page) -> str:
    """Everything that was in the page's document since it was loaded."""
    return str(page.evaluate("window.everHeld()"))


class Untold:
    """`add` what is a secret; `check` that no request told any of it, in any of the forms it may have."""

    def __init__(self) -> None:
        self.forms: set[str] = set()

    def add(self, link: str, passcode: str | None = None, *texts: str) -> str:
        """The link, for going on with it."""
        fragment = parse(link).fragment
        key = key_of(fragment)
        for each in (key, envelope.derive(key, passcode).content_key):
            self._bytes(each)
        for text in (fragment, *filter(None, (passcode, *texts))):
            self.forms.add(text)
            self._bytes(text.encode())
            self._bytes(hashlib.sha256(text.encode()).digest())
        return link

    def check(self, sent: Iterable[str]) -> None:
        whole = "\n".join(sent)
        assert not [each for each in self.forms if each in whole], "a request told what it must not"

    def _bytes(self, data: bytes) -> None:
        self.forms.add(data.hex())
        for encoded in (base64.b64encode(data), base64.urlsafe_b64encode(data)):
            self.forms.add(encoded.decode().rstrip("="))


def sent(watch: Any) -> list[str]:
    """The requests that pages made, whole."""
    return [each.url + json.dumps(each.headers) + (each.post_data or "") for each in watch.requests]
