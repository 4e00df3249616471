"""The examples of the API's documentation; only the host, the key and the `...` values are replaced."""

import base64
import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.altered_constants import with_constants
from support.server import Serve, Server
from support.waiting import TIMEOUT_SECONDS

import seclink
from seclink import Client
from seclink.format import envelope, file_header
from seclink.format.file_stream import FileStream
from seclink.format.link import key_of

DOCS = Path(seclink.__file__).parent / "docs"
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

# In place of the "..." of the examples.
BLOB, IV = "ZW5jcnlwdGVkX2RhdGE=", "aW5pdGlhbGl6YXRpb25fdmVjdG9y"


def with_values(example: str, server: Server) -> str:
    example = example.replace(HOST, server.url).replace(KEY, server.key())
    for name, value in (("encryptedBlob", BLOB), ("iv", IV)):
        for quote in "\"'":
            for gap in ("", " "):
                member = f"{quote}{name}{quote}:{gap}{quote}"
                example = example.replace(f"{member}...{quote}", f"{member}{value}{quote}")
    return example


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, check=True, text=True, timeout=TIMEOUT_SECONDS).stdout


def check_created_secret_is_revealed_once(created: dict[str, Any], server: Server) -> None:
    """Check create and retrieve as the documentation describes them, member by member."""
    assert created["shareUrl"].endswith("/" + created["linkId"])
    assert len(created["linkId"]) == 12
    assert isinstance(created["expiresAt"], int)
    url = f"{server.url}/api/v1/secrets/{created['linkId']}"
    first, second = httpx.get(url), httpx.get(url)
    revealed = {name: first.json()[name] for name in ("encryptedBlob", "iv", "expiryType")}
    assert revealed == {"encryptedBlob": BLOB, "iv": IV, "expiryType": "view_once"}
    assert (first.status_code, second.status_code) == (200, 410)


def test_curl_example_works(server: Server) -> None:
    assert shutil.which("curl"), "this test needs curl"
    check_created_secret_is_revealed_once(json.loads(run("sh", "-c", with_values(CURL, server))), server)


def test_requests_example_works(server: Server) -> None:
    output = run(sys.executable, "-c", with_values(REQUESTS, server))
    check_created_secret_is_revealed_once(dict(eval(output)), server)  # it prints a dict as Python writes it


def test_fetch_example_works(server: Server, tmp_path: Path) -> None:
    assert shutil.which("node"), "this test needs node"
    script = tmp_path / "example.mjs"
    script.write_text(with_values(FETCH, server) + "console.log(JSON.stringify(data));\n")
    check_created_secret_is_revealed_once(json.loads(run("node", str(script))), server)


@pytest.mark.parametrize("secret", ["tr0ub4dor", 'grüße 🗝 "quoted"', "x" * 5000])
def test_node_example_of_the_document_yields_a_link_that_opens(server: Server, tmp_path: Path, secret: str) -> None:
    document = (DOCS / "api.md").read_text()
    [program] = re.findall(r"```js\n(const server = .*?)```", document, re.DOTALL)
    assert len(program.splitlines()) <= 12
    assert "https://secrets.example.org" in program
    script = tmp_path / "create.mjs"
    script.write_text(program.replace("https://secrets.example.org", server.url))
    link = run("node", str(script), secret).strip()
    with Client(server.url, "") as client:
        assert client.reveal(link).text == secret


def test_curl_retrieves_and_reports_without_a_key(server: Server) -> None:
    created = json.loads(run("sh", "-c", with_values(CURL, server)))
    url = f"{server.url}/api/v1/secrets/{created['linkId']}"
    assert run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", f"{url}/report") == "202"
    assert json.loads(run("curl", "-s", url))["encryptedBlob"] == BLOB
    assert run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url) == "410"


@pytest.mark.parametrize(
    ("expiry_type", "views"),
    [("view_once", 1), ("1hour", 2), ("24hours", 2), ("7days", 2)],
    ids=lambda value: str(value),
)
def test_documented_expiry_types_and_passcode_work(server: Server, expiry_type: str, views: int) -> None:
    passcode = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"  # sha256("password")
    body = {"encryptedBlob": BLOB, "iv": IV, "expiryType": expiry_type, "passcodeHash": passcode}
    created = httpx.post(f"{server.url}/api/v1/secrets", json=body).json()
    url = f"{server.url}/api/v1/secrets/{created['linkId']}"
    assert httpx.get(url).status_code == 401
    revealed = [httpx.get(url, headers={"SecLink-Passcode": passcode}) for _ in range(views)]
    assert [response.json()["expiryType"] for response in revealed] == [expiry_type] * views


@pytest.fixture(scope="module")
def files_server(serve: Serve) -> Server:
    return serve(prefix=with_constants({"seclink.domain.uploads.MIN_FREE_BYTES": 0}))


def programs(language: str, server: Server, folder: Path) -> list[str]:
    """Save the two programs of the document about files; return their paths: upload, download."""
    document = (DOCS / "api.md").read_text()
    [chapter] = [part for part in document.split("\n##") if part.startswith(f"# Files in {language}")]
    paths = []
    for name, program in zip(("upload", "download"), re.findall(r"```\w+\n(.*?)```", chapter, re.DOTALL), strict=True):
        script = folder / f"{name}.mjs"
        script.write_text(program.replace("https://secrets.example.org", server.url))
        paths.append(str(script))
    return paths


@pytest.mark.parametrize("size", [0, 300, 5_000_000])
@pytest.mark.parametrize(("language", "command"), [("Node", "node"), ("Python", sys.executable)])
def test_examples_carry_a_file(files_server: Server, tmp_path: Path, language: str, command: str, size: int) -> None:
    data = random.Random(size).randbytes(size)
    (tmp_path / "report.bin").write_bytes(data)
    upload, download = programs(language, files_server, tmp_path)
    (tmp_path / "there").mkdir()
    link = run(command, upload, str(tmp_path / "report.bin")).strip()
    subprocess.run([command, download, link], cwd=tmp_path / "there", check=True, timeout=TIMEOUT_SECONDS)
    assert (tmp_path / "there" / "report.bin").read_bytes() == data


@pytest.mark.parametrize(("language", "command"), [("Node", "node"), ("Python", sys.executable)])
def test_examples_follow_the_format(files_server: Server, tmp_path: Path, language: str, command: str) -> None:
    """What our own code opens, chunk by chunk."""
    data = random.Random(2).randbytes(5_000_000)
    (tmp_path / "report.bin").write_bytes(data)
    upload, _ = programs(language, files_server, tmp_path)
    address, _, fragment = run(command, upload, str(tmp_path / "report.bin")).strip().partition("#")
    keys = envelope.derive(key_of(fragment))
    api = f"{files_server.url}/api/v1"
    revealed = httpx.post(f"{api}/secrets/{address[-12:]}/reveal", json={"access": keys.access, "files": True}).json()
    iv, sealed = (base64.b64decode(revealed[name]) for name in ("iv", "encryptedBlob"))
    header = file_header.read(envelope.open(keys.content_key, iv, sealed).header)
    assert header is not None
    assert [file.name for file in header.files] == ["report.bin"]
    stream = FileStream(header.key, header.size)
    grant = {"SecLink-Grant": revealed["files"]["grant"]}
    chunks = [httpx.get(f"{api}/files/{n}", headers=grant).content for n in range(stream.chunks)]
    assert b"".join(stream.open(n, chunk) for n, chunk in enumerate(chunks)) == data
