"""Seecret.it's documented samples against a real port: Python with requests, PHP with curl, and curl itself."""

import base64
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.server import MakeServer, Serve, Server
from support.waiting import TIMEOUT_SECONDS

from seclink.format import envelope

CLIENTS = Path(sys.prefix) / "clients"
PROGRAMS = Path(__file__).parent / "clients"
TOML = '[rates]\nkey = "1000000/hour"\n[dialects.seecret]\nenabled = true\n'
WITHOUT_MAIL = {"view_notification": None, "recipient_email": None}
URL = re.compile(r"(http://127\.0\.0\.1:\d+)/seecret/_([A-Za-z0-9]{6})#([A-Za-z0-9_-]{43})")
Caller = Callable[..., list[Any]]


@pytest.fixture(scope="module")
def server(serve: Serve) -> Server:
    return serve(TOML)


@pytest.fixture(scope="module")
def key(server: Server) -> str:
    return str(server.key())


def run(command: list[str | Path], url: str, token: str, calls: tuple[Any, ...]) -> list[Any]:
    input = json.dumps({"url": url, "token": token, "calls": calls})
    process = subprocess.run(command, input=input, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    assert process.returncode == 0, process.stderr
    responses: list[Any] = json.loads(process.stdout)
    assert [status for status, _ in responses] == [body["CODE"] for _, body in responses]
    return responses


def python(url: str, token: str, *calls: Any) -> list[Any]:
    interpreter = CLIENTS / "python/bin/python"
    assert interpreter.exists(), "requests is missing: run tests/dialects/clients/install.sh"
    return run([interpreter, PROGRAMS / "seecret.py"], url, token, calls)


def php(url: str, token: str, *calls: Any) -> list[Any]:
    assert shutil.which("php"), "php is missing: install the packages php-cli and php-curl"
    return run(["php", PROGRAMS / "seecret.php"], url, token, calls)


def php_members(url: str, token: str, *calls: Any) -> list[Any]:
    """Call the PHP sample with all members in the form that `python` takes."""
    return php(url, token, *([None, members] for members in calls))


def read(url: str, password: str | None = None) -> str:
    """Return the text that the recipient reads."""
    match = URL.fullmatch(url)
    assert match, url
    keys = envelope.derive(base64.urlsafe_b64decode(match[3] + "="))
    proof = {"access": keys.access}
    if password is not None:
        proof["passcodeHash"] = envelope.raw_passcode_hash(password)
    response = httpx.post(f"{match[1]}/api/v1/secrets/seecret.{match[2]}/reveal", json=proof).raise_for_status().json()
    blob, iv = (base64.b64decode(response[name]) for name in ("encryptedBlob", "iv"))
    return envelope.open(keys.content_key, iv, blob).body.decode()


def milliseconds(at: datetime) -> float:
    return at.timestamp() * 1000


def test_python_sample_creates(server: Server, key: str) -> None:
    before = datetime.now(UTC) + timedelta(days=7)
    [[status, body]] = python(f"{server.url}/seecret/api", key, None)
    after = datetime.now(UTC) + timedelta(days=7)
    assert status == 200
    assert body.keys() == {"CODE", "MESSAGE", "data"}
    assert body["data"].keys() == {"id", "url", "url_short", "expires_at"}
    assert milliseconds(before) - 1 <= body["data"]["expires_at"] <= milliseconds(after) + 1
    assert read(body["data"]["url"]) == "VPN password: s3cr3t!"
    for trace in (key, "s3cr3t", body["data"]["id"], body["data"]["url"].partition("#")[2]):
        assert trace not in server.log()


def test_php_sample_without_its_unsupported_mail_creates(server: Server, key: str) -> None:
    calls = (["create_seecret", {}], ["create_seecret", WITHOUT_MAIL])
    refused, [status, body] = php(f"{server.url}/seecret/api", key, *calls)
    message = "view_notification: is not supported here; recipient_email: is not supported here"
    assert refused == [400, {"CODE": 400, "MESSAGE": message}]
    assert status == 200
    ends = datetime.fromtimestamp(body["data"]["expires_at"] / 1000, UTC)
    assert ends.strftime("%H:%M") == "23:59"
    assert ends.date() - datetime.now(UTC).date() in (timedelta(days=7), timedelta(days=6))
    assert read(body["data"]["url"]) == "SSH password: s3cr3t!"


def test_php_sample_updates_with_the_key_in_its_url(server: Server, key: str) -> None:
    api = f"{server.url}/seecret/api"
    [[_, created]] = php(api, key, ["create_seecret", WITHOUT_MAIL])
    id, cle = created["data"]["id"], created["data"]["url"].partition("#")[2]
    wrong, unknown, right = php(
        api,
        key,
        ["update_seecret", {"id": id}],
        ["update_seecret", {"cle": cle}],
        ["update_seecret", {"id": id, "cle": cle}],
    )
    assert wrong == [403, {"CODE": 403, "MESSAGE": "cle is not the key of this secret"}]
    assert unknown == [403, {"CODE": 403, "MESSAGE": "Your account has no such secret"}]
    assert right[0] == 200
    assert right[1]["data"] == created["data"]
    assert read(created["data"]["url"]) == "New password: N3wPwd!"
    assert php(api, key, ["update_seecret", {"id": id, "cle": cle}])[0][0] == 400


@pytest.mark.parametrize("call", [python, php_members])
def test_every_operation_works_from_both_languages(server: Server, call: Caller) -> None:
    api, key = f"{server.url}/seecret/api", server.key(account=call.__name__)
    text = "a+b & 50% é ✓ 🗝️\r\n\t="
    create = {"operation": "create_seecret", "lang": "fr", "seecret": text, "password": "pässword", "note": "première"}
    created = call(api, key, create | {"number_view": 2})[0][1]["data"]
    assert read(created["url"], "pässword") == text
    one, cle = {"id": created["id"]}, created["url"].partition("#")[2]
    responses = call(
        api,
        key,
        {"operation": "get_seecret", **one},
        {"operation": "list_seecrets", "status": "pending", "search": "première", "page": 1, "limit": 20},
        {"operation": "get_account"},
        {"operation": "update_seecret", **one, "cle": cle, "delete_password": 1, "number_view": 3},
        {"operation": "get_seecret", **one},
        {"operation": "delete_seecret", **one},
        {"operation": "delete_seecret", **one},
        {"operation": "get_seecret", **one},
        {"operation": "nothing"},
    )
    assert [status for status, _ in responses] == [200] * 6 + [400, 200, 400]
    details, listed, account, _, changed, _, _, gone, _ = (body.get("data") for _, body in responses)
    views = (details["views_count"], details["views_max"])
    assert (views, details["has_password"], details["note"]) == ((1, 2), True, "première")
    assert details["url"] == created["url"].partition("#")[0]
    assert ([list(event) for event in details.pop("views_log")], details.pop("files")) == ([["date"]], [])
    assert (listed["total"], listed["secrets"]) == (1, [details])
    assert account["stats"]["pending"] == 1
    assert (changed["views_max"], changed["has_password"], gone["status"]) == (3, False, "deleted")


def test_python_sample_in_json_creates(server: Server, key: str) -> None:
    """It prints the url at the top of the response."""
    [[status, body]] = python(f"{server.url}/seecret/api", key, "json")
    assert (status, body["url"]) == (200, body["data"]["url"])
    assert read(body["url"]) == "Password2026!"


@pytest.mark.parametrize("call", [python, php_members])
def test_unknown_member_is_refused_by_name(server: Server, key: str, call: Caller) -> None:
    create = {"operation": "create_seecret", "lang": "en", "seecret": "x"}
    for name in ("passwords", "country_blocks"):
        [[status, body]] = call(f"{server.url}/seecret/api", key, create | {name: "x"})
        assert (status, body["MESSAGE"]) == (400, f"{name}: is not supported here")


@pytest.mark.parametrize("call", [python, php_members])
def test_list_is_rejected_in_every_form_encoding(server: Server, key: str, call: Caller) -> None:
    """PHP numbers the items, requests repeats the name."""
    create = {"operation": "create_seecret", "lang": "en", "seecret": "x"}
    countries = ["FR", "DE"]
    names = ("country_block", "country_block[]") if call is python else ("country_block",)
    for name in names:
        [[status, body]] = call(f"{server.url}/seecret/api", key, create | {name: countries})
        assert (status, body["MESSAGE"]) == (400, "country_block: is not supported here")


@pytest.mark.parametrize("token", ["YOUR_TOKEN_UUID", "123e4567-e89b-12d3-a456-426614174000", ""])
def test_unknown_token_is_unauthorized(server: Server, token: str) -> None:
    api = f"{server.url}/seecret/api"
    assert python(api, token, None)[0] == php(api, token, ["create_seecret", WITHOUT_MAIL])[0]
    assert python(api, token, None)[0][0] == 401


def curl(*arguments: str) -> Any:
    process = subprocess.run(
        ["curl", "-sS", *arguments],
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=True,
    )
    return json.loads(process.stdout)


def test_curl_works_at_the_dialects_own_host(make_server: MakeServer) -> None:
    """Without a path prefix; links there redirect to the page at the public URL."""
    server = make_server(TOML + 'host = "seecret.example.org"\n').start()
    host = f"seecret.example.org:{server.port}"
    form = ("-d", "operation=create_seecret&lang=es", "--data-urlencode", "seecret=¡hola! + 50%")
    body = curl(
        "--resolve", f"{host}:127.0.0.1", "-H", f"Authorization: Bearer {server.key()}", *form, f"http://{host}/api"
    )
    url, _, fragment = body["data"]["url"].partition("#")
    assert url == f"http://{host}/_{body['data']['id']}"
    redirect = httpx.get(f"{server.url}/_{body['data']['id']}", headers={"Host": host})
    assert redirect.status_code == 302
    assert read(f"{redirect.headers['location']}#{fragment}") == "¡hola! + 50%"


def test_other_content_types_are_rejected(server: Server, key: str) -> None:
    for form in (("-F", "operation=get_account"), ("-H", "Content-Type: application/json", "-d", "{}")):
        body = curl("-H", f"Authorization: Bearer {key}", *form, f"{server.url}/seecret/api")
        assert body == {"CODE": 415, "MESSAGE": "This address accepts only application/x-www-form-urlencoded"}
