"""`seclink verify` finds every difference from the installed release, and none if there is none. HDR-03."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from support.server import MakeServer, Serve, Server
from tampering import Certificate, Rule, Said, Tampering, header, replace
from terminal import Shell

from seclink.cli.main import cli
from seclink.web.assets import FOLDER
from seclink.web.page_manifest import fingerprint, manifest

BRANDED = """[branding]
name = 'Söhne & "Co" <b>'
accent = "#1A5FB4"
logo = "logo.svg"
footer = "we're <here>"
footer_links = { "Imprint" = "https://example.org/?a=b&c=d", "Write" = "mailto:us@example.org" }
[access]
create = "keys"
[expiry]
default = "5m"
max = "3h"
[limits]
payload_bytes = 4096
"""
SVG = '<svg xmlns="http://www.w3.org/2000/svg"/>'


def verify(url: str, *options: str) -> Result:
    return CliRunner().invoke(cli, ["verify", url, *options])


@pytest.fixture(scope="module")
def branded(serve: Serve) -> Server:
    return serve(BRANDED, {"logo.svg": SVG})


@pytest.fixture
def between(server: Server) -> Iterator[Tampering]:
    made = Tampering(server.url)
    yield made
    made.close()


@pytest.fixture
def between_branded(branded: Server) -> Iterator[Tampering]:
    made = Tampering(branded.url)
    yield made
    made.close()


def differences(between: Tampering, *rules: Rule) -> list[dict[str, str]]:
    """Return the reported differences, and check the exit status."""
    between.rules = list(rules)
    done = verify(between.url, "--json")
    facts = json.loads(done.stdout)
    assert done.exit_code == (1 if facts["differences"] else 0)
    assert facts["same"] is (not facts["differences"])
    return list(facts["differences"])


def paths(differences: list[dict[str, str]]) -> set[str]:
    """Return the paths without version, language and random ids."""
    short = (re.sub(r"/static/[0-9a-f]{12}/|\?.*", "", difference["path"]) for difference in differences)
    return {re.sub(r"/[A-Za-z0-9]{20}$|^/[A-Za-z0-9]{12}$", "/*", each) for each in short}


# The same


def test_server_of_this_release_is_the_same(server: Server, shell: Shell) -> None:
    done = shell.run("verify", server.url)
    assert (done.returncode, done.stderr) == (0, b"")
    output = done.stdout.decode()
    assert fingerprint(manifest(FOLDER)) in output
    assert output.endswith("the same, every byte and header\n")


def test_options_of_the_operator_make_no_difference(branded: Server) -> None:
    done = verify(branded.url, "--json")
    facts = json.loads(done.stdout)
    assert (done.exit_code, facts["differences"]) == (0, [])
    declared = facts["declared"]
    assert (declared["name"], declared["accent"], declared["hasLogo"]) == ('Söhne & "Co" <b>', "#1a5fb4", True)
    assert (declared["create"], declared["payloadBytes"], declared["maxSeconds"]) == ("keys", 4096, 10800)


def test_every_file_that_a_page_loads_is_fetched(between: Tampering) -> None:
    """At once or later: every file in every language, and the module for other sites."""
    requested: list[str] = []
    assert differences(between, lambda said: requested.append(said.path)) == []
    files = {re.sub(r"^/static/[0-9a-f]{12}/", "", each) for each in requested}
    shipped = {each.split("  ")[1] for each in manifest(FOLDER).splitlines()}
    assert {each for each in shipped if not each.endswith(".html")} < files
    languages = {path.stem for path in (FOLDER / "i18n").glob("*.js")}
    for page in (r"/", r"/[A-Za-z0-9]{12}", r"/receipt/[A-Za-z0-9]{20}", r"/nothing/[A-Za-z0-9]{20}"):
        assert {f[1] for each in requested if (f := re.fullmatch(rf"{page}\?lang=(\w+)", each))} == languages
    assert {"/api/v1/client-module", "/robots.txt", "/favicon.ico"} <= set(requested)


def test_tls_and_a_path_make_no_difference(
    make_server: MakeServer, unused_tcp_port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = Certificate(tmp_path)
    url = f"https://localhost:{unused_tcp_port}/below"
    server = make_server(f'[server]\npublic_url = "{url}"\n').start()
    between = Tampering(server.url, port=unused_tcp_port, tls=certificate, below="/below")
    try:
        assert verify(url).exit_code == 3  # this machine does not trust the certificate
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate.path))
        assert differences(between) == []
        between.rules = [header("/", "Strict-Transport-Security", "max-age=63072000; includeSubDomains")]
        assert verify(url).exit_code == 0  # longer than required
        weak = differences(between, header("/", "Strict-Transport-Security", "max-age=60"))
        assert {each["what"].split(" is ")[0] for each in weak} == {"the header strict-transport-security"}
    finally:
        between.close()


def test_proxy_headers_make_no_difference(between: Tampering) -> None:
    names = ("Server", "Via", "Date", "Age", "Alt-Svc", "ETag")
    assert differences(between, *(header("/", name, "x") for name in names)) == []


# Not the same


def test_changed_byte_of_any_file_is_a_difference(between: Tampering) -> None:
    """HDR-03: the last byte of every file, including those loaded only later."""
    whole: list[dict[str, str]] = []
    differences(between, lambda said: whole.append({"path": said.path}))

    def flip(said: Said) -> None:
        said.body = said.body[:-1] + bytes([said.body[-1] ^ 1])

    different = [each for each in differences(between, flip) if "differs from byte" in each["what"]]
    assert paths(different) == paths(whole)
    assert len(different) == len(whole) - 2  # the start page and the style sheet are fetched twice


@pytest.mark.parametrize(
    ("rule", "where", "what"),
    [
        (replace("/?lang=ru", b"</head>", b"<script>steal()</script></head>"), "/", "steal()"),
        (replace("/receipt/", b"<main>", b"<main><img src=x>"), "/receipt/*", "img src"),
        (replace("js/openers/raw.js", b"export", b"steal();export"), "js/openers/raw.js", "steal()"),
        (replace("i18n/fr.js", b"export default", b"steal();export default"), "i18n/fr.js", "steal()"),
        (replace("client-module", b"/static/", b"//elsewhere/"), "/api/v1/client-module", "elsewhere"),
        (replace("words/en.txt", b"a", b"aa"), "words/en.txt", "differs from byte"),
        (header("js/create.js", "Content-Type", "text/html"), "js/create.js", "content-type"),
        (header("css/style.css", "Cache-Control", "no-cache"), "css/style.css", "cache-control"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_change_is_shown_with_its_path(between: Tampering, rule: Rule, where: str, what: str) -> None:
    different = differences(between, rule)
    assert paths(different) == {where}
    assert any(what in each["what"] for each in different)


@pytest.mark.parametrize(
    ("name", "values", "what"),
    [
        ("Content-Security-Policy", (), "is missing"),
        ("Content-Security-Policy", ("default-src *",), "instead of"),
        ("X-Content-Type-Options", ("nosniff", "nosniff"), "is sent 2 times"),
        ("Referrer-Policy", ("unsafe-url",), "instead of"),
        ("Set-Cookie", ("id=1",), "was added"),
        ("Refresh", ("0; url=//elsewhere",), "was added"),
        ("Link", ("</x.js>; rel=modulepreload",), "was added"),
        ("Content-Security-Policy-Report-Only", ("default-src 'none'; report-uri //elsewhere",), "was added"),
    ],
)
def test_missing_repeated_changed_or_added_header_is_a_difference(
    between: Tampering, name: str, values: tuple[str, ...], what: str
) -> None:
    different = differences(between, header("/", name, *values))
    assert len(different) > 50
    assert all(f"the header {name.lower()} " in each["what"] and what in each["what"] for each in different)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("&quot;name&quot;:", "&quot;more&quot;:1,&quot;name&quot;:"),  # an unknown member
        ("&quot;create&quot;:&quot;keys&quot;", "&quot;create&quot;:&quot;ours&quot;"),
        ("&quot;max&quot;:10800", "&quot;max&quot;:99999999999"),
        ("&quot;max&quot;:10800", "&quot;max&quot;:[10800]"),
        ("https://example.org/", "javascript:alert(1)//"),
        ("we&#x27;re", "w" * 300),  # longer than the TOML allows
        ("we&#x27;re", "we&#39;re"),  # the same text in other bytes
        ("we&#x27;re", "we\\ud800re"),
        ("{&quot;name", "[&quot;name"),
        ('data-settings="', 'data-other="1" data-settings="'),
        ("&quot;en&quot;:&quot;English&quot;", "&quot;en&quot;:&quot;Anglais&quot;"),
    ],
)
def test_settings_that_no_toml_allows_are_a_difference(between_branded: Tampering, old: str, new: str) -> None:
    different = differences(between_branded, replace("/?lang=", old.encode(), new.encode()))
    assert "/" in paths(different)


@pytest.mark.parametrize(
    "logo", [b"<!doctype html>" * 10_000, b"GIF89a", b"<svg" + b" " * 70_000, b"", SVG.encode() + b" "]
)
def test_logo_must_be_an_image_and_match_its_version(between_branded: Tampering, logo: bytes) -> None:
    """Its bytes are part of the version in every URL."""

    def rule(said: Said) -> None:
        if said.path.endswith("img/logo.svg"):
            said.body = logo

    assert differences(between_branded, rule)


def test_style_may_only_add_the_accent_colour(between_branded: Tampering) -> None:
    accent = b"--accent:#1a5fb4;"
    for new in (accent + b"background:url(//elsewhere);", b"--accent:#1a5fb5;", b"--accent:red;"):
        assert differences(between_branded, replace("css/style.css", accent, new))


def test_redirect_is_not_followed(between: Tampering) -> None:
    def rule(said: Said) -> None:
        if said.path.startswith("/receipt/"):
            said.status = 302
            said.headers.append(("Location", "https://elsewhere.example/"))

    [different] = [
        each for each in differences(between, rule) if "returns status" in each["what"] and "lang=en" in each["path"]
    ]
    assert different["what"] == "returns status 302 instead of 200 and redirects to https://elsewhere.example/"


def test_fingerprint_of_another_release_is_shown(between: Tampering) -> None:
    def rule(said: Said) -> None:
        said.body = said.body.replace(fingerprint(manifest(FOLDER)).encode(), b"0123456789abcdef")

    between.rules = [rule]
    done = verify(between.url)
    assert done.exit_code == 1
    assert "its pages show the fingerprint 0123456789abcdef: to compare, install the release it runs" in done.stdout


def test_page_of_another_program_is_a_difference(between: Tampering) -> None:
    def rule(said: Said) -> None:
        said.body, said.headers = b"\x1b[2J<h1>It works!</h1>", [("Content-Encoding", "gzip")]

    between.rules = [rule]
    done = verify(between.url)
    assert done.exit_code == 1
    assert "/: this is not SecLink's start page" in done.stdout
    assert "\x1b" not in done.stdout


# Neither


def test_silent_server_is_not_reachable(between: Tampering, unused_tcp_port: int) -> None:
    assert verify(f"http://127.0.0.1:{unused_tcp_port}").exit_code == 3

    def rule(said: Said) -> None:
        said.lost = "words/en.txt" in said.path

    between.rules = [rule]
    done = verify(between.url)
    assert (done.exit_code, done.stdout) == (3, "")
    assert "cannot be reached" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["ftp://localhost"], ["localhost"], ["http://user@localhost"]])
def test_invalid_url_is_a_usage_error(arguments: list[str]) -> None:
    assert CliRunner().invoke(cli, ["verify", *arguments]).exit_code == 2


def test_manifest_option_prints_only_the_manifest(shell: Shell) -> None:
    done = shell.run("verify", "--manifest")
    assert (done.returncode, done.stdout.decode()) == (0, manifest(FOLDER))
    assert done.stderr.decode() == f"fingerprint {fingerprint(manifest(FOLDER))}\n"
