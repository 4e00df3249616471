"""`seclink doctor` beside a real server, with and without a proxy that works badly."""

import hashlib
import json
import os
import sqlite3
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner
from support.certificates import pair
from support.server import MakeServer, Server
from support.waiting import until
from tampering import Certificate, Said, Tampering, header

from seclink.cli import doctor as command
from seclink.cli.main import cli
from seclink.doctor import address
from seclink.server.certificate import CertificateRefused
from seclink.store import connection

ENDED = {"encryptedBlob": "eA==", "iv": "eA==", "expiryType": "view_once"}


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "PAUSE_SECONDS", 0.01)


def doctor(server: Server, *options: str) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(cli, ["doctor", "--json", "--config", str(server.config), *options])
    facts: dict[str, Any] = json.loads(done.stdout)
    assert (done.exit_code == 1) is (facts["problems"] > 0) is (not facts["well"])
    assert done.exit_code in (0, 1)
    return done.exit_code, facts


def problems(facts: dict[str, Any], level: str = "problem") -> dict[str, str]:
    """Return the observations of a level by subject, and check that every one has a fix."""
    findings = facts["findings"]
    assert all(finding["fix"] for finding in findings if finding["level"] != "ok")
    return {finding["looked"]: finding["said"] for finding in findings if finding["level"] == level}


def problem_findings(facts: dict[str, Any]) -> list[dict[str, str]]:
    return [finding for finding in facts["findings"] if finding["level"] == "problem"]


def by_subject(facts: dict[str, Any]) -> dict[str, str]:
    return {finding["looked"]: finding["said"] for finding in facts["findings"]}


@pytest.fixture
def alone(make_server: MakeServer) -> Server:
    """A server without a proxy."""
    server = make_server()
    server.config.write_text(f'[server]\nport = {server.port}\npublic_url = "http://localhost:{server.port}"\n')
    return server.start()


class Behind:
    """A server behind a proxy that works correctly, until a test changes it."""

    def __init__(self, server: Server, proxy: Tampering) -> None:
        self.server, self.proxy = server, proxy


@pytest.fixture
def behind(
    make_server: MakeServer, unused_tcp_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Behind]:
    certificate = Certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    server = make_server()
    server.config.write_text(
        f'[server]\nport = {server.port}\npublic_url = "https://localhost:{unused_tcp_port}"\n'
        'trusted_proxies = ["127.0.0.1"]\n'
    )
    proxy = Tampering(server.start().url, port=unused_tcp_port, tls=certificate)
    proxy.forwarded = lambda given, client: f"{given}, {client}".lstrip(", ")
    yield Behind(server, proxy)
    proxy.close()


# Alone


def test_healthy_server_has_no_problems(alone: Server) -> None:
    status, facts = doctor(alone)
    assert (status, problems(facts)) == (0, {})
    assert {finding["part"] for finding in facts["findings"]} == {
        "configuration",
        "files",
        "database",
        "machine",
        "address",
    }
    observations = by_subject(facts)
    assert observations[f"{alone.folder / 'seclink.db'}.lock"] == f"is held by process {alone.process.pid}"
    assert observations["the clients' addresses"] == "arrive, and cannot be forged"
    assert observations["the pages"].startswith("arrive unchanged")


def test_listed_hosts_are_checked_like_the_public_url(make_server: MakeServer, unused_tcp_port: int) -> None:
    server = make_server()
    local = f"http://127.0.0.1:{server.port}"
    hosts = "".join(f'[[hosts]]\norigin = "{url}"\n' for url in (local, f"http://localhost:{unused_tcp_port}"))
    server.config.write_text(f'[server]\nport = {server.port}\npublic_url = "http://localhost:{server.port}"\n{hosts}')
    status, facts = doctor(server.start())
    assert by_subject(facts)[f"the pages at {local}"].startswith("arrive unchanged")
    [finding] = problem_findings(facts)
    assert (status, finding["looked"]) == (1, f"http://localhost:{unused_tcp_port}")
    assert finding["fix"].endswith("or correct hosts.origin")
    assert server.seclink("verify", local).returncode == 0


def test_checks_create_nothing_and_spend_nothing(alone: Server) -> None:
    made = httpx.post(f"{alone.url}/api/v1/secrets", json=ENDED).json()
    before = content(alone)
    doctor(alone)
    doctor(alone, "--offline")
    assert content(alone) == before
    events = httpx.get(
        f"{alone.url}/api/v1/receipts/{made['receiptId']}", headers={"SecLink-Manage": made["manageToken"]}
    ).json()["events"]
    assert [each["type"] for each in events] == ["created"]


def content(server: Server) -> dict[str, str]:
    """Return a digest of every table except the one with the recorded time."""
    with closing(sqlite3.connect(f"{(server.folder / 'seclink.db').as_uri()}?mode=ro", uri=True)) as db:
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        rows = {name: repr(db.execute(f"SELECT * FROM {name}").fetchall()) for name in tables if name != "meta"}
    return {name: hashlib.sha256(each.encode()).hexdigest() for name, each in rows.items()}


