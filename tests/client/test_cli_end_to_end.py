"""The command line against a real server: secrets arrive as they were sealed, and failures spend no view."""

import base64
import hashlib
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from support.fork_server import COMMAND
from support.server import MakeServer, Server
from support.waiting import TIMEOUT_SECONDS
from tampering import Said, Tampering
from terminal import Shell

from seclink.format.link import fragment_of


@pytest.fixture
def here(shell: Shell, server: Server) -> Shell:
    """A shell whose $SECLINK_SERVER is the running one."""
    shell.env["SECLINK_SERVER"] = server.url
    return shell


def create(here: Shell, *arguments: str, input: bytes = b"hello\n", **env: str) -> dict[str, Any]:
    created: dict[str, Any] = json.loads(here.out("create", "--json", *arguments, input=input, **env))
    return created


KEY = bytes(range(16))


def raw(server: Server, plaintext: bytes, shown_key: bytes, **members: str) -> str:
    """A link as a caller of the documented API makes it, by its own AES-GCM."""
    blob = AESGCM(KEY).encrypt(bytes(12), plaintext, None)
    body = {"encryptedBlob": base64.b64encode(blob).decode(), "iv": base64.b64encode(bytes(12)).decode()}
    response = httpx.post(f"{server.url}/api/v1/secrets", json=body | members | {"expiryType": "view_once"})
    return f"{response.json()['shareUrl']}#{base64.b64encode(shown_key).decode()}"


# Sealed, shared, revealed once


def test_secret_arrives_once(here: Shell) -> None:
    done = here.run("create", input=b"s3cr3t\n")
    link = done.stdout.decode()
    assert (done.returncode, done.stderr) == (0, b"")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\S*[A-Za-z0-9]{12}#[A-Za-z0-9_-]{48}\n", link)
    assert here.run("get", link.strip()).stdout == b"s3cr3t"
    again = here.run("get", link.strip())
    assert (again.returncode, again.stdout) == (4, b"")
    assert b"revealed on " in again.stderr


@pytest.mark.parametrize("body", [b"\x00\xff\x1b[31m\n\n", "grüße 🗝\n\n".encode(), b"a\nb\n", os.urandom(300_000)])
def test_bytes_arrive_as_they_were(here: Shell, body: bytes) -> None:
    """IN-05"""
    link = here.out("create", "-", input=body)
    assert here.run("get", link).stdout == body


def test_text_from_an_argument_and_link_from_stdin(here: Shell) -> None:
    link = here.out("create", "hello ✓")
    assert here.out("get", "-", input=f"{link}\n".encode()) == "hello ✓"


@pytest.mark.parametrize(
    ("kind", "body"), [("redirect", "https://example.com/a?b=c#d"), ("neogram", "Wake up"), ("text", "x")]
)
def test_every_type_is_printed(here: Shell, kind: str, body: str) -> None:
    assert here.out("get", here.out("create", body, "--type", kind)) == body


@pytest.mark.parametrize(
    ("rewrite", "is_exposed"),
    [
        (lambda link: f"> {link}_", False),
        (lambda link: f"{link[:-20]}\n> {link[-20:]}", False),
        (lambda link: link.replace("#", "/%23"), True),
        (lambda link: f"https://eur01.safelinks.protection.outlook.com/?url={quote(link, safe='')}&data=05%7C", True),
    ],
    ids=["quoted", "broken", "escaped", "wrapped"],
)
def test_link_opens_as_mail_passes_it_on(here: Shell, rewrite: Callable[[str], str], is_exposed: bool) -> None:
    """BOT-05: with a warning where servers may have seen the key, as an argument and from stdin."""
    for with_stdin in (False, True):
        link = rewrite(here.out("create", "hello"))
        done = here.run("get", "-", input=f"{link}\n".encode()) if with_stdin else here.run("get", link)
        assert (done.returncode, done.stdout) == (0, b"hello")
        warning = f"servers may have seen its key; .* It leads to {re.escape(here.env['SECLINK_SERVER'])}\n"
        assert bool(re.search(warning, done.stderr.decode())) is is_exposed


