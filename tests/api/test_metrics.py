"""`/metrics`: who may read it, that its numbers are right, and that they identify no person."""

import re
import socket
from typing import Any

import httpx
import pytest
from api_helpers import ACCESS, ACCESS_HASH, RIGHT, WRONG, bearer, body, check_problem, create, manage, reveal
from file_helpers import begin, content, create_with_files, download, granted, reveal_files
from prometheus_client.parser import text_string_to_metric_families
from support.appliance import Appliance, MakeAppliance, loaded_assets
from support.ports import free_port
from support.server import HIGH_RATES, MakeServer
from support.waiting import TIMEOUT_SECONDS
from test_log_lines import canaries, check_no_canaries, run_every_flow

from seclink.config.dialects import DIALECTS
from seclink.daemon.app import build
from seclink.domain import uploads
from seclink.domain.policy import FORMATS
from seclink.errors import BY_CODE
from seclink.telemetry.log import Log
from seclink.web.metrics_collector import MetricsCollector

pytestmark = pytest.mark.anyio

RATES = '[rates]\ncreate = "10000/hour"\nreveal = "10000/hour"\npeek = "10000/hour"\n'
ON = f"{RATES}[metrics]\nenabled = true\n"
URL = "http://localhost:8080/metrics"
FILES = {
    "files_reserved_bytes": 1000 + 5000 - 2 * 28,
    "files_limit_bytes": 10_000_000,
    "files_stored_bytes": 1000,
    "files_missing_bytes": 5000,
    "uploads": 2,
    "uploads_unfinished": 1,
    "grants": 1,
    "files_written_bytes_total": 1000,
    "files_read_bytes_total": 1000,
}
LABELS = {"format", "state", "code", "rate", "api", "operation", "le", "part", "version", "python", "store"}


async def scrape(appliance: Appliance) -> str:
    response = await appliance.http.get(URL, headers=bearer(await appliance.key("watcher", "metrics")))
    assert response.status_code == 200, response.text
    return str(response.text)


def read(text: str) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the values by metric name and label values, as read by Prometheus' own parser."""
    values: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            values.setdefault(sample.name, {})[tuple(sample.labels.values())] = sample.value
    return values


# Who may read it


async def test_metrics_are_off_by_default(appliance: Appliance) -> None:
    """The response is that of any unknown path, with every key."""
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
async def test_metrics_need_a_key_with_one_of_two_scopes(
    make_appliance: MakeAppliance, scopes: Any, status: int
) -> None:
    appliance = await make_appliance(ON)
    headers = bearer(await appliance.key("acme", *scopes)) if scopes else {}
    response = await appliance.http.get(URL, headers=headers)
    assert response.status_code == status
    assert ("seclink_build_info" in response.text) is (status == 200)