def test_findings_are_printed_with_their_fixes(alone: Server) -> None:
    (alone.folder / "seclink.db").chmod(0o644)
    done = alone.seclink("doctor", "--offline", "--config", str(alone.config), check=False)
    said = done.stdout.decode()
    assert (done.returncode, done.stderr) == (1, b"")
    path = alone.folder / "seclink.db"
    assert f"  problem  {path}: is accessible to other users (0644)\n           fix: chmod 600 {path}\n" in said
    assert "\n1 problem, " in said


def test_warnings_do_not_fail(make_server: MakeServer) -> None:
    status, facts = doctor(make_server("[dialects.seecret]\nenabled = true\n"), "--offline")
    assert status == 0
    assert {"dialects.seecret", "server.public_url"} <= problems(facts, "warning").keys()


def test_broken_configuration_is_reported_with_its_lines(make_server: MakeServer) -> None:
    """CFG-01: the checks that need no configuration still run."""
    server = make_server("[server]\nprot = 1\n")
    status, facts = doctor(server)
    assert status == 1
    assert f"{server.config}:2: unknown option server.prot" in problems(facts)["the TOML file"]
    assert {finding["part"] for finding in facts["findings"]} == {"configuration", "machine"}


def test_damaged_database_is_explained(make_server: MakeServer) -> None:
    """CR-06"""
    server = make_server()
    (server.folder / "seclink.db").write_bytes(b"not a database at all" * 100)
    status, facts = doctor(server, "--offline")
    assert status == 1
    assert "is not a SecLink database" in problems(facts)[str(server.folder / "seclink.db")]


def test_stopped_server_is_a_problem_unless_offline(alone: Server) -> None:
    alone.stop()
    status, facts = doctor(alone)
    assert status == 1
    assert problems(facts) == {f"http://localhost:{alone.port}": "cannot be reached: Connection refused"}
    assert doctor(alone, "--offline")[0] == 0


def test_listen_address_of_the_command_line_is_used(make_server: MakeServer) -> None:
    """The command line overrides the TOML."""
    status, facts = doctor(make_server("[server]\nport = 1\n").start())
    assert (status, problems(facts)) == (0, {})
    observations = by_subject(facts)
    assert observations["the clients' addresses"] == "arrive, and cannot be forged"
    assert "127.0.0.1" not in observations, "an address needs no name"


@pytest.mark.parametrize("host", ["::1", "[::1]", "::", "0.0.0.0", "localhost"])
def test_server_without_a_proxy_sees_its_clients_at_every_host(make_server: MakeServer, host: str) -> None:
    server = make_server()
    server.config.write_text(f'[server]\nport = {server.port}\nhost = "{host}"\n')
    server.start(wait=False)
    until(lambda: "SecLink serves" in server.log())
    status, facts = doctor(server)
    assert (status, problems(facts)) == (0, {})


def test_running_server_that_does_not_respond_is_reported(make_server: MakeServer) -> None:
    """For example, because `server.port` has been changed since its start."""
    server = make_server("[server]\nport = 1\n")
    server.key("create")
    held = connection.lock(server.folder / "seclink.db")
    try:
        _, facts = doctor(server)
    finally:
        os.close(held)
    said = f"cannot be reached: Connection refused, although process {os.getpid()} serves the database"
    assert problems(facts) == {"http://127.0.0.1:1": said}


def test_unusable_certificate_is_reported(make_server: MakeServer) -> None:
    server = make_server("[server]\ntls_cert = 'fullchain.pem'\ntls_key = 'privkey.pem'\n")
    (server.folder / "fullchain.pem").write_text("none")
    said = problems(doctor(server, "--offline")[1])
    assert said == {
        "the certificate with its key": f"cannot be used: {server.folder}/privkey.pem: cannot be read: No such file or"
        " directory"
    }
    pair().write(server.folder)
    (server.folder / "privkey.pem").chmod(0o600)
    assert problems(doctor(server, "--offline")[1]) == {}


def test_unreadable_certificate_is_not_to_be_corrected(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Path) -> None:
        raise CertificateRefused("any words", Path("/etc/privkey.pem"), is_denied=True)

    monkeypatch.setattr(command, "Certificate", refuse)
    server = make_server("[server]\ntls_cert = 'fullchain.pem'\ntls_key = 'privkey.pem'\n")
    [finding] = problem_findings(doctor(server, "--offline")[1])
    assert (finding["said"], "as root" in finding["fix"]) == ("cannot be used: any words", True)


def test_name_that_does_not_resolve_is_a_problem(make_server: MakeServer) -> None:
    host = f"{'a' * 64}.example"  # not a valid name, so no DNS server is asked
    _, facts = doctor(make_server(f'[server]\npublic_url = "https://{host}"\ntrusted_proxies = ["127.0.0.1"]\n'))
    assert "does not resolve" in problems(facts)[host]


# Behind a proxy