def test_passcode_follows_a_broken_link_on_stdin(here: Shell) -> None:
    link = here.out("create", "hello", "--passcode", "sesame")
    assert here.out("get", "-", input=f"{link[:-20]}\n{link[-20:]}\nsesame\n".encode()) == "hello"


def test_receipt_opens_and_burns_by_its_link(here: Shell) -> None:
    created = create(here)
    link = f"{here.env['SECLINK_SERVER']}/receipt/{created['receiptId']}%23{created['manageToken']}"
    here.profile.unlink()
    shown = here.run("get", f"<{link}>")
    assert (shown.returncode, b"active" in shown.stdout) == (0, True)
    assert b"servers may have seen its key" in shown.stderr
    assert here.run("delete", link).returncode == 0
    assert here.run("get", created["link"]).returncode == 4


def test_link_of_another_system_spends_no_view(here: Shell) -> None:
    for path in ("/scrt-link/s#gOOei~kEkcYAAX-YJQnGooSXdSJg8MXkzk~2", "/enigmacrypt/s/a1B2c3D4"):
        done = here.run("get", f"{here.env['SECLINK_SERVER']}{path}")
        assert done.returncode != 0
        assert b"opens only in a browser; no view was spent" in done.stderr


def test_views_and_lifetime_are_kept(here: Shell) -> None:
    created = create(here, "--views", "3", "--expires", "7d", "--note", "ring me", "--label", "for Bob")
    assert created["maxViews"] == 3
    meta = json.loads(here.out("get", created["link"], "--details-only", "--json"))
    assert (meta["viewsLeft"], meta["publicNote"], meta["format"]) == (3, "ring me", "seclink/v1")
    details = json.loads(here.out("get", created["receiptId"], "--details-only", "--json"))
    assert details["expiresAt"] - details["createdAt"] == 7 * 24 * 3600 * 1000
    assert details["label"] == "for Bob"
    for _ in range(3):
        assert here.out("get", created["link"]) == "hello"
    assert here.run("get", created["link"]).returncode == 4


# Links and passcodes that are wrong cost nothing


def test_mangled_link_spends_no_view(here: Shell) -> None:
    """BOT-05"""
    link = here.out("create", "hello")
    start = link.index("#") + 1
    for mangled in (link[:-1], link[: start + 43], link[: start + 22], link[:start], link + "x", link.swapcase()):
        done = here.run("get", mangled)
        assert done.returncode == 1
        assert b"incomplete" in done.stderr
        assert done.stdout == b""
    assert here.out("get", f"<{link}>.") == "hello"


def test_generated_passcode_goes_to_stderr_and_opens(here: Shell) -> None:
    done = here.run("create", "hello", "--generate-passcode")
    passcode = done.stderr.decode().removeprefix("passcode: ").strip()
    assert re.fullmatch(r"[a-z]+(-[a-z]+){3}", passcode)
    link = done.stdout.decode().strip()
    assert here.out("get", "-", input=f"{link}\n{passcode}\n".encode()) == "hello"


def test_missing_or_wrong_passcode_spends_no_view(here: Shell) -> None:
    """PC-07"""
    link = here.out("create", "hello", "--passcode", "pässwörd")
    missing = here.run("get", link)
    assert (missing.returncode, missing.stdout) == (1, b"")
    assert b"passcode" in missing.stderr
    wrong = here.run("get", link, "--passcode", "other")
    assert (wrong.returncode, wrong.stdout) == (1, b"")
    assert b"left; no view was spent" in wrong.stderr
    assert here.out("get", link, "--passcode", "pa\u0308sswo\u0308rd") == "hello"


def test_sender_sees_a_lock_and_unlocks(here: Shell) -> None:
    """PC-10"""
    created = create(here, "--passcode", "1234")
    for _ in range(5):
        assert here.run("get", created["link"], "--passcode", "4321").returncode == 1
    locked = here.run("get", created["link"], "--passcode", "1234")
    assert b"Too many wrong passcodes" in locked.stderr
    assert b"for 1 client; see `seclink unlock`" in here.run("get", created["receiptId"]).stdout
    unlocked = here.run("unlock", created["receiptId"])
    assert (unlocked.returncode, unlocked.stderr) == (0, f"{created['receiptId']} is unlocked\n".encode())
    assert here.run("get", created["link"], "--passcode", "1234").stdout == b"hello"


