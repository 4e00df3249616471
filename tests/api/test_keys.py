"""API keys: only as Bearer, only while they live, only for what they may, only for their own."""

import ast
import asyncio
import inspect
import sqlite3
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_helpers import ACCESS, ACCESS_HASH, bearer, body, check_problem, create, manage, reveal
from support.appliance import Appliance, MakeAppliance
from support.server import Server

import seclink
from seclink.domain import api_keys, tokens

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ("Bearer {key}", 200),
        ("bearer {key}", 200),
        ("BEARER {key}", 200),
        ("Bearer  {key}", 401),
        ("Bearer {key} ", 401),
        ("Bearer {key}x", 401),
        ("Bearer\t{key}", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("", 401),
        ("{key}", 401),
        ("Token {key}", 401),
        ("Basic {key}", 401),
        ("Bearer {upper}", 401),
        ("Bearer {flipped}", 401),
        ("Bearer sk_live_" + "0" * 38, 401),
        ("Bearer ü", 401),
        ("Bearer {key}, Bearer {key}", 401),
    ],
)
async def test_key_counts_only_as_bearer_and_to_the_letter(appliance: Appliance, given: str, status: int) -> None:
    """AUTH-01"""
    key = await appliance.key()
    flipped = key[:20] + ("a" if key[20] != "a" else "b") + key[21:]
    value = given.format(key=key, upper=key.upper(), flipped=flipped)
    answer = await appliance.http.get("/stats", headers=httpx.Headers([(b"Authorization", value.encode("latin-1"))]))
    assert answer.status_code == status
    if status == 401:
        check_problem(answer, 401, "key_invalid")


async def test_key_elsewhere_is_no_key(appliance: Appliance) -> None:
    """AUTH-01: a cookie, another header or the body does nothing; in the query it is refused."""
    key, http = await appliance.key(), appliance.http
    for headers in ({"X-Api-Key": key}, {"Cookie": f"key={key}"}, {"Proxy-Authorization": f"Bearer {key}"}):
        check_problem(await http.get("/stats", headers=headers), 401, "key_required")
    for path in ("/stats", "/receipts", "/secrets/abcdefghijkl", "/receipts/" + "x" * 20):
        for name in ("key", "api_key", "access_token", key):
            problem = check_problem(await http.get(f"{path}?{name}={key}"), 400, "bad_request")
            assert key not in str(problem)
    check_problem(await http.post("/secrets", json=body(apiKey=key)), 400, "bad_request")


async def test_two_authorizations_are_refused(appliance: Appliance) -> None:
    """AUTH-01"""
    key = await appliance.key()
    headers = [("Authorization", f"Bearer {key}"), ("Authorization", f"Bearer {key}")]
    check_problem(await appliance.http.get("/stats", headers=headers), 400, "bad_request")


async def test_every_request_after_the_revocation_is_refused(appliance: Appliance) -> None:
    """AUTH-02: while many are under way."""
    key = await appliance.key()
    ring = api_keys.ApiKeys(appliance.store)
    is_revoked = False
    late: list[int] = []

    async def ask() -> None:
        for _ in range(20):
            begun_after = is_revoked
            answer = await appliance.http.get("/stats", headers=bearer(key))
            if begun_after:
                late.append(answer.status_code)

    async def revoke() -> None:
        nonlocal is_revoked
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(await ring.revoke(key[:14], appliance.clock.now())) == 1
        is_revoked = True

    await asyncio.gather(*(ask() for _ in range(25)), revoke())
    assert late
    assert set(late) == {401}


async def test_key_ends_on_its_day(appliance: Appliance) -> None:
    """AUTH-02"""
    key = await appliance.key(ttl_seconds=3600)
    appliance.clock.move(3599)
    assert (await appliance.http.get("/stats", headers=bearer(key))).status_code == 200
    appliance.clock.move(1)
    check_problem(await appliance.http.get("/stats", headers=bearer(key)), 401, "key_invalid")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/secrets"),
        ("GET", "/secrets/abcdefghijkl"),
        ("POST", "/secrets/abcdefghijkl/reveal"),
        ("POST", "/secrets/abcdefghijkl/burn"),
        ("GET", "/secrets/abcdefghijkl/meta"),
        ("POST", "/secrets/abcdefghijkl/report"),
        ("GET", "/receipts"),
        ("GET", "/receipts/" + "x" * 20),
        ("PATCH", "/receipts/" + "x" * 20),
        ("DELETE", "/receipts/" + "x" * 20),
        ("GET", "/stats"),
        ("GET", "/account"),
    ],
)
async def test_bad_key_is_never_taken_for_nobody(appliance: Appliance, method: str, path: str) -> None:
    """AUTH-03: on every route, also where nobody would be welcome."""
    revoked = await appliance.key()
    await api_keys.ApiKeys(appliance.store).revoke(revoked[:14], appliance.clock.now())
    options: dict[str, Any] = {"json": body()} if method in ("POST", "PATCH") else {}
    for key in ("garbage", tokens.mint_key(), revoked):
        answer = await appliance.http.request(method, path, headers=bearer(key), **options)
        check_problem(answer, 401, "key_invalid")


