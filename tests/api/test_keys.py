"""API keys count only as Bearer, while they are valid, for their scopes and for their own account."""

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
from seclink.domain import api_keys, tokens, uploads

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("header", "status"),
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
async def test_key_is_accepted_only_as_an_exact_bearer_token(appliance: Appliance, header: str, status: int) -> None:
    """AUTH-01"""
    key = await appliance.key()
    flipped = key[:20] + ("a" if key[20] != "a" else "b") + key[21:]
    value = header.format(key=key, upper=key.upper(), flipped=flipped)
    response = await appliance.http.get("/stats", headers=httpx.Headers([(b"Authorization", value.encode("latin-1"))]))
    assert response.status_code == status
    if status == 401:
        check_problem(response, 401, "key_invalid")


async def test_key_outside_of_the_authorization_header_is_no_credential(appliance: Appliance) -> None:
    """AUTH-01: a key in a cookie or another header has no effect; in the query or the body it is rejected."""
    key, http = await appliance.key(), appliance.http
    for headers in ({"X-Api-Key": key}, {"Cookie": f"key={key}"}, {"Proxy-Authorization": f"Bearer {key}"}):
        check_problem(await http.get("/stats", headers=headers), 401, "key_required")
    for path in ("/stats", "/receipts", "/secrets/abcdefghijkl", "/receipts/" + "x" * 20):
        for name in ("key", "api_key", "access_token", key):
            problem = check_problem(await http.get(f"{path}?{name}={key}"), 400, "bad_request")
            assert key not in str(problem)
    check_problem(await http.post("/secrets", json=body(apiKey=key)), 400, "bad_request")


async def test_two_authorization_headers_are_rejected(appliance: Appliance) -> None:
    """AUTH-01"""
    key = await appliance.key()
    headers = [("Authorization", f"Bearer {key}"), ("Authorization", f"Bearer {key}")]
    check_problem(await appliance.http.get("/stats", headers=headers), 400, "bad_request")


async def test_request_after_a_revocation_is_rejected(appliance: Appliance) -> None:
    """AUTH-02: also while many requests are in flight."""
    key = await appliance.key()
    keys = api_keys.ApiKeys(appliance.store)
    is_revoked = False
    late_statuses: list[int] = []

    async def send_requests() -> None:
        for _ in range(20):
            is_late = is_revoked
            response = await appliance.http.get("/stats", headers=bearer(key))
            if is_late:
                late_statuses.append(response.status_code)

    async def revoke() -> None:
        nonlocal is_revoked
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(await keys.revoke(key[:14], appliance.clock.now())) == 1
        is_revoked = True

    await asyncio.gather(*(send_requests() for _ in range(25)), revoke())
    assert late_statuses
    assert set(late_statuses) == {401}


async def test_key_is_rejected_from_its_expiry_on(appliance: Appliance) -> None:
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
async def test_bad_key_is_not_treated_as_anonymous(appliance: Appliance, method: str, path: str) -> None:
    """AUTH-03: on every route, also on those that need no key."""
    revoked = await appliance.key()
    await api_keys.ApiKeys(appliance.store).revoke(revoked[:14], appliance.clock.now())
    options: dict[str, Any] = {"json": body()} if method in ("POST", "PATCH") else {}
    for key in ("garbage", tokens.mint_key(), revoked):
        response = await appliance.http.request(method, path, headers=bearer(key), **options)
        check_problem(response, 401, "key_invalid")


async def test_key_is_stored_as_its_digest_and_its_prefix(appliance: Appliance) -> None:
    """AUTH-04: neither the files nor the log contain the key, or more of it than the prefix that is shown."""
    key = await appliance.key("-acme")  # follows the prefix in the file; no key has a dash there
    secret = await create(appliance.http, key=key)
    await appliance.http.get("/stats", headers=bearer(key))
    await appliance.http.get("/stats", headers=bearer(key + "x"))
    files = b"".join(file.read_bytes() for file in appliance.path.parent.iterdir())
    data = files + appliance.log.getvalue().encode()
    assert key[: tokens.SHOWN_PREFIX].encode() in data
    assert key[: tokens.SHOWN_PREFIX + 1].encode() not in data
    assert tokens.digest(key) in data
    assert secret["manageToken"].encode() not in data
    db = sqlite3.connect(appliance.path)
    (columns,) = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'api_keys'").fetchone()
    db.close()
    assert "digest BLOB" in columns