def test_unexpected_passcode_spends_no_view(here: Shell) -> None:
    link = here.out("create", "hello")
    done = here.run("get", link, "--passcode", "1234")
    assert done.returncode == 1
    assert b"has no passcode" in done.stderr
    assert here.out("get", link) == "hello"


def test_raw_secret_opens_with_the_key_in_its_link(here: Shell, server: Server) -> None:
    link = raw(server, b"hello", KEY)
    assert here.out("get", link) == "hello"


def test_raw_secret_that_does_not_open_is_not_lost(here: Shell, server: Server) -> None:
    done = here.run("get", raw(server, b"hello", bytes(16)))
    assert (done.returncode, done.stdout) == (1, b"")
    rest = json.loads(done.stderr[: done.stderr.index(b"}") + 1])
    assert set(rest) == {"encryptedBlob", "iv"}


def test_native_key_on_a_raw_link_spends_no_view(here: Shell, server: Server) -> None:
    """BOT-05: two links mixed up; it would be spent, and could not be opened."""
    link = raw(server, b"hello", KEY)
    done = here.run("get", f"{link.split('#')[0]}#{fragment_of(bytes(32))}")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"not the link's key" in done.stderr
    assert b"no view was spent" in done.stderr
    assert here.out("get", link) == "hello"


# Receipts


def test_secret_created_without_a_key_can_be_burned(here: Shell, server: Server) -> None:
    created = create(here)
    assert here.run("delete", created["receiptId"]).returncode == 0
    assert here.run("get", created["link"]).returncode == 4
    assert "burned" in here.out("get", created["receiptId"], "--details-only")
    assert "burned" in here.out("get", created["receiptId"])
    assert here.run("delete", created["receiptId"]).returncode in (1, 4)
    assert stat.S_IMODE(here.profile.stat().st_mode) == 0o600
    assert json.loads(here.profile.read_bytes())["receipts"][server.url][created["receiptId"]]["manageToken"]


@pytest.mark.parametrize("days", [38, -38, 4000, -4000])
def test_wrong_clock_loses_no_manage_token(here: Shell, days: int) -> None:
    clock = f"import time; true_time = time.time; time.time = lambda: true_time() + {days * 86400}; "
    wrong = [sys.executable, "-c", f"{clock}from seclink.cli.main import main; main()"]
    receipts = [create(here)["receiptId"]]
    receipts.append(json.loads(here.run("create", "--json", input=b"x", command=wrong).stdout)["receiptId"])
    assert b"logged out; 2 receipts stay saved" in here.run("logout", command=wrong).stderr
    receipts.append(create(here)["receiptId"])
    for receipt in receipts:
        assert here.run("delete", receipt, command=wrong).returncode == 0


def test_secret_is_found_and_burned_by_its_link_or_link_id(here: Shell, server: Server) -> None:
    """As Sharokey's document has it; of a link, only the id is sent. Without a key, from where it was created."""
    key = ("--key", server.key(account="client-tests-link"))
    for options in ((), key):
        created = [
            json.loads(here.out("create", "x", "--description", f"label {n}", "--json", *options)) for n in range(3)
        ]
        by_id = here.out("get", created[1]["linkId"], "--details-only", *options)
        assert (created[1]["receiptId"] in by_id, "label 1" in by_id) == (True, True)
        assert here.run("delete", created[1]["linkId"], *options).returncode == 0
        assert here.run("delete", created[0]["link"], *options).returncode == 0
        assert here.run("get", created[0]["link"]).returncode == here.run("get", created[1]["link"]).returncode == 4
        assert here.out("get", created[2]["link"]) == "x"
    stranger = here.out("create", "kept", "--json", *key)
    link = json.loads(stranger)["link"]
    for target in (link, json.loads(stranger)["linkId"]):
        done = here.run("delete", target)
        assert (done.returncode, b"this link was not created from here" in done.stderr) == (1, True)
        assert b"views left" in here.run("get", target, "--details-only").stdout
    assert here.out("get", link) == "kept"


