"""The command line without a server: help, usage errors, its profile, generated passcodes and terminal output."""

import io
import json
import math
import os
import secrets
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from terminal import Shell

from seclink import errors
from seclink.cli.durations import DURATION
from seclink.cli.error_text import RequestedOptions, in_options
from seclink.cli.main import COMMANDS, cli, exit_status, explain
from seclink.cli.profile import TOKEN_RETENTION_MS, Profile, default_path
from seclink.cli.terminal import printable, table, without_line_end
from seclink.cli.wordlist import passcode, words
from seclink.errors import ClientError, Fault, Limit
from seclink.format.link import fragment_of

LINK = f"https://secret.example/AbCdEf123456#{fragment_of(bytes(32))}"
RECEIPT = "0" * 20
NOW = 1_800_000_000_000
OPTIONS = RequestedOptions(("--expires", 300), {"--note": "hello", "--label": "hello"}, 7)


# Help and the table


def test_completing_a_command_imports_none_of_them(shell: Shell) -> None:
    env: dict[str, Any] = {"_SECLINK_COMPLETE": "bash_complete", "COMP_WORDS": "seclink ", "COMP_CWORD": "1"}
    report = "import sys, atexit\natexit.register(lambda: print(*sys.modules))\n"
    program = report + "from seclink.cli.main import main\nmain()"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=shell.env | env, check=False
    )
    assert {f"plain,{name}" for name in COMMANDS} <= set(done.stdout.splitlines())
    assert "litestar" not in done.stdout.splitlines()[-1]


@pytest.mark.parametrize("name", ["create", "get", "list", "delete", "stats", "login", "logout", "completion"])
def test_every_command_has_help(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: cli {name}")


def test_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(cli, ["reveal"]).exit_code == 2


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: Shell, name: str) -> None:
    assert "_SECLINK_COMPLETE" in shell.out("completion", name)


def test_remembered_receipts_are_completed(shell: Shell) -> None:
    Profile(shell.profile).remember("https://a.example", RECEIPT, "token", NOW, NOW)
    env: dict[str, Any] = {"_SECLINK_COMPLETE": "bash_complete", "COMP_WORDS": "seclink delete 00", "COMP_CWORD": "2"}
    assert f"plain,{RECEIPT}" in shell.run(**env).stdout.decode()


# Usage


@pytest.mark.parametrize(
    "arguments",
    [
        ["create", "x", "--hours", "0"],
        ["create", "x", "--hours", "-1"],
        ["create", "x", "--hours", "soon"],
        ["create", "x", "--hours", "1", "--expires", "1h"],
        ["create", "x", "--expires", "7"],
        ["create", "x", "--expires", "1y"],
        ["create", "x", "--expires", "-1d"],
        ["create", "x", "--views", "0"],
        ["create", "x", "--views", "1001"],
        ["create", "x", "--type", "file"],
        ["create", "x", "--passcode", "a", "--generate-passcode"],
        ["create", "x", "--passcode", ""],
        ["create", "x", "--passcode", "  "],
        ["create", "x", "--passcode", "1234\r"],
        ["create", "x", "--passcode", "\u200b1234"],
        ["create", "x", "--passcode", "x" * 201],
        ["create", "x", "--ask-passcode"],  # there is no terminal
        ["create", "x", "--server", "localhost:8080"],
        ["create", "x", "y"],
        ["create", ""],
        ["create"],  # nothing on stdin
        ["create", "-"],
        ["get"],
        ["get", "0" * 15],
        ["get", LINK, "--json"],
        ["get", "-"],
        ["list", "--status", "lost"],
        ["list", "--limit", "0"],
        ["list", "--limit", "101"],
        ["list", "--page", "0"],
        ["delete"],
        ["completion", "tcsh"],
    ],
)
def test_wrong_usage_exits_with_2(shell: Shell, arguments: list[str]) -> None:
    done = shell.run(*arguments)
    assert done.returncode == 2
    assert b"Error: " in done.stderr
    assert done.stdout == b""


UNUSABLE = ["010.1.2.3", "a..b", "[::1]evil", "[v1.a]", f"{'a' * 70}.example", "good%2fevil", "a:0", "xn--a", "\u2460"]


