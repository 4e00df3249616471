"""The TLS certificate of `seclink serve`: loading it at the start, renewing it while serving, and logging both."""

import asyncio
import time
from pathlib import Path

from seclink.config.parser import location_prefix
from seclink.config.schema import ServerOptions
from seclink.errors import StartRefused
from seclink.server.certificate import Certificate, CertificateRefused
from seclink.telemetry.log import Log

REMINDER_DAYS = 14
DAY_SECONDS = 86400


def load_certificate(server: ServerOptions, toml: Path | None) -> Certificate | None:
    """Load the configured certificate, if any. Raises StartRefused, with the line of the option in the TOML file."""
    if server.tls_cert is None or server.tls_key is None:
        return None
    try:
        return Certificate(Path(server.tls_cert), Path(server.tls_key))
    except CertificateRefused as error:
        option = "tls_cert" if error.file == Path(server.tls_cert) else "tls_key"
        raise StartRefused(f"{location_prefix(toml, 'server', option)}{error}") from None


class TlsRenewal:
    """Loads changed certificate files and logs the result; without a certificate it does nothing."""

    def __init__(self, certificate: Certificate | None, log: Log) -> None:
        self._certificate, self._log = certificate, log

    async def reload(self) -> None:
        """Load the files now, even if they have not changed."""
        if self._certificate is not None:
            await self._certificate.refresh(self._log_result)

    async def watch(self) -> None:
        """Load the files whenever they change. Never returns, unless there is no certificate."""
        if self._certificate is not None:
            self._log_result("")
            await self._certificate.poll(self._log_result)

    async def remind(self) -> None:
        """Log a warning once a day if the certificate expires soon, because its renewal must have failed."""
        while self._certificate is not None:
            days = self._certificate.days_left()
            if days < REMINDER_DAYS:
                self._log.warning("certificate", detail=f"expires in {days} days and has not been renewed")
            await asyncio.sleep(DAY_SECONDS)

    def _log_result(self, problem: str) -> None:
        if problem:
            self._log.error("certificate", detail=problem)
        elif self._certificate is not None:
            until = time.strftime("%Y-%m-%d", time.gmtime(self._certificate.expires_at))
            self._log.info("certificate", detail=f"in use, valid until {until}")