def test_unknown_receipt_is_not_found(here: Shell, tmp_path: Path) -> None:
    """AUTH-08"""
    created = create(here)
    here.profile.unlink()
    done = here.run("delete", created["receiptId"])
    assert done.returncode == 1
    assert b"was not created from here" in done.stderr
    assert here.out("get", created["link"]) == "hello"


def test_link_is_printed_even_if_the_receipt_cannot_be_saved(here: Shell) -> None:
    done = here.run("create", "hello", XDG_CONFIG_HOME="/dev/null/x")
    assert done.returncode == 0
    assert b"the receipt is not saved" in done.stderr
    assert here.out("get", done.stdout.decode().strip()) == "hello"


# Accounts


def test_login_list_stats_logout(here: Shell, server: Server) -> None:
    key = server.key("create", "manage", account="client-tests")
    del here.env["SECLINK_SERVER"]
    done = here.run("login", "--server", server.url, input=f"{key}\n".encode())
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"client-tests" in done.stderr
    assert key.encode() not in done.stderr
    created = create(here, "--label", "for \u202eBob")
    assert json.loads(here.profile.read_bytes())["receipts"] == {}
    listed = here.out("list", "--status", "active", "--limit", "10")
    assert created["receiptId"] in listed
    assert "for \\u202eBob" in listed
    page = json.loads(here.out("list", "--search", "Bob", "--json"))
    assert [item["receiptId"] for item in page["data"]] == [created["receiptId"]]
    assert here.out("list", "--search", "nobody") == ""
    assert re.search(r"active +1", here.out("stats"))
    assert json.loads(here.out("stats", "--json"))["totalSecrets"] == 1
    assert here.run("delete", created["receiptId"]).returncode == 0
    assert re.search(r"active +0\nrevealed +0\nburned +1\nexpired +0\n", here.out("stats"))
    assert here.run("logout").returncode == 0
    refused = here.run("list", "--server", server.url)
    assert refused.returncode == 1
    assert b"seclink login" in refused.stderr


def test_rejected_key_is_not_saved(here: Shell) -> None:
    done = here.run("login", "--key", "sk_live_" + "0" * 38)
    assert done.returncode == 1
    assert not here.profile.exists()


def test_saved_key_is_not_sent_to_another_server(here: Shell, server: Server) -> None:
    key = server.key("create", "manage", account="client-tests-2")
    here.run("login", "--key", key)
    other = server.url.replace("127.0.0.1", "localhost")
    assert here.run("stats", "--server", server.url).returncode == 0
    refused = here.run("stats", "--server", other)
    assert refused.returncode == 1
    assert b"API key is required" in refused.stderr


def test_bad_key_is_not_treated_as_no_key(here: Shell) -> None:
    """AUTH-03"""
    done = here.run("create", "hello", SECLINK_API_KEY="sk_live_wrong")
    assert (done.returncode, done.stdout) == (1, b"")


def test_rejected_key_names_its_origin(here: Shell, server: Server) -> None:
    from_environment = here.run("stats", SECLINK_API_KEY="sk_live_wrong")
    assert (
        b"\n  it came from SECLINK_API_KEY, and is unknown to the server, revoked or expired\n"
        in from_environment.stderr
    )
    from_option = here.run("stats", "--key", "sk_live_wrong", SECLINK_API_KEY=server.key("create", account="carol"))
    assert b"\n  it came from --key, and" in from_option.stderr
    assert here.run("stats", "--key", os.fsdecode(b"\xff")).stderr == from_option.stderr
    login = here.run("login", input=b"sk_live_wrong\n")
    assert login.stderr == b"seclink: The API key is not valid\n  nothing was saved\n"


