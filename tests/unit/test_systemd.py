"""OPS-02: the files in systemd/ agree with the code, and the unit is hardened."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from support.altered_constants import with_constants
from support.server import Server
from support.waiting import TIMEOUT_SECONDS

from seclink.config.options import defaults, options
from seclink.config.parser import parse
from seclink.config.schema import Config

FOLDER = Path(__file__).parents[2] / "systemd"
TOML = FOLDER / "seclink.toml"

UNIT = FOLDER / "seclink.service"

COMMENTED = [number for number, line in enumerate(defaults().splitlines()) if re.match(r"#[a-z]", line)]


def uncommented(numbers: list[int], folder: Path) -> Config:
    """Return the configuration of the shipped TOML file with the # removed from some of its lines."""
    lines = TOML.read_text().splitlines()
    for number in numbers:
        lines[number] = lines[number][1:]
    (folder / "logo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    return parse("\n".join(lines), "seclink.toml", folder)


def test_toml_is_what_the_command_prints() -> None:
    """After a change: seclink config --defaults > systemd/seclink.toml"""
    assert TOML.read_bytes() == defaults().encode()


def test_toml_has_every_option_with_its_help_and_sets_none() -> None:
    text = TOML.read_text()
    assert parse(text, "seclink.toml") == Config()
    assert len(COMMENTED) == len(list(options()))
    for option in options():
        assert f"\n# {option.comment}\n#{option.name} = " in text, str(option)


def test_every_line_can_be_uncommented_by_itself(tmp_path: Path) -> None:
    """Except that a certificate and its key need each other, and a table its header.

    A line changes nothing, unless it is an example.
    """
    lines = TOML.read_text().splitlines()
    for number in COMMENTED:
        partner = {"#tls_cert": [number + 2], "#tls_key": [number - 2], "#origin": [number - 2]}.get(
            lines[number].split()[0], []
        )
        config = uncommented([number, *partner], tmp_path)
        changed = [option for option in options() if option.get(config) != option.default]
        assert all(option.default is None for option in changed), lines[number]
        assert len(changed) <= 2, lines[number]


def test_all_lines_can_be_uncommented_together(tmp_path: Path) -> None:
    headers = [number for number, line in enumerate(TOML.read_text().splitlines()) if line.startswith("#[[")]
    config = uncommented([*COMMENTED, *headers], tmp_path)
    assert [str(option) for option in options() if option.get(config) is None] == []


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit as on a machine where the program is installed."""
    program = tmp_path / "seclink"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "seclink.service"
    unit.write_text(UNIT.read_text().replace("/opt/seclink/bin/seclink", str(program)))
    return unit


def test_exposure_of_the_unit_is_low() -> None:
    """OPS-02: systemd-analyze rates it at most 1.5 of 10."""
    result = analyze("security", "--offline=true", "--threshold=15", str(UNIT))
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"Overall exposure level for seclink.service: (0\.\d|1\.[0-5]) ", result.stdout)


def test_unit_is_valid(installed: Path) -> None:
    """OPS-02"""
    result = analyze("verify", str(installed))
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_invalid_unit_is_detected(installed: Path) -> None:
    """The check that finds no mistake can find one."""
    installed.write_text(installed.read_text().replace("ProtectHome=", "ProtectHomes=").replace("PrivateTmp=yes", ""))
    assert "ProtectHomes" in analyze("verify", str(installed)).stderr
    assert analyze("security", "--offline=true", "--threshold=9", str(installed)).returncode != 0


HARDENING = re.compile(
    r"(Capability|NoNew|Private|Protect|Restrict|Lock|Memory|Remove|Keyring|System|Socket|IPAddress|Device|ProcSubset"
    r"|Dynamic|UMask|Limit|Tasks)\w*="
)


def test_every_hardening_directive_has_a_comment() -> None:
    lines = UNIT.read_text().splitlines()
    directives = [number for number, line in enumerate(lines) if HARDENING.match(line)]
    assert len(directives) > 30
    for number in directives:
        above = lines[number - 1]
        assert above.startswith("# ") or above.partition("=")[0] == lines[number].partition("=")[0], lines[number]


def test_reload_checks_the_file_first_and_works_with_systemd_252() -> None:
    text = UNIT.read_text()
    checked = text.index("ExecReload=/opt/seclink/bin/seclink config --check --config /etc/seclink/seclink.toml")
    assert checked < text.index("ExecReload=/bin/sh -c 'kill -HUP $MAINPID'")
    assert "\nType=notify\n" in text  # Debian 12 has systemd 252, notify-reload came with 253


PROBE = """
import ctypes, json, mmap, os, resource, socket
libc = ctypes.CDLL(None, use_errno=True)
def attempt(action, *arguments):
    try:
        action(*arguments)
    except OSError as error:
        return os.strerror(error.errno)
    return "done"
def call(*arguments):
    if libc.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "")
