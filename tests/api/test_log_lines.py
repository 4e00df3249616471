"""LOG-01: no log line contains a secret. Canaries are in every place that can hold one; the tests run every flow at
every level, and a bug.
"""

import hashlib
import json
import sqlite3
from typing import Any

import pytest
from api_helpers import bearer, body, create, encoded, manage, reveal
from page_helpers import BROWSER, outside
from support.appliance import Appliance, MakeAppliance
from support.server import HIGH_RATES

from seclink.errors import Busy, SecLinkError, StorageFailed

pytestmark = pytest.mark.anyio
PROOF = b"CANARYproof" * 3


def canaries() -> dict[str, str]:
    """Return the words that must not appear, by name; all are printable, so that no escaping hides them."""
    access = encoded(PROOF).rstrip("=")
    return {
        "blob": encoded(b"CANARYblob" * 3), "iv": encoded(b"CANARYiv.."), "access": access,
        "accessHash": hashlib.sha256(PROOF).hexdigest(), "passcodeHash": hashlib.sha256(b"CANARYcode").hexdigest(),
        "wrongPasscode": hashlib.sha256(b"CANARYwrong").hexdigest(), "note": "CANARYnote", "label": "CANARYlabel",
        "reason": "CANARYreason", "retry": "CANARYretry0123456789", "query": "CANARYquery", "cookie": "CANARYcookie",
        "agent": "CANARYagent", "member": "CANARYmember", "path": "CANARYpath", "badKey": "sk_live_CANARYkey",
        "badToken": "CANARYtoken",
    }  # fmt: skip


async def run_every_flow(appliance: Appliance, words: dict[str, str]) -> dict[str, str]:
    """Run every flow with right and wrong values; return the ids and keys that were drawn, as more canaries."""
    http = appliance.client(headers={"User-Agent": words["agent"], "Cookie": f"a={words['cookie']}"})
    key = await appliance.key("acme", "create", "manage")
    members = {
        "encryptedBlob": words["blob"], "iv": words["iv"], "publicNote": words["note"], "label": words["label"],
        "accessHash": words["accessHash"], "passcodeHash": words["passcodeHash"], "maxViews": 3,
    }  # fmt: skip
    right = {"access": words["access"], "passcode": words["passcodeHash"]}
    secrets = [await create(http, key=owner, **members) for owner in (key, None)]
    for secret in secrets:
        link, receipt = f"/secrets/{secret['linkId']}", f"/receipts/{secret['receiptId']}"
        await http.get(f"{link}/meta")
        await http.get(f"{link}?{words['query']}={key}")
        await http.get(link, headers={"Sec-Fetch-Mode": "navigate"})
        await http.post(f"{link}/report", json={"reason": words["reason"]})
        await http.post(f"{link}/reveal", json={words["member"]: words["member"]})
        await http.post(f"{link}/burn", json={"access": words["badToken"]})
        await http.post(f"{link}/reveal", content=f'{{"access": "{words["access"]}"'.encode())
        await reveal(http, secret, access=words["badToken"])
        await reveal(http, secret, access=words["access"], passcode=words["wrongPasscode"])
        await reveal(http, secret, idempotency=words["retry"], **right)
        await http.get(link, headers={"SecLink-Access": right["access"], "SecLink-Passcode": right["passcode"]})
        await http.get(f"/receipts?search={words['query']}", headers=bearer(key))
        await http.get(receipt, headers={"SecLink-Manage": words["badToken"]})
        await http.get(receipt, headers=manage(secret))
        await http.patch(receipt, json={"label": words["label"] + "2"}, headers=manage(secret))
        await http.get("/stats", headers=bearer(words["badKey"]))
        await http.get(f"/{words['path']}/{secret['linkId']}")
        for path in rewritten(words["path"], secret):
            assert (await outside(appliance).get(path, headers=BROWSER)).status_code == 200, path
        await http.delete(receipt, headers=manage(secret))
        await reveal(http, secret, **right)
    await http.post("/secrets", json=body(publicNote=words["note"] + "\0"))
    await http.post("/secrets", json=body(), headers={"Idempotency-Key": words["retry"]})
    await http.post("/secrets", json=body(label=words["label"]), headers={"Idempotency-Key": words["retry"]})
    drawn = {f"linkId {n}": secret["linkId"] for n, secret in enumerate(secrets)}
    drawn |= {f"manageToken {n}": secret["manageToken"] for n, secret in enumerate(secrets)}
    return drawn | {"key": key, "key's middle": key[14:40]}


