"""Where a server-side command finds its configuration and its database."""

import os
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from seclink.config.parser import read_file
from seclink.config.schema import Config
from seclink.errors import StoreUnusable

INSTALLED = Path("/etc/seclink/seclink.toml")
CONFIG_PATHS = (Path("seclink.toml"), INSTALLED)
STATE = Path("/var/lib/seclink")  # /etc holds no data, and is read-only to the service and the container


class ConfigSource(Struct, frozen=True):
    """A TOML file, if there is one, and the options of the command line that override it."""

    path: Path | None
    host: str | None = None
    port: int | None = None

    def read(self) -> Config:
        """Raise ConfigError, also where the file of the start is gone: its absence does not mean the defaults."""
        return with_overrides(read_file(self.path or find(None)), self.host, self.port)


def find(named: Path | None) -> Path | None:
    """Return the file to read: the named one, else $SECLINK_CONFIG, else the first of CONFIG_PATHS that exists.

    None means that the defaults apply.
    """
    if named is not None:
        return named
    from_environment = os.environ.get("SECLINK_CONFIG")
    if from_environment:
        return Path(from_environment)
    return next((path for path in CONFIG_PATHS if path.exists()), None)


def load(named: Path | None) -> Config:
    """Read the configuration from the file that `find` returns. Raises ConfigError."""
    return read_file(find(named))


def database(config: Config, named: Path | None) -> Path:
    """Return the database's absolute path.

    A relative path begins beside the TOML file, wherever the command is run from, or in /var/lib/seclink if that file
    is the one in /etc.
    """
    return (_data_folder(find(named)) / config.store.path).resolve()


def existing_database(config: Config, named: Path | None) -> Path:
    """Return the same path as `database`, for commands that never create one. Raises StoreUnusable."""
    path = database(config, named)
    if not path.exists():
        raise StoreUnusable(f"{path}: there is no such database; name the server's TOML with --config")
    return path


def with_overrides(config: Config, host: str | None, port: int | None) -> Config:
    """Return the configuration with the `--host` and `--port` of the command line in its place."""
    overrides = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    return replace(config, server=replace(config.server, **overrides))


def _data_folder(source: Path | None) -> Path:
    if source is None:
        return Path()
    if source.resolve() == INSTALLED.resolve():
        return STATE
    return source.parent if source.is_file() else Path()
