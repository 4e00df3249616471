"""OPS-02: the files in systemd/ say what the code says, and the unit is as closed as it can be."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from seclink.config.options import defaults, options
from seclink.config.parser import parse
from seclink.config.schema import Config

FOLDER = Path(__file__).parents[2] / "systemd"
TOML = FOLDER / "seclink.toml"

UNIT = FOLDER / "seclink.service"

COMMENTED = [number for number, line in enumerate(defaults().splitlines()) if re.match(r"#[a-z]", line)]


def test_toml_is_what_the_code_says() -> None:
    """After a change: seclink config --defaults > systemd/seclink.toml"""
    assert TOML.read_bytes() == defaults().encode()


def test_toml_has_every_option_with_its_help_and_says_nothing_else() -> None:
    text = TOML.read_text()
    assert parse(text, "seclink.toml") == Config()
    assert len(COMMENTED) == len(list(options()))
    for option in options():
        assert f"\n# {option.help} ({option.bounds})\n#{option.name} = " in text


@pytest.mark.parametrize("number", COMMENTED, ids=[defaults().splitlines()[each] for each in COMMENTED])
def test_every_line_can_be_uncommented_by_itself(number: int, tmp_path: Path) -> None:
    """But for a certificate and its key, of which neither is anything without the other."""
    lines = TOML.read_text().splitlines()
    pair = number + {"#tls_cert": 1, "#tls_key": -1}.get(lines[number].split()[0], 0) * 2
    for each in {number, pair}:
        lines[each] = lines[each][1:]
    found = uncommented(lines, tmp_path)
    changed = [option for option in options() if option.of(found) != option.default]
    assert len(changed) <= len({number, pair})
    assert all(option.default is None for option in changed)


def test_all_lines_can_be_uncommented_together(tmp_path: Path) -> None:
    lines = [line[1:] if number in COMMENTED else line for number, line in enumerate(TOML.read_text().splitlines())]
    found = uncommented(lines, tmp_path)
    assert all(option.of(found) is not None for option in options())


def uncommented(lines: list[str], folder: Path) -> Config:
    (folder / "logo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    return parse("\n".join(lines), "seclink.toml", folder)


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit as it would be on a machine with the program at its place."""
    program = tmp_path / "seclink"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "seclink.service"
    unit.write_text(UNIT.read_text().replace("/opt/seclink/bin/seclink", str(program)))
    return unit


def test_unit_is_exposed_no_more_than_it_must_be() -> None:
    """OPS-02: 1.5 at most, of 10."""
    found = analyze("security", "--offline=true", "--threshold=15", str(UNIT))
    assert found.returncode == 0, found.stdout + found.stderr
    assert re.search(r"Overall exposure level for seclink.service: (0\.\d|1\.[0-5]) ", found.stdout)


def test_unit_has_no_mistake(installed: Path) -> None:
    """OPS-02"""
    found = analyze("verify", str(installed))
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_unit_that_has_one_is_found(installed: Path) -> None:
    """What says that all is well can also say that it is not."""
    installed.write_text(installed.read_text().replace("ProtectHome=", "ProtectHomes=").replace("PrivateTmp=yes", ""))
    assert "ProtectHomes" in analyze("verify", str(installed)).stderr
    assert analyze("security", "--offline=true", "--threshold=9", str(installed)).returncode != 0


HARDENING = re.compile(
    r"(Capability|NoNew|Private|Protect|Restrict|Lock|Memory|Remove|Keyring|System|Socket|IPAddress|Device|ProcSubset"
    r"|Dynamic|UMask|Limit|Tasks)\w*="
)


def test_every_hardening_directive_says_why() -> None:
    lines = UNIT.read_text().splitlines()
    directives = [number for number, line in enumerate(lines) if HARDENING.match(line)]
    assert len(directives) > 30
    for number in directives:
        above = lines[number - 1]
        assert above.startswith("# ") or above.partition("=")[0] == lines[number].partition("=")[0], lines[number]