def test_revoked_saved_key_suggests_another_login(here: Shell, server: Server) -> None:
    key = server.key("create", "manage", account="dave")
    here.run("login", "--key", key)
    assert here.run("stats").returncode == 0
    server.seclink("key", "revoke", key[:14])
    for arguments in (["stats"], ["create", "hello"]):
        done = here.run(*arguments)
        assert (done.returncode, done.stdout) == (1, b"")
        assert b"\n  it was saved by `seclink login`, and " in done.stderr
        assert done.stderr.endswith(b": log in with another key\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hours", "9999"], "--hours: at most 720 (30 days) on this server"),
        (["--hours", "0.001"], "--hours: at least 0.0167 (1 minute) on this server"),
        (["--hours", "inf"], "--hours: is not a number of hours"),
        (["--expires", "5w"], "--expires: at most 30d on this server"),
        (["--expires", "30s"], "--expires: at least 1m on this server"),
        (["--note", "é" * 301], "--note: at most 300 characters on this server, and this has 301"),
        (["--note", "\a"], "--note: must not contain control characters"),
        (["--label", "x" * 201], "--label: at most 200 characters on this server, and this has 201"),
        (
            ["--hours", "721", "--label", "\a"],
            "--hours: at most 720 (30 days) on this server\n  --label: must not contain control characters",
        ),
        (["--type", "redirect"], "--type redirect: the secret must be an http or https URL, and nothing else"),
    ],
)
def test_error_names_the_option_in_its_units(here: Shell, arguments: list[str], message: str) -> None:
    done = here.run("create", "hello", *arguments)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == f"seclink: {message}\n"


def test_too_large_secret_shows_its_size_and_the_maximum(here: Shell) -> None:
    for size in (2_070_000, 5_000_000):  # refused by its member, and before it was read
        done = here.run("create", input=b"x" * size)
        assert (done.returncode, done.stdout) == (1, b"")
        match = re.fullmatch(
            rb"seclink: the secret is too large: ([\d,]+) bytes, at most ([\d,]+) on .*\n", done.stderr
        )
        assert match
        assert match[1].decode() == f"{size:,}"
    assert match
    assert here.run("create", input=b"x" * int(match[2].replace(b",", b""))).returncode == 0


def reword(response: Said) -> None:
    """Replace every message of an error response, as a newer server may."""
    if ("content-type", "application/problem+json") in response.headers:
        problem = json.loads(response.body)
        faults = [fault | {"message": "REWORDED"} for fault in problem.get("errors", [])]
        problem |= {"title": "REWORDED", "detail": "REWORDED"} | ({"errors": faults} if faults else {})
        response.body = json.dumps(problem).encode()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--hours", "9999"],
        ["--expires", "0m"],
        ["--expires", "5w", "--note", "x" * 301, "--label", "x" * 201],
        ["a" * 100_000],
    ],
)
def test_server_with_other_messages_gives_the_same_output(
    make_server: MakeServer, shell: Shell, arguments: list[str]
) -> None:
    """The command line acts on the codes and limits of an error, not on its words."""
    toml = '[limits]\npayload_bytes = 4096\n[expiry]\nmax = "12h"\ndefault = "1h"\n'
    server = make_server(toml).start()
    proxy = Tampering(server.url)
    try:
        direct = shell.run("create", "--server", server.url, *arguments, input=b"hello")
        proxy.rules.append(reword)
        reworded = shell.run("create", "--server", proxy.url, *arguments, input=b"hello")
    finally:
        proxy.close()
    messages = [re.sub(rb"\d{4}-\d\d-\d\d \d\d:\d\d", b"TIME", done.stderr) for done in (direct, reworded)]
    assert messages[0]
    assert messages[0] == messages[1]
    assert reworded.returncode == direct.returncode


@pytest.mark.parametrize("option", ["--note", "--label", "--passcode"])
def test_option_that_is_not_utf8_is_refused(here: Shell, option: str) -> None:
    done = here.run("create", "hello", option, os.fsdecode(b"\xff"))
    assert done.returncode == 2
    assert re.search(rf"Invalid value for '{option}'.*: is not UTF-8 text".encode(), done.stderr)


@pytest.fixture
def impatient(shell: Shell, make_server: MakeServer) -> Shell:
    """A shell whose server keeps nothing for longer than 12 hours."""
    shell.env["SECLINK_SERVER"] = make_server('[expiry]\nmax = "12h"\ndefault = "1h"\n').start().url
    return shell


def test_default_lifetime_is_the_servers(impatient: Shell) -> None:
    created = json.loads(impatient.run("create", "hello", "--json", "--views", "3").stdout)
    details = json.loads(impatient.out("get", created["receiptId"], "--details-only", "--json"))
    assert details["expiresAt"] - details["createdAt"] == 3600 * 1000
    assert details["maxViews"] == 3


