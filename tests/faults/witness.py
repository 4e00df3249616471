"""Clients that note what they were told, and what must therefore be true at any instant of a recording."""

import asyncio
import base64
import hashlib
import itertools
import re
import time
from pathlib import Path
from typing import Any, NamedTuple

from appliances import Api, body, is_whole

from seclink.errors import StoreUnusable
from seclink.store.sqlite import SqliteStore

RIGHT, WRONG = (hashlib.sha256(word).hexdigest() for word in (b"right", b"wrong"))
TRIES = 5
START = b"a payload of ours"  # how each mark begins, so that one search finds them all
MARK_BYTES = 32
numbers = itertools.count()


def mark_of(*what: object) -> bytes:
    return START + hashlib.sha256(repr(what).encode()).digest()[: MARK_BYTES - len(START)]


def marks_in(data: bytes) -> set[bytes]:
    """Every mark that stands anywhere, in whatever order its payload was kept."""
    return set(re.findall(re.escape(START) + b".{%d}" % (MARK_BYTES - len(START)), data, re.DOTALL))


class Done(NamedTuple):
    """What was asked about a secret and told in `answer`; it cannot have been asked before the answer `after`."""

    verb: str  # create, view, burn, change, guess
    secret: str
    told: Any
    answer: str
    after: str


class Client:
    """Does one thing after the other and notes the ids of the answers, by which the recording knows them."""

    def __init__(self, server: Any) -> None:
        self.server, self.api = server, Api(server)
        self.done, self.last = list[Done](), ""

    def ask(self, verb: str, secret: str, told: Any, method: str, path: str, status: int, **more: Any) -> Any:
        answer = self.api.http.request(method, path, **more)
        assert answer.status_code == status, answer.text
        said = answer.json() if answer.content else {}
        request_id = answer.headers["X-Request-Id"]
        self.done.append(Done(verb, secret or said["linkId"], told, request_id, self.last))
        self.last = request_id
        return said

    def create(self, size: int = 100, views: int = 1, guard: str | None = None) -> dict[str, Any]:
        mark = mark_of(next(numbers))
        said = body(mark * (size // MARK_BYTES), maxViews=views, passcodeHash=guard)
        made = self.ask("create", "", (mark, views, guard is not None), "POST", "/secrets", 201, json=said)
        return {**made, "mark": mark}

    def view(self, made: dict[str, Any]) -> None:
        said = self.ask("view", made["linkId"], None, "GET", f"/secrets/{made['linkId']}", 200)
        assert base64.b64decode(said["encryptedBlob"])[:MARK_BYTES] == made["mark"]

    def burn(self, made: dict[str, Any]) -> None:
        self.manage("burn", made, None, "DELETE", 204)

    def change(self, made: dict[str, Any]) -> None:
        mark = mark_of(made["mark"])
        said = {name: body(mark * 40)[name] for name in ("encryptedBlob", "iv")}
        self.manage("change", made, mark, "PATCH", 200, json=said)
        made["mark"] = mark

    def manage(self, verb: str, made: dict[str, Any], told: Any, method: str, status: int, **more: Any) -> None:
        headers = {"SecLink-Manage": made["manageToken"]}
        self.ask(verb, made["linkId"], told, method, f"/receipts/{made['receiptId']}", status, headers=headers, **more)

    def guess(self, made: dict[str, Any], left: int) -> None:
        path, headers = f"/secrets/{made['linkId']}", {"SecLink-Passcode": WRONG}
        said = self.ask("guess", made["linkId"], left, "GET", path, 401, headers=headers)
        assert said["attemptsLeft"] == left

    def work(self) -> None:
        """One of each, large and small; some stay, so that what ends has neighbours."""
        changed, viewed, burned, twice = self.create(), self.create(20_000), self.create(3000), self.create(views=2)
        self.view(viewed)
        self.burn(burned)
        self.view(twice)
        self.change(changed)
        guarded = self.create(guard=RIGHT)
        self.guess(guarded, TRIES - 1)
        self.create(20_000)
        self.view(changed)
        self.view(self.create())


class Secret:
    """How many views are left, `fewest` to `most`, of a payload with one of the `marks`; those `gone` are nowhere."""

    def __init__(self, mark: bytes, views: int, is_guarded: bool) -> None:
        self.marks, self.gone = [mark], list[bytes]()
        self.fewest = self.most = views
        self.is_guarded, self.tries = is_guarded, TRIES

    def take(self, done: Done, is_told: bool) -> None:
        match done.verb:
            case "view":
                self.fewest, self.most = self.fewest - 1, self.most - is_told
            case "burn":
                self.fewest, self.most = 0, 0 if is_told else self.most
            case "change":
                self.gone += self.marks if is_told else []
                self.marks = [done.told] if is_told else [*self.marks, done.told]
            case "guess" if is_told:
                self.tries = done.told
        self.gone += self.marks if not self.most else []


def known(done: list[Done], places: dict[str, int], now: int) -> dict[str, Secret]:
    """The secrets somebody was told of until `now`; `places` says when each answer left."""
    secrets: dict[str, Secret] = {}
    for each in done:
        is_told = places[each.answer] <= now
        if each.verb == "create" and is_told:
            secrets[each.secret] = Secret(*each.told)
        elif each.verb != "create" and each.secret in secrets and places[each.after] <= now:
            secrets[each.secret].take(each, is_told)
    return secrets


async def faults_of(path: Path, secrets: dict[str, Secret]) -> set[str]:
    try:
        store = await SqliteStore.open(path, keep_seconds=86400, max_bytes=2**30)
    except StoreUnusable as error:
        return {str(error)}
    try:
        views = await asyncio.gather(*(views_of(store, link_id, secret) for link_id, secret in secrets.items()))
    finally:
        await store.close()
    left = marks_in(path.read_bytes())  # noqa: ASYNC240
    traces = {"trace left" for each in secrets.values() if not left.isdisjoint(each.gone)}
    return set().union(*views, traces, () if is_whole(path) else {"damaged"})


async def views_of(store: SqliteStore, link_id: str, secret: Secret) -> set[str]:
    """Take all the views there are, and compare."""
    now = time.time_ns() // 1_000_000
    if secret.is_guarded:
        left = await store.attempts_left(link_id, "127.0.0.1", now)
        return {"lost"} if not left else {"tries back"} if left > secret.tries else set()
    claimed = [each for each in [await store.claim(link_id, now) for _ in range(secret.most + 1)] if each]
    faults = {"other payload" for each in claimed if each.payload[:MARK_BYTES] not in secret.marks}
    faults |= {"lost"} if len(claimed) < secret.fewest else set()
    return faults | ({"came back"} if len(claimed) > secret.most else set())