def test_reload_checks_before_it_asks_and_is_not_a_type_that_older_systems_do_not_know() -> None:
    text = UNIT.read_text()
    checked = text.index("ExecReload=/opt/seclink/bin/seclink config --check --config /etc/seclink/seclink.toml")
    assert checked < text.index("ExecReload=/bin/sh -c 'kill -HUP $MAINPID'")
    assert "\nType=notify\n" in text  # Debian 12 has systemd 252, notify-reload came with 253


PROBE = """
import ctypes, json, mmap, os, resource, socket
libc = ctypes.CDLL(None, use_errno=True)
def tried(work, *given):
    try:
        work(*given)
    except OSError as error:
        return os.strerror(error.errno)
    return "done"
def call(*given):
    if libc.syscall(*given) < 0:
        raise OSError(ctypes.get_errno(), "")
print(json.dumps({
    "write elsewhere": tried(open, "/etc/seclink-was-here", "w"),
    "write here": tried(open, "here", "w"),
    "set the owner": tried(os.chown, "here", 1, 1),
    "be another": tried(os.setuid, 1),
    "go before others": tried(os.nice, -1),
    "mount": tried(call, 165, 0, 0, 0, 0, 0),
    "unshare": tried(call, 272, 0x10000000),
    "trace": tried(call, 101, 0, 0, 0, 0),
    "write and execute": tried(mmap.mmap, -1, 4096, mmap.MAP_PRIVATE, mmap.PROT_WRITE | mmap.PROT_EXEC),
    "netlink": tried(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW),
    "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
    "umask": os.umask(0),
}))
"""
NO, FORBIDDEN = "Read-only file system", "Operation not permitted"


def confined(folder: Path) -> tuple[str, ...]:
    launcher = Path(__file__).parents[1] / "faults" / "systemd_sandbox.py"
    return (sys.executable, str(launcher), str(UNIT), str(folder))


def test_confinement_here_is_what_the_unit_says(tmp_path: Path) -> None:
    """Or the next test would say nothing."""
    command = [*confined(tmp_path), sys.executable, "-c", PROBE]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout) == {
        "write elsewhere": NO, "write here": "done", "core": 0, "umask": 0o077,
        **dict.fromkeys(("set the owner", "be another", "go before others", "mount", "unshare", "trace"), FORBIDDEN),
        **dict.fromkeys(("write and execute", "netlink"), FORBIDDEN),
    }  # fmt: skip


def test_appliance_does_all_its_work_that_confined(tmp_path: Path, server_type: Any) -> None:
    """OPS-02: pages, creating and revealing with a passcode (argon2 in its threads), a reload, a stop."""
    server = server_type(tmp_path, "", prefix=confined(tmp_path)).start()
    try:
        with httpx.Client(base_url=server.url, timeout=20) as client:
            sent = {"encryptedBlob": "eA==", "iv": "eA==", "expiryType": "view_once", "passcodeHash": "0" * 64}
            made = client.post("/api/v1/secrets", json=sent)
            assert made.status_code == 201, made.text
            path = f"/api/v1/secrets/{made.json()['linkId']}/reveal"
            assert client.post(path, json={"passcodeHash": "1" * 64}).status_code == 401
            assert client.post(path, json={"passcodeHash": "0" * 64}).json()["encryptedBlob"] == "eA=="
            assert client.get("/").status_code == client.get("/readyz").status_code == 200
            server.config.write_text("[branding]\nname = 'Confined'\n")
            server.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 20
            while "Confined" not in client.get("/").text:
                assert time.monotonic() < deadline, server.log()
        for each in ("seclink.db", "seclink.db-wal"):
            assert (tmp_path / each).stat().st_mode & 0o077 == 0
        assert server.stop() == 0
    finally:
        if server.process.poll() is None:
            server.kill()
    assert '"level":"error"' not in server.log()
