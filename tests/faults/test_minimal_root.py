"""OPS-03: the server as it runs in its image: a number for a user, a root nobody can write to, no shell in reach."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from api_client import ApiClient, payload_of
from database_files import is_intact, wait_until_truncated
from fault_injection import needs_mount
from recording_client import RIGHT_PASSCODE
from support.server import HIGH_RATES, MakeServer
from support.waiting import TIMEOUT_SECONDS

pytestmark = needs_mount
BARE = Path(__file__).with_name("minimal_root.py")
USER = 10_001
LOOK = """
import os, subprocess
for path in ("/", "/tmp", "/etc", "/usr/lib", os.path.dirname(os.__file__)):
    try:
        open(os.path.join(path, "probe"), "w")
    except OSError as error:
        continue
    raise SystemExit(f"{path} can be written to")
try:
    subprocess.run("true", shell=True)
except OSError:
    print(os.getuid(), os.getgid(), os.getgroups())
"""


class Image:
    def __init__(self, folder: Path) -> None:
        self.root, self.state = folder / "root", folder / "state"
        self.root.mkdir()
        self.state.mkdir(mode=0o700)
        os.chown(self.state, USER, USER)

    @property
    def prefix(self) -> tuple[str, ...]:
        return (sys.executable, str(BARE), str(self.root), str(self.state), str(USER))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*self.prefix, sys.executable, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return Image(tmp_path)


def test_minimal_root_has_no_other_programs(image: Image) -> None:
    """Or the test below would show nothing."""
    looked = image.run("-c", LOOK)
    assert (looked.returncode, looked.stderr, looked.stdout) == (0, "", f"{USER} {USER} []\n")


def test_server_needs_only_its_state_folder(make_server: MakeServer, image: Image) -> None:
    """OPS-03: pages, secrets with and without passcode (argon2), health check, stop; no trace elsewhere."""
    server = make_server(prefix=image.prefix)
    server.config = image.state / "seclink.toml"
    server.config.write_text(HIGH_RATES + f"[server]\nport = {server.port}\n")
    server.config.chmod(0o644)
    inside, server.config = server.config, Path("/var/lib/seclink/seclink.toml")
    server.start()
    with ApiClient(server) as api:
        assert api.http.get(f"{server.url}/").status_code == 200
        assert payload_of(api.reveal(api.create(b"in the image")["linkId"]).json()) == b"in the image"
        guarded = api.create(b"guarded", passcodeHash=RIGHT_PASSCODE)
        assert api.reveal(guarded["linkId"], **{"SecLink-Passcode": RIGHT_PASSCODE}).status_code == 200
        wait_until_truncated(image.state)
    well = image.run("-m", "seclink", "check", "--config", "/var/lib/seclink/seclink.toml")
    assert (well.returncode, well.stdout, well.stderr) == (0, "", "")
    assert server.stop() == 0, server.log()
    ill = image.run("-m", "seclink", "check", "--config", "/var/lib/seclink/seclink.toml")
    assert ill.returncode == 1
    assert "Traceback" not in server.log() + ill.stderr
    assert {path.name for path in image.state.iterdir()} == {"seclink.toml", "seclink.db", "seclink.db.lock"}
    assert {path.stat().st_uid for path in image.state.iterdir()} == {USER, inside.stat().st_uid}
    assert list(image.root.iterdir()) == []
    assert is_intact(image.state / "seclink.db")
