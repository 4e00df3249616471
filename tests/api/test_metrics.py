"""`/metrics`: who gets to see it, that its numbers are right, and that they tell of nobody."""

import re
import socket
from typing import Any

import httpx
import pytest
from api_helpers import ACCESS, ACCESS_HASH, RIGHT, WRONG, bearer, body, check_problem, create, manage, reveal
from prometheus_client.parser import text_string_to_metric_families
from support.appliance import Appliance, MakeAppliance
from support.ports import free_port
from support.server import MakeServer
from test_log_lines import canaries, check_silent, everything

from seclink.config.dialects import DIALECTS
from seclink.daemon.app import build
from seclink.domain.policy import FORMATS
from seclink.errors import BY_CODE
from seclink.telemetry.log import Log
from seclink.web.metrics_collector import MetricsCollector

pytestmark = pytest.mark.anyio

RATES = '[rates]\ncreate = "10000/hour"\nreveal = "10000/hour"\npeek = "10000/hour"\n'
ON = f"{RATES}[metrics]\nenabled = true\n"
URL = "http://localhost:8080/metrics"
LABELS = {"format", "state", "code", "rate", "api", "operation", "le", "part", "version", "python", "store"}


async def scrape(appliance: Appliance) -> str:
    answer = await appliance.http.get(URL, headers=bearer(await appliance.key("watcher", "metrics")))
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def read(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """name -> label values -> value, as Prometheus' own parser understands them."""
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return found


# Who gets to see it


async def test_metrics_are_off_unless_wanted(appliance: Appliance) -> None:
    """Then the address is like any other at which there is nothing, whatever key comes along."""
    for headers in ({}, bearer(await appliance.key("acme", "admin")), bearer(await appliance.key("acme", "metrics"))):
        unknown, metrics = [
            await appliance.http.get(f"http://localhost:8080/{path}", headers=headers) for path in ("metrix", "metrics")
        ]
        check_problem(metrics, 404, "not_found")
        strip = re.compile("[0-9a-f]{16}")
        assert strip.sub("", metrics.text) == strip.sub("", unknown.text)


@pytest.mark.parametrize(
    ("scopes", "status"),
    [(None, 401), (("create",), 403), (("create", "manage"), 403), (("admin",), 200), (("metrics",), 200)],
)
async def test_metrics_answer_keys_of_two_scopes(make_appliance: MakeAppliance, scopes: Any, status: int) -> None:
    appliance = await make_appliance(ON)
    headers = bearer(await appliance.key("acme", *scopes)) if scopes else {}
    answer = await appliance.http.get(URL, headers=headers)
    assert answer.status_code == status
    assert ("seclink_build_info" in answer.text) is (status == 200)


async def test_bad_and_revoked_keys_see_nothing_and_are_counted(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance(f'[rates]\npeek = "3/hour"\n{ON.removeprefix(RATES)}')
    key = await appliance.key("acme", "metrics")
    await appliance.store.revoke_keys(key[:14], appliance.clock.now())
    for given in (key, "sk_live_" + "x" * 38, ""):
        check_problem(await appliance.http.get(URL, headers=bearer(given)), 401, "key_invalid")
    check_problem(await appliance.http.get(URL), 429, "rate_limited")


async def test_exposition_is_for_scrapers_alone(make_appliance: MakeAppliance) -> None:
    """Its type is Prometheus' own; scripts of other sites cannot read it, and nothing keeps it."""
    appliance = await make_appliance(ON)
    key = await appliance.key("acme", "metrics")
    answer = await appliance.http.get(URL, headers=bearer(key) | {"Origin": "https://elsewhere.example"})
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in answer.headers
    assert (await appliance.http.post(URL, headers=bearer(key))).status_code == 405


# What it tells


async def test_every_number_is_right_after_a_day_of_everything(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance(ON)
    http = appliance.http
    for _ in range(3):
        await reveal(http, await create(http))
    twice = await create(http, maxViews=2, expiryType="1hour", format="seclink/v1", accessHash=ACCESS_HASH)
    await reveal(http, twice, access=ACCESS)
    await reveal(http, twice, access=ACCESS[:-1])
    for each in (await create(http), await create(http, format="seclink/v1")):
        await http.delete(f"/receipts/{each['receiptId']}", headers=manage(each))
    read_and_burned = await create(http, accessHash=ACCESS_HASH)
    await http.post(f"/secrets/{read_and_burned['linkId']}/burn", json={"access": ACCESS})
    locked = await create(http, passcodeHash=RIGHT, expiryType="7days")
    await reveal(http, locked, passcode=WRONG)
    await http.post(f"/secrets/{locked['linkId']}/report", json={"reason": "spam"})
    await create(http, expiryType="1hour")
    appliance.clock.move(4000)
    assert await appliance.store.reap(appliance.clock.now(), 100) == 2
    await http.get("/secrets/nothing-here/meta")
    await http.get("http://localhost:8080/no/page")
    found = read(await scrape(appliance))
    events = ("created", "revealed", "burned", "expired", "reported")
    assert [found[f"seclink_secrets_{event}_total"][("raw",)] for event in events] == [7, 3, 2, 1, 1]
    assert [found[f"seclink_secrets_{event}_total"][("seclink/v1",)] for event in events] == [2, 1, 1, 1, 0]
    states = {key: value for key, value in found["seclink_secrets"].items() if value}
    assert states == {
        ("raw", "active"): 1, ("raw", "revealed"): 3, ("raw", "burned"): 2, ("raw", "expired"): 1,
        ("seclink/v1", "burned"): 1, ("seclink/v1", "expired"): 1,
    }  # fmt: skip
    refusals = {code: count for (code,), count in found["seclink_refusals_total"].items()}
    assert refusals == {"access_denied": 1, "passcode_wrong": 1, "not_found": 2}
    assert found["seclink_request_seconds_count"][("v1", "create_secret")] == 9
    assert found["seclink_request_seconds_count"][("v1", "burn_secret")] == 3
    assert found["seclink_passcode_seconds_count"][()] == 2
    assert found["seclink_commit_writes_sum"][()] >= found["seclink_commit_writes_count"][()] > 20
    assert found["seclink_commit_writes_count"] == found["seclink_commit_seconds_count"]
    assert found["seclink_database_limit_bytes"][()] == appliance.config.store.max_bytes
    assert found["seclink_database_bytes"][()] >= found["seclink_database_used_bytes"][()] > 8192
    assert found["process_open_fds"][()] > 5


async def test_secret_past_its_time_counts_as_expired_and_the_reaper_as_late(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance(ON)
    await create(appliance.http, expiryType="1hour")
    appliance.clock.move(3600 + 90)
    found = read(await scrape(appliance))
    assert (found["seclink_secrets"]["raw", "expired"], found["seclink_secrets"]["raw", "active"]) == (1, 0)
    assert found["seclink_reaper_lag_seconds"][()] == 90


async def test_rates_that_refuse_are_told_by_their_names(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance(
        f'[rates]\ncreate = "2/hour"\nkey = "4/hour"\n[limits]\nclient_bytes = 1024\n{ON.removeprefix(RATES)}'
    )
    http, key = appliance.http, await appliance.key("acme")
    assert (await http.post("/secrets", json=body(encryptedBlob="eHh4" * 341))).status_code == 201
    assert (await http.post("/secrets", json=body(encryptedBlob="eHh4" * 341))).status_code == 429
    for _ in range(2):
        assert (await http.post("/secrets", json=body())).status_code == 429
    for _ in range(5):
        await http.get("/stats", headers=bearer(key))
    found = read(await scrape(appliance))
    assert found["seclink_rate_limited_total"] == {("bytes",): 1, ("create",): 2, ("key",): 1}
    assert found["seclink_refusals_total"][("rate_limited",)] == 4


async def test_a_store_that_fails_is_said_to_and_the_rest_is_told_all_the_same(make_appliance: MakeAppliance) -> None:
    appliance, metrics = await make_appliance(), MetricsCollector()
    build(appliance.config, appliance.store, Log(appliance.config.log, appliance.log), appliance.clock, metrics)
    assert "seclink_secrets" in read((await metrics.text()).decode())
    await appliance.store.close()
    appliance.clock.move(2)
    found = read((await metrics.text()).decode())
    assert found["seclink_ready"][("store",)] == 0
    assert found["seclink_secrets_created_total"][("raw",)] == 0
    assert "seclink_secrets" not in found


# That it tells of nobody


async def test_metrics_tell_of_no_secret_person_address_account_or_key(make_appliance: MakeAppliance) -> None:
    """LOG-01: after every flow, right and wrong, with a canary in every place that can hold a secret."""
    appliance = await make_appliance(ON)
    words = canaries()
    words |= await everything(appliance, words)
    text = await scrape(appliance)
    words |= {"account": "acme", "watcher": "watcher", "address": "192.0.2", "host": "localhost", "file": ".db"}
    check_silent(text, words)
    assert "seclink_secrets_created_total" in text


async def test_labels_are_of_closed_sets_whatever_was_asked(make_appliance: MakeAppliance) -> None:
    """A hostile caller cannot make the exposition grow."""
    appliance = await make_appliance(ON)
    await everything(appliance, canaries())
    before = await scrape(appliance)
    for n in range(50):
        await appliance.http.get(f"/secrets/hostile-{n}/meta")
        await appliance.http.get(f"/hostile-{n}")
        await appliance.http.get(f"http://localhost:8080/{n}?hostile={n}", headers={"Host": f"hostile-{n}"})
        await appliance.http.request(f"HOSTILE{n}", f"/secrets/{n}")
        await appliance.http.post("/secrets", json=body(format=f"hostile-{n}"))
    after = await scrape(appliance)
    assert "hostile" not in after.lower()
    assert after.count("\n") < before.count("\n") + 60  # codes and operations that were new
    samples = [sample for family in text_string_to_metric_families(after) for sample in family.samples]
    assert {label for sample in samples for label in sample.labels} <= LABELS
    assert {sample.labels["code"] for sample in samples if "code" in sample.labels} <= set(BY_CODE)
    assert {sample.labels["format"] for sample in samples if "format" in sample.labels} == set(FORMATS)
    apis = {"v1", *(row.name for row in DIALECTS)}
    assert {sample.labels["api"] for sample in samples if "api" in sample.labels} <= apis


async def test_names_and_units_are_as_prometheus_wants_them(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance(ON)
    await everything(appliance, canaries())
    families = list(text_string_to_metric_families(await scrape(appliance)))
    assert len({family.name for family in families}) == len(families) > 20
    for family in families:
        assert family.name.startswith(("seclink_", "process_")), family.name
        assert family.documentation.endswith("."), family.name
        assert not re.search("milli|micro|minutes|hours|kib|percent", family.name)
        for sample in family.samples:
            assert (sample.name.endswith("_total")) is (family.type == "counter"), sample.name


# An address of its own


def test_own_address_answers_anybody_and_has_nothing_else(make_server: MakeServer) -> None:
    port = free_port()
    server = make_server(f'[metrics]\nlisten = "127.0.0.1:{port}"\n').start()
    own = httpx.Client(base_url=f"http://127.0.0.1:{port}")
    assert "seclink_build_info" in own.get("/metrics").text
    assert "seclink_build_info" in own.get("/metrics", headers={"Host": "secrets.internal:9464"}).text
    head = own.head("/metrics")
    assert (head.status_code, head.content) == (200, b"")
    assert own.get("/healthz").json() == {"status": "alive"}
    assert own.get("/readyz").json() == {"status": "ready"}
    for path in ("/", "/api/v1/secrets", "/metrics/", "/METRICS"):
        assert own.get(path).status_code == 404, path
    assert own.post("/metrics").status_code == 405
    assert httpx.get(f"{server.url}/metrics").status_code == 404
    assert server.stop() == 0


def test_own_address_that_is_taken_stops_the_start(make_server: MakeServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        server = make_server(f'[metrics]\nlisten = "127.0.0.1:{port}"\n')
        server.start(wait=False)
        assert server.process.wait(20) == 1
    assert f"metrics.listen: 127.0.0.1:{port} is in use" in server.log()
    assert "Traceback" not in server.log()
