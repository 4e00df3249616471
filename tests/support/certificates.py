"""Certificates for localhost, made on the spot, and talking to whoever shows one."""

import datetime
import ipaddress
import ssl
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PLAIN = serialization.NoEncryption()


class Pair(NamedTuple):
    """The certificate's bytes and the key's, in PEM."""

    chain: bytes
    key: bytes

    def write(self, folder: Path) -> "Pair":
        """Each in one step, but not both together: as renewals do."""
        for name, content in (("fullchain.pem", self.chain), ("privkey.pem", self.key)):
            made = folder / f"{name}.new"
            made.write_bytes(content)
            made.replace(folder / name)
        return self

    @property
    def serial(self) -> int:
        return x509.load_pem_x509_certificate(self.chain).serial_number

    def context(self) -> ssl.SSLContext:
        """Of a client that trusts this certificate and no other."""
        context = ssl.create_default_context(cadata=self.chain.decode())
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context


def pair(
    starts: int = -1,
    ends: int = 30,
    encryption: serialization.KeySerializationEncryption = PLAIN,
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
) -> Pair:
    """Days from now, and what may be done with it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=starts))
        .not_valid_after(now + datetime.timedelta(days=ends))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    return Pair(made.public_bytes(serialization.Encoding.PEM), secret)


def serial_of(connection: ssl.SSLSocket) -> int:
    shown = connection.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number
