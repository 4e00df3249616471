"""The documented examples as they stand in the API's documentation, with nothing but the host and the key changed."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

HOST, KEY = "https://seclink.local", "sk_live_xxx"

CURL = """
curl -X POST https://seclink.local/api/v1/secrets \\
-H "Authorization: Bearer sk_live_xxx" \\
-H "Content-Type: application/json" \\
-d '{"encryptedBlob":"...","iv":"...","expiryType":"view_once"}'
"""

FETCH = """
const response = await fetch('https://seclink.local/api/v1/secrets', {
method: 'POST',
headers: {
'Authorization': 'Bearer sk_live_xxx',
'Content-Type': 'application/json'
},
body: JSON.stringify({
encryptedBlob: btoa('encrypted_data'),
iv: btoa('initialization_vector'),
expiryType: 'view_once'
})
});
const data = await response.json();
"""

REQUESTS = """
import requests
response = requests.post(
    'https://seclink.local/api/v1/secrets',
    headers={
        'Authorization': 'Bearer sk_live_xxx',
        'Content-Type': 'application/json'
    },
    json={
        'encryptedBlob': '...',
        'iv': '...',
        'expiryType': 'view_once'
    }
)
print(response.json())
"""

# "..." stands for a value of the reader's own.
BLOB, IV = "ZW5jcnlwdGVkX2RhdGE=", "aW5pdGlhbGl6YXRpb25fdmVjdG9y"


def here(example: str, server: Any) -> str:
    example = example.replace(HOST, server.url).replace(KEY, server.key())
    for name, value in (("encryptedBlob", BLOB), ("iv", IV)):
        for quote in "\"'":
            for gap in ("", " "):
                member = f"{quote}{name}{quote}:{gap}{quote}"
                example = example.replace(f"{member}...{quote}", f"{member}{value}{quote}")
    return example


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=60).stdout


def check_created_and_destroyed_by_one_look(created: dict[str, Any], server: Any) -> None:
    """What the documentation promises of create and retrieve, member by member."""
    assert created["shareUrl"].endswith("/" + created["linkId"])
    assert len(created["linkId"]) == 12
    assert isinstance(created["expiresAt"], int)
    one = f"{server.url}/api/v1/secrets/{created['linkId']}"
    first, second = httpx.get(one), httpx.get(one)
    shown = {name: first.json()[name] for name in ("encryptedBlob", "iv", "expiryType")}
    assert shown == {"encryptedBlob": BLOB, "iv": IV, "expiryType": "view_once"}
    assert (first.status_code, second.status_code) == (200, 410)


def test_curl_example_works(server: Any) -> None:
    assert shutil.which("curl"), "curl is needed: it is what the documentation tells people to use"
    check_created_and_destroyed_by_one_look(json.loads(run("sh", "-c", here(CURL, server))), server)


def test_requests_example_works(server: Any) -> None:
    pytest.importorskip("requests")
    printed = run(sys.executable, "-c", here(REQUESTS, server))
    check_created_and_destroyed_by_one_look(dict(eval(printed)), server)  # it prints a dict as Python writes it


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_fetch_example_works(server: Any, tmp_path: Path) -> None:
    script = tmp_path / "example.mjs"
    script.write_text(here(FETCH, server) + "console.log(JSON.stringify(data));\n")
    check_created_and_destroyed_by_one_look(json.loads(run("node", str(script))), server)


def test_curl_can_do_the_other_documented_calls(server: Any) -> None:
    """Retrieve and report, as the documentation lists them, without a key."""
    created = json.loads(run("sh", "-c", here(CURL, server)))
    one = f"{server.url}/api/v1/secrets/{created['linkId']}"
    assert run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", f"{one}/report") == "202"
    assert json.loads(run("curl", "-s", one))["encryptedBlob"] == BLOB
    assert run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", one) == "410"


@pytest.mark.parametrize(
    ("expiry_type", "views"),
    [("view_once", 1), ("1hour", 2), ("24hours", 2), ("7days", 2)],
    ids=lambda value: str(value),
)
def test_each_documented_expiry_type_and_passcode_works(server: Any, expiry_type: str, views: int) -> None:
    passcode = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"  # sha256("password")
    sent = {"encryptedBlob": BLOB, "iv": IV, "expiryType": expiry_type, "passcodeHash": passcode}
    created = httpx.post(f"{server.url}/api/v1/secrets", json=sent).json()
    one = f"{server.url}/api/v1/secrets/{created['linkId']}"
    assert httpx.get(one).status_code == 401
    shown = [httpx.get(one, headers={"SecLink-Passcode": passcode}) for _ in range(views)]
    assert [each.json()["expiryType"] for each in shown] == [expiry_type] * views
