"""The certificate of `seclink serve`: what is there at the start, and what the log says of it from then on."""

import asyncio
import time
from pathlib import Path

from seclink.config.parser import place
from seclink.config.schema import ServerOptions
from seclink.errors import StartRefused
from seclink.server.certificate import Certificate, CertificateRefused
from seclink.telemetry.log import Log

SOON_DAYS = 14
DAY_SECONDS = 86400


def load_certificate(server: ServerOptions, file: Path | None) -> Certificate | None:
    """Raises StartRefused where what is configured, in `file`, cannot be used."""
    if server.tls_cert is None or server.tls_key is None:
        return None
    try:
        return Certificate(Path(server.tls_cert), Path(server.tls_key))
    except CertificateRefused as error:
        name = "tls_key" if str(error).startswith(server.tls_key) else "tls_cert"
        raise StartRefused(f"{place(file, 'server', name)}{error}") from None


class TlsRenewal:
    """Takes new files into use and tells of it; without a certificate, there is nothing to do."""

    def __init__(self, load_certificate: Certificate | None, log: Log) -> None:
        self.certificate, self._log = load_certificate, log

    async def now(self) -> None:
        """Whether or not anything has changed."""
        if self.certificate is not None:
            await self.certificate.refresh(self._tell)

    async def watch(self) -> None:
        if self.certificate is not None:
            self._tell("")
            await self.certificate.watch(self._tell)

    async def remind(self) -> None:
        """Once a day, when its end is near: whoever should have renewed it did not."""
        while self.certificate is not None:
            days = self.certificate.days_left()
            if days < SOON_DAYS:
                self._log.warning("certificate", detail=f"it ends in {days} days; nobody has renewed it")
            await asyncio.sleep(DAY_SECONDS)

    def _tell(self, refused: str) -> None:
        if refused:
            self._log.error("certificate", detail=refused)
        elif self.certificate is not None:
            until = time.strftime("%Y-%m-%d", time.gmtime(self.certificate.until))
            self._log.info("certificate", detail=f"in use, and valid until {until}")
