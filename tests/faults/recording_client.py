"""Clients that record their acknowledged actions, and the state that must therefore hold at any instant."""

import asyncio
import base64
import hashlib
import itertools
import re
import time
from pathlib import Path
from typing import Any, NamedTuple

from api_client import ApiClient, create_request
from database_files import is_intact
from support.server import Server

from seclink.errors import StoreUnusable
from seclink.store.sqlite import SqliteStore

RIGHT_PASSCODE, WRONG_PASSCODE = (hashlib.sha256(word).hexdigest() for word in (b"right", b"wrong"))
MAX_ATTEMPTS = 5
MARKER_START = b"a payload of ours"  # common to all markers, so that one search finds them
MARKER_BYTES = 32
numbers = itertools.count()


def marker(*what: object) -> bytes:
    return MARKER_START + hashlib.sha256(repr(what).encode()).digest()[: MARKER_BYTES - len(MARKER_START)]


def find_markers(data: bytes) -> set[bytes]:
    """Return every marker in the data."""
    return set(re.findall(re.escape(MARKER_START) + b".{%d}" % (MARKER_BYTES - len(MARKER_START)), data, re.DOTALL))


class Action(NamedTuple):
    """One request about a secret. `response` is the request id of its response, `previous` that of the response before,
    after which it was sent. `detail` is what the verb needs: marker, views and guard, a marker, or attempts left.
    """

    verb: str  # create, view, burn, change, guess
    secret: str
    detail: Any
    response: str
    previous: str


