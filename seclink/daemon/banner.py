"""The lines that `seclink serve` prints at its start, unless its output goes to the journal."""

import shutil
import sys
from pathlib import Path

from seclink.config.addresses import public_url
from seclink.config.schema import Config


def banner(config: Config, database: Path, toml: Path | None) -> str:
    """Return the lines for the start: the address, the place of the data, the next steps."""
    url = public_url(config)
    is_open = config.access.create == "anyone"
    command = Path(sys.argv[0]).name if shutil.which("seclink") else sys.argv[0]
    lines = [
        f"SecLink serves {url}",
        f"  data      {database}",
        f"  settings  {toml or f'defaults; `{command} config` prints them'}",
        f"  creating  {'anyone' if is_open else 'requires an API key'}; `{command} key add ACCOUNT` creates a key",
    ]
    if is_open:
        lines.append(f"  try       echo hello | {command} create --server {url}")
    if url.startswith("http:"):
        lines.append("  TLS       none: set server.tls_cert, or use a proxy with https and set server.public_url")
    return "\n".join(lines)