@pytest.mark.parametrize("host", UNUSABLE)
def test_unusable_host_ends_no_command_in_a_traceback(tmp_path: Path, host: str) -> None:
    """In a link, an option, the environment or the saved login."""
    url, env = f"http://{host}", {"XDG_CONFIG_HOME": str(tmp_path), "SECLINK_SERVER": None, "SECLINK_API_KEY": None}
    link, receipt = f"{url}/AbCdEf123456#{fragment_of(bytes(32))}", f"{url}/receipt/{RECEIPT}#{'t' * 32}"
    commands: list[tuple[list[str], int]] = [(["get", link], 1), (["get", link, "--details-only"], 1)]
    commands += [(["get", receipt], 1), (["delete", receipt], 1), (["delete", link], 1)]
    for command in ("create", "get", "delete", "list", "stats", "login", "status", "verify", "check", "audit-erasure"):
        option = {"verify": [], "check": ["--url"]}.get(command, ["--server"])
        target = {"get": ["0" * 20, "--details-only"], "delete": ["0" * 20], "create": ["x"]}.get(command, [])
        commands.append(([command, *target, *option, url], 2))
    for arguments, status in commands:
        result = CliRunner().invoke(cli, arguments, env=env)
        assert isinstance(result.exception, SystemExit), (arguments, result.exception)
        is_late = "xn--" in host or arguments[0] in (
            "check",
            "delete",
            "get",
            "audit-erasure",
        )  # noticed when it is used
        assert result.exit_code == status or (is_late and result.exit_code in (1, 2, 3)), (arguments, result.output)
        assert "Error" in result.output or "seclink: " in result.output
    result = CliRunner().invoke(cli, ["list"], env=env | {"SECLINK_SERVER": url})
    assert (result.exit_code, "SECLINK_SERVER" in result.output) in ((2, True), (3, False))
    Profile(tmp_path / "seclink" / "client.json").log_in(url, "")
    result = CliRunner().invoke(cli, ["list"], env=env)
    assert (result.exit_code, "client.json names a server" in result.output) in ((1, True), (3, False))


@pytest.mark.parametrize(
    "arguments",
    [
        ["create", "x"],
        ["get", LINK.replace("secret.example", "127.0.0.1:1").replace("https", "http")],
        ["list"],
        ["stats"],
    ],
)
def test_unreachable_server_exits_with_3(shell: Shell, arguments: list[str]) -> None:
    done = shell.run(*arguments, "--server", "http://127.0.0.1:1")
    assert done.returncode == 3
    assert b"http://127.0.0.1:1 cannot be reached" in done.stderr
    assert done.stdout == b""
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    "setting",
    [
        {"HTTP_PROXY": "http://[::1"},
        {"http_proxy": "http://proxy:hidden"},
        {"ALL_PROXY": "socks5://127.0.0.1:1"},
        {"HTTP_PROXY": "127.0.0.1:1", "NO_PROXY": "::1, [::1], fd00::/8,[fd00::]/8 10.0.0.0/8,[::1]:80,localhost:80"},
    ],
)
@pytest.mark.parametrize(
    "arguments",
    [
        ["create", "x"],
        ["get", LINK.replace("https", "http")],
        ["get", LINK.replace("https", "http"), "--details-only"],
        ["get", RECEIPT],
        ["delete", RECEIPT],
        ["list"],
        ["stats"],
        ["login"],
    ],
)
def test_proxy_settings_end_no_command_in_a_traceback(
    shell: Shell, arguments: list[str], setting: dict[str, Any]
) -> None:
    done = shell.run(*arguments, "--server", "http://secret.example", "--key", "sk_live_x", **setting)
    assert (done.returncode, done.stdout) == (3, b"")
    [line] = done.stderr.splitlines()
    assert next(iter(setting)).encode() in line
    assert b"hidden" not in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["get", LINK[:-1]],
        ["get", "https://secret.example/nothing"],
        ["create", "ftp://x", "--type", "redirect"],
        ["delete", LINK],
        ["delete", "no-receipt"],
        ["get", RECEIPT, "--details-only"],
    ],
)
def test_errors_without_a_request_exit_with_1(shell: Shell, arguments: list[str]) -> None:
    """BOT-05"""
    done = shell.run(*arguments, "--server", "http://127.0.0.1:1")
    assert done.returncode == 1
    assert done.stderr.startswith(b"seclink: ")
    assert fragment_of(bytes(32)).encode() not in done.stderr


