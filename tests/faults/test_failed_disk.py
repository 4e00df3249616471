"""A disk that fails for good under a running server: a file system that the kernel turns read-only. CR-05, OPS-05."""

import contextlib
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_client import ApiClient, create_request, payload_of, wait_until_ready
from database_files import is_intact
from fault_injection import needs_mount, require_program
from recording_client import RIGHT_PASSCODE, WRONG_PASSCODE
from support.server import HIGH_RATES, MakeServer, Server
from support.waiting import TIMEOUT_SECONDS, until

pytestmark = needs_mount


class Disk:
    """An ext4 of its own, in a file; it turns read-only when it finds itself damaged, as the default is everywhere."""

    def __init__(self, folder: Path) -> None:
        require_program("mkfs.ext4")
        self.image, self.folder = folder / "image", folder / "disk"
        self.folder.mkdir()
        with self.image.open("wb") as image:
            image.truncate(32 * 2**20)
        run("mkfs.ext4", "-q", str(self.image))
        self.mount()

    def mount(self) -> None:
        run("mount", "-o", "loop,errors=remount-ro", str(self.image), str(self.folder))
        [line] = [each for each in Path("/proc/mounts").read_text().splitlines() if each.split()[1] == str(self.folder)]
        self.device = Path(line.split()[0]).name

    def fail(self) -> None:
        Path(f"/sys/fs/ext4/{self.device}/trigger_fs_error").write_text("a test")
        deadline = time.monotonic() + TIMEOUT_SECONDS
        with contextlib.suppress(OSError):
            while time.monotonic() < deadline:
                self.folder.joinpath("probe").touch()
        with pytest.raises(OSError, match="Read-only"):
            self.folder.joinpath("probe").touch()

    def repair(self) -> None:
        """Mount the disk again, like after a reboot."""
        run("umount", str(self.folder))
        # Whoever is in a mount namespace of its own, as other tests' servers are, has had a copy of the mount.
        until(lambda: not Path(f"/sys/block/{self.device}/loop/backing_file").exists())
        subprocess.run(["fsck.ext4", "-p", str(self.image)], capture_output=True, timeout=TIMEOUT_SECONDS)
        self.mount()


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    assert done.returncode == 0, f"this machine does not let us; see the docstring of test_disks: {done.stderr}"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path)
    yield disk
    run("umount", "--lazy", str(disk.folder))


def test_failed_disk_accepts_nothing_and_loses_nothing_once_repaired(make_server: MakeServer, disk: Disk) -> None:
    """CR-05, OPS-05: it looks things up, refuses what it cannot keep, does not fall, and stops in order."""
    path = disk.folder / "seclink.db"
    server = make_server(HIGH_RATES + f'[store]\npath = "{path}"\n[reaper]\nevery = "1s"\n').start()
    with ApiClient(server) as api:
        receipts = [api.create(b"kept %d" % n) for n in range(3)]
        guarded = api.create(b"guarded", passcodeHash=RIGHT_PASSCODE)
        assert guess(api, guarded).json()["attemptsLeft"] == 4
        disk.fail()
        wait_for_complaints(server, 3)
        for _ in range(2):
            assert api.http.post("/secrets", json=create_request(b"new")).status_code == 503
            assert {api.reveal(receipt["linkId"]).status_code for receipt in receipts} == {503}
            assert api.burn(receipts[0]).status_code == 503
            assert guess(api, guarded).status_code == 503, "a try that cannot be counted must not be answered"
            assert {api.meta(receipt["linkId"]).status_code for receipt in receipts} == {200}
            assert api.receipt(receipts[0])["state"] == "active"
            assert (api.ready().status_code, api.http.get(f"{api.root}/healthz").status_code) == (503, 200)
    assert server.stop() == 0, server.log()
    assert "Traceback" not in server.log()
    disk.repair()
    server.start()
    with ApiClient(server) as api:
        wait_until_ready(api)
        assert guess(api, guarded).json()["attemptsLeft"] == 3
        assert [payload_of(api.reveal(receipt["linkId"]).json()) for receipt in receipts] == [
            b"kept 0",
            b"kept 1",
            b"kept 2",
        ]
        assert {api.reveal(receipt["linkId"]).status_code for receipt in receipts} == {410}
    assert server.stop() == 0, server.log()
    assert is_intact(path)


def guess(api: ApiClient, receipt: dict[str, Any]) -> Any:
    return api.reveal(receipt["linkId"], **{"SecLink-Passcode": WRONG_PASSCODE})


def wait_for_complaints(server: Server, count: int) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while len(re.findall('"event":"reaper".*"code":"storage"', server.log())) < count:
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.1)
