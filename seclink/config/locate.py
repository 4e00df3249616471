"""The paths of the configuration and the database, for server-side commands."""

import os
import stat
from collections import deque
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from seclink.config.parser import read_file
from seclink.config.schema import Config
from seclink.errors import ConfigError, StoreUnusable

INSTALLED = Path("/etc/seclink/seclink.toml")
CONFIG_PATHS = (Path("seclink.toml"), INSTALLED)
OTHERS_WRITE, MAX_NAMES = 0o022, 1000
STATE = Path("/var/lib/seclink")  # /etc holds no data, and is read-only to the service and the container


class ConfigSource(Struct, frozen=True):
    """The TOML file, None if there is none, and the options of the command line that override it."""

    path: Path | None
    host: str | None = None
    port: int | None = None

    def read(self) -> Config:
        """Return the configuration. Raise ConfigError, also if the file has gone since the start: its absence then does
        not mean the defaults.
        """
        return with_overrides(read_file(self.path or find(None)), self.host, self.port)


def find(path: Path | None) -> Path | None:
    """Return the file to read: `path`, else $SECLINK_CONFIG, else the first of CONFIG_PATHS that exists.

    None means that the defaults apply.
    """
    if path is not None:
        return path
    from_environment = os.environ.get("SECLINK_CONFIG")
    if from_environment:
        return Path(from_environment)
    standard = next((candidate for candidate in CONFIG_PATHS if candidate.exists()), None)
    if standard == CONFIG_PATHS[0]:
        _check_author(standard)
    return standard


def load(path: Path | None) -> Config:
    """Return the configuration of the file that `find` returns. Raise ConfigError."""
    return read_file(find(path))


def database(config: Config, toml: Path | None) -> Path:
    """Return the absolute path of the database.

    A relative path begins at the folder of the TOML file, whatever the working directory is, or at /var/lib/seclink if
    the file is the one in /etc.
    """
    return resolve(_data_folder(find(toml)) / config.store.path)


def existing_database(config: Config, toml: Path | None) -> Path:
    """Return the same path as `database`, for commands that never create one. Raise StoreUnusable."""
    path = database(config, toml)
    if not path.exists():
        raise StoreUnusable(f"{path}: there is no such database; name the server's TOML with --config")
    return path


def resolve(path: Path) -> Path:
    """Return the absolute path, without links. Root follows only those that root alone can change.

    Raise StoreUnusable at any other.
    """
    if os.geteuid() != 0:
        return path.resolve()
    resolved, names = Path("/"), deque(path.absolute().parts[1:])
    for _ in range(MAX_NAMES):
        if not names:
            return resolved
        name = names.popleft()
        step = resolved.parent if name == ".." else resolved / name
        if name == ".." or not step.is_symlink():
            resolved = step
            continue
        if not (_is_root_only(resolved) and step.lstat().st_uid == 0):
            raise StoreUnusable(f"{step}: is a symbolic link that other users can change, so root does not follow it")
        target = step.readlink()
        resolved = Path("/") if target.is_absolute() else resolved
        names.extendleft(reversed([part for part in target.parts if part != "/"]))
    raise StoreUnusable(f"{path}: has too many symbolic links")


def _is_root_only(folder: Path) -> bool:
    """Return whether only root can create or replace links of root's in the folder."""
    status = folder.stat()
    return status.st_uid == 0 and (not status.st_mode & OTHERS_WRITE or bool(status.st_mode & stat.S_ISVTX))


def _check_author(toml: Path) -> None:
    """Raise ConfigError if another user wrote the file of the working directory, or could have.

    It names where the database is, and the address to which commands send the API key.
    """
    for path in (toml.absolute(), toml.absolute().parent):
        status = path.stat()
        fix = f"if you trust it, name it with --config {toml}"
        if status.st_uid not in (0, os.geteuid()):
            raise ConfigError(f"{path}: belongs to user {status.st_uid}, not to you or root; {fix}")
        if status.st_mode & OTHERS_WRITE:
            raise ConfigError(f"{path}: can be changed by other users; chmod go-w {path}, or {fix}")


def with_overrides(config: Config, host: str | None, port: int | None) -> Config:
    """Return the configuration with `--host` and `--port` of the command line, where these are set."""
    bare_host = host and host.strip("[]")  # as in the TOML, an IPv6 address may be written as in a URL
    overrides = {name: value for name, value in (("host", bare_host), ("port", port)) if value is not None}
    return replace(config, server=replace(config.server, **overrides))


def _data_folder(source: Path | None) -> Path:
    if source is None:
        return Path()
    if source.resolve() == INSTALLED.resolve():
        return STATE
    return source.parent if source.is_file() else Path()
