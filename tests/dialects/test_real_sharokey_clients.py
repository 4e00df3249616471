"""The PyPI package sharokey, as it is, and the calls of sharokey-js, against a real server on a real port."""

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

HERE = Path(__file__).parent / "clients"
PYTHON = [str(Path(sys.prefix, "clients/python/bin/python")), "-W", "error", str(HERE / "sharokey_sdk.py")]
TEXT = "  hello ✓\n"


def run(command: list[str], given: dict[str, Any]) -> Any:
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def sdk(server: Any, token: str, *calls: tuple[Any, ...]) -> Any:
    """Each call is (method, argument..., options)."""
    asked = [[method, rest[:-1], rest[-1]] for method, *rest in calls]
    return run(PYTHON, {"api_url": f"{server.url}/sharokey/api/v1/", "token": token, "calls": asked})


def javascript(server: Any, token: str, *calls: tuple[Any, ...]) -> Any:
    node = shutil.which("node")
    assert node, "node is missing: install the package nodejs"
    command = [node, str(HERE / "sharokey_node.mjs")]
    return run(command, {"apiUrl": f"{server.url}/sharokey/api/v1", "token": token, "calls": calls})


def opened(server: Any, share_url: str, password: str | None = None) -> str:
    """What a reader of the link gets."""
    url, _, fragment = share_url.partition("#")
    assert re.fullmatch(re.escape(server.url) + "/[A-Za-z0-9]{12}", url)
    proof = {"passcodeHash": hashlib.sha256(password.encode()).hexdigest()} if password else {}
    answer = httpx.post(f"{server.url}/api/v1/secrets/{url[-12:]}/reveal", json=proof)
    payload = json.loads(base64.b64decode(answer.json()["encryptedBlob"]))
    sealed, iv, salt = (base64.b64decode(payload[name]) for name in ("content", "iv", "salt"))
    key = hashlib.pbkdf2_hmac("sha256", (payload["key"] + fragment).encode(), salt, 10_000)
    return AESGCM(key).decrypt(iv, sealed, None).decode()


@pytest.fixture
def token(server: Any, request: pytest.FixtureRequest) -> str:
    """Of an account of the test's own."""
    return str(server.key(account=f"sharokey-{request.node.name[:40]}"))


def test_python_client_finds_nothing_wrong_with_it(server: Any, token: str) -> None:
    """Its own diagnosis: six of six, and the secret it tries that with is gone afterwards."""
    found, stats, kept = sdk(server, token, ("test", {}), ("stats", {}), ("list", {}))
    assert (found["passed"], found["total"]) == (6, 6), found["details"]
    assert {name: stats["data"][name] for name in ("total_secrets", "active_secrets", "expired_secrets")} == {
        "total_secrets": 1, "active_secrets": 0, "expired_secrets": 1,
    }  # fmt: skip
    assert [(each["status"], each["description"]) for each in kept["data"]] == [("expired", None)]


def test_python_client_creates_lists_looks_and_deletes(server: Any, token: str) -> None:
    options = {"hours": 48, "views": 2, "description": "db", "message": "m", "password": "secure123"}
    made, other = sdk(server, token, ("create", TEXT, options), ("create", "x", {}))
    slug, share_url = made["data"]["slug"], made["data"]["share_url"]
    assert re.fullmatch(r".*/[A-Za-z0-9]{12}#[A-Za-z0-9]{24}", share_url)
    listed, searched, looked, health = sdk(
        server, token, ("list", {"status": "active", "limit": 10}), ("search", "d b&limit=x", {}), ("get", slug, {}),
        ("health", {}),
    )  # fmt: skip
    assert [each["slug"] for each in listed["data"]] == [other["data"]["slug"], slug]
    assert searched["error"] == "SharokeyError"  # it escapes nothing, so that was another limit
    assert (looked["data"]["current_views"], looked["data"]["has_password"], health["success"]) == (0, True, True)
    assert opened(server, share_url, "secure123") == TEXT
    looked, deleted, again, gone, live = sdk(
        server, token, ("get", slug, {}), ("delete", slug, {}), ("delete", slug, {}), ("get", slug, {}),
        ("get_active_secrets", {}),
    )  # fmt: skip
    assert looked["data"]["current_views"] == 1
    assert deleted == {"success": True, "message": "Secret deleted successfully", "data": None}
    assert again["error"] == "NotFoundError"
    assert (gone["data"]["status"], gone["data"]["description"]) == ("expired", None)
    assert [each["slug"] for each in live["data"]] == [other["data"]["slug"]]
    assert opened(server, other["data"]["share_url"]) == "x"
    assert "secure123" not in server.log()
    assert token not in server.log()