def test_secrets_are_compared_in_constant_time() -> None:
    """AUTH-05, as a lint: `tokens.equal`, not `==` or `in`, compares proofs, tokens and digests."""
    assert "compare_digest" in inspect.getsource(tokens.equal)
    words = ("access_hash", "manage_digest", "token", "passcode_hash", "proof", "_check")
    package = Path(seclink.__file__).parent
    paths = [*(package / "domain" / f"{name}.py" for name in ("vault", "receipts", "release_checks", "api_keys"))]
    web = [*(package / "web").glob("*.py")]
    assert len(web) > 10
    for path in [*paths, package / "domain/tokens.py", *web]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In):
                sides = " ".join(ast.unparse(side) for side in (node.left, *node.comparators))
                assert not any(word in sides for word in words), f"{path.name}:{node.lineno}: {ast.unparse(node)}"


# The status of each route by the scopes of the key; "own" is a receipt of the key's account.

SCOPES = {
    "anonymous": None, "create": ("create",), "manage": ("manage",), "both": ("create", "manage"), "admin": ("admin",),
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
    ("GET", "/receipts/{anonymous}"): (404, 404, 404, 404, 200, 404),
    ("GET", "/uploads"): (200, 200, 200, 200, 200, 200),
    ("POST", "/uploads"): (201, 201, 403, 201, 403, 403),
    # By a token alone, whatever key comes with it.
    ("GET", "/uploads/{upload_id}"): (404, 404, 404, 404, 404, 404),
    ("DELETE", "/uploads/{upload_id}"): (404, 404, 404, 404, 404, 404),
    ("PUT", "/uploads/{upload_id}/chunks/{n}"): (415, 415, 415, 415, 415, 415),
    ("GET", "/files/{n}"): (404, 404, 404, 404, 404, 404),
    ("DELETE", "/files"): (404, 404, 404, 404, 404, 404),
    ("GET", "/stats"): (401, 403, 200, 200, 200, 403),
    ("GET", "/account"): (401, 200, 200, 200, 200, 200),
}