def test_every_error_has_its_exit_status() -> None:
    assert exit_status(errors.Unreachable()) == 3
    assert exit_status(errors.Gone()) == 4
    for refused in (
        errors.NotFound(),
        errors.LinkIncomplete(),
        errors.NotAuthentic(),
        errors.PasscodeWrong(),
        errors.Busy(),
    ):
        assert exit_status(refused) == 1


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (
            errors.BadRequest("No", (Fault("iv", "is missing", "required"), Fault("x", "is odd", "invalid"))),
            ["seclink: No", "  iv: is missing", "  x: is odd"],
        ),
        (errors.Gone("Gone", "burned", 10**400), ["seclink: Gone", "  burned at an unknown time"]),
        (errors.Gone("Gone"), ["seclink: Gone"]),
        (errors.PasscodeWrong("Wrong", 1), ["seclink: Wrong", "  1 attempt left; no view was spent"]),
        (
            errors.PasscodeWrong("Wrong", 0),
            ["seclink: Wrong", "  0 attempts left; no view was spent; try again later"],
        ),
        (errors.RateLimited("Slow", 7), ["seclink: Slow", "  try again in 7 s"]),
        (errors.ClientError("one\ntwo"), ["seclink: one", "two"]),
    ],
)
def test_errors_have_a_hint(error: errors.SecLinkError, shown: list[str]) -> None:
    assert list(explain(error)) == shown


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        (Fault("expiresIn", "…", "out_of_range", Limit(60, 90)), "--expires: at most 90 seconds on this server"),
        (Fault("expiresIn", "…", "out_of_range", Limit(min=7200)), "--expires: at least 2h on this server"),
        (Fault("maxViews", "…", "out_of_range", Limit(1, 5)), "--views: must be 1 to 5 on this server"),
        (
            Fault("publicNote", "…", "too_long", Limit(max=3)),
            "--note: at most 3 characters on this server, and this has 5",
        ),
        (Fault("encryptedBlob", "…", "too_long"), "the secret is too large: 7 bytes"),
    ],
)
def test_fault_is_shown_by_its_code_and_limit(fault: Fault, shown: str) -> None:
    """A newer server may reword the message."""
    assert in_options(errors.BadRequest("No", (fault,)), OPTIONS).message == shown


@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        (Fault("expiresIn", "must be 60 to 90 seconds", "invalid"), "--expires: must be 60 to 90 seconds"),
        (Fault("expiresIn", "is odd", "out_of_range"), "--expires: is odd"),
        (Fault("expiresIn", "is odd", "out_of_range", Limit(60, 900)), "--expires: is odd"),  # it asked for 300
        (Fault("maxViews", "is odd", "out_of_range", Limit(max=5)), "--views: is odd"),
        (Fault("label", "is odd", "too_long"), "--label: is odd"),
        (Fault("encryptedBlob", "is odd", "not_base64"), "encryptedBlob: is odd"),
        (Fault("iv", "is odd\nseclink: sealed", "invalid"), "iv: is odd\\nseclink: sealed"),
    ],
)
def test_fault_without_a_known_code_or_limit_keeps_the_servers_message(fault: Fault, shown: str) -> None:
    assert in_options(errors.BadRequest("No", (fault,)), OPTIONS).message == shown


def test_error_without_faults_keeps_its_message() -> None:
    assert in_options(errors.BadRequest("No"), OPTIONS).message == "No"
    assert in_options(errors.PayloadTooLarge("No"), OPTIONS).message == "No\n  the secret is too large: 7 bytes"


@pytest.mark.parametrize(
    ("max_seconds", "shown"),
    [(54_000_000, "15000 (625 days)"), (5400, "1.5 (90 minutes)"), (10_000, "2.7778 (10000 seconds)")],
)
def test_limit_of_hours_is_shown_in_hours_and_words(max_seconds: int, shown: str) -> None:
    error = errors.BadRequest("No", (Fault("expiresIn", "…", "out_of_range", Limit(60, max_seconds)),))
    line = in_options(error, RequestedOptions(("--hours", math.inf), {}, 7)).message
    assert line == f"--hours: at most {shown} on this server"


def test_nothing_saved_is_not_counted(shell: Shell) -> None:
    assert shell.run("logout").stderr == b"logged out\n"


def test_empty_secret_says_what_to_do(shell: Shell) -> None:
    assert b"give it as TEXT" in shell.run("create", "").stderr