@pytest.mark.parametrize(
    ("option", "lifetime", "maximum"),
    [("--hours", "24", "12"), ("--expires", "1d", "12h"), ("--expires", "13h", "12h")],
)
def test_requested_lifetime_is_not_shortened(impatient: Shell, option: str, lifetime: str, maximum: str) -> None:
    done = impatient.run("create", "hello", option, lifetime)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == f"seclink: {option}: at most {maximum} on this server\n"


def test_server_without_seclink_fails(here: Shell, server: Server) -> None:
    done = here.run("create", "hello", "--server", f"{server.url}/elsewhere")
    assert done.returncode in (1, 3)
    assert done.stdout == b""


# On a terminal


def test_raw_secret_that_does_not_open_after_a_passcode_is_not_lost(here: Shell, server: Server) -> None:
    link = raw(server, b"hello", bytes(16), passcodeHash=hashlib.sha256(b"1234").hexdigest())
    screen = here.on_terminal("get", link)
    screen.wait_for("Passcode: ")
    screen.type("1234\n")
    assert screen.end() == 1
    assert '"encryptedBlob": "' in screen.shown


def test_card_shows_everything_and_typing_shows_nothing(here: Shell) -> None:
    screen = here.on_terminal("create", "--generate-passcode", "--views", "2", "--qr")
    screen.wait_for("ends it.")
    screen.type("typed secret\n\x04")
    assert screen.end() == 0
    assert "typed secret" not in screen.shown
    link = re.search(r"^http\S+#\S+$", screen.shown, re.MULTILINE)
    passcode = re.search(r"passcode +([a-z-]+) ", screen.shown)
    assert link is not None
    assert passcode is not None
    assert re.search(r"views +2\n", screen.shown)
    assert re.search(r"receipt +[A-Za-z0-9]{20}\n", screen.shown)
    assert re.search(r"expires +\d{4}-\d\d-\d\d \d\d:\d\d UTC\n", screen.shown)
    assert "▄" in screen.shown
    assert here.out("get", link[0], "--passcode", passcode[1]) == "typed secret"


def test_get_prompts_until_the_passcode_is_right(here: Shell) -> None:
    link = here.out("create", "hello", "--passcode", "right")
    screen = here.on_terminal("get", link)
    screen.wait_for("Passcode: ")
    screen.type("wrong\n")
    screen.wait_for("The passcode is wrong; attempts left: ")
    screen.wait_for("Passcode: ")
    screen.type("right\n")
    assert screen.end() == 0
    assert "hello\n" in screen.shown
    assert "that was the last view" in screen.shown
    assert "right\n" not in screen.shown


@pytest.mark.parametrize("passcode", ["lemon-zebra-window-castle", "Lemon Zebra Window Castle"])
def test_dictated_passcode_opens_the_secret(here: Shell, passcode: str) -> None:
    """Whether it was generated or chosen by the sender."""
    link = here.out("create", "hello", "--passcode", passcode)
    screen = here.on_terminal("get", link)
    screen.wait_for("Passcode: ")
    screen.type("Lemon Zebra Window Castle\n")
    assert screen.end() == 0
    assert "hello\n" in screen.shown


@pytest.mark.parametrize(
    ("passcode", "typed", "question", "answer", "shown"),
    [
        ("right", "right ", "ends with a space", "", "hello\n"),
        ("right", "right ", "ends with a space", "n", "is wrong; attempts left"),
        ("right\u00a0", "\ufeffright\u00a0", "ends with a space", "no", "hello\n"),
        ("it's 12", "it’s １２", "look like the usual ones", "y", "hello\n"),
    ],
)
def test_space_or_look_alike_is_asked_about_before_an_attempt(
    here: Shell, passcode: str, typed: str, question: str, answer: str, shown: str
) -> None:
    screen = here.on_terminal("get", here.out("create", "hello", "--passcode", passcode))
    screen.wait_for("Passcode: ")
    screen.type(f"{typed}\n")
    screen.wait_for(question)
    screen.wait_for("[Y/n]")
    screen.type(f"{answer}\n")
    screen.wait_for(shown)


