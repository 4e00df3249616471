"""Files: uploaded in chunks, attached to a secret, downloaded with the grant of a reveal, and then erased."""

import asyncio
import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest
from api_helpers import ACCESS, ACCESS_HASH, RIGHT, WRONG, bearer, body, check_problem, create, manage, reveal, state
from file_helpers import (
    SMALL,
    attached,
    begin,
    by,
    chunks_of,
    content,
    create_with_files,
    download,
    granted,
    put,
    reveal_files,
    upload,
)
from support.appliance import Appliance, MakeAppliance
from support.server import HIGH_RATES

from seclink.domain import files_state, uploads
from seclink.model import CHUNK_BYTES

pytestmark = pytest.mark.anyio
HOUR, DAY = 3600, 86400


@pytest.fixture(autouse=True)
def small_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the disk of the tests have less room than a server leaves free."""
    monkeypatch.setattr(uploads, "MIN_FREE_BYTES", 0)


def stored(appliance: Appliance) -> list[Path]:
    """Return the files with chunks."""
    folder = appliance.path.with_name(f"{appliance.path.name}.files")
    return sorted(folder.iterdir()) if folder.exists() else []


async def settle(appliance: Appliance) -> None:
    """Wait for the work beside requests."""
    state: Any = appliance.engine.vault
    await state.drain()


async def test_files_come_back_byte_for_byte(appliance: Appliance) -> None:
    data = content(CHUNK_BYTES + 300)
    begun = await begin(appliance.http, len(data))
    assert begun.keys() == {"uploadId", "uploadToken", "size", "chunkBytes", "chunks", "expiresAt"}
    assert (begun["chunkBytes"], begun["chunks"]) == (4_194_332, 2)
    first, last = chunks_of(data)
    address = f"/uploads/{begun['uploadId']}"
    assert (await put(appliance.http, begun, 1, last)).status_code == 204
    status = (await appliance.http.get(address, headers=by(begun))).json()
    assert status.keys() == {"uploadId", "size", "chunkBytes", "chunks", "received", "expiresAt"}
    assert (status["size"], status["received"]) == (len(data), [[1, 1]])
    assert (await put(appliance.http, begun, 0, first)).status_code == 204
    assert (await appliance.http.get(address, headers=by(begun))).json()["received"] == [[0, 1]]
    secret = await create(appliance.http, accessHash=ACCESS_HASH, **attached(begun))
    meta = (await appliance.http.get(f"/secrets/{secret['linkId']}/meta")).json()
    assert meta["files"] == {"size": len(data)}
    revealed = await reveal_files(appliance.http, secret, access=ACCESS)
    files = revealed["files"]
    assert files.keys() == {"size", "chunkBytes", "chunks", "grant", "grantExpiresAt"}
    assert files["grantExpiresAt"] == appliance.clock.now() + 12 * HOUR * 1000
    for _ in range(2):  # as often as the network needs
        assert await download(appliance.http, revealed, [1, 0]) == last + first
    response = await appliance.http.get("/files/0", headers=granted(revealed) | {"Range": "bytes=99999999-"})
    assert (response.status_code, response.headers["content-type"]) == (200, "application/octet-stream")
    assert response.headers["content-length"] == str(CHUNK_BYTES)
    check_problem(await appliance.http.get("/files/2", headers=granted(revealed)), 404, "not_found")


async def test_reader_who_has_everything_ends_the_grant(appliance: Appliance) -> None:
    secret = await create_with_files(appliance.http)
    [file] = stored(appliance)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    revealed = await reveal_files(appliance.http, secret)
    assert await download(appliance.http, revealed) == content()
    receipt = await state(appliance.http, secret)
    assert receipt["files"] == {"size": SMALL, "grants": 1, "grantsUntil": revealed["files"]["grantExpiresAt"]}
    assert (await appliance.http.delete("/files", headers=granted(revealed))).status_code == 204
    await settle(appliance)
    assert stored(appliance) == []
    receipt = await state(appliance.http, secret)
    assert receipt["files"] == {"size": SMALL, "grants": 0, "grantsUntil": None}
    assert [event["type"] for event in receipt["events"]] == ["created", "revealed", "download_started", "downloaded"]
    for again in (
        await appliance.http.delete("/files", headers=granted(revealed)),
        await appliance.http.get("/files/0", headers=granted(revealed)),
    ):
        assert check_problem(again, 410, "gone")["state"] == "revealed"


async def test_secrets_without_files_are_as_before(appliance: Appliance) -> None:
    secret = await create(appliance.http, maxViews=2)
    assert "files" not in (await appliance.http.get(f"/secrets/{secret['linkId']}/meta")).json()
    assert "files" not in await state(appliance.http, secret)
    assert "files" not in await reveal_files(appliance.http, secret)
    assert "files" not in (await appliance.http.get(f"/secrets/{secret['linkId']}")).json()


async def test_reader_who_cannot_take_files_spends_nothing(appliance: Appliance) -> None:
    """neither a view nor a passcode attempt."""
    secret = await create_with_files(appliance.http, accessHash=ACCESS_HASH, passcodeHash=RIGHT)
    link = f"/secrets/{secret['linkId']}"
    proofs = {"SecLink-Access": ACCESS, "SecLink-Passcode": RIGHT}
    for headers in (proofs, proofs | {"SecLink-Files": "0"}, proofs | {"SecLink-Passcode": WRONG}):
        check_problem(await appliance.http.get(link, headers=headers), 409, "has_files")
        check_problem(await appliance.http.post(f"{link}/reveal", headers=headers), 409, "has_files")
    check_problem(await appliance.http.get(link), 401, "access_required")
    meta = (await appliance.http.get(f"{link}/meta")).json()
    assert (meta["viewsLeft"], meta["attemptsLeft"]) == (1, 5)
    response = await appliance.http.get(link, headers=proofs | {"SecLink-Files": "1"})
    assert await download(appliance.http, response.json()) == content()


async def test_missing_chunks_spend_nothing(appliance: Appliance) -> None:
    secret = await create_with_files(appliance.http, passcodeHash=RIGHT)
    [file] = stored(appliance)
    moved = file.rename(file.with_name("0" * 32))
    address, members = f"/secrets/{secret['linkId']}/reveal", {"files": True, "passcodeHash": RIGHT}
    check_problem(await appliance.http.post(address, json=members), 503, "storage")
    moved.rename(file)
    assert (await appliance.http.get(f"/secrets/{secret['linkId']}/meta")).json()["attemptsLeft"] == 5
    assert (await appliance.http.post(address, json=members)).status_code == 200


async def test_retry_of_a_reveal_gets_the_same_grant(appliance: Appliance) -> None:
    secret = await create_with_files(appliance.http)
    key = {"Idempotency-Key": "k" * 16, "SecLink-Files": "1"}
    first, again = [await appliance.http.get(f"/secrets/{secret['linkId']}", headers=key) for _ in range(2)]
    assert first.json() == again.json()
    assert (await state(appliance.http, secret))["files"]["grants"] == 1


async def test_each_reader_has_a_grant(appliance: Appliance) -> None:
    secret = await create_with_files(appliance.http, expiryType="1hour")
    one, other = await reveal_files(appliance.http, secret), await reveal_files(appliance.http, secret)
    assert (await appliance.http.delete("/files", headers=granted(one))).status_code == 204
    await settle(appliance)
    assert await download(appliance.http, other) == content()
    assert (await state(appliance.http, secret))["files"]["grants"] == 1


async def test_one_of_two_readers_gets_the_last_view_and_its_grant(appliance: Appliance) -> None:
    secret = await create_with_files(appliance.http)
    reveals = [
        appliance.http.post(
            f"/secrets/{secret['linkId']}/reveal", json={"files": True}, headers={"Idempotency-Key": key}
        )
        for key in (f"reader-{n:016}" for n in range(10))
    ]
    responses = await asyncio.gather(*reveals)
    assert sorted(response.status_code for response in responses) == [200] + [410] * 9
    assert (await appliance.store.uploads.usage(appliance.clock.now())).grants == 1
    [winner] = [response.json() for response in responses if response.status_code == 200]
    assert await download(appliance.http, winner) == content()


async def test_grant_outlives_the_secret_and_the_server(make_appliance: MakeAppliance, tmp_path: Path) -> None:
    path = tmp_path / "kept.db"
    appliance = await make_appliance(path=path)
    secret = await create_with_files(appliance.http, expiresIn=60, maxViews=None)
    revealed = await reveal_files(appliance.http, secret)
    appliance.clock.move(HOUR)
    await appliance.engine.reaper.reap_all()
    assert (await state(appliance.http, secret))["state"] == "expired"
    await appliance.store.close()
    restarted = await make_appliance(path=path, clock=appliance.clock)
    assert await download(restarted.http, revealed) == content()
    restarted.clock.move(12 * HOUR)
    check_problem(await restarted.http.get("/files/0", headers=granted(revealed)), 410, "gone")
    await restarted.engine.reaper.reap_all()
    assert stored(restarted) == []


async def test_sender_ends_downloads_in_any_state(appliance: Appliance) -> None:
    secret = await create_with_files(appliance.http)
    revealed = await reveal_files(appliance.http, secret)
    address = f"/receipts/{secret['receiptId']}"
    assert (await appliance.http.delete(address, headers=manage(secret))).status_code == 204
    check_problem(await appliance.http.get("/files/0", headers=granted(revealed)), 410, "gone")
    await settle(appliance)
    assert stored(appliance) == []
    receipt = await state(appliance.http, secret)
    assert receipt["state"] == "revealed"
    assert [event["type"] for event in receipt["events"]] == ["created", "revealed", "burned"]
    problem = check_problem(await appliance.http.delete(address, headers=manage(secret)), 410, "gone")
    assert (problem["state"], problem["endedAt"]) == ("revealed", appliance.clock.now())


async def test_burned_secret_loses_its_files(appliance: Appliance) -> None:
    secret = await create_with_files(appliance.http)
    assert (await appliance.http.delete(f"/receipts/{secret['receiptId']}", headers=manage(secret))).status_code == 204
    await settle(appliance)
    assert stored(appliance) == []


async def test_reader_who_burns_leaves_other_readers_their_grants(appliance: Appliance) -> None:
    secret = await create_with_files(appliance.http, accessHash=ACCESS_HASH, maxViews=3)
    revealed = await reveal_files(appliance.http, secret, access=ACCESS)
    response = await appliance.http.post(f"/secrets/{secret['linkId']}/burn", json={"access": ACCESS})
    assert response.status_code == 204
    await settle(appliance)
    assert await download(appliance.http, revealed) == content()


async def test_upload_serves_several_secrets(appliance: Appliance) -> None:
    begun = await upload(appliance.http, secrets=2)
    one, other = [await create(appliance.http, **attached(begun)) for _ in range(2)]
    problem = await appliance.http.post("/secrets", json=body(**attached(begun)))
    check_problem(problem, 409, "upload_used")
    assert (await appliance.http.delete(f"/receipts/{one['receiptId']}", headers=manage(one))).status_code == 204
    await settle(appliance)
    assert await download(appliance.http, await reveal_files(appliance.http, other)) == content()


async def test_edit_keeps_the_files(appliance: Appliance) -> None:
    secret = await create_with_files(appliance.http)
    address = f"/receipts/{secret['receiptId']}"
    payload = {"encryptedBlob": "bmV3", "iv": "aXZpdml2aXZpdml2"}
    response = await appliance.http.patch(address, json=payload, headers=manage(secret))
    assert response.json()["files"]["size"] == SMALL
    other = attached(await upload(appliance.http))
    check_problem(await appliance.http.patch(address, json=other, headers=manage(secret)), 400, "bad_request")
    revealed = await reveal_files(appliance.http, secret)
    assert (revealed["encryptedBlob"], await download(appliance.http, revealed)) == ("bmV3", content())


# Uploads


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"size": 0}, "size"),
        ({"size": -1}, "size"),
        ({"size": 28}, "size"),
        ({"size": 2**53}, "size"),
        ({"size": CHUNK_BYTES + 28}, "size"),
        ({"size": 284.5}, "size"),
        ({"size": True}, "size"),
        ({"size": "284"}, "size"),
        ({}, "size"),
        ({"size": 284, "secrets": 0}, "secrets"),
        ({"size": 284, "secrets": 1001}, "secrets"),
        ({"size": 284, "name": "a.txt"}, "name"),
    ],
)
async def test_invalid_uploads_reserve_nothing(appliance: Appliance, members: Any, field: str) -> None:
    problem = check_problem(await appliance.http.post("/uploads", json=members), 400, "bad_request")
    assert [fault["field"] for fault in problem["errors"]] == [field]
    assert (await appliance.store.uploads.usage(appliance.clock.now())).uploads == 0


@pytest.mark.parametrize("change", [b"", b"x", None])
async def test_chunk_has_exactly_its_length(appliance: Appliance, change: bytes | None) -> None:
    data = content()
    begun = await begin(appliance.http)
    wrong = data[:-1] if change is None else b"" if change == b"" else data + change

    async def chunked() -> Any:
        yield wrong[:100]
        yield wrong[100:]

    for sent in (wrong, chunked()):
        check_problem(await put(appliance.http, begun, 0, sent), 400, "chunk_length")
    assert (await appliance.http.get(f"/uploads/{begun['uploadId']}", headers=by(begun))).json()["received"] == []
    assert (await put(appliance.http, begun, 0, data)).status_code == 204


async def test_chunk_beyond_the_end_or_unreadable_number(appliance: Appliance) -> None:
    begun = await begin(appliance.http)
    for n in ("1", "-1", "x", "0x0", "1" * 30, "٣"):
        check_problem(await put(appliance.http, begun, n, content()), 404, "not_found")


async def test_first_durable_copy_stays(appliance: Appliance) -> None:
    begun = await upload(appliance.http)
    assert (await put(appliance.http, begun, 0, content(seed=2))).status_code == 204
    check_problem(await put(appliance.http, begun, 0, content(100)), 400, "chunk_length")
    secret = await create(appliance.http, **attached(begun))
    check_problem(await put(appliance.http, begun, 0, content(seed=2)), 409, "upload_used")
    assert await download(appliance.http, await reveal_files(appliance.http, secret)) == content()


async def test_content_digest_is_checked(appliance: Appliance) -> None:
    begun = await begin(appliance.http)
    digest = base64.b64encode(hashlib.sha256(content()).digest()).decode()
    other = base64.b64encode(bytes(32)).decode()
    wrong = await put(appliance.http, begun, 0, content(), **{"Content-Digest": f"sha-256=:{other}:"})
    check_problem(wrong, 400, "digest_mismatch")
    for malformed in ("sha-256=:AAAA:", "sha-256=:!:"):
        response = await put(appliance.http, begun, 0, content(), **{"Content-Digest": malformed})
        check_problem(response, 400, "bad_request")
    check_problem(await appliance.http.post("/secrets", json=body(**attached(begun))), 409, "upload_incomplete")
    both = f"sha-512=:AAAA:, sha-256=:{digest}:"
    assert (await put(appliance.http, begun, 0, content(), **{"Content-Digest": both})).status_code == 204


async def test_only_the_token_opens_an_upload(appliance: Appliance) -> None:
    begun, other = await begin(appliance.http), await begin(appliance.http)
    address = f"/uploads/{begun['uploadId']}"
    for headers in ({}, by(other), {"SecLink-Upload": begun["uploadToken"] + "x"}, {"SecLink-Upload": "é"}):
        raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
        check_problem(await appliance.http.get(address, headers=raw), 404, "upload_unknown")
        check_problem(await appliance.http.delete(address, headers=raw), 404, "upload_unknown")
        octets = raw | {b"Content-Type": b"application/octet-stream"}
        check_problem(
            await appliance.http.put(f"{address}/chunks/0", content=content(), headers=octets), 404, "upload_unknown"
        )
        wrong = {"upload": {"id": begun["uploadId"], "token": headers.get("SecLink-Upload", "")}}
        check_problem(await appliance.http.post("/secrets", json=body(**wrong)), 404, "upload_unknown")
    for id in ("x", "A" * 20, begun["uploadId"] + "A"):
        check_problem(await appliance.http.get(f"/uploads/{id}", headers=by(begun)), 404, "upload_unknown")
    assert (await appliance.store.uploads.usage(appliance.clock.now())).uploads == 2


async def test_upload_of_another_account_is_unknown(appliance: Appliance) -> None:
    acme, other = await appliance.key("acme"), await appliance.key("other")
    of_acme, of_nobody = await upload(appliance.http, key=acme), await upload(appliance.http)
    for begun, key in ((of_acme, other), (of_acme, None), (of_nobody, acme)):
        headers = bearer(key) if key else {}
        response = await appliance.http.post("/secrets", json=body(**attached(begun)), headers=headers)
        check_problem(response, 404, "upload_unknown")
    await create(appliance.http, key=acme, **attached(of_acme))
    await create(appliance.http, **attached(of_nobody))


async def test_refused_attachment_creates_nothing(appliance: Appliance) -> None:
    key = await appliance.key("acme")
    begun = await begin(appliance.http, key=key)
    response = await appliance.http.post("/secrets", json=body(**attached(begun)), headers=bearer(key))
    check_problem(response, 409, "upload_incomplete")
    stats = (await appliance.http.get("/stats", headers=bearer(key))).json()
    assert stats["totalSecrets"] == 0


async def test_retried_create_attaches_once(appliance: Appliance) -> None:
    begun = await upload(appliance.http)
    headers = {"Idempotency-Key": "k" * 16}
    first, again = [
        await appliance.http.post("/secrets", json=body(**attached(begun)), headers=headers) for _ in range(2)
    ]
    assert first.json() == again.json()


async def test_retried_begin_reserves_once(appliance: Appliance) -> None:
    headers = {"Idempotency-Key": "k" * 16}
    first, again = [await appliance.http.post("/uploads", json={"size": SMALL}, headers=headers) for _ in range(2)]
    assert first.json() == again.json()
    other = await appliance.http.post("/uploads", json={"size": SMALL + 1}, headers=headers)
    check_problem(other, 422, "idempotency_mismatch")
    assert (await appliance.store.uploads.usage(appliance.clock.now())).uploads == 1


async def test_upload_can_be_given_up(appliance: Appliance) -> None:
    begun = await upload(appliance.http)
    address = f"/uploads/{begun['uploadId']}"
    assert (await appliance.http.delete(address, headers=by(begun))).status_code == 204
    await settle(appliance)
    assert stored(appliance) == []
    check_problem(await appliance.http.delete(address, headers=by(begun)), 404, "upload_unknown")
    check_problem(await appliance.http.post("/secrets", json=body(**attached(begun))), 404, "upload_unknown")


async def test_given_up_rest_leaves_the_secrets_their_files(appliance: Appliance) -> None:
    begun = await upload(appliance.http, secrets=5)
    secret = await create(appliance.http, **attached(begun))
    assert (await appliance.http.delete(f"/uploads/{begun['uploadId']}", headers=by(begun))).status_code == 204
    await settle(appliance)
    check_problem(await appliance.http.post("/secrets", json=body(**attached(begun))), 409, "upload_used")
    assert await download(appliance.http, await reveal_files(appliance.http, secret)) == content()


async def test_idle_upload_ends(appliance: Appliance) -> None:
    data = content(CHUNK_BYTES + 300)
    begun = await begin(appliance.http, len(data))
    appliance.clock.move(HOUR - 1)
    assert (await put(appliance.http, begun, 1, data[CHUNK_BYTES:])).status_code == 204
    appliance.clock.move(HOUR - 1)
    assert (await appliance.http.get(f"/uploads/{begun['uploadId']}", headers=by(begun))).status_code == 200
    appliance.clock.move(1)
    for _ in range(2):
        check_problem(await put(appliance.http, begun, 0, data[:CHUNK_BYTES]), 404, "upload_unknown")
        await appliance.engine.reaper.reap_all()
    assert stored(appliance) == []


async def test_no_upload_takes_more_than_a_day(appliance: Appliance) -> None:
    data = content(CHUNK_BYTES * 29 + 300)[: CHUNK_BYTES * 29 + 300]
    begun = await begin(appliance.http, len(data), key=await appliance.key())
    for n in range(27):
        appliance.clock.move(HOUR - 60)
        response = await put(appliance.http, begun, n, data[n * CHUNK_BYTES : (n + 1) * CHUNK_BYTES])
        if (n + 1) * (HOUR - 60) >= DAY:
            check_problem(response, 404, "upload_unknown")
            return
        assert response.status_code == 204
    raise AssertionError("the upload lives on")


# Who may, and how much


async def test_limits_are_told_before(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance(HIGH_RATES + "[files]\nmax_bytes = 2048\nclient_bytes = 1024\ngrant = '1h'")
    expected = {"allowed": True, "maxBytes": 1024, "clientBytes": 1024, "chunkBytes": CHUNK_BYTES, "grantSeconds": 3600}
    assert (await appliance.http.get("/uploads")).json() == expected
    keyed = (await appliance.http.get("/uploads", headers=bearer(await appliance.key()))).json()
    assert keyed == expected | {"maxBytes": 2048, "clientBytes": None}


@pytest.mark.parametrize(
    ("toml", "anonymous", "key"),
    [
        ("[files]\ncreate = 'anyone'", True, True),
        ("[files]\ncreate = 'keys'", False, True),
        ("[files]\ncreate = 'nobody'", False, False),
        ("[access]\ncreate = 'keys'", False, True),
    ],
)
async def test_who_may_add_files(make_appliance: MakeAppliance, toml: str, anonymous: bool, key: bool) -> None:
    appliance = await make_appliance(HIGH_RATES + toml)
    for headers, is_allowed in (({}, anonymous), (bearer(await appliance.key()), key)):
        assert (await appliance.http.get("/uploads", headers=headers)).json()["allowed"] is is_allowed
        response = await appliance.http.post("/uploads", json={"size": SMALL}, headers=headers)
        if is_allowed:
            assert response.status_code == 201
        else:
            check_problem(response, 403, "files_not_allowed")
    manage_only = bearer(await appliance.key("acme", "manage"))
    check_problem(await appliance.http.post("/uploads", json={"size": SMALL}, headers=manage_only), 403, "forbidden")


async def test_limits_count_plain_bytes(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance(HIGH_RATES + "[files]\nmax_bytes = 1024\nclient_bytes = 3000")
    problem = check_problem(await appliance.http.post("/uploads", json={"size": 1053}), 413, "too_large")
    assert problem["errors"][0]["limit"] == {"max": 1052}
    begun = [await begin(appliance.http, 1028 if n == 2 else 1052) for n in range(2)]
    quota = await appliance.http.post("/uploads", json={"size": 1052})
    assert check_problem(quota, 429, "files_quota")["detail"] == (
        "You have used up today's limit for files. An API key may have more"
    )
    assert int(quota.headers["retry-after"]) > 1
    elsewhere = appliance.client("192.0.2.99")
    await begin(elsewhere, 1052)
    await elsewhere.aclose()
    # Given back once it ends without a secret.
    assert (await appliance.http.delete(f"/uploads/{begun[0]['uploadId']}", headers=by(begun[0]))).status_code == 204
    await create(appliance.http, **attached(await upload(appliance.http, content(1052))))
    check_problem(await appliance.http.post("/uploads", json={"size": 1052}), 429, "files_quota")
    appliance.clock.move(HOUR)
    await appliance.engine.reaper.reap_all()
    await begin(appliance.http, 1052)


async def test_subnet_cannot_reserve_the_room_of_all_anonymous_clients(make_appliance: MakeAppliance) -> None:
    """RL-11: uploads without a chunk, from many networks of a /48; another /48 has room, and so once they end."""
    appliance = await make_appliance(
        HIGH_RATES + f"[files]\nmax_bytes = {2**19}\nclient_bytes = {2**18}\ntotal_bytes = {2**22}"
    )
    begun = []
    for number in range(12):
        client = appliance.client(f"2001:db8:1:{number}::1")
        begun.append(await client.post("/uploads", json={"size": 2**18 + 28}))
        await client.aclose()
    assert [each.status_code for each in begun] == [201] * 2 + [429] * 10
    check_problem(begun[-1], 429, "files_quota")
    elsewhere, neighbour = appliance.client("2001:db8:2::1"), appliance.client("2001:db8:1:99::1")
    await begin(elsewhere, 2**18 + 28)
    first = begun[0].json()
    await elsewhere.delete(f"/uploads/{first['uploadId']}", headers=by(first))
    await begin(neighbour, 2**18 + 28)
    await elsewhere.aclose()
    await neighbour.aclose()


async def test_total_room_is_reserved_and_half_is_for_key_holders(make_appliance: MakeAppliance) -> None:
    appliance = await make_appliance(
        HIGH_RATES + f"[files]\nmax_bytes = {2**20}\ntotal_bytes = {2**20}\nclient_bytes = {2**30}"
    )
    quarter, key = 2**18 + 28, bearer(await appliance.key())
    for _ in range(2):
        last = await begin(appliance.http, quarter)
    check_problem(await appliance.http.post("/uploads", json={"size": SMALL}), 507, "files_full")
    for _ in range(2):
        assert (await appliance.http.post("/uploads", json={"size": quarter}, headers=key)).status_code == 201
    check_problem(await appliance.http.post("/uploads", json={"size": SMALL}, headers=key), 507, "files_full")
    await appliance.http.delete(f"/uploads/{last['uploadId']}", headers=by(last))
    await settle(appliance)
    await begin(appliance.http, quarter)


async def test_room_of_the_disk_is_told_before(appliance: Appliance, monkeypatch: pytest.MonkeyPatch) -> None:
    async def free_bytes(_: Any) -> int:
        return 3 * SMALL - 1

    monkeypatch.setattr(type(appliance.store.uploads.files), "free_bytes", free_bytes)
    await begin(appliance.http)
    await begin(appliance.http)
    check_problem(await appliance.http.post("/uploads", json={"size": SMALL}), 507, "files_full")


@pytest.mark.parametrize(("address", "most"), [("192.0.2.{}", 128), ("2001:db8:0:{}::1", 256)])
async def test_one_client_cannot_take_all_unfinished_uploads(
    make_appliance: MakeAppliance, address: str, most: int
) -> None:
    """RL-11: 1,000 uploads left unfinished by one client, and by the networks of a /48; room comes back."""
    appliance = await make_appliance()
    numbers = range(1) if "." in address else range(8)
    begun = 0
    for number in numbers:
        client = appliance.client(address.format(number))
        for _ in range(1000 // len(numbers)):
            last = await client.post("/uploads", json={"size": 29})
            begun += last.status_code == 201
        await client.aclose()
    check_problem(last, 429, "files_quota")
    assert begun == most
    elsewhere = appliance.client("198.51.100.1" if "." in address else "2001:db8:1::1")
    for http, key in ((elsewhere, None), (appliance.http, await appliance.key())):
        whole = await upload(http, key=key)
        await create(http, key=key, **attached(whole))
    await elsewhere.aclose()
    usage = await appliance.store.uploads.usage(appliance.clock.now())
    assert (usage.unfinished, len(stored(appliance))) == (most, most + 2)
    appliance.clock.move(HOUR)
    await appliance.engine.reaper.reap_all()
    usage = await appliance.store.uploads.usage(appliance.clock.now())
    assert (usage.unfinished, len(stored(appliance))) == (0, 2)
    client = appliance.client(address.format(0))
    await begin(client)
    await client.aclose()


async def test_unfinished_uploads_count_after_a_restart(
    make_appliance: MakeAppliance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of an account against the account, those of anonymous clients against all of them together."""
    monkeypatch.setattr(files_state, "MAX_UNFINISHED", 32)  # 4 for one client, 24 for all anonymous ones
    appliance = await make_appliance(path=tmp_path / "a.db")
    key = await appliance.key()
    begun = [await begin(appliance.http, key=key) for _ in range(4)]
    for number in range(24):
        client = appliance.client(f"192.0.2.{number}")
        await begin(client)
        await client.aclose()
    await appliance.store.close()
    appliance = await make_appliance(path=tmp_path / "a.db")
    await appliance.engine._files.load()  # as the start does
    refused = await appliance.http.post("/uploads", json={"size": SMALL}, headers=bearer(key))
    check_problem(refused, 429, "files_quota")
    check_problem(await appliance.http.post("/uploads", json={"size": SMALL}), 429, "files_quota")
    gone = await appliance.http.delete(f"/uploads/{begun[0]['uploadId']}", headers=by(begun[0]))
    assert gone.status_code == 204
    await begin(appliance.http, key=key)
    check_problem(await appliance.http.post("/uploads", json={"size": SMALL}), 429, "files_quota")
    appliance.clock.move(HOUR)
    await appliance.engine.reaper.reap_all()
    await begin(appliance.http)