def test_gone_shows_the_date() -> None:
    lines = list(explain(errors.Gone("Gone", "revealed", NOW)))
    assert lines[1].startswith("  revealed on 2027-01-1")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("90m", 5400), ("12h", 43200), ("7d", 604800), ("2W", 1209600), (" 1h ", 3600)]
)
def test_durations(text: str, seconds: int) -> None:
    assert DURATION.convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "h", "1", "1 h", "1.5h", "١h", "1h30m", "9999999999h", "0s"])
def test_invalid_duration_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        DURATION.convert(text, None, None)


# stdin and the terminal


@pytest.mark.parametrize(
    ("piped", "sealed"),
    [
        (b"s3cr3t\n", b"s3cr3t"),
        (b"s3cr3t\r\n", b"s3cr3t"),
        (b"s3cr3t", b"s3cr3t"),
        (b" s3cr3t \n", b" s3cr3t "),
        (b"s3cr3t\n\n", b"s3cr3t\n\n"),
        (b"line\nline\n", b"line\nline\n"),
        (b"\n", b""),
        (b"\x00\xff\n\x00", b"\x00\xff\n\x00"),
    ],
)
def test_only_a_single_line_loses_its_newline(piped: bytes, sealed: bytes) -> None:
    assert without_line_end(piped) == sealed


@given(st.text())
def test_printable_text_cannot_control_a_terminal(text: str) -> None:
    shown = printable(text)
    assert all(ord(c) >= 32 and not 127 <= ord(c) < 160 for c in shown)
    assert not set(shown) & set("\u2028\u2029\u202e\u2066\u200f")


def test_printable_keeps_all_languages() -> None:
    assert printable("grüße 👩‍👩‍👧 שלום — naïve") == "grüße 👩‍👩‍👧 שלום — naïve"
    assert printable("a\x1b[31mb\u202ec\n") == "a\\x1b[31mb\\u202ec\\n"
    assert printable("a\n\tb", keep="\n\t") == "a\n\tb"


def test_table_columns_are_aligned() -> None:
    assert table([("A", "B"), ("long", "x")]) == "A     B\nlong  x"


# Words


def test_words_are_loaded_only_for_a_generated_passcode() -> None:
    program = "import seclink.cli.create, seclink.cli.wordlist as w; print(w.lists.cache_info().currsize)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"


def test_passcode_is_drawn_word_by_word() -> None:
    assert set(passcode(secrets.choice).split("-")) <= set(words())
    drawn = iter(["lemon", "zoo", "lemon", "castle"])
    assert passcode(lambda words: next(drawn)) == "lemon-zoo-lemon-castle"


# The file


def test_profile_is_readable_only_by_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "a" / "seclink" / "client.json"
    Profile(path, NOW).log_in("https://a.example", "sk_live_k")
    Profile(path, NOW).remember("https://a.example", RECEIPT, "token", NOW + 1, NOW)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert Profile(path, NOW).login() == ("https://a.example", "sk_live_k")
    assert Profile(path, NOW).manage_token("https://a.example", RECEIPT) == "token"
    assert Profile(path, NOW).manage_token("https://b.example", RECEIPT) is None
    assert {file.name for file in path.parent.iterdir()} == {"client.json", "lock"}


def test_logout_keeps_tokens(tmp_path: Path) -> None:
    profile = Profile(tmp_path / "client.json", NOW)
    profile.log_in("https://a.example", "sk_live_k")
    profile.remember("https://a.example", RECEIPT, "token", NOW, NOW)
    assert profile.log_out() == 1
    assert profile.login() == (None, None)
    assert b"sk_live_k" not in (tmp_path / "client.json").read_bytes()
    assert profile.manage_token("https://a.example", RECEIPT) == "token"


