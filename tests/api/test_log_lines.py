"""LOG-01: a canary in every place that can hold a secret, every flow, every level, and a mistake of ours: no line
has one.
"""

import hashlib
import json
import sqlite3

import pytest
from api_helpers import bearer, body, create, encoded, manage, reveal
from support.appliance import Appliance, MakeAppliance
from support.server import HIGH_RATES

pytestmark = pytest.mark.anyio
PROOF = b"CANARYproof" * 3


def canaries() -> dict[str, str]:
    """Name -> what must not turn up; all printable, so that no escaping hides them."""
    access = encoded(PROOF).rstrip("=")
    return {
        "blob": encoded(b"CANARYblob" * 3), "iv": encoded(b"CANARYiv.."), "access": access,
        "accessHash": hashlib.sha256(PROOF).hexdigest(), "passcodeHash": hashlib.sha256(b"CANARYcode").hexdigest(),
        "wrongPasscode": hashlib.sha256(b"CANARYwrong").hexdigest(), "note": "CANARYnote", "label": "CANARYlabel",
        "reason": "CANARYreason", "retry": "CANARYretry0123456789", "query": "CANARYquery", "cookie": "CANARYcookie",
        "agent": "CANARYagent", "member": "CANARYmember", "path": "CANARYpath", "badKey": "sk_live_CANARYkey",
        "badToken": "CANARYtoken",
    }  # fmt: skip


async def everything(appliance: Appliance, words: dict[str, str]) -> dict[str, str]:
    """Every flow, right and wrong; further canaries that were drawn on the way."""
    http = appliance.client(headers={"User-Agent": words["agent"], "Cookie": f"a={words['cookie']}"})
    key = await appliance.key("acme", "create", "manage")
    members = {
        "encryptedBlob": words["blob"], "iv": words["iv"], "publicNote": words["note"], "label": words["label"],
        "accessHash": words["accessHash"], "passcodeHash": words["passcodeHash"], "maxViews": 3,
    }  # fmt: skip
    right = {"access": words["access"], "passcode": words["passcodeHash"]}
    made = [await create(http, key=each, **members) for each in (key, None)]
    for each in made:
        link, one = f"/secrets/{each['linkId']}", f"/receipts/{each['receiptId']}"
        await http.get(f"{link}/meta")
        await http.get(f"{link}?{words['query']}={key}")
        await http.get(link, headers={"Sec-Fetch-Mode": "navigate"})
        await http.post(f"{link}/report", json={"reason": words["reason"]})
        await http.post(f"{link}/reveal", json={words["member"]: words["member"]})
        await http.post(f"{link}/burn", json={"access": words["badToken"]})
        await http.post(f"{link}/reveal", content=f'{{"access": "{words["access"]}"'.encode())
        await reveal(http, each, access=words["badToken"])
        await reveal(http, each, access=words["access"], passcode=words["wrongPasscode"])
        await reveal(http, each, idempotency=words["retry"], **right)
        await http.get(link, headers={"SecLink-Access": right["access"], "SecLink-Passcode": right["passcode"]})
        await http.get(f"/receipts?search={words['query']}", headers=bearer(key))
        await http.get(one, headers={"SecLink-Manage": words["badToken"]})
        await http.get(one, headers=manage(each))
        await http.patch(one, json={"label": words["label"] + "2"}, headers=manage(each))
        await http.get("/stats", headers=bearer(words["badKey"]))
        await http.get(f"/{words['path']}/{each['linkId']}")
        await http.delete(one, headers=manage(each))
        await reveal(http, each, **right)
    await http.post("/secrets", json=body(publicNote=words["note"] + "\0"))
    await http.post("/secrets", json=body(), headers={"Idempotency-Key": words["retry"]})
    await http.post("/secrets", json=body(label=words["label"]), headers={"Idempotency-Key": words["retry"]})
    drawn = {f"linkId {n}": each["linkId"] for n, each in enumerate(made)}
    drawn |= {f"manageToken {n}": each["manageToken"] for n, each in enumerate(made)}
    return drawn | {"key": key, "key's middle": key[14:40]}


def check_silent(written: str, words: dict[str, str]) -> None:
    found = {name for name, word in words.items() if word in written}
    assert not found, written
    assert "CANARY" not in written


@pytest.mark.parametrize("form", ["json", "human"])
@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
async def test_no_level_and_no_form_tells_a_secret(
    make_appliance: MakeAppliance, level: str, form: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """LOG-01"""
    appliance = await make_appliance(f'{HIGH_RATES}[log]\nlevel = "{level}"\nformat = "{form}"\n')
    words = canaries()
    words |= await everything(appliance, words)
    written = appliance.log.getvalue()
    assert bool(written) is (level != "error")
    check_silent(written + "".join(capfd.readouterr()), words)
    if form == "json":
        assert all(json.loads(line).keys() >= {"at", "level", "event"} for line in written.splitlines())


async def test_mistake_of_ours_tells_no_secret(
    make_appliance: MakeAppliance, capfd: pytest.CaptureFixture[str]
) -> None:
    """LOG-01: a forced 500, whose exception itself quotes the canary; then a store that is away."""
    appliance = await make_appliance(f'{HIGH_RATES}[log]\nlevel = "debug"\n')
    words = canaries()
    made = await create(appliance.http, publicNote=words["note"])
    db = sqlite3.connect(appliance.path)
    db.execute("PRAGMA ignore_check_constraints = ON")
    db.execute("UPDATE secrets SET state = 'CANARYstate'")
    db.commit()
    db.close()
    answer = await appliance.http.get(f"/secrets/{made['linkId']}/meta")
    assert answer.status_code == 500
    await appliance.store.close()
    assert (await reveal(appliance.http, made, access=words["access"])).status_code == 503
    assert (await appliance.http.post("/secrets", json=body(label=words["label"]))).status_code == 503
    written = appliance.log.getvalue()
    assert '"code":"internal"' in written
    assert answer.json()["requestId"] in written
    words |= {"linkId": made["linkId"], "manageToken": made["manageToken"]}
    check_silent(written + "".join(capfd.readouterr()) + answer.text, words)


async def test_lines_name_a_secret_by_its_receipt(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance(f'{HIGH_RATES}[log]\nformat = "json"\n')
    made = await create(appliance.http, key=await appliance.key())
    await appliance.http.post(f"/secrets/{made['linkId']}/report")
    await reveal(appliance.http, made)
    other = await create(appliance.http)
    await appliance.http.patch(f"/receipts/{other['receiptId']}", json={"label": "x"}, headers=manage(other))
    await appliance.http.delete(f"/receipts/{other['receiptId']}", headers=manage(other))
    lines = [json.loads(line) for line in appliance.log.getvalue().splitlines()]
    assert [(each["event"], each["receipt"], each.get("account")) for each in lines] == [
        ("created", made["receiptId"], "acme"),
        ("reported", made["receiptId"], None),
        ("revealed", made["receiptId"], None),
        ("created", other["receiptId"], None),
        ("changed", other["receiptId"], None),
        ("burned", other["receiptId"], None),
    ]
