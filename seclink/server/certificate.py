"""The TLS certificate and its key: loaded, tested, and loaded again when the files change.

A pair must work before it is used: a handshake in memory, with a client that trusts nothing else, shows whether the key
belongs to the certificate, whether the certificate is valid now, and whether it is one for servers. Messages name the
key's file and nothing of its content. New connections get the new certificate and open ones keep theirs. A pair that
does not work changes nothing.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["Certificate", "CertificateRefused"]

POLL_SECONDS = 2.0
DAY_SECONDS = 86400

# Only forward secrecy and authenticated encryption; all ciphers of TLS 1.3 have both.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

REASONS = {
    "KEY_VALUES_MISMATCH": "{key} is not the key of {chain}",
    "KEY_TYPE_MISMATCH": "{key} is not the key of {chain}",
    "EE_KEY_TOO_SMALL": "{chain}: its key is too small to be safe",
    "CA_MD_TOO_WEAK": "{chain}: its signature algorithm is no longer safe",
}
KEY_MISMATCHES = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH")


class CertificateRefused(Exception):
    """The pair cannot be used; the message is for the administrator.

    `file` is the file at fault. `is_denied`: this user has no permission to read it.
    """

    def __init__(self, message: str, file: Path, *, is_denied: bool = False) -> None:
        super().__init__(message)
        self.file, self.is_denied = file, is_denied


class Certificate:
    """`context` is the TLS context for the next connection; `expires_at` is in seconds since 1970."""

    def __init__(self, chain: Path, key: Path) -> None:
        """Load PEM files: `chain` has the server's certificate and the intermediate ones. Raises CertificateRefused."""
        self._chain, self._key = chain, key
        self._loaded_stamps = self._stamps()
        self.context, self.expires_at = _load(chain, key)

    async def refresh(self, on_result: Callable[[str], None]) -> None:
        """Load the files again. Calls `on_result` with "" on success, else with the reason why the old pair stays."""
        self._loaded_stamps = self._stamps()  # before loading: a change meanwhile is loaded next time
        try:
            self.context, self.expires_at = await asyncio.to_thread(_load, self._chain, self._key)
        except CertificateRefused as error:
            on_result(f"the current certificate stays in use: {error}")
        else:
            on_result("")

    async def poll(self, on_result: Callable[[str], None]) -> None:
        """Load the files when they have changed and are stable: the two are not replaced in one step. Never returns."""
        current = self._loaded_stamps
        while True:
            await asyncio.sleep(POLL_SECONDS)
            previous, current = current, self._stamps()
            if current == previous != self._loaded_stamps:
                await self.refresh(on_result)

    def days_left(self) -> int:
        return int((self.expires_at - time.time()) // DAY_SECONDS)

    def _stamps(self) -> tuple[tuple[int, ...], ...]:
        return tuple(map(_stamp, (self._chain, self._key)))


def _stamp(path: Path) -> tuple[int, ...]:
    """Return numbers that change when the file does; none for a file that is missing."""
    try:
        stat = path.stat()
    except OSError:
        return ()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _load(chain: Path, key: Path) -> tuple[ssl.SSLContext, float]:
    """Return a context and the time the certificate expires. Raises CertificateRefused."""
    for path in (chain, key):
        _check_readable(path)

    def reject_encrypted_key() -> str:
        raise CertificateRefused(f"{key}: the key is encrypted, and the server cannot ask for its passphrase", key)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        context.load_cert_chain(chain, key, reject_encrypted_key)
        return context, _test_handshake(context, chain)
    except ssl.SSLCertVerificationError as error:
        raise CertificateRefused(f"{chain}: {error.verify_message}", chain) from None
    except ssl.SSLError as error:
        message = REASONS.get(error.reason or "", "not a certificate and its key in PEM: {chain}, {key}")
        file = key if error.reason in KEY_MISMATCHES else chain
        raise CertificateRefused(message.format(chain=chain, key=key), file) from None


def _check_readable(path: Path) -> None:
    """Raise CertificateRefused if the file cannot be read: OpenSSL does not name the one of the two at fault."""
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        is_denied = isinstance(error, PermissionError)
        raise CertificateRefused(f"{path}: cannot be read: {error.strerror}", path, is_denied=is_denied) from None


def _test_handshake(context: ssl.SSLContext, chain: Path) -> float:
    """Shake hands in memory; return the time the certificate expires. Raises ssl.SSLError."""
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_context.check_hostname = False  # only the operator knows the names that clients use
    client_context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client_context.load_verify_locations(chain)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server)
    server = context.wrap_bio(to_server, to_client, server_side=True)
    unfinished = [client, server]
    while unfinished:
        for side in list(unfinished):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            unfinished.remove(side)
    expires = (client.getpeercert() or {}).get("notAfter")
    return ssl.cert_time_to_seconds(str(expires))