def test_token_is_removed_when_both_clocks_say_that_a_year_has_passed(tmp_path: Path) -> None:
    path = tmp_path / "client.json"
    later = NOW + TOKEN_RETENTION_MS
    Profile(path, NOW).remember("https://a.example", RECEIPT, "token", NOW, NOW)
    Profile(path, NOW).remember("https://b.example", RECEIPT, "token", NOW, NOW)
    for local, server in ((later, NOW), (NOW, later), (later - 1, later), (later, later - 1), (NOW, 0), (0, NOW)):
        Profile(path, local).remember("https://a.example", "1" * 20, "token", server, server)
        Profile(path, later * 2).log_in("https://b.example", "")
        Profile(path, later * 2).log_out()
        assert Profile(path).manage_token("https://a.example", RECEIPT) == "token"
        assert Profile(path).manage_token("https://a.example", "1" * 20) == "token"
    Profile(path, later).remember("https://a.example", "1" * 20, "token", later, later)
    receipts = json.loads(path.read_bytes())["receipts"]
    assert {server: [*tokens] for server, tokens in receipts.items()} == {
        "https://a.example": ["1" * 20],
        "https://b.example": [RECEIPT],
    }


def test_concurrent_commands_lose_no_token(tmp_path: Path) -> None:
    path = tmp_path / "client.json"

    def remember(number: int) -> None:
        Profile(path, NOW).remember("https://a.example", f"{number:020}", "token", NOW, NOW)

    threads = [threading.Thread(target=remember, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Profile(path).receipt_ids()) == 20


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"server": 7}',
        b'{"receipts": []}',
        b'{"receipts": {"https://a.example": []}}',
        b'{"receipts": {"https://a.example": {"x": {"manageToken": "t"}}}}',
        b'{"receipts": {"https://a.example": {"x": {"manageToken": "t", "expiresAt": "never"}}}}',
    ],
)
def test_damaged_profile_is_reported_and_never_overwritten(shell: Shell, content: bytes) -> None:
    shell.profile.parent.mkdir(parents=True)
    shell.profile.write_bytes(content)
    done = shell.run("create", "x")
    assert done.returncode == 1
    assert b"client.json is damaged" in done.stderr
    with pytest.raises(ClientError):
        Profile(shell.profile).remember("https://a.example", RECEIPT, "token", NOW, NOW)
    assert shell.profile.read_bytes() == content


def test_failing_write_leaves_the_profile_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "client.json"
    Profile(path, NOW).log_in("https://a.example", "sk_live_k")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ClientError, match="No space"):
        Profile(path, NOW).log_in("https://b.example", "")
    assert Profile(path, NOW).login() == ("https://a.example", "sk_live_k")
    assert {file.name for file in tmp_path.iterdir()} == {"client.json", "lock"}


def test_profile_follows_xdg_config_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/x")
    assert default_path() == Path("/x/seclink/client.json")
    monkeypatch.setenv("HOME", "/home/me")
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_CONFIG_HOME", ignored)
        assert default_path() == Path("/home/me/.config/seclink/client.json")


def test_user_id_without_an_account_has_a_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Containers run under such ids; engines set HOME to `/`."""
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)
    assert default_path() == Path("/.config/seclink/client.json")


# Ends


def test_closed_pipe_exits_with_141(shell: Shell) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as gone:
        done = subprocess.run(
            [sys.executable, "-m", "seclink", "completion", "bash"],
            stdout=gone,
            stderr=subprocess.PIPE,
            env=shell.env,
            check=False,
        )
    assert done.returncode == 141
    assert done.stderr == b""


def test_ctrl_c_at_a_prompt_exits_with_130(shell: Shell) -> None:
    screen = shell.on_terminal("create", "x", "--ask-passcode")
    screen.wait_for("Passcode: ")
    assert screen.interrupt() == 130
    assert "Traceback" not in screen.shown


def test_ctrl_c_while_typing_a_secret_exits_with_130(shell: Shell) -> None:
    screen = shell.on_terminal("create")
    screen.wait_for("Ctrl-D on an empty line ends it.")
    screen.type("half\n")
    assert screen.interrupt() == 130
    assert "half" not in screen.shown


def test_passcodes_that_differ_are_refused(shell: Shell) -> None:
    screen = shell.on_terminal("create", "x", "--ask-passcode")
    screen.wait_for("Passcode: ")
    screen.type("one\n")
    screen.wait_for("Repeat it: ")
    screen.type("two\n")
    assert screen.end() == 2
    assert "one" not in screen.shown.replace("Repeat it", "")
    assert "the passcodes differ" in screen.shown


def test_link_and_passcode_from_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    """A link on stdin with blank lines around it, as editors leave them."""
    from seclink.cli.get import _from_stdin

    monkeypatch.setattr(sys, "stdin", io.StringIO(f"\n  {LINK} \r\n\n pass code \n"))
    assert _from_stdin(None) == (LINK, " pass code ")