def rewritten(key: str, secret: dict[str, Any]) -> list[str]:
    """Return links whose key has come into the path or the query."""
    pages = (f"/{secret['linkId']}", f"/receipt/{secret['receiptId']}", "/scrt-link/s", "/enigmacrypt/s/a1B2c3D4")
    return [page + joint + key for page in pages for joint in ("%23", "%2523", "/%23", "?utm_source=x%23")]


def check_no_canaries(text: str, words: dict[str, str]) -> None:
    leaks = {name for name, word in words.items() if word in text}
    assert not leaks, text
    assert "CANARY" not in text


@pytest.mark.parametrize("format", ["json", "human"])
@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
async def test_log_contains_no_secret_at_any_level_or_format(
    make_appliance: MakeAppliance, level: str, format: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """LOG-01"""
    appliance = await make_appliance(f'{HIGH_RATES}[log]\nlevel = "{level}"\nformat = "{format}"\n')
    words = canaries()
    words |= await run_every_flow(appliance, words)
    log = appliance.log.getvalue()
    assert bool(log) is (level != "error")
    check_no_canaries(log + "".join(capfd.readouterr()), words)
    if format == "json":
        assert all(json.loads(line).keys() >= {"at", "level", "event"} for line in log.splitlines())


async def test_log_of_a_bug_contains_no_secret(
    make_appliance: MakeAppliance, capfd: pytest.CaptureFixture[str]
) -> None:
    """LOG-01: a forced 500, whose exception itself quotes the canary; then a closed store."""
    appliance = await make_appliance(f'{HIGH_RATES}[log]\nlevel = "debug"\n')
    words = canaries()
    secret = await create(appliance.http, publicNote=words["note"])
    db = sqlite3.connect(appliance.path)
    db.execute("PRAGMA ignore_check_constraints = ON")
    db.execute("UPDATE secrets SET state = 'CANARYstate'")
    db.commit()
    db.close()
    response = await appliance.http.get(f"/secrets/{secret['linkId']}/meta")
    assert response.status_code == 500
    await appliance.store.close()
    assert (await reveal(appliance.http, secret, access=words["access"])).status_code == 503
    assert (await appliance.http.post("/secrets", json=body(label=words["label"]))).status_code == 503
    log = appliance.log.getvalue()
    assert '"code":"internal"' in log
    assert response.json()["requestId"] in log
    words |= {"linkId": secret["linkId"], "manageToken": secret["manageToken"]}
    check_no_canaries(log + "".join(capfd.readouterr()) + response.text, words)


async def test_clients_write_no_error_at_will(make_appliance: MakeAppliance, monkeypatch: pytest.MonkeyPatch) -> None:
    """LOG-03: whoever closes connections or exceeds a share appears at level debug; what the server lacks, as error."""
    appliance = await make_appliance(f'{HIGH_RATES}[log]\nlevel = "debug"\nformat = "json"\n')
    at_will = (Busy(), ConnectionResetError(104, "reset"), BrokenPipeError(), OSError())
    for error in (*at_will, OSError(5, "no disk"), StorageFailed()):
        appliance.log.truncate(appliance.log.seek(0))

        async def fail(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(appliance.store, "peek", fail)
        status = (await appliance.http.get("/secrets/AbCdEfGhIjKl/meta")).status_code
        assert status == (503 if isinstance(error, SecLinkError) else 500)
        [line] = map(json.loads, appliance.log.getvalue().splitlines())
        assert line["level"] == ("debug" if error in at_will else "error"), error


async def test_log_lines_name_a_secret_by_its_receipt(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance(f'{HIGH_RATES}[log]\nformat = "json"\n')
    secret = await create(appliance.http, key=await appliance.key())
    await appliance.http.post(f"/secrets/{secret['linkId']}/report")
    await reveal(appliance.http, secret)
    other = await create(appliance.http)
    await appliance.http.patch(f"/receipts/{other['receiptId']}", json={"label": "x"}, headers=manage(other))
    await appliance.http.delete(f"/receipts/{other['receiptId']}", headers=manage(other))
    lines = [json.loads(line) for line in appliance.log.getvalue().splitlines()]
    assert [(line["event"], line["receipt"], line.get("account")) for line in lines] == [
        ("created", secret["receiptId"], "acme"),
        ("reported", secret["receiptId"], None),
        ("revealed", secret["receiptId"], None),
        ("created", other["receiptId"], None),
        ("changed", other["receiptId"], None),
        ("burned", other["receiptId"], None),
    ]