print(json.dumps({
    "write elsewhere": attempt(open, "/etc/seclink-was-here", "w"),
    "write here": attempt(open, "here", "w"),
    "change owner": attempt(os.chown, "here", 1, 1),
    "change user": attempt(os.setuid, 1),
    "raise priority": attempt(os.nice, -1),
    "mount": attempt(call, 165, 0, 0, 0, 0, 0),
    "unshare": attempt(call, 272, 0x10000000),
    "trace": attempt(call, 101, 0, 0, 0, 0),
    "write and execute": attempt(mmap.mmap, -1, 4096, mmap.MAP_PRIVATE, mmap.PROT_WRITE | mmap.PROT_EXEC),
    "netlink": attempt(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW),
    "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
    "umask": os.umask(0),
}))
"""
NO, FORBIDDEN = "Read-only file system", "Operation not permitted"


def confined(folder: Path) -> tuple[str, ...]:
    launcher = Path(__file__).parents[1] / "faults" / "systemd_sandbox.py"
    return (sys.executable, str(launcher), str(UNIT), str(folder))


def test_confinement_of_the_tests_is_that_of_the_unit(tmp_path: Path) -> None:
    """Otherwise the next test would prove nothing."""
    command = [*confined(tmp_path), sys.executable, "-c", PROBE]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {
        "write elsewhere": NO, "write here": "done", "core": 0, "umask": 0o077,
        **dict.fromkeys(("change owner", "change user", "raise priority", "mount", "unshare", "trace"), FORBIDDEN),
        **dict.fromkeys(("write and execute", "netlink"), FORBIDDEN),
    }  # fmt: skip


def test_server_works_confined(tmp_path: Path, server_type: type[Server]) -> None:
    """OPS-02: pages, creating and revealing with a passcode (argon2 in its threads), files, a reload, a stop."""
    any_disk = with_constants({"seclink.domain.uploads.MIN_FREE_BYTES": 0})
    server = server_type(tmp_path, "", prefix=(*confined(tmp_path), *any_disk)).start()
    try:
        with httpx.Client(base_url=server.url, timeout=TIMEOUT_SECONDS) as client:
            body = {"encryptedBlob": "eA==", "iv": "eA==", "expiryType": "view_once", "passcodeHash": "0" * 64}
            response = client.post("/api/v1/secrets", json=body)
            assert response.status_code == 201, response.text
            path = f"/api/v1/secrets/{response.json()['linkId']}/reveal"
            assert client.post(path, json={"passcodeHash": "1" * 64}).status_code == 401
            assert client.post(path, json={"passcodeHash": "0" * 64}).json()["encryptedBlob"] == "eA=="
            begun = client.post("/api/v1/uploads", json={"size": 284}).raise_for_status().json()
            sender = {"SecLink-Upload": begun["uploadToken"], "Content-Type": "application/octet-stream"}
            chunk = f"/api/v1/uploads/{begun['uploadId']}/chunks/0"
            assert client.put(chunk, content=bytes(284), headers=sender).status_code == 204
            upload = {"id": begun["uploadId"], "token": begun["uploadToken"]}
            with_files = client.post("/api/v1/secrets", json=body | {"passcodeHash": None, "upload": upload})
            path = f"/api/v1/secrets/{with_files.raise_for_status().json()['linkId']}/reveal"
            grant = client.post(path, json={"files": True}).json()["files"]["grant"]
            assert client.get("/api/v1/files/0", headers={"SecLink-Grant": grant}).content == bytes(284)
            assert client.get("/").status_code == client.get("/readyz").status_code == 200
            server.config.write_text("[branding]\nname = 'Confined'\n")
            server.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 20
            while "Confined" not in client.get("/").text:
                assert time.monotonic() < deadline, server.log()
        for name in ("seclink.db", "seclink.db-wal", "seclink.db.files"):
            assert (tmp_path / name).stat().st_mode & 0o077 == 0
        assert server.stop() == 0
    finally:
        if server.process.poll() is None:
            server.kill()
    assert '"level":"error"' not in server.log()