@pytest.mark.parametrize("holder", SCOPES)
async def test_scopes_allow_exactly_the_routes_of_the_matrix(
    appliance: Appliance, holder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AUTH-06"""
    monkeypatch.setattr(uploads, "MIN_FREE_BYTES", 0)
    http, scopes = appliance.http, SCOPES[holder]
    owner, stranger = await appliance.key("acme"), await appliance.key("other")
    key = await appliance.key("acme", *scopes) if scopes else None
    for (method, path), expected in MATRIX.items():
        own, others, anonymous = await create(http, key=owner), await create(http, key=stranger), await create(http)
        provable = await create(http, accessHash=ACCESS_HASH)
        names = {
            "live": provable["linkId"] if path.endswith("/burn") else own["linkId"],
            "own": own["receiptId"],
            "others": others["receiptId"],
            "anonymous": anonymous["receiptId"],
            "upload_id": "A" * 20,
            "n": "0",
        }
        payload = body() if path == "/secrets" else {"label": "x"} if method == "PATCH" else None
        payload = {"size": 29} if path == "/uploads" and method == "POST" else payload
        payload = {"access": ACCESS} if path.endswith("/burn") else payload
        headers = bearer(key) if key else {}
        response = await http.request(method, path.format(**names), json=payload, headers=headers)
        assert response.status_code == dict(zip(SCOPES, expected, strict=True))[holder], (
            f"{holder}: {method} {path}: {response.text}"
        )


async def test_matrix_covers_every_route(appliance: Appliance) -> None:
    """AUTH-06"""
    document = (await appliance.http.get("/openapi.json")).json()
    parameters = {
        "{live}": "{link_id}",
        "{own}": "{receipt_id}",
        "{others}": "{receipt_id}",
        "{anonymous}": "{receipt_id}",
    }
    covered = set()
    for method, path in MATRIX:
        for name, parameter in parameters.items():
            path = path.replace(name, parameter)
        covered.add((method, f"/api/v1{path}"))
    assert covered == {(method.upper(), path) for path, item in document["paths"].items() for method in item}


async def test_account_cannot_access_a_receipt_of_another(appliance: Appliance) -> None:
    """AUTH-07: not by list, id, change or burn, nor with the manage token of another receipt."""
    http, a, b = appliance.http, await appliance.key("a"), await appliance.key("b")
    others, own = await create(http, key=b, label="theirs"), await create(http, key=a)
    path = f"/receipts/{others['receiptId']}"
    for headers in (
        bearer(a),
        bearer(a) | manage(own),
        manage(own),
        {"SecLink-Manage": ""},
        {"SecLink-Manage": "x" * 32},
    ):
        check_problem(await http.get(path, headers=headers), 404, "not_found")
        check_problem(await http.patch(path, json={"label": "x"}, headers=headers), 404, "not_found")
        check_problem(await http.delete(path, headers=headers), 404, "not_found")
    for query in ("", "?search=theirs", "?status=active"):
        assert others["receiptId"] not in (await http.get(f"/receipts{query}", headers=bearer(a))).text
    for wrong_id in (others["manageToken"], others["receiptId"].lower()):
        check_problem(await http.get(f"/receipts/{wrong_id}", headers=bearer(b)), 404, "not_found")
    by_link = f"/receipts/{others['linkId']}"
    admin = await appliance.key("root", "admin")
    for headers in (bearer(a), manage(own), bearer(admin)):  # an admin, too: its lists have no linkIds
        check_problem(await http.get(by_link, headers=headers), 404, "not_found")
        check_problem(await http.delete(by_link, headers=headers), 404, "not_found")
    assert (await http.get(by_link, headers=bearer(b))).json()["label"] == "theirs"
    assert (await http.get(path, headers=bearer(b))).json()["label"] == "theirs"


async def test_unknown_receipt_and_that_of_another_account_get_the_same_response(appliance: Appliance) -> None:
    """AUTH-07"""
    http, key = appliance.http, await appliance.key("a")
    others = await create(http)
    responses = [
        await http.get(f"/receipts/{id}", headers=bearer(key)) for id in (others["receiptId"], "0" * 20, "no-id")
    ]
    problems = [{**response.json(), "requestId": ""} for response in responses]
    assert problems[0] == problems[1] == problems[2]
    assert len({response.headers["content-length"] for response in responses}) == 1


async def test_burn_by_receipt_needs_the_manage_token_and_guesses_are_limited(make_appliance: MakeAppliance) -> None:
    """AUTH-08"""
    appliance = await make_appliance('[rates]\npeek = "50/hour"\n')
    secret = await create(appliance.http, accessHash=ACCESS_HASH)
    path = f"/receipts/{secret['receiptId']}"
    statuses = []
    for number in range(200):
        headers = {"SecLink-Manage": f"{number:032d}"} if number else {}
        statuses.append((await appliance.http.delete(path, headers=headers)).status_code)
    assert statuses == [404] * 50 + [429] * 150
    stranger = appliance.client("198.51.100.1")
    assert (await stranger.get(path, headers=manage(secret))).json()["state"] == "active"


async def test_manage_token_works_with_a_key_of_another_account(appliance: Appliance) -> None:
    secret = await create(appliance.http)
    headers = bearer(await appliance.key("acme", "create")) | manage(secret)
    assert (await appliance.http.delete(f"/receipts/{secret['receiptId']}", headers=headers)).status_code == 204
    check_problem(await reveal(appliance.http, secret), 410, "gone")


# Against the real server, with the real command


def test_key_add_prints_only_the_key(server: Server) -> None:
    result = server.seclink("key", "add", "printer", "--config", str(server.config))
    assert result.stderr == b""
    assert tokens.is_key(result.stdout.decode().rstrip("\n"))
    assert result.stdout.count(b"\n") == 1


def test_key_commands_take_effect_at_once_on_a_running_server(server: Server) -> None:
    """AUTH-02, across two processes: the next request sees the change."""
    config = ("--config", str(server.config))
    key = server.key("manage", account="comes-and-goes")
    account = f"{server.url}/api/v1/account"
    assert httpx.get(account, headers=bearer(key)).json()["name"] == "comes-and-goes"
    listing = server.seclink("key", "list", *config).stdout.decode()
    row = next(line for line in listing.splitlines() if "comes-and-goes" in line)
    assert row.split()[0] == key[:14] + "..."
    assert key not in listing
    server.seclink("key", "revoke", key[:14], *config)
    assert httpx.get(account, headers=bearer(key)).status_code == 401
    listing = server.seclink("key", "list", *config).stdout.decode()
    assert next(line for line in listing.splitlines() if "comes-and-goes" in line).split()[-1] == "revoked"
    second = server.seclink("key", "revoke", key[:14], *config, check=False)
    assert (second.returncode, second.stdout) == (1, b"")
    assert key[:14] in second.stderr.decode()


def test_request_after_a_revocation_by_another_process_is_rejected(server: Server) -> None:
    """AUTH-02: eight clients keep sending requests during the revocation."""
    key = server.key(account="busy")
    is_revoked, stop = threading.Event(), threading.Event()
    early_statuses: list[int] = []
    late_statuses: list[int] = []

    def send_requests() -> None:
        with httpx.Client(headers=bearer(key)) as http:
            while not stop.is_set() or not late_statuses:
                is_late = is_revoked.is_set()
                response = http.get(f"{server.url}/api/v1/stats")
                (late_statuses if is_late else early_statuses).append(response.status_code)
                if is_late:
                    return

    clients = [threading.Thread(target=send_requests) for _ in range(8)]
    for client in clients:
        client.start()
    try:
        server.seclink("key", "revoke", key[:14], "--config", str(server.config))
    finally:
        is_revoked.set()
        stop.set()
        for client in clients:
            client.join()
    assert set(early_statuses) <= {200, 401}
    assert set(late_statuses) == {401}


@pytest.mark.parametrize(
    ("options", "scopes", "rate", "expiry"),
    [
        ((), "create,manage", "-", "live"),
        (("--scope", "create"), "create", "-", "live"),
        (("--scope", "manage", "--scope", "admin"), "admin,manage", "-", "live"),
        (("--rate", "500/hour"), "create,manage", "500/hour", "live"),
        (("--expires", "90d"), "create,manage", "-", "until"),
    ],
)
def test_key_add_accepts_scopes_rate_and_expiry(
    server: Server, options: tuple[str, ...], scopes: str, rate: str, expiry: str
) -> None:
    account = f"k{len(options)}{hash(options) % 10**6}"
    key = server.seclink("key", "add", account, *options, "--config", str(server.config)).stdout.decode().strip()
    listing = server.seclink("key", "list", "--config", str(server.config)).stdout.decode()
    row = next(line for line in listing.splitlines() if account in line).split()
    assert row[1:4] == [account, scopes, rate]
    assert row[5] == expiry
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
def test_key_command_rejects_invalid_arguments(server: Server, arguments: tuple[str, ...]) -> None:
    before = server.seclink("key", "list", "--config", str(server.config)).stdout
    result = server.seclink(
        "key", *arguments, *(() if arguments == ("nothing",) else ("--config", str(server.config))), check=False
    )
    assert (result.returncode, result.stdout) == (2, b"")
    assert b"Traceback" not in result.stderr
    assert server.seclink("key", "list", "--config", str(server.config)).stdout == before
