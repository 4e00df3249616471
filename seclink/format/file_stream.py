"""The bytes of a secret's files as one stream, encrypted in chunks.

    plaintext     files one after another || zero bytes up to padded(N)
    chunks        count = ceil(padded(N) / C), all of C = 4,194,304 bytes but the last, which has the rest
    file_key      = HKDF(stream key, "seclink/v1/file", 32)
    sealed chunk  = nonce (12 random bytes) || AES-256-GCM(file_key, nonce, chunk, AAD), tag appended
    AAD           = "seclink/v1/file" || u64 index of the chunk || u8 (1 if it is the last, else 0)

The stream's key is in the envelope alone: once that is erased, nothing opens the chunks. One key seals one plaintext.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from seclink.errors import NotAuthentic
from seclink.format.envelope import FORMAT, hkdf, padded

CHUNK_BYTES = 4_194_304
NONCE_BYTES = 12
OVERHEAD_BYTES = NONCE_BYTES + 16  # of each sealed chunk: nonce and tag

_AAD = f"{FORMAT}/file".encode()


class FileStream:
    """The chunks of a stream of `size` bytes under its key of 32 bytes."""

    def __init__(self, key: bytes, size: int) -> None:
        self.size = size
        self.padded = padded(size)
        self.chunks = -(-self.padded // CHUNK_BYTES)
        self._cipher = AESGCM(hkdf(key, "file"))

    @property
    def sealed_bytes(self) -> int:
        return self.padded + OVERHEAD_BYTES * self.chunks

    def check(self, sealed_bytes: int, chunks: int) -> None:
        """Raise NotAuthentic if a server has another number of bytes or chunks than the header's size implies."""
        if (sealed_bytes, chunks) != (self.sealed_bytes, self.chunks):
            raise NotAuthentic

    def length(self, index: int) -> int:
        """Return the number of bytes of a chunk, padding included."""
        return min(CHUNK_BYTES, self.padded - index * CHUNK_BYTES)

    def seal(self, index: int, nonce: bytes, content: bytes) -> bytes:
        """Return chunk `index`, made of the stream's bytes at its place. Never use a nonce twice."""
        plain = content.ljust(self.length(index), b"\0")
        return nonce + self._cipher.encrypt(nonce, plain, self._aad(index))

    def open(self, index: int, sealed: bytes) -> bytes:
        """Return the stream's bytes in chunk `index`, without padding. Raise NotAuthentic."""
        if len(sealed) != self.length(index) + OVERHEAD_BYTES:
            raise NotAuthentic
        try:
            plain = self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], self._aad(index))
        except InvalidTag:
            raise NotAuthentic from None
        end = max(0, min(len(plain), self.size - index * CHUNK_BYTES))
        if any(memoryview(plain)[end:]):
            raise NotAuthentic
        return plain[:end]

    def _aad(self, index: int) -> bytes:
        return _AAD + index.to_bytes(8, "big") + bytes([index == self.chunks - 1])