async def test_key_is_kept_as_its_digest_and_its_beginning(appliance: Appliance) -> None:
    """AUTH-04: neither the files nor the log hold it, or a longer part than is shown."""
    key = await appliance.key("-acme")  # stands behind the beginning in the file; no key goes on with a dash
    made = await create(appliance.http, key=key)
    await appliance.http.get("/stats", headers=bearer(key))
    await appliance.http.get("/stats", headers=bearer(key + "x"))
    raw = b"".join(each.read_bytes() for each in appliance.path.parent.iterdir()) + appliance.log.getvalue().encode()
    assert key[: tokens.SHOWN_PREFIX].encode() in raw
    assert key[: tokens.SHOWN_PREFIX + 1].encode() not in raw
    assert tokens.digest(key) in raw
    assert made["manageToken"].encode() not in raw
    db = sqlite3.connect(appliance.path)
    (columns,) = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'api_keys'").fetchone()
    db.close()
    assert "digest BLOB" in columns


def test_secrets_are_compared_in_constant_time() -> None:
    """AUTH-05, as a lint: `==` and `in` never stand beside a proof, token or digest; `tokens.equal` is for that."""
    assert "compare_digest" in inspect.getsource(tokens.equal)
    words = ("access_hash", "manage_digest", "token", "passcode_hash", "proof", "_check")
    package = Path(seclink.__file__).parent
    paths = [*(package / "domain" / f"{name}.py" for name in ("vault", "receipts", "release_checks", "api_keys"))]
    web = [*(package / "web").glob("*.py")]
    assert len(web) > 10
    for path in [*paths, package / "domain/tokens.py", *web]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In):
                sides = " ".join(ast.unparse(each) for each in (node.left, *node.comparators))
                assert not any(word in sides for word in words), f"{path.name}:{node.lineno}: {ast.unparse(node)}"


# Scopes: what each holder gets; "own" is a receipt of the same account.

SCOPES = {
    "nobody": None, "create": ("create",), "manage": ("manage",), "both": ("create", "manage"), "admin": ("admin",),
    "metrics": ("metrics",),
}  # fmt: skip
MATRIX: dict[tuple[str, str], tuple[int, ...]] = {  # in the order of SCOPES
    ("POST", "/secrets"): (201, 201, 403, 201, 403, 403),
    ("GET", "/secrets/{live}"): (200, 200, 200, 200, 200, 200),
    ("POST", "/secrets/{live}/reveal"): (200, 200, 200, 200, 200, 200),
    ("POST", "/secrets/{live}/burn"): (204, 204, 204, 204, 204, 204),
    ("GET", "/secrets/{live}/meta"): (200, 200, 200, 200, 200, 200),
    ("POST", "/secrets/{live}/report"): (202, 202, 202, 202, 202, 202),
    ("GET", "/receipts"): (401, 403, 200, 200, 200, 403),
    ("GET", "/receipts/{own}"): (404, 404, 200, 200, 200, 404),
    ("PATCH", "/receipts/{own}"): (404, 404, 200, 200, 404, 404),
    ("DELETE", "/receipts/{own}"): (404, 404, 204, 204, 204, 404),
    ("GET", "/receipts/{others}"): (404, 404, 404, 404, 200, 404),
    ("PATCH", "/receipts/{others}"): (404, 404, 404, 404, 404, 404),
    ("DELETE", "/receipts/{others}"): (404, 404, 404, 404, 204, 404),
    ("GET", "/receipts/{nobodys}"): (404, 404, 404, 404, 200, 404),
    ("GET", "/stats"): (401, 403, 200, 200, 200, 403),
    ("GET", "/account"): (401, 200, 200, 200, 200, 200),
}


