"""EnigmaCrypt's documented samples against a real port: Node with both generations of crypto-js, and curl."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from replaying import GOLDEN

CLIENTS = Path(sys.prefix) / "clients"
PROGRAM = Path(__file__).parent / "clients/enigmacrypt.js"
GENERATIONS = {"4.1.1": "sha1", "4.2.0": "sha256"}
BODY = {"encryptedContent": GOLDEN[3]["encryptedContent"], "name": "API Secret", "expiresAt": None, "maxAccess": 1}
TEXT, PASSWORD = "hello ✓ <b>&amp;</b>\n🗝️", "pässword 🗝️"


def node(version: str, *given: str) -> subprocess.CompletedProcess[str]:
    modules = CLIENTS / f"crypto-js-{version}/node_modules"
    assert (modules / "crypto-js").is_dir(), "crypto-js is missing: run tests/dialects/clients/install.sh"
    env = os.environ | {"NODE_PATH": str(modules)}
    return subprocess.run(["node", PROGRAM, *given], env=env, capture_output=True, text=True, timeout=60, check=False)


def sealed_with(version: str, base: str, *given: str) -> Any:
    """What the sample returns: url and password."""
    ran = node(version, base, TEXT, PASSWORD, *given)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def fetch(made: Any) -> httpx.Response:
    base, _, message_id = made["url"].rpartition("/s/")
    return httpx.post(f"{base}/api/messages/{message_id}/access")


def opened(content: str, digest: str) -> Any:
    """By the documented recipe, in another language; ValueError where the key was made with another hash."""
    salt, iv, data = bytes.fromhex(content[:32]), bytes.fromhex(content[32:64]), base64.b64decode(content[64:])
    key = hashlib.pbkdf2_hmac(digest, PASSWORD.encode(), salt, 100_000, 32)
    decryptor, unpadder = Cipher(AES(key), CBC(iv)).decryptor(), padding.PKCS7(128).unpadder()
    return json.loads(unpadder.update(decryptor.update(data) + decryptor.finalize()) + unpadder.finalize())


@pytest.mark.parametrize("version", GENERATIONS)
def test_node_sample_creates_with_a_key(server: Any, version: str) -> None:
    """The answer's members are those it reads; what was kept opens by the recipe, and only with its own hash."""
    key = server.key()
    made = sealed_with(version, f"{server.url}/enigmacrypt", key)
    assert made["password"] == PASSWORD
    assert re.fullmatch(re.escape(server.url) + "/enigmacrypt/s/[A-Za-z0-9]{8}", made["url"])
    content = fetch(made).json()["data"]["encryptedContent"]
    message = opened(content, GENERATIONS[version])
    assert message.keys() == {"version", "content", "created"}
    assert (message["version"], message["content"]) == ("v1", TEXT)
    other = next(digest for digest in GENERATIONS.values() if digest != GENERATIONS[version])
    with pytest.raises(ValueError):  # noqa: PT011  padding, UTF-8 or JSON, as chance has it
        opened(content, other)
    assert fetch(made).status_code == 410
    assert key not in server.log()
    assert made["url"].rpartition("/")[2] not in server.log()


def test_node_sample_creates_without_a_key(server: Any) -> None:
    made = sealed_with("4.2.0", f"{server.url}/enigmacrypt")
    assert opened(fetch(made).json()["data"]["encryptedContent"], "sha256")["content"] == TEXT


@pytest.mark.parametrize("token", ["enigma_0123456789abcdef", "sk_live_" + "0" * 38])
def test_node_sample_throws_what_it_was_told(server: Any, token: str) -> None:
    """A key that is none is no anonymous create: whoever sends one means to be known."""
    ran = node("4.2.0", f"{server.url}/enigmacrypt", TEXT, PASSWORD, token)
    assert ran.returncode != 0
    assert "Error: The API key is not valid" in ran.stderr


def test_node_sample_throws_what_the_twenty_first_is_told(make_server: Any) -> None:
    server = make_server().start()
    statuses = [httpx.post(f"{server.url}/enigmacrypt/api/messages", json=BODY).status_code for _ in range(20)]
    assert statuses == [201] * 20
    ran = node("4.2.0", f"{server.url}/enigmacrypt", TEXT, PASSWORD)
    assert "Error: Too many requests" in ran.stderr
    assert fetch(sealed_with("4.2.0", f"{server.url}/enigmacrypt", server.key())).status_code == 200


def curl(url: str, body: Any, key: str, *options: str) -> Any:
    """The documented command, and what it prints."""
    command = ["curl", "-sS", "-m", "20", *options, "-X", "POST", f"{url}/api/messages"]
    command += ["-H", f"Authorization: Bearer {key}", "-H", "Content-Type: application/json"]
    ran = subprocess.run([*command, "-d", json.dumps(body)], capture_output=True, timeout=30, check=True)
    return json.loads(ran.stdout)


def test_curl_sample_creates(server: Any) -> None:
    said = curl(f"{server.url}/enigmacrypt", BODY, server.key())
    assert (said["success"], said["message"]) == (True, "Message stored successfully")
    assert said["data"].keys() == {"messageId", "expiresAt"}
    got = fetch({"url": f"{server.url}/enigmacrypt/s/{said['data']['messageId']}"})
    assert got.json()["data"]["encryptedContent"] == BODY["encryptedContent"]


def test_curl_sample_works_at_a_host_of_its_own(make_server: Any) -> None:
    """As it is written there, without a prefix; its links lead to the page at the public address."""
    server = make_server('[dialects.enigmacrypt]\nhost = "enigma.example.org"\n').start()
    host = f"enigma.example.org:{server.port}"
    said = curl(f"http://{host}", BODY, server.key(), "--resolve", f"{host}:127.0.0.1")
    path = f"/s/{said['data']['messageId']}"
    there = httpx.get(server.url + path, headers={"Host": host})
    assert (there.status_code, there.headers["location"]) == (302, f"{server.url}/enigmacrypt{path}")
    assert fetch({"url": f"{server.url}/enigmacrypt{path}"}).status_code == 200
