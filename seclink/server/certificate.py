"""The certificate for https, with its key: read, tried, and read again when its files change.

Before it is used it has to work: a handshake in memory, with a client that trusts nothing else, tells whether the key
is the certificate's, whether its time is now and whether it is one for servers. Nothing is told of a key but where it
lies. New connections get the new certificate and open ones keep theirs; a pair that does not work changes nothing.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["Certificate", "CertificateRefused"]

EVERY_SECONDS = 2.0
DAY = 86400

# Forward secrecy and authenticated encryption alone; what TLS 1.3 has is all of that kind.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

REASONS = {
    "KEY_VALUES_MISMATCH": "{key} is not the key of {chain}",
    "KEY_TYPE_MISMATCH": "{key} is not the key of {chain}",
    "EE_KEY_TOO_SMALL": "{chain}: its key is too small to be safe",
    "CA_MD_TOO_WEAK": "{chain}: it is signed in a way that is not safe any more",
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
    """`context` is for the next connection, `until` when it ends, in seconds since 1970."""

    def __init__(self, chain: Path, key: Path) -> None:
        """`chain` is the server's certificate and those between it and its root, all in PEM, as is `key`. Raises
        CertificateRefused."""
        self._chain, self._key = chain, key
        self._read = self._stamp()
        self.context, self.until = _load(chain, key)

    async def refresh(self, told: Callable[[str], None]) -> None:
        """Read the files again. `told` is what kept the old ones; nothing where the new are in use."""
        self._read = self._stamp()  # before: what changes while it is read is read once more
        try:
            self.context, self.until = await asyncio.to_thread(_load, self._chain, self._key)
        except CertificateRefused as refused:
            told(f"the certificate in use stays: {refused}")
        else:
            told("")

    async def watch(self, told: Callable[[str], None]) -> None:
        """Reads them when they have changed and stay so for a moment: a pair is not replaced in one step. Never
        returns."""
        seen = self._read
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            last, seen = seen, self._stamp()
            if seen == last != self._read:
                await self.refresh(told)

    def days_left(self) -> int:
        return int((self.until - time.time()) // DAY)

    def _stamp(self) -> tuple[tuple[int, ...], ...]:
        return tuple(map(_stamp, (self._chain, self._key)))


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _load(chain: Path, key: Path) -> tuple[ssl.SSLContext, float]:
    for each in (chain, key):
        _look(each)

    def is_encrypted() -> str:
        raise CertificateRefused(f"{key}: the key is encrypted; nobody is there to type its passphrase at a start", key)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        context.load_cert_chain(chain, key, is_encrypted)
        return context, _tried(context, chain)
    except ssl.SSLCertVerificationError as error:
        raise CertificateRefused(f"{chain}: {error.verify_message}", chain) from None
    except ssl.SSLError as error:
        message = REASONS.get(error.reason or "", "not a certificate and its key in PEM: {chain}, {key}")
        file = key if error.reason in KEY_MISMATCHES else chain
        raise CertificateRefused(message.format(chain=chain, key=key), file) from None


def _look(path: Path) -> None:
    """OpenSSL does not say which of the two it could not read."""
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        is_denied = isinstance(error, PermissionError)
        raise CertificateRefused(f"{path}: cannot be read: {error.strerror}", path, is_denied=is_denied) from None


def _tried(context: ssl.SSLContext, chain: Path) -> float:
    """A handshake without a network; until when the certificate is valid. Raises ssl.SSLError."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False  # which names are right is for those to say who come
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    trusting.load_verify_locations(chain)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(down, up)
    server = context.wrap_bio(up, down, server_side=True)
    waiting = [client, server]
    while waiting:
        for each in list(waiting):
            try:
                each.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(each)
    until = (client.getpeercert() or {}).get("notAfter")
    return ssl.cert_time_to_seconds(str(until))