@pytest.mark.parametrize(
    ("passcode", "typed"),
    [
        ("lemon-zebra-window-castle", " Lemon, Zebra Window Castle "),
        ("Lemon Zebra Window Castle", "Lemon Zebra Window Castle"),
        ("123456", "123 456"),
        ("a b", "\ufeffa b\r"),
    ],
)
def test_passcode_of_the_option_is_taken_as_a_typed_one(here: Shell, passcode: str, typed: str) -> None:
    """Of the option and of stdin: a wrong form of the generated words would use an attempt up."""
    created = [here.out("create", "hello", "--passcode", passcode) for _ in range(2)]
    assert here.out("get", created[0], "--passcode", typed) == "hello"
    assert here.out("get", "-", input=f"{created[1]}\n{typed}\n".encode()) == "hello"


@pytest.mark.parametrize(("typed", "hint"), [("right ", b"a space"), ("right’s", b"look like"), ("wrong", b"")])
def test_wrong_passcode_of_the_option_has_a_hint(here: Shell, typed: str, hint: bytes) -> None:
    """It is one attempt, and what may be meant is not tried unasked."""
    link = here.out("create", "hello", "--passcode", "right")
    done = here.run("get", link, "--passcode", typed)
    assert (done.returncode, b"4 attempts left" in done.stderr) == (1, True)
    assert hint in done.stderr
    assert (b"looks like" in done.stderr or b"a space" in done.stderr or b"look like" in done.stderr) == bool(hint)
    assert here.out("get", link, "--passcode", "right") == "hello"


def test_link_without_its_scheme_is_one_of_the_own_server(here: Shell, server: Server) -> None:
    created = json.loads(here.out("create", "hello", "--json"))
    bare = created["link"].removeprefix("http://")
    assert here.run("get", f"{server.url.removeprefix('http://')}/receipt/{created['receiptId']}").returncode == 0
    assert b"views left" in here.run("get", bare, "--details-only").stdout
    assert here.out("get", bare) == "hello"
    foreign = here.run("get", f"other.example/{created['linkId']}#{created['link'].partition('#')[2]}")
    assert (foreign.returncode, b"put https:// in front" in foreign.stderr) == (2, True)
    gone = json.loads(here.out("create", "hello", "--json"))
    assert here.run("delete", gone["link"].removeprefix("http://")).returncode == 0
    assert here.run("get", gone["link"]).returncode == 4


def test_target_of_a_link_is_said_where_it_is_not_at_the_beginning(here: Shell, server: Server) -> None:
    link = here.out("create", "hello")
    done = here.run("get", f"see https://good.example/announcement or {link}")
    assert f"the link leads to {server.url}\n".encode() in done.stderr
    assert b"leads to" not in here.run("get", here.out("create", "hello")).stderr


def test_damaged_login_holds_up_no_link(here: Shell) -> None:
    link = here.out("create", "hello")
    here.profile.write_bytes(b"{")
    done = here.run("get", link)
    assert (done.returncode, done.stdout) == (0, b"hello")
    assert b"client.json is damaged" in done.stderr
    assert here.profile.read_bytes() == b"{"
    assert here.run("create", "x", "--key", "").returncode == 0, "what has both options needs no login"


def test_passcode_from_a_file_is_cleaned(here: Shell) -> None:
    link = here.out("create", "hello", "--passcode", "a b")
    assert here.out("get", "-", input=f"{link}\r\n\ufeffa b\v\u2028\r\n".encode()) == "hello"


def test_passcode_prompt_works_while_the_secret_is_piped(here: Shell) -> None:
    """Prompts go to the terminal itself, so that stdin can carry the secret."""
    program = f"printf piped | {' '.join(COMMAND)} create --ask-passcode > {here.home}/link"
    screen = here.on_terminal("-c", program, command=["/bin/sh"])
    screen.wait_for("Passcode: ")
    screen.type("told\n")
    screen.wait_for("Repeat it: ")
    screen.type("told\n")
    assert screen.end() == 0
    assert "told" not in screen.shown
    assert here.out("get", (here.home / "link").read_text().strip(), "--passcode", "told") == "piped"


def test_secret_cannot_control_the_terminal(here: Shell) -> None:
    link = here.out("create", input=b"\x1b]0;owned\x07\ttab\nline \xff\n")
    screen = here.on_terminal("get", link)
    assert screen.end() == 0
    assert "\\x1b]0;owned\\x07\ttab\nline \\xff\n" in screen.shown
    assert "\x1b" not in screen.shown


