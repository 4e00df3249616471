"""Links begin with the origin that was asked, if it is listed, and otherwise with the public URL."""

import re
from typing import Any

import pytest
from dialect_helpers import ROWS, Row
from support.appliance import Appliance, MakeAppliance
from support.server import HIGH_RATES

pytestmark = pytest.mark.anyio

PUBLIC, PROXY, CLIENT = "https://secrets.example", "192.0.2.9", "192.0.2.1"
TOML = f"""{HIGH_RATES}
[server]
public_url = "{PUBLIC}"
allowed_hosts = ["allowed.example"]
trusted_proxies = ["{PROXY}"]
[[hosts]]
origin = "https://br3f.com"
[[hosts]]
origin = "https://send.example:8443"
[[hosts]]
origin = "https://sharokey.it:9443"
[dialects.seecret]
enabled = true
host = "seecret.it"
[dialects.sharokey]
host = "sharokey.it"
"""
BODY = {"encryptedBlob": "eA==", "iv": "eA==", "expiryType": "view_once"}
ASKED = [
    # Host, X-Forwarded-Host, address of the client, what the link begins with
    ("secrets.example", None, CLIENT, PUBLIC),
    ("br3f.com", None, CLIENT, "https://br3f.com"),
    ("BR3F.Com.:443", None, CLIENT, "https://br3f.com"),
    ("br3f.com:80", None, CLIENT, PUBLIC),
    ("send.example:8443", None, CLIENT, "https://send.example:8443"),
    ("send.example", None, CLIENT, PUBLIC),
    ("allowed.example", None, CLIENT, PUBLIC),
    ("localhost:8080", None, CLIENT, PUBLIC),
    ("localhost", "br3f.com", CLIENT, PUBLIC),
    ("localhost", "br3f.com", PROXY, "https://br3f.com"),
    ("localhost", "evil.example", PROXY, PUBLIC),
    ("br3f.com", "evil.example", PROXY, PUBLIC),
    ("br3f.com", "send.example:8443", CLIENT, "https://br3f.com"),
    ("localhost", "br3f.com, send.example:8443", PROXY, "https://send.example:8443"),
    ("localhost", "br3f.com@evil.example", PROXY, PUBLIC),
]


@pytest.fixture
async def appliance(make_appliance: MakeAppliance) -> Appliance:
    return await make_appliance(TOML)


async def share_url(appliance: Appliance, headers: dict[str, str], address: str = CLIENT, **members: Any) -> str:
    async with appliance.client(address) as http:
        response = await http.post("/secrets", json=BODY | members, headers=headers)
    return str(response.json()["shareUrl"]).rpartition("/")[0] if response.is_success else response.text


async def test_link_begins_with_the_listed_origin_that_was_asked(appliance: Appliance) -> None:
    for host, forwarded, address, expected in ASKED:
        headers = {"Host": host} | ({"X-Forwarded-Host": forwarded} if forwarded else {})
        scheme = {
            "X-Forwarded-Proto": "http",
            "Forwarded": "host=evil.example;proto=http",
            "Origin": "https://br3f.com",
        }
        assert await share_url(appliance, headers | scheme, address) == expected, (host, forwarded, address)


async def test_host_on_create_names_another_of_them(appliance: Appliance) -> None:
    for name, expected in (
        ("br3f.com", "https://br3f.com"),
        ("Br3f.com:443", "https://br3f.com"),
        ("send.example:8443", "https://send.example:8443"),
        ("send.example", "https://send.example:8443"),
        ("secrets.example", PUBLIC),
        (None, "https://br3f.com"),
    ):
        assert await share_url(appliance, {"Host": "br3f.com"}, host=name) == expected, name


async def test_unknown_host_on_create_is_refused_by_name(appliance: Appliance) -> None:
    async with appliance.client() as http:
        for name in (
            "",
            "evil.example",
            "allowed.example",
            "localhost",
            "br3f.com:80",
            "https://br3f.com",
            "br3f.com/x",
        ):
            response = await http.post("/secrets", json=BODY | {"host": name})
            fault = response.json()["errors"][0]
            assert (response.status_code, fault["field"], fault["code"]) == (400, "host", "not_one_of"), name
        assert (await http.get("/stats", headers={"Authorization": f"Bearer {await appliance.key()}"})).is_success


async def test_every_host_opens_every_link_and_other_names_are_unknown(appliance: Appliance) -> None:
    async with appliance.client() as http:
        for host in ("br3f.com", "send.example:8443", "secrets.example"):
            link_id = (await http.post("/secrets", json=BODY)).json()["linkId"]
            there = {"Host": host}
            assert (await http.get(f"http://localhost/{link_id}", headers=there)).status_code == 200
            assert (await http.get(f"/secrets/{link_id}", headers=there)).status_code == 200
        assert (await http.get("/secrets/AbCdEfGhIjKl", headers={"Host": "br3f.org"})).json()["code"] == "unknown_host"