class RecordingClient:
    """Sends one request after the other and records the request ids, which identify responses in a strace log."""

    def __init__(self, server: Server) -> None:
        self.server, self.api = server, ApiClient(server)
        self.actions, self.last = list[Action](), ""

    def ask(self, verb: str, secret: str, detail: Any, method: str, path: str, status: int, **options: Any) -> Any:
        response = self.api.http.request(method, path, **options)
        assert response.status_code == status, response.text
        content = response.json() if response.content else {}
        request_id = response.headers["X-Request-Id"]
        self.actions.append(Action(verb, secret or content["linkId"], detail, request_id, self.last))
        self.last = request_id
        return content

    def create(self, size: int = 100, views: int = 1, guard: str | None = None) -> dict[str, Any]:
        mark = marker(next(numbers))
        request = create_request(mark * (size // MARKER_BYTES), maxViews=views, passcodeHash=guard)
        receipt = self.ask("create", "", (mark, views, guard is not None), "POST", "/secrets", 201, json=request)
        return {**receipt, "mark": mark}

    def view(self, receipt: dict[str, Any]) -> None:
        revealed = self.ask("view", receipt["linkId"], None, "GET", f"/secrets/{receipt['linkId']}", 200)
        assert base64.b64decode(revealed["encryptedBlob"])[:MARKER_BYTES] == receipt["mark"]

    def burn(self, receipt: dict[str, Any]) -> None:
        self.manage("burn", receipt, None, "DELETE", 204)

    def change(self, receipt: dict[str, Any]) -> None:
        mark = marker(receipt["mark"])
        envelope = {name: create_request(mark * 40)[name] for name in ("encryptedBlob", "iv")}
        self.manage("change", receipt, mark, "PATCH", 200, json=envelope)
        receipt["mark"] = mark

    def manage(self, verb: str, receipt: dict[str, Any], detail: Any, method: str, status: int, **options: Any) -> None:
        path, headers = f"/receipts/{receipt['receiptId']}", {"SecLink-Manage": receipt["manageToken"]}
        self.ask(verb, receipt["linkId"], detail, method, path, status, headers=headers, **options)

    def guess(self, receipt: dict[str, Any], attempts_left: int) -> None:
        path, headers = f"/secrets/{receipt['linkId']}", {"SecLink-Passcode": WRONG_PASSCODE}
        problem = self.ask("guess", receipt["linkId"], attempts_left, "GET", path, 401, headers=headers)
        assert problem["attemptsLeft"] == attempts_left

    def work(self) -> None:
        """Do everything once, with large and small secrets; some stay active as neighbours of those that end."""
        changed, viewed, burned, twice = self.create(), self.create(20_000), self.create(3000), self.create(views=2)
        self.view(viewed)
        self.burn(burned)
        self.view(twice)
        self.change(changed)
        guarded = self.create(guard=RIGHT_PASSCODE)
        self.guess(guarded, MAX_ATTEMPTS - 1)
        self.create(20_000)
        self.view(changed)
        self.view(self.create())


class ExpectedSecret:
    """A secret that has `min_views` to `max_views` left, and a payload with one of the `markers`; `erased` markers must
    not be on the disk.
    """

    def __init__(self, mark: bytes, views: int, is_guarded: bool) -> None:
        self.markers, self.erased = [mark], list[bytes]()
        self.min_views = self.max_views = views
        self.is_guarded, self.attempts_left = is_guarded, MAX_ATTEMPTS

    def apply(self, action: Action, is_acknowledged: bool) -> None:
        """Apply an action that was sent; without a response, it may or may not have had an effect."""
        match action.verb:
            case "view":
                self.min_views, self.max_views = self.min_views - 1, self.max_views - is_acknowledged
            case "burn":
                self.min_views, self.max_views = 0, 0 if is_acknowledged else self.max_views
            case "change":
                self.erased += self.markers if is_acknowledged else []
                self.markers = [action.detail] if is_acknowledged else [*self.markers, action.detail]
            case "guess" if is_acknowledged:
                self.attempts_left = action.detail
        self.erased += self.markers if not self.max_views else []


def expected_secrets(actions: list[Action], responded_at: dict[str, int], now: int) -> dict[str, ExpectedSecret]:
    """Return the secrets that a client knows of at `now`; `responded_at` maps request ids to instants."""
    secrets: dict[str, ExpectedSecret] = {}
    for action in actions:
        is_acknowledged = responded_at[action.response] <= now
        if action.verb == "create" and is_acknowledged:
            secrets[action.secret] = ExpectedSecret(*action.detail)
        elif action.verb != "create" and action.secret in secrets and responded_at[action.previous] <= now:
            secrets[action.secret].apply(action, is_acknowledged)
    return secrets


async def find_faults(path: Path, secrets: dict[str, ExpectedSecret]) -> set[str]:
    """Return how the database differs from the expected secrets."""
    try:
        store = await SqliteStore.open(path, keep_seconds=86400, max_bytes=2**30)
    except StoreUnusable as error:
        return {str(error)}
    try:
        views = await asyncio.gather(*(check_views(store, link_id, secret) for link_id, secret in secrets.items()))
    finally:
        await store.close()
    markers = find_markers(path.read_bytes())  # noqa: ASYNC240
    remains = {"not erased" for secret in secrets.values() if not markers.isdisjoint(secret.erased)}
    return set().union(*views, remains, () if is_intact(path) else {"damaged"})


async def check_views(store: SqliteStore, link_id: str, secret: ExpectedSecret) -> set[str]:
    """Take all views of a secret and compare their number and payload, or compare its passcode attempts."""
    now = time.time_ns() // 1_000_000
    if secret.is_guarded:
        attempts_left = await store.attempts_left(link_id, "127.0.0.1", now)
        return {"lost"} if not attempts_left else {"attempts back"} if attempts_left > secret.attempts_left else set()
    claims = [await store.claim(link_id, now) for _ in range(secret.max_views + 1)]
    views = [claim for claim in claims if claim]
    faults = {"other payload" for view in views if view.payload[:MARKER_BYTES] not in secret.markers}
    faults |= {"lost"} if len(views) < secret.min_views else set()
    return faults | ({"came back"} if len(views) > secret.max_views else set())