@pytest.mark.parametrize("holder", SCOPES)
async def test_scopes_open_exactly_what_the_table_says(appliance: Appliance, holder: str) -> None:
    """AUTH-06"""
    http, scopes = appliance.http, SCOPES[holder]
    maker, stranger = await appliance.key("acme"), await appliance.key("other")
    key = await appliance.key("acme", *scopes) if scopes else None
    for (method, path), expected in MATRIX.items():
        own, others, nobodys = await create(http, key=maker), await create(http, key=stranger), await create(http)
        provable = await create(http, accessHash=ACCESS_HASH)
        names = {
            "live": provable["linkId"] if path.endswith("/burn") else own["linkId"],
            "own": own["receiptId"],
            "others": others["receiptId"],
            "nobodys": nobodys["receiptId"],
        }
        sent = body() if path == "/secrets" else {"label": "x"} if method == "PATCH" else None
        sent = {"access": ACCESS} if path.endswith("/burn") else sent
        answer = await http.request(
            method, path.format(**names), json=sent, headers=bearer(key) if key else {}
        )  # fmt: skip
        assert answer.status_code == dict(zip(SCOPES, expected, strict=True))[holder], (
            f"{holder}: {method} {path}: {answer.text}"
        )


async def test_table_of_scopes_covers_every_route(appliance: Appliance) -> None:
    """AUTH-06"""
    document = (await appliance.http.get("/openapi.json")).json()
    named = {"{live}": "{link_id}", "{own}": "{receipt_id}", "{others}": "{receipt_id}", "{nobodys}": "{receipt_id}"}
    covered = set()
    for method, path in MATRIX:
        for ours, theirs in named.items():
            path = path.replace(ours, theirs)
        covered.add((method, f"/api/v1{path}"))
    assert covered == {(method.upper(), path) for path, item in document["paths"].items() for method in item}


async def test_account_reaches_nothing_of_another(appliance: Appliance) -> None:
    """AUTH-07: not by list, by id, by edit, by burning, nor by another's manage token."""
    http, a, b = appliance.http, await appliance.key("a"), await appliance.key("b")
    theirs, mine = await create(http, key=b, label="theirs"), await create(http, key=a)
    one = f"/receipts/{theirs['receiptId']}"
    for headers in (
        bearer(a),
        bearer(a) | manage(mine),
        manage(mine),
        {"SecLink-Manage": ""},
        {"SecLink-Manage": "x" * 32},
    ):
        check_problem(await http.get(one, headers=headers), 404, "not_found")
        check_problem(await http.patch(one, json={"label": "x"}, headers=headers), 404, "not_found")
        check_problem(await http.delete(one, headers=headers), 404, "not_found")
    for query in ("", "?search=theirs", "?status=active"):
        assert theirs["receiptId"] not in (await http.get(f"/receipts{query}", headers=bearer(a))).text
    for wrong_name in (theirs["linkId"], theirs["manageToken"], theirs["receiptId"].lower()):
        check_problem(await http.get(f"/receipts/{wrong_name}", headers=bearer(b)), 404, "not_found")
    assert (await http.get(one, headers=bearer(b))).json()["label"] == "theirs"


async def test_unknown_and_foreign_receipts_look_the_same(appliance: Appliance) -> None:
    """AUTH-07"""
    http, key = appliance.http, await appliance.key("a")
    theirs = await create(http)
    answers = [
        await http.get(f"/receipts/{each}", headers=bearer(key)) for each in (theirs["receiptId"], "0" * 20, "no-id")
    ]
    bodies = [{name: value for name, value in each.json().items() if name != "requestId"} for each in answers]
    assert bodies[0] == bodies[1] == bodies[2]
    assert len({each.headers["content-length"] for each in answers}) == 1


async def test_burning_needs_the_token_and_guessing_it_is_limited(make_appliance: MakeAppliance) -> None:
    """AUTH-08"""
    made_appliance = await make_appliance('[rates]\npeek = "50/hour"\n')
    made = await create(made_appliance.http, accessHash=ACCESS_HASH)
    one = f"/receipts/{made['receiptId']}"
    statuses = []
    for number in range(200):
        headers = {"SecLink-Manage": f"{number:032d}"} if number else {}
        statuses.append((await made_appliance.http.delete(one, headers=headers)).status_code)
    assert statuses == [404] * 50 + [429] * 150
    stranger = made_appliance.client("198.51.100.1")
    assert (await stranger.get(one, headers=manage(made))).json()["state"] == "active"


async def test_manage_token_works_beside_a_key_of_somebody_else(appliance: Appliance) -> None:
    made = await create(appliance.http)
    headers = bearer(await appliance.key("acme", "create")) | manage(made)
    assert (await appliance.http.delete(f"/receipts/{made['receiptId']}", headers=headers)).status_code == 204
    check_problem(await reveal(appliance.http, made), 410, "gone")


# Against the real server, with the real command


