"""ONE-07: everything that can happen to a secret, in any order and with restarts, against a model.

The application runs in this process with its real store and a clock that is set by hand.
"""

import asyncio
import shutil
import tempfile
from pathlib import Path
from typing import Any

import httpx
from api_client import create_request, payload_of
from fault_injection import LONG
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from msgspec import Struct
from support.appliance import loaded_assets
from support.server import HIGH_RATES

from seclink.config import parser as configuration
from seclink.daemon.app import build
from seclink.domain.clock import Clock
from seclink.store.sqlite import SqliteStore
from seclink.telemetry.log import Log

START = 1_800_000_000.0
DAY = 86_400
QUIET = HIGH_RATES + '[log]\nlevel = "error"\n'


class Model(Struct):
    """The expected state of one secret."""

    payload: bytes
    expires_at: int
    left: int | None
    views: int = 0
    state: str = "active"
    manage: str = ""
    receipt: str = ""

    def at(self, now: int) -> str:
        if self.state == "active" and now >= self.expires_at:
            self.state = "expired"
        return self.state


class OneTime(RuleBasedStateMachine):
    links = Bundle("links")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        self.seconds = 0.0
        self.models: dict[str, Model] = {}
        self.up()

    def up(self) -> None:
        settings = configuration.parse(QUIET, "test.toml")
        path = self.folder / "seclink.db"
        self.store = self.loop.run(SqliteStore.open(path, keep_seconds=365 * DAY, max_bytes=2**30))
        mark = self.loop.run(self.store.last_seen_at())
        self.clock = Clock(mark, wall=lambda: START + self.seconds, monotonic=lambda: self.seconds)
        gate = build(settings, loaded_assets(QUIET), self.store, Log(settings.log), self.clock).app
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(gate),
            base_url="http://localhost:8080/api/v1",
        )

    def ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        async def once() -> httpx.Response:
            return await self.http.request(method, path, **more)

        answer = self.loop.run(once())
        assert answer.status_code < 500, answer.text
        return answer

    @property
    def now(self) -> int:
        return self.clock.now()

    @rule(
        target=links,
        payload=st.binary(min_size=1, max_size=64),
        kind=st.sampled_from(["view_once", "1hour", "24hours", "7days"]),
        views=st.one_of(st.none(), st.integers(1, 4)),
    )
    def create(self, payload: bytes, kind: str, views: int | None) -> str:
        more = {} if views is None else {"maxViews": views}
        receipt = self.ask("POST", "/secrets", json={**create_request(payload), "expiryType": kind, **more}).json()
        hours = {"view_once": 168, "1hour": 1, "24hours": 24, "7days": 168}[kind]
        assert receipt["expiresAt"] == self.now + hours * 3_600_000
        left = views or (1 if kind == "view_once" else None)
        assert receipt["maxViews"] == left
        self.models[receipt["linkId"]] = Model(
            payload, receipt["expiresAt"], left, manage=receipt["manageToken"], receipt=receipt["receiptId"]
        )
        link_id: str = receipt["linkId"]
        return link_id

    @rule(link=links)
    def peek(self, link: str) -> None:
        model = self.models[link]
        response = self.ask("GET", f"/secrets/{link}/meta")
        self.check_gone(model, response)

    @rule(link=links, by_post=st.booleans(), count=st.integers(1, 3))
    def reveal(self, link: str, by_post: bool, count: int) -> None:
        """One, two or three at the same moment."""
        model = self.models[link]
        method, path = ("POST", f"/secrets/{link}/reveal") if by_post else ("GET", f"/secrets/{link}")

        async def together() -> list[httpx.Response]:
            return await asyncio.gather(*(self.http.request(method, path) for _ in range(count)))

        responses = sorted(self.loop.run(together()), key=lambda answer: answer.status_code)
        for answer in responses:
            if model.at(self.now) != "active":
                self.check_gone(model, answer)
                continue
            assert answer.status_code == 200, answer.text
            assert payload_of(answer.json()) == model.payload
            model.views += 1
            if model.left is not None:
                model.left -= 1
                if not model.left:
                    model.state = "revealed"

    @rule(link=links)
    def burn(self, link: str) -> None:
        model = self.models[link]
        response = self.ask("DELETE", f"/receipts/{model.receipt}", headers={"SecLink-Manage": model.manage})
        if model.at(self.now) == "active":
            assert response.status_code == 204, response.text
            model.state = "burned"
        else:
            self.check_gone(model, response)

    @rule(
        link=links,
        payload=st.one_of(st.none(), st.binary(min_size=1, max_size=64)),
        views=st.one_of(st.none(), st.integers(1, 4)),
        expires_in=st.one_of(st.none(), st.integers(60, 7 * DAY)),
    )
    def replace(self, link: str, payload: bytes | None, views: int | None, expires_in: int | None) -> None:
        model = self.models[link]
        changes: dict[str, Any] = {}
        if payload is not None:
            changes |= {name: create_request(payload)[name] for name in ("encryptedBlob", "iv")}
        if views is not None:
            changes["maxViews"] = views
        if expires_in is not None:
            changes["expiresIn"] = expires_in
        response = self.ask(
            "PATCH", f"/receipts/{model.receipt}", json=changes, headers={"SecLink-Manage": model.manage}
        )
        if not changes and response.status_code == 400:
            return
        if model.at(self.now) != "active":
            assert response.status_code == 409, response.text
        elif views is not None and views <= model.views:
            assert response.status_code == 400, response.text
        else:
            assert response.status_code == 200, response.text
            model.payload = payload or model.payload
            model.left = model.left if views is None else views - model.views
            model.expires_at = model.expires_at if expires_in is None else self.now + expires_in * 1000

    @rule(seconds=st.sampled_from([1, 59, 3_600, DAY, 3 * DAY]))
    def wait(self, seconds: int) -> None:
        self.seconds += seconds

    @rule(limit=st.integers(1, 300))
    def reap(self, limit: int) -> None:
        self.loop.run(self.store.reap(self.now, limit))

    @rule()
    def restart(self) -> None:
        self.down()
        self.up()

    @invariant()
    def receipts_tell_what_happened(self) -> None:
        for model in self.models.values():
            told = self.ask("GET", f"/receipts/{model.receipt}", headers={"SecLink-Manage": model.manage}).json()
            assert (told["state"], told["views"]) == (model.at(self.now), model.views)
            endings = [each["type"] for each in told["events"] if each["type"] in ("revealed", "burned", "expired")]
            assert endings.count("burned") + endings.count("expired") == (model.state in ("burned", "expired"))

    def check_gone(self, model: Model, response: httpx.Response) -> None:
        state = model.at(self.now)
        assert response.status_code == (200 if state == "active" else 410), response.text
        if state != "active":
            assert response.json()["state"] == state

    def down(self) -> None:
        self.loop.run(self.http.aclose())
        self.loop.run(asyncio.sleep(0))
        self.loop.run(self.store.close())

    def teardown(self) -> None:
        self.down()
        self.loop.close()
        data = b"".join(path.read_bytes() for path in self.folder.iterdir())
        assert data
        shutil.rmtree(self.folder)


OneTime.TestCase.settings = settings(
    max_examples=500 if LONG else 15,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    print_blob=True,
)
test_model_and_server_agree_whatever_the_order = OneTime.TestCase