def test_login_prompts_for_server_and_key(here: Shell, server: Server) -> None:
    key = server.key("create", account="client-tests-3")
    del here.env["SECLINK_SERVER"]
    screen = here.on_terminal("login")
    screen.wait_for("Server [http://127.0.0.1:8080]: ")
    screen.type(f"{server.url}\n")
    screen.wait_for("API key: ")
    screen.type(f"{key}\n")
    assert screen.end() == 0
    assert key not in screen.shown
    assert f"{server.url} as client-tests-3 (create)" in screen.shown
    assert json.loads(here.profile.read_bytes())["key"] == key


# Ends


def in_shell(here: Shell, program: str, *arguments: str, **changes: str) -> subprocess.CompletedProcess[bytes]:
    """`program` in bash, where $seclink is the command and $1 the first argument."""
    env = here.env | changes | {"seclink": " ".join(COMMAND)}
    command = ["bash", "-c", program, "bash", *arguments]
    return subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_SECONDS, check=False
    )


def saved_file(stderr: bytes) -> Path:
    match = re.search(rb"could not be written; it is saved in (\S+)\n", stderr)
    assert match, stderr
    return Path(os.fsdecode(match[1]))


def test_secret_that_cannot_be_written_is_saved(here: Shell) -> None:
    done = in_shell(here, "$seclink get $1 > /dev/full", here.out("create", "hello"))
    file = saved_file(done.stderr)
    assert (done.returncode, file.read_bytes(), file.parent) == (1, b"hello", here.profile.parent)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"No space left" in done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


def test_closed_pipe_loses_no_secret(here: Shell) -> None:
    body = os.urandom(900_000)
    program = "$seclink get $1 | exec 0<&-; exit ${PIPESTATUS[0]}"
    done = in_shell(here, program, here.out("create", input=body))
    assert (done.returncode, saved_file(done.stderr).read_bytes()) == (141, body)


def test_note_goes_to_stderr(here: Shell) -> None:
    link = here.out("create", "hello", "--note", "for Ada")
    done = in_shell(here, "$seclink get $1", link)
    assert (done.stdout, done.stderr) == (b"hello", b"note from the sender: for Ada\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_slow_pipe_gets_the_whole_secret(here: Shell, unbuffered: str) -> None:
    body = os.urandom(900_000)
    done = in_shell(here, "$seclink get $1 | cat", here.out("create", input=body), PYTHONUNBUFFERED=unbuffered)
    assert done.stdout == body


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-"])
def test_closed_stdout_is_refused_before_anything_is_revealed(here: Shell, closed: str) -> None:
    link = here.out("create", "hello")
    assert in_shell(here, f"$seclink get $1 {closed}", link).returncode == 1
    assert b"stdout is closed" in in_shell(here, "$seclink get $1 >&-", link).stderr
    assert in_shell(here, f"$seclink create hello {closed}").returncode == 1
    assert here.out("get", link) == "hello"


def test_lost_secret_is_reported(here: Shell) -> None:
    link = here.out("create", "hello", "--views", "2")
    first, second = (
        in_shell(here, "$seclink get $1 > /dev/full", link, XDG_CONFIG_HOME="/dev/null/x") for _ in range(2)
    )
    assert (first.returncode, second.returncode) == (1, 1)
    assert b"the link still opens" in first.stderr
    assert b"it is lost: " in second.stderr


def test_ascii_terminal_loses_no_secret(here: Shell) -> None:
    screen = here.on_terminal("get", here.out("create", "grüße 🗝"), PYTHONIOENCODING="ascii")
    assert screen.end() == 0
    assert "gr\\xfc\\xdfe \\U0001f5dd\n" in screen.shown


def test_home_directory_contains_no_secrets(here: Shell) -> None:
    link = here.out("create", "the secret itself", "--passcode", "told by phone")
    here.run("get", link, "--passcode", "told by phone")
    content = b"".join(file.read_bytes() for file in here.home.rglob("*") if file.is_file())
    for hidden in (b"the secret itself", b"told by phone", link.partition("#")[2].encode()):
        assert hidden not in content