def test_key_command_prints_the_key_and_only_it(server: Server) -> None:
    added = server.seclink("key", "add", "printer", "--config", str(server.config))
    assert added.stderr == b""
    assert tokens.is_key(added.stdout.decode().rstrip("\n"))
    assert added.stdout.count(b"\n") == 1


def test_keys_come_and_go_at_once_while_the_server_runs(server: Server) -> None:
    """AUTH-02, in two processes: what the command has said holds for the next request."""
    config = ("--config", str(server.config))
    key = server.key("manage", account="comes-and-goes")
    account = f"{server.url}/api/v1/account"
    assert httpx.get(account, headers=bearer(key)).json()["name"] == "comes-and-goes"
    listed = server.seclink("key", "list", *config).stdout.decode()
    row = next(line for line in listed.splitlines() if "comes-and-goes" in line)
    assert row.split()[0] == key[:14] + "..."
    assert key not in listed
    server.seclink("key", "revoke", key[:14], *config)
    assert httpx.get(account, headers=bearer(key)).status_code == 401
    listed = server.seclink("key", "list", *config).stdout.decode()
    assert next(line for line in listed.splitlines() if "comes-and-goes" in line).split()[-1] == "revoked"
    again = server.seclink("key", "revoke", key[:14], *config, check=False)
    assert (again.returncode, again.stdout) == (1, b"")
    assert key[:14] in again.stderr.decode()


def test_requests_that_begin_after_a_revocation_in_another_process_are_refused(server: Server) -> None:
    """AUTH-02: fifty callers keep asking while the key goes."""
    key = server.key(account="busy")
    is_revoked, stop = threading.Event(), threading.Event()
    early: list[int] = []
    late: list[int] = []

    def ask() -> None:
        with httpx.Client(headers=bearer(key)) as http:
            while not stop.is_set() or not late:
                begun_after = is_revoked.is_set()
                answer = http.get(f"{server.url}/api/v1/stats")
                (late if begun_after else early).append(answer.status_code)
                if begun_after:
                    return

    askers = [threading.Thread(target=ask) for _ in range(8)]
    for each in askers:
        each.start()
    try:
        server.seclink("key", "revoke", key[:14], "--config", str(server.config))
    finally:
        is_revoked.set()
        stop.set()
        for each in askers:
            each.join()
    assert set(early) <= {200, 401}
    assert set(late) == {401}


@pytest.mark.parametrize(
    ("options", "scopes", "rate", "ends"),
    [
        ((), "create,manage", "-", "live"),
        (("--scope", "create"), "create", "-", "live"),
        (("--scope", "manage", "--scope", "admin"), "admin,manage", "-", "live"),
        (("--rate", "500/hour"), "create,manage", "500/hour", "live"),
        (("--expires", "90d"), "create,manage", "-", "until"),
    ],
)
def test_key_command_takes_scopes_rate_and_end(
    server: Server, options: tuple[str, ...], scopes: str, rate: str, ends: str
) -> None:
    account = f"k{len(options)}{hash(options) % 10**6}"
    key = server.seclink("key", "add", account, *options, "--config", str(server.config)).stdout.decode().strip()
    listed = server.seclink("key", "list", "--config", str(server.config)).stdout.decode()
    row = next(line for line in listed.splitlines() if account in line).split()
    assert row[1:4] == [account, scopes, rate]
    assert row[5] == ends
    limit = httpx.get(f"{server.url}/api/v1/account", headers=bearer(key)).json()["rate"]["limit"]
    assert limit == (500 if "--rate" in options else 1_000_000)


@pytest.mark.parametrize(
    "arguments",
    [
        ("add",),
        ("add", ""),
        ("add", "a b"),
        ("add", "a\nb"),
        ("add", "x" * 65),
        ("add", "../x"),
        ("add", "ok", "--scope", "root"),
        ("add", "ok", "--expires", "90"),
        ("add", "ok", "--expires", "-1d"),
        ("add", "ok", "--rate", "many"),
        ("add", "ok", "--rate", "0/hour"),
        ("revoke",),
        ("revoke", ""),
        ("revoke", "sk_"),
        ("revoke", "%"),
        ("nothing",),
    ],
)
def test_key_command_refuses_what_it_does_not_understand(server: Server, arguments: tuple[str, ...]) -> None:
    before = server.seclink("key", "list", "--config", str(server.config)).stdout
    refused = server.seclink(
        "key", *arguments, *(() if arguments == ("nothing",) else ("--config", str(server.config))), check=False
    )
    assert (refused.returncode, refused.stdout) == (2, b"")
    assert b"Traceback" not in refused.stderr
    assert server.seclink("key", "list", "--config", str(server.config)).stdout == before
