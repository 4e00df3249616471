"""The unmodified PyPI package sharokey, and the calls of sharokey-js, against a real server."""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from support.server import MakeServer, Server
from support.waiting import TIMEOUT_SECONDS

HERE = Path(__file__).parent / "clients"
PYTHON = [
    str(Path(sys.prefix, "clients/python/bin/python")),
    "-W",
    "error",
    "-W",
    "ignore::ResourceWarning",
    str(HERE / "sharokey_sdk.py"),
]
TEXT = "  hello ✓\n"


def run(command: list[str], input: dict[str, Any]) -> Any:
    process = subprocess.run(
        command, input=json.dumps(input), capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def sdk(server: Server, token: str, *calls: tuple[Any, ...]) -> Any:
    """Each call is (method, argument..., options)."""
    requested = [[method, rest[:-1], rest[-1]] for method, *rest in calls]
    return run(PYTHON, {"api_url": f"{server.url}/sharokey/api/v1/", "token": token, "calls": requested})


def javascript(server: Server, token: str, *calls: tuple[Any, ...]) -> Any:
    node = shutil.which("node")
    assert node, "node is missing: install the package nodejs"
    command = [node, str(HERE / "sharokey_node.mjs")]
    return run(command, {"apiUrl": f"{server.url}/sharokey/api/v1", "token": token, "calls": calls})


def opened(server: Server, share_url: str, password: str | None = None) -> str:
    """Return the text that the recipient of a link reads."""
    url, _, fragment = share_url.partition("#")
    assert re.fullmatch(re.escape(server.url) + "/[A-Za-z0-9]{12}", url)
    proof = {"passcodeHash": hashlib.sha256(password.encode()).hexdigest()} if password else {}
    response = httpx.post(f"{server.url}/api/v1/secrets/{url[-12:]}/reveal", json=proof)
    payload = json.loads(base64.b64decode(response.json()["encryptedBlob"]))
    sealed, iv, salt = (base64.b64decode(payload[name]) for name in ("content", "iv", "salt"))
    key = hashlib.pbkdf2_hmac("sha256", (payload["key"] + fragment).encode(), salt, 10_000)
    return AESGCM(key).decrypt(iv, sealed, None).decode()


@pytest.fixture
def token(server: Server, request: pytest.FixtureRequest) -> str:
    """An API key of an account that only this test uses."""
    return str(server.key(account=f"sharokey-{request.node.name[:40]}"))


def test_python_client_passes_its_own_diagnosis(server: Server, token: str) -> None:
    """Six checks of six; the secret that it creates for them is gone afterwards."""
    report, stats, listed_after = sdk(server, token, ("test", {}), ("stats", {}), ("list", {}))
    assert (report["passed"], report["total"]) == (6, 6), report["details"]
    assert {name: stats["data"][name] for name in ("total_secrets", "active_secrets", "expired_secrets")} == {
        "total_secrets": 1, "active_secrets": 0, "expired_secrets": 1,
    }  # fmt: skip
    assert [(item["status"], item["description"]) for item in listed_after["data"]] == [("expired", None)]


def test_python_client_creates_lists_gets_and_deletes(server: Server, token: str) -> None:
    options = {"hours": 48, "views": 2, "description": "db", "message": "m", "password": "secure123"}
    created, other = sdk(server, token, ("create", TEXT, options), ("create", "x", {}))
    slug, share_url = created["data"]["slug"], created["data"]["share_url"]
    assert re.fullmatch(r".*/[A-Za-z0-9]{12}#[A-Za-z0-9]{24}", share_url)
    listed, searched, details, health = sdk(
        server, token, ("list", {"status": "active", "limit": 10}), ("search", "d b&limit=x", {}), ("get", slug, {}),
        ("health", {}),
    )  # fmt: skip
    assert [item["slug"] for item in listed["data"]] == [other["data"]["slug"], slug]
    assert searched["error"] == "SharokeyError"  # it does not escape the text, so that was another limit
    assert (details["data"]["current_views"], details["data"]["has_password"], health["success"]) == (0, True, True)
    assert opened(server, share_url, "secure123") == TEXT
    details, deleted, again, gone, live = sdk(
        server, token, ("get", slug, {}), ("delete", slug, {}), ("delete", slug, {}), ("get", slug, {}),
        ("get_active_secrets", {}),
    )  # fmt: skip
    assert details["data"]["current_views"] == 1
    assert deleted == {"success": True, "message": "Secret deleted successfully", "data": None}
    assert again["error"] == "NotFoundError"
    assert (gone["data"]["status"], gone["data"]["description"]) == ("expired", None)
    assert [item["slug"] for item in live["data"]] == [other["data"]["slug"]]
    assert opened(server, other["data"]["share_url"]) == "x"
    assert "secure123" not in server.log()
    assert token not in server.log()


def test_python_client_raises_the_servers_message(server: Server, token: str, tmp_path: Path) -> None:
    attached = tmp_path / "attached.txt"
    attached.write_text("x" * 70)
    refusals = {
        "otp_type is not supported here": {"otp_email": "a@b.co"},
        "captcha is not supported here": {"captcha": True},
        "ip_whitelist is not supported here": {"ip_whitelist": "10.0.0.1"},
        "geolocation is not supported here": {"geolocation": "FR"},
        "expiration_hours must be between 1 and 720": {"hours": 8760},
        "password must have 4 to 100 characters": {"password": "abc"},
        "description must have at most 255 characters": {"description": "d" * 256},
        "attachments are not accepted": {"attachments": [str(attached)]},
    }
    responses = sdk(server, token, *(("create", TEXT, options) for options in refusals.values()))
    for message, outcome in zip(refusals, responses, strict=True):
        assert outcome["error"] == "SharokeyError"
        assert outcome["message"].startswith(f"API Error: {message}")
    missing, requested, listed = sdk(
        server, token, ("get", "AbCdEfGhIjKl", {}), ("create_request", {}), ("list_requests", {"search": "a"})
    )
    assert missing["error"] == "NotFoundError"
    assert requested == listed == {
        "error": "SharokeyError", "message": "API Error: Secret requests are not supported by this server",
    }  # fmt: skip
    (listed_after,) = sdk(server, token, ("list", {}))
    assert listed_after["data"] == []


def test_python_client_recognizes_a_wrong_key_and_the_rate_limit(server: Server, make_server: MakeServer) -> None:
    created, report = sdk(server, "sk_live_" + "0" * 38, ("create", TEXT, {}), ("test", {}))
    assert created["error"] == "AuthenticationError"
    assert report["passed"] == 2  # it is configured, and the server answers
    limited_server = make_server('[rates]\nkey = "2/hour"\n').start()
    *_, refused = sdk(limited_server, limited_server.key(), ("stats", {}), ("stats", {}), ("stats", {}))
    assert refused["error"] == "NetworkError"
    assert refused["message"].startswith("Rate limit exceeded")


def test_attachment_of_the_python_client_is_accepted_if_allowed(make_server: MakeServer, tmp_path: Path) -> None:
    attached = tmp_path / "attached.txt"
    attached.write_text("y" * 70)
    large = tmp_path / "large.bin"
    large.write_bytes(b"z" * (10 * 2**20 - 70))
    allowed = "[dialects.sharokey]\nallow_attachments = true\n"
    server, token = (server := make_server(f"{allowed}[limits]\npayload_bytes = 11000000\n").start()), server.key()
    options = {"description": "db", "attachments": [str(attached), str(large)]}
    (created,) = sdk(server, token, ("create", TEXT, options))
    assert "data" in created, created
    slug = created["data"]["slug"]
    details, listed = sdk(server, token, ("get", slug, {}), ("list", {}))
    for data in (created["data"], details["data"], listed["data"][0]):
        assert (data["has_attachments"], data["attachments_count"], data["description"]) == (True, 2, "db")
    assert details["data"]["attachments"] == [{"name": "attached.txt"}, {"name": "large.bin"}]
    assert opened(server, created["data"]["share_url"]) == TEXT
    many = [tmp_path / f"{number}.txt" for number in range(11)]
    for path in many:
        path.write_text("w" * 70)
    too_many, too_large, ten = sdk(
        server,
        token,
        *(
            ("create", TEXT, {"attachments": list(map(str, paths))})
            for paths in (many, [large, many[0], attached], many[:10])
        ),
    )
    assert "error" in too_many
    assert "error" in too_large
    assert ten["data"]["attachments_count"] == 10
    [warning] = [line for line in server.log().splitlines() if "key and iv of the text" in line]
    assert '"level":"warning"' in warning


def test_calls_of_the_javascript_client_work(server: Server, token: str) -> None:
    (created,) = javascript(server, token, ("createSecret", TEXT, {"maximum_views": 2, "password": "secure123"}))
    assert (created["attempts"], created["status"], "share_url" in created["body"]["data"]) == (1, 201, False)
    path = f"/secrets/{created['body']['data']['slug']}"
    responses = javascript(
        server, token, ("GET", path), ("GET", "/secrets?status=active&limit=10&page=1"), ("GET", "/health"),
        ("GET", "/secrets-stats"), ("GET", "/auth/me"),
    )  # fmt: skip
    assert responses[4]["body"]["data"]["email"].startswith("sharokey-")  # validateToken
    assert javascript(server, "sk_live_" + "0" * 38, ("GET", "/auth/me"))[0]["status"] == 401
    assert all(outcome["body"]["success"] is True for outcome in responses)
    assert responses[1]["body"]["meta"] == responses[1]["body"]["pagination"]
    assert opened(server, created["shareUrl"], "secure123") == TEXT
    deleted, again = javascript(server, token, ("DELETE", path), ("DELETE", path))
    assert (deleted["body"]["data"], again["status"], again["attempts"]) == (None, 404, 1)


def test_javascript_client_gets_json_errors_and_does_not_retry(server: Server, token: str) -> None:
    """A chunked body over the limit gets 413, and is sent once."""
    responses = javascript(
        server, token, ("createSecret", "x" * 3_000_000, {}), ("createSecret", TEXT, {"otp_email": "a@b.co"}),
        ("createSecret", TEXT, {"maximum_views": 0}), ("GET", "/requests"), ("POST", "/auth/login"), ("PUT", "/health"),
    )  # fmt: skip
    outcomes = [(response["status"], response["attempts"]) for response in responses]
    assert outcomes == [(status, 1) for status in (413, 422, 422, 403, 404, 405)]
    for response in responses:
        assert response["body"]["success"] is False
        assert response["body"]["error"]["message"] == response["body"]["message"]
    (wrong,) = javascript(server, "sk_live_" + "0" * 38, ("createSecret", TEXT, {}))
    assert (wrong["status"], wrong["attempts"], wrong["shareUrl"]) == (401, 1, None)