@pytest.mark.parametrize("row", [row for row in ROWS if row.name in ("sharokey", "seecret")], ids=lambda row: row.name)
async def test_links_of_a_dialect_begin_with_the_host_that_was_asked(appliance: Appliance, row: Row) -> None:
    """At its own host they have no prefix, and the port of [[hosts]]."""
    prefix = "/seecret" if row.name == "seecret" else ""
    own = {"seecret": "https://seecret.it", "sharokey": "https://sharokey.it:9443"}[row.name]
    request = row.request(await appliance.key(), 1, False)
    for host, path, expected in (
        ("secrets.example", row.url, PUBLIC + prefix),
        ("br3f.com", row.url, f"https://br3f.com{prefix}"),
        ("localhost:8080", row.url, PUBLIC + prefix),
        (f"{row.name}.it", f"http://localhost{row.path}", own),
    ):
        async with appliance.client() as http:
            response = await http.post(path, **request | {"headers": request["headers"] | {"Host": host}})
            data = response.json()["data"]
            url = data.get("url") or data["access_url"]
            assert re.fullmatch(f"{re.escape(expected)}/_?[A-Za-z0-9]+(#.+)?", url), (host, url)
            page = await http.get(url.partition("#")[0], headers={"Host": host})
            if expected == own:
                assert page.headers["location"].startswith(f"{PUBLIC}{prefix}/")
                page = await http.get(page.headers["location"])
            assert page.headers["content-type"].startswith("text/html"), (host, url)
            assert page.status_code == 200


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_client_without_the_prefix_gets_a_hint_in_its_own_envelope(appliance: Appliance, row: Row) -> None:
    """With the address to set: scrt.link's CLI, for example, shows `error` and nothing else. Nothing is created."""
    address = {"scrt-link": "secrets.example/scrt-link", "sharokey": f"{PUBLIC}/sharokey/api/v1"}
    path = {"seecret": "/api", "sharokey": "/api/v1/secrets-stats"}.get(row.name, row.path)
    signed = {"User-Agent": "Sharokey-Python-1.0.0"} if row.name == "sharokey" else {}
    async with appliance.client() as http:
        for key in (await appliance.key(), "x"):
            request = row.request(key, 1, False)
            for url in {path, row.path}:
                headers = request["headers"] | signed
                response = await http.post(f"http://localhost{url}", **request | {"headers": headers})
                assert row.is_envelope(response.json()), response.text
                assert response.status_code in (404, 405)
                assert address.get(row.name, f"{PUBLIC}/{row.name}") in response.text
        sender = {"Authorization": f"Bearer {await appliance.key()}"}
        assert (await http.get("/stats", headers=sender)).json()["totalSecrets"] == 0
        assert (await http.post("/secrets", json={"x": 1})).headers["content-type"] == "application/problem+json"


async def test_domain_of_seecret_names_one_of_our_hosts(appliance: Appliance) -> None:
    """An unknown one is refused before anything is created: nobody would ever get the key."""
    row = next(row for row in ROWS if row.name == "seecret")
    key = await appliance.key()
    request = row.request(key, 1, False)
    async with appliance.client() as http:
        for domain, expected in (
            ("br3f.com", "https://br3f.com/seecret"),
            ("send.example", "https://send.example:8443/seecret"),
            ("Seecret.it", "https://seecret.it"),
            ("secrets.example", f"{PUBLIC}/seecret"),
        ):
            form = request["data"] | {"domain": domain}
            response = await http.post(row.url, data=form, headers=request["headers"])
            assert response.json()["data"]["url"].rpartition("/_")[0] == expected, domain
        response = await http.post(
            row.url, data=request["data"] | {"domain": "evil.example"}, headers=request["headers"]
        )
        assert response.json() == {"CODE": 400, "MESSAGE": "domain: is not one of this server's hosts"}
        assert (await http.get("/stats", headers=request["headers"])).json()["totalSecrets"] == 4


async def test_module_of_scrt_link_comes_from_the_host_that_was_asked(appliance: Appliance) -> None:
    async with appliance.client() as http:
        for host, base in (("br3f.com", "https://br3f.com"), ("localhost", PUBLIC)):
            response = await http.get("http://localhost/scrt-link/api/v1/client-module", headers={"Host": host})
            assert f'from "{base}/static/' in response.text