async def test_requests_with_bad_or_revoked_keys_are_rejected_and_rate_limited(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance(f'[rates]\npeek = "3/hour"\n{ON.removeprefix(RATES)}')
    key = await appliance.key("acme", "metrics")
    await appliance.store.revoke_keys(key[:14], appliance.clock.now())
    for invalid_key in (key, "sk_live_" + "x" * 38, ""):
        check_problem(await appliance.http.get(URL, headers=bearer(invalid_key)), 401, "key_invalid")
    check_problem(await appliance.http.get(URL), 429, "rate_limited")


async def test_exposition_is_not_for_scripts_or_caches(make_appliance: MakeAppliance) -> None:
    """It has Prometheus' media type; scripts of other sites cannot read it, and nothing may store it."""
    appliance = await make_appliance(ON)
    key = await appliance.key("acme", "metrics")
    response = await appliance.http.get(URL, headers=bearer(key) | {"Origin": "https://elsewhere.example"})
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in response.headers
    assert (await appliance.http.post(URL, headers=bearer(key))).status_code == 405


# The numbers


async def test_every_number_is_right_after_all_kinds_of_events(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance(ON)
    http = appliance.http
    for _ in range(3):
        await reveal(http, await create(http))
    twice = await create(http, maxViews=2, expiryType="1hour", format="seclink/v1", accessHash=ACCESS_HASH)
    await reveal(http, twice, access=ACCESS)
    await reveal(http, twice, access=ACCESS[:-1])
    for secret in (await create(http), await create(http, format="seclink/v1")):
        await http.delete(f"/receipts/{secret['receiptId']}", headers=manage(secret))
    burned_by_reader = await create(http, accessHash=ACCESS_HASH)
    await http.post(f"/secrets/{burned_by_reader['linkId']}/burn", json={"access": ACCESS})
    locked = await create(http, passcodeHash=RIGHT, expiryType="7days")
    await reveal(http, locked, passcode=WRONG)
    await http.post(f"/secrets/{locked['linkId']}/report", json={"reason": "spam"})
    await create(http, expiryType="1hour")
    appliance.clock.move(4000)
    assert await appliance.store.reap(appliance.clock.now(), 100) == 2
    await http.get("/secrets/nothing-here/meta")
    await http.get("http://localhost:8080/no/page")
    metrics = read(await scrape(appliance))
    events = ("created", "revealed", "burned", "expired", "reported")
    assert [metrics[f"seclink_secrets_{event}_total"][("raw",)] for event in events] == [7, 3, 2, 1, 1]
    assert [metrics[f"seclink_secrets_{event}_total"][("seclink/v1",)] for event in events] == [2, 1, 1, 1, 0]
    states = {key: value for key, value in metrics["seclink_secrets"].items() if value}
    assert states == {
        ("raw", "active"): 1, ("raw", "revealed"): 3, ("raw", "burned"): 2, ("raw", "expired"): 1,
        ("seclink/v1", "burned"): 1, ("seclink/v1", "expired"): 1,
    }  # fmt: skip
    refusals = {code: count for (code,), count in metrics["seclink_refusals_total"].items()}
    assert refusals == {"access_denied": 1, "passcode_wrong": 1, "not_found": 2}
    assert metrics["seclink_request_seconds_count"][("v1", "create_secret")] == 9
    assert metrics["seclink_request_seconds_count"][("v1", "burn_secret")] == 3
    assert metrics["seclink_passcode_seconds_count"][()] == 2
    assert metrics["seclink_commit_writes_sum"][()] >= metrics["seclink_commit_writes_count"][()] > 20
    assert metrics["seclink_commit_writes_count"] == metrics["seclink_commit_seconds_count"]
    assert metrics["seclink_database_limit_bytes"][()] == appliance.config.store.max_bytes
    assert metrics["seclink_database_bytes"][()] >= metrics["seclink_database_used_bytes"][()] > 8192
    assert metrics["process_open_fds"][()] > 5


async def test_secret_past_its_expiry_counts_as_expired_and_adds_to_the_reaper_lag(
    make_appliance: MakeAppliance,
) -> None:
    appliance = await make_appliance(ON)
    await create(appliance.http, expiryType="1hour")
    appliance.clock.move(3600 + 90)
    metrics = read(await scrape(appliance))
    assert (metrics["seclink_secrets"]["raw", "expired"], metrics["seclink_secrets"]["raw", "active"]) == (1, 0)
    assert metrics["seclink_reaper_lag_seconds"][()] == 90


async def test_rate_limited_requests_are_counted_by_the_name_of_the_rate(make_appliance: MakeAppliance) -> None:
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
    metrics = read(await scrape(appliance))
    assert metrics["seclink_rate_limited_total"] == {("bytes",): 1, ("create",): 2, ("key",): 1}
    assert metrics["seclink_refusals_total"][("rate_limited",)] == 4


async def test_metrics_without_the_store_still_have_the_other_values(make_appliance: MakeAppliance) -> None:
    appliance, collector = await make_appliance(), MetricsCollector()
    log = Log(appliance.config.log, appliance.log)
    build(appliance.config, loaded_assets(HIGH_RATES), appliance.store, log, appliance.clock, collector)
    assert "seclink_secrets" in read((await collector.text()).decode())
    await appliance.store.close()
    appliance.clock.move(2)
    metrics = read((await collector.text()).decode())
    assert metrics["seclink_ready"][("store",)] == 0
    assert metrics["seclink_secrets_created_total"][("raw",)] == 0
    assert "seclink_secrets" not in metrics


# Nothing that identifies anybody


async def test_metrics_contain_no_secret_person_address_account_or_key(make_appliance: MakeAppliance) -> None:
    """LOG-01: after every flow with right and wrong values and a canary in every place that can hold a secret."""
    appliance = await make_appliance(ON)
    words = canaries()
    words |= await run_every_flow(appliance, words)
    text = await scrape(appliance)
    words |= {"account": "acme", "watcher": "watcher", "address": "192.0.2", "host": "localhost", "file": ".db"}
    check_no_canaries(text, words)
    assert "seclink_secrets_created_total" in text


async def test_labels_are_from_closed_sets_whatever_the_requests(make_appliance: MakeAppliance) -> None:
    """A hostile client cannot make the exposition grow."""
    appliance = await make_appliance(ON)
    await run_every_flow(appliance, canaries())
    before = await scrape(appliance)
    for n in range(50):
        await appliance.http.get(f"/secrets/hostile-{n}/meta")
        await appliance.http.get(f"/hostile-{n}")
        await appliance.http.get(f"http://localhost:8080/{n}?hostile={n}", headers={"Host": f"hostile-{n}"})
        await appliance.http.request(f"HOSTILE{n}", f"/secrets/{n}")
        await appliance.http.post("/secrets", json=body(format=f"hostile-{n}"))
    after = await scrape(appliance)
    assert "hostile" not in after.lower()
    assert after.count("\n") < before.count("\n") + 60  # codes and operations that are new
    samples = [sample for family in text_string_to_metric_families(after) for sample in family.samples]
    assert {label for sample in samples for label in sample.labels} <= LABELS
    assert {sample.labels["code"] for sample in samples if "code" in sample.labels} <= set(BY_CODE)
    assert {sample.labels["format"] for sample in samples if "format" in sample.labels} == set(FORMATS)
    apis = {"v1", *(row.name for row in DIALECTS)}
    assert {sample.labels["api"] for sample in samples if "api" in sample.labels} <= apis


async def test_names_and_units_follow_the_conventions_of_prometheus(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance(ON)
    await run_every_flow(appliance, canaries())
    families = list(text_string_to_metric_families(await scrape(appliance)))
    assert len({family.name for family in families}) == len(families) > 20
    for family in families:
        assert family.name.startswith(("seclink_", "process_")), family.name
        assert family.documentation.endswith("."), family.name
        assert not re.search("milli|micro|minutes|hours|kib|percent", family.name)
        for sample in family.samples:
            assert (sample.name.endswith("_total")) is (family.type == "counter"), sample.name


# The separate listener


def test_metrics_listener_needs_no_key_and_serves_only_metrics_and_health(make_server: MakeServer) -> None:
    port = free_port()
    server = make_server(f'[metrics]\nlisten = "127.0.0.1:{port}"\n').start()
    listener = httpx.Client(base_url=f"http://127.0.0.1:{port}")
    assert "seclink_build_info" in listener.get("/metrics").text
    assert "seclink_build_info" in listener.get("/metrics", headers={"Host": "secrets.internal:9464"}).text
    head = listener.head("/metrics")
    assert (head.status_code, head.content) == (200, b"")
    assert listener.get("/healthz").json() == {"status": "alive"}
    assert listener.get("/readyz").json() == {"status": "ready"}
    for path in ("/", "/api/v1/secrets", "/metrics/", "/METRICS"):
        assert listener.get(path).status_code == 404, path
    assert listener.post("/metrics").status_code == 405
    assert httpx.get(f"{server.url}/metrics").status_code == 404
    assert server.stop() == 0


def test_metrics_listener_on_a_used_port_stops_the_start(make_server: MakeServer) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        server = make_server(f'[metrics]\nlisten = "127.0.0.1:{port}"\n')
        server.start(wait=False)
        assert server.process.wait(TIMEOUT_SECONDS) == 1
    assert f"metrics.listen: 127.0.0.1:{port} is in use" in server.log()
    assert "Traceback" not in server.log()


async def test_files_are_measured(make_appliance: MakeAppliance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MIN_FREE_BYTES", 0)
    appliance = await make_appliance(ON + "[files]\nmax_bytes = 1000000\ntotal_bytes = 10000000\n")
    data = content(1000)
    secret = await create_with_files(appliance.http, data)
    await begin(appliance.http, 5000)
    revealed = await reveal_files(appliance.http, secret)
    await download(appliance.http, revealed)
    values = {name: value for name, labelled in read(await scrape(appliance)).items() for value in labelled.values()}
    assert {name: values[f"seclink_{name}"] for name in FILES} == FILES
    assert (await appliance.http.delete("/files", headers=granted(revealed))).status_code == 204
    await appliance.engine.reaper.reap_all()
    after = {name: value for name, labelled in read(await scrape(appliance)).items() for value in labelled.values()}
    assert [after[f"seclink_{name}"] for name in ("grants", "uploads", "files_stored_bytes")] == [0, 1, 0]