async def test_other_origins_may_use_files(appliance: Appliance) -> None:
    response = await appliance.http.options("/uploads")
    allowed = response.headers["access-control-allow-headers"]
    assert "PUT" in response.headers["access-control-allow-methods"]
    assert all(name in allowed for name in ("seclink-upload", "seclink-grant", "seclink-files", "content-digest"))


async def test_chunk_is_bytes(appliance: Appliance) -> None:
    begun = await begin(appliance.http)
    for kind in ("application/json", "text/plain"):
        response = await put(appliance.http, begun, 0, content(), **{"Content-Type": kind})
        check_problem(response, 415, "unsupported_media_type")


async def test_too_many_bytes_are_refused_before_they_are_read(appliance: Appliance) -> None:
    begun = await begin(appliance.http)
    check_problem(await put(appliance.http, begun, 0, bytes(CHUNK_BYTES + 70_000)), 413, "payload_too_large")


async def test_wrong_grants_are_unknown(appliance: Appliance) -> None:
    secret = await create_with_files(appliance.http)
    revealed = await reveal_files(appliance.http, secret)
    for headers in ({}, {"SecLink-Grant": ""}, {"SecLink-Grant": revealed["files"]["grant"] + "x"}):
        check_problem(await appliance.http.get("/files/0", headers=headers), 404, "not_found")
        check_problem(await appliance.http.delete("/files", headers=headers), 404, "not_found")


async def test_plain_reveal_of_a_dialect_or_script_still_works(appliance: Appliance) -> None:
    secret = await create(appliance.http)
    assert (await reveal(appliance.http, secret)).status_code == 200