def test_correct_proxy_has_no_problems(behind: Behind) -> None:
    status, facts = doctor(behind.server)
    assert (status, problems(facts)) == (0, {})
    observations = by_subject(facts)
    assert observations["the certificate"] in ("is valid for 89 more days", "is valid for 90 more days")
    assert observations["the clients' addresses"] == "arrive, and cannot be forged"


def test_proxy_that_hides_client_addresses_is_reported(behind: Behind) -> None:
    behind.proxy.forwarded = lambda given, client: ""
    assert "all clients look like the proxy" in problems(doctor(behind.server)[1])["the clients' addresses"]


def test_proxy_that_passes_forged_addresses_is_reported(behind: Behind) -> None:
    """ASVS 4.1.3, 15.3.4"""
    behind.proxy.forwarded = lambda given, client: given or client
    assert "can be forged" in problems(doctor(behind.server)[1])["the clients' addresses"]


def test_proxy_with_a_small_body_limit_is_reported(behind: Behind) -> None:
    behind.proxy.most_bytes = 2**20
    assert problems(doctor(behind.server)[1]) == {
        "a request of 2,797,226 bytes": "is refused as too large before it reaches the server"
    }


@pytest.mark.parametrize(
    ("values", "said"), [((), "is missing"), (("nosniff", "nosniff"), "is sent 2 times"), (("sniff",), "instead of")]
)
def test_proxy_that_changes_headers_is_reported(behind: Behind, values: tuple[str, ...], said: str) -> None:
    behind.proxy.rules = [header("/", "X-Content-Type-Options", *values)]
    [what] = problems(doctor(behind.server)[1]).values()
    assert "x-content-type-options" in what
    assert said in what


def test_proxy_that_redirects_is_reported(behind: Behind) -> None:
    def rule(said: Said) -> None:
        said.status, said.headers = 308, [("Location", "https://www.example.org/")]

    behind.proxy.rules = [rule]
    _, facts = doctor(behind.server)
    [finding] = problem_findings(facts)
    assert (finding["said"], "https://www.example.org/" in finding["fix"]) == ("redirects (308)", True)


def test_proxy_of_another_program_is_reported(behind: Behind) -> None:
    def rule(said: Said) -> None:
        said.body = b"It works!"

    behind.proxy.rules = [rule]
    assert any(
        "not a response of SecLink" in observation for observation in problems(doctor(behind.server)[1]).values()
    )


def test_proxy_of_another_appliance_is_reported(behind: Behind, server: Server) -> None:
    """Recognised by a secret that has ended in this database."""
    made = httpx.post(f"{behind.server.url}/api/v1/secrets", json=ENDED).json()
    assert httpx.get(f"{behind.server.url}/api/v1/secrets/{made['linkId']}").status_code == 200
    _, facts = doctor(behind.server)
    assert problems(facts) == {}
    assert any(observation.startswith("is this SecLink server") for observation in by_subject(facts).values())
    behind.proxy.hand_on_to(server.url)
    assert "is another SecLink server, or one with another database" in problems(doctor(behind.server)[1]).values()


def test_untrusted_certificate_is_a_problem(behind: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    _, facts = doctor(behind.server)
    assert problems(facts).keys() == {"the certificate"}
    [finding] = problem_findings(facts)
    assert finding["said"].startswith("is self-signed")
    assert "SSL_CERT_FILE" in finding["fix"]


@pytest.mark.parametrize(("code", "words"), [(10, "has expired"), (62, "is for another name"), (99, "is not valid")])
def test_certificate_error_has_an_observation_and_a_fix(code: int, words: str) -> None:
    error = ssl.SSLCertVerificationError(1, "no")
    error.verify_code, error.verify_message = code, "in OpenSSL's words"
    finding = address._untrusted("secrets.example.org", error)
    assert words in finding.observation
    assert finding.fix
    assert "{" not in finding.fix


def test_public_url_without_https_is_a_problem(behind: Behind) -> None:
    plain = behind.server.config.read_text().replace(str(behind.proxy.port), str(behind.server.port))
    behind.server.config.write_text(plain)
    [said] = problems(doctor(behind.server)[1]).values()
    assert "the TLS handshake failed" in said


def test_proxy_without_its_server_is_fixed_by_a_start(behind: Behind) -> None:
    def rule(said: Said) -> None:
        said.status, said.body = 502, b"<h1>Bad Gateway</h1>"

    behind.proxy.rules = [rule]
    [finding] = problem_findings(doctor(behind.server)[1])
    assert (finding["said"][:18], finding["fix"][:16]) == ("returns status 502", "start the server")


def test_certificate_that_expires_soon_is_a_warning(
    make_server: MakeServer, unused_tcp_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = Certificate(tmp_path, days=5)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
    server = make_server(f'[server]\npublic_url = "https://localhost:{unused_tcp_port}"\n').start()
    proxy = Tampering(server.url, port=unused_tcp_port, tls=certificate)
    try:
        assert "expires in 4 days" in problems(doctor(server)[1], "warning")["the certificate"]
    finally:
        proxy.close()