def test_python_client_says_what_was_refused_and_why(server: Any, token: str, tmp_path: Path) -> None:
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
    said = sdk(server, token, *(("create", TEXT, options) for options in refusals.values()))
    for message, each in zip(refusals, said, strict=True):
        assert each["error"] == "SharokeyError"
        assert each["says"].startswith(f"API Error: {message}")
    missing, asked, listed = sdk(
        server, token, ("get", "AbCdEfGhIjKl", {}), ("create_request", {}), ("list_requests", {"search": "a"})
    )
    assert missing["error"] == "NotFoundError"
    assert asked == listed == {
        "error": "SharokeyError", "says": "API Error: Secret requests are not supported by this server",
    }  # fmt: skip
    (kept,) = sdk(server, token, ("list", {}))
    assert kept["data"] == []


def test_python_client_knows_a_wrong_key_and_too_many_calls(server: Any, make_server: Any) -> None:
    made, found = sdk(server, "sk_live_" + "0" * 38, ("create", TEXT, {}), ("test", {}))
    assert made["error"] == "AuthenticationError"
    assert found["passed"] == 2  # that it is configured, and that somebody answers
    rare = make_server('[rates]\nkey = "2/hour"\n').start()
    *_, refused = sdk(rare, rare.key(), ("stats", {}), ("stats", {}), ("stats", {}))
    assert refused["error"] == "NetworkError"
    assert refused["says"].startswith("Rate limit exceeded")


def test_attachment_of_the_python_client_is_taken_where_it_is_allowed(make_server: Any, tmp_path: Path) -> None:
    attached = tmp_path / "attached.txt"
    attached.write_text("y" * 70)
    server = make_server("[dialects.sharokey]\nallow_attachments = true\n").start()
    (made,) = sdk(server, server.key(), ("create", TEXT, {"attachments": [str(attached)]}))
    assert (made["data"]["has_attachments"], made["data"]["attachments_count"]) == (True, 1)
    assert opened(server, made["data"]["share_url"]) == TEXT


def test_calls_of_the_javascript_client_work(server: Any, token: str) -> None:
    (made,) = javascript(server, token, ("createSecret", TEXT, {"maximum_views": 2, "password": "secure123"}))
    assert (made["tries"], made["status"], "share_url" in made["said"]["data"]) == (1, 201, False)
    path = f"/secrets/{made['said']['data']['slug']}"
    said = javascript(
        server, token, ("GET", path), ("GET", "/secrets?status=active&limit=10&page=1"), ("GET", "/health"),
        ("GET", "/secrets-stats"),
    )  # fmt: skip
    assert all(each["said"]["success"] is True for each in said)
    assert said[1]["said"]["meta"] == said[1]["said"]["pagination"]
    assert opened(server, made["shareUrl"], "secure123") == TEXT
    deleted, again = javascript(server, token, ("DELETE", path), ("DELETE", path))
    assert (deleted["said"]["data"], again["status"], again["tries"]) == (None, 404, 1)


def test_javascript_client_is_refused_in_json_and_does_not_try_again(server: Any, token: str) -> None:
    """A chunked body over the limit, too: 413, and not four times."""
    said = javascript(
        server, token, ("createSecret", "x" * 3_000_000, {}), ("createSecret", TEXT, {"otp_email": "a@b.co"}),
        ("createSecret", TEXT, {"maximum_views": 0}), ("GET", "/requests"), ("POST", "/auth/login"), ("PUT", "/health"),
    )  # fmt: skip
    assert [(each["status"], each["tries"]) for each in said] == [(each, 1) for each in (413, 422, 422, 403, 404, 405)]
    for each in said:
        assert each["said"]["success"] is False
        assert each["said"]["error"]["message"] == each["said"]["message"]
    (wrong,) = javascript(server, "sk_live_" + "0" * 38, ("createSecret", TEXT, {}))
    assert (wrong["status"], wrong["tries"], wrong["shareUrl"]) == (401, 1, None)
