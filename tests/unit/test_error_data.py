"""Programs act on the data that an error carries, never on its message: other words give the same result."""

import socket
import ssl
import threading
from pathlib import Path

import pytest

from seclink.config.schema import ServerOptions
from seclink.daemon import tls_renewal
from seclink.doctor import configuration
from seclink.errors import ConfigError, StartRefused
from seclink.ops.http_probe import HttpProbe, ProbeFailed, ProbeFault
from seclink.server.certificate import CertificateRefused

UNTRUSTED = ssl.SSLCertVerificationError(1, "any words")
UNTRUSTED.verify_message = "any other words"
TLS = ServerOptions(tls_cert="/etc/tls/chain.pem", tls_key="/etc/tls/key.pem")


@pytest.mark.parametrize(("file", "option"), [("/etc/tls/key.pem", "tls_key"), ("/etc/tls/chain.pem", "tls_cert")])
def test_refused_certificate_names_the_option_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, option: str
) -> None:
    def refuse(*_: Path) -> None:
        raise CertificateRefused("any words", Path(file))

    monkeypatch.setattr(tls_renewal, "Certificate", refuse)
    toml = tmp_path / "seclink.toml"
    toml.write_text('[server]\ntls_cert = "/etc/tls/chain.pem"\ntls_key = "/etc/tls/key.pem"\n')
    with pytest.raises(StartRefused) as caught:
        tls_renewal.load_certificate(TLS, toml)
    assert f"server.{option}: any words" in str(caught.value)


@pytest.mark.parametrize("is_unreadable", [True, False])
def test_unreadable_configuration_has_another_fix_than_a_wrong_one(is_unreadable: bool) -> None:
    [finding] = configuration.config_problems(ConfigError("any words", is_unreadable=is_unreadable))
    assert ("--config or $SECLINK_CONFIG" in finding.fix) is is_unreadable


@pytest.mark.parametrize(
    ("cause", "fault"),
    [
        (UNTRUSTED, ProbeFault.CERTIFICATE),
        (ssl.SSLError(1, "any words"), ProbeFault.TLS),
        (TimeoutError("any words"), ProbeFault.TIMEOUT),
        (ConnectionRefusedError(111, "any words"), ProbeFault.CONNECTION),
        (socket.gaierror(-2, "any words"), ProbeFault.CONNECTION),
    ],
)
def test_failed_probe_has_the_fault_of_its_cause(
    monkeypatch: pytest.MonkeyPatch, cause: OSError, fault: ProbeFault
) -> None:
    def fail(_: HttpProbe) -> None:
        raise cause

    monkeypatch.setattr(HttpProbe, "connect", fail)
    with pytest.raises(ProbeFailed) as caught:
        HttpProbe("https://secrets.example.org").get("/")
    assert (caught.value.fault, caught.value.cause) == (fault, cause)


def test_response_that_is_not_http_is_a_fault_of_its_own() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_greet, args=(listener,), daemon=True).start()
        with pytest.raises(ProbeFailed) as caught:
            HttpProbe(f"http://127.0.0.1:{listener.getsockname()[1]}").get("/")
    assert caught.value.fault is ProbeFault.HTTP


def _greet(listener: socket.socket) -> None:
    peer, _ = listener.accept()
    with peer:
        peer.recv(4096)
        peer.sendall(b"220 mail.example.org ESMTP\r\n")
