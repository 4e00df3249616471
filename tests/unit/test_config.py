"""The configuration: whatever is not exactly right stops the start, with file, line and a hint; nothing at all is
safe.
"""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seclink.config.addresses import host_names, public_url
from seclink.config.locate import database
from seclink.config.options import options, render
from seclink.config.parser import parse, read_file
from seclink.config.schema import Config
from seclink.errors import ConfigError
from seclink.model import Rate

BROKEN: list[tuple[str, int, str]] = [
    # TOML, the line it is about, words of the message
    ("[server]\nprot = 8080", 2, "did you mean port?"),
    ("[sever]\nport = 8080", 1, "did you mean server?"),
    ("[nothing]", 1, "known are server"),
    ("port = 8080", 1, "unknown section"),
    ("server = 1", 1, "[server]"),
    ("[[server]]\nport = 1", 1, "[server]"),
    ("[server]\n\n\nport = '8080'", 4, "must be a whole number"),
    ("[server]\nport = 0", 2, "1 to 65535"),
    ("[server]\nport = 65536", 2, "1 to 65535"),
    ("[server]\nport = 80.0", 2, "must be a whole number"),
    ("[server]\nport = true", 2, "must be a whole number"),
    ("[server]\nport = 'TRUE'", 2, "must be a whole number"),
    ("[server]\nhost = ''", 2, "host name"),
    ("[server]\nhost = 'a b'", 2, "host name"),
    ("[server]\nhost = '127.0.0.1:80'", 2, "without a port"),
    ("[server]\nhost = 1", 2, "expected str"),
    ("[server]\nallowed_hosts = 'a'", 2, "expected array"),
    ("[server]\nallowed_hosts = ['bad host']", 2, "host name"),
    ("[server]\nallowed_hosts = ['']", 2, "host name"),
    ("[server]\nallowed_hosts = ['example.org:443']", 2, "without a port"),
    ("[server]\nallowed_hosts = ['*']", 2, "host name"),
    ("[server]\npublic_url = 'http://secrets.example.org'", 2, "https"),
    ("[server]\npublic_url = 'ftp://secrets.example.org'", 2, "https://"),
    ("[server]\npublic_url = 'secrets.example.org'", 2, "https://"),
    ("[server]\npublic_url = ''", 2, "https://"),
    ("[server]\npublic_url = 5", 2, "https://"),
    ("[server]\npublic_url = 'https://x/?a=b'", 2, "query"),
    ("[server]\npublic_url = 'https://x/#a'", 2, "fragment"),
    ("[server]\npublic_url = 'https://user:hunter2@x/'", 2, "https://"),
    ("[server]\npublic_url = 'https://:hunter2@x/'", 2, "https://"),
    ("[server]\npublic_url = 'https://x y/'", 2, "https://"),
    ("[server]\npublic_url = 'https://münchen.example'", 2, "https://"),
    ("[server]\npublic_url = 'https://x:99999'", 2, "ort"),
    ("[server]\ntrusted_proxies = ['10.0.0.1/8']", 2, "10.0.0.0/8"),
    ("[server]\ntrusted_proxies = ['10.0.0.0/33']", 2, "10.0.0.0/8"),
    ("[server]\ntrusted_proxies = ['proxy.example.org']", 2, "10.0.0.0/8"),
    ("[server]\ntrusted_proxies = '10.0.0.1'", 2, "expected array"),
    ("[server]\ntrusted_proxies = [1]", 2, "expected str"),
    ("[server]\nbody_timeout = 30", 2, '"24h"'),
    ("[server]\nbody_timeout = '30'", 2, "90s"),
    ("[server]\nbody_timeout = '0s'", 2, "90s"),
    ("[server]\nbody_timeout = '1.5h'", 2, "90s"),
    ("[server]\nbody_timeout = '2h'", 2, '"1s" to "1h"'),
    ("[server]\nrequests = 0", 2, "1 to 100000"),
    ("[store]\npath = ''", 2, "length"),
    ('[store]\npath = "a\\u0000b"', 2, "control"),
    ("[store]\nmax_bytes = 1000", 2, "1048576 to"),
    ("[access]\ncreate = 'everyone'", 2, '"anyone" or "keys"'),
    ("[access]\ncreate = true", 2, '"anyone" or "keys"'),
    ("[expiry]\ndefault = '10s'", 2, "to"),
    ("[expiry]\nmax = '2y'", 2, "90s"),
    ("[expiry]\nchoices = ['1h']\ndefault = '31d'", 3, '("31d") is longer than expiry.max ("30d" by default)'),
    ("[expiry]\nchoices = ['1h']\nmax = '1h'", 3, 'expiry.default ("7d" by default) is longer than'),
    ("[metrics]\nlisten = '127.0.0.1:8080'", 2, "metrics.listen (127.0.0.1:8080) is the address of server.host"),
    ("[metrics]\nlisten = '0.0.0.0:8080'", 2, "server.port already"),
    ("[expiry]\nmax = '1h'\ndefault = '2h'", 3, 'expiry.default ("2h") is longer than expiry.max ("1h")'),
    ("[expiry]\ndefault = '2h'\nmax = '1h'", 2, 'expiry.default ("2h") is longer than expiry.max ("1h")'),
    ("[limits]\npayload_bytes = -1", 2, "1024 to"),
    ("[limits]\nclient_bytes = 1", 2, "1024 to"),
    ("[rates]\ncreate = 20", 2, "20/hour"),
    ("[rates]\ncreate = '20'", 2, "20/hour"),
    ("[rates]\ncreate = '0/hour'", 2, "20/hour"),
    ("[rates]\ncreate = '20/week'", 2, "20/hour"),
    ("[rates]\ncreate = ''", 2, "20/hour"),
    ("[passcodes]\nprofile = 'weak'", 2, '"standard" or "strong"'),
    ("[receipts]\nkeep_days = 0", 2, "1 to 3650"),
    ("[reaper]\nevery = '2h'", 2, "to"),
    ("[log]\nlevel = 'trace'", 2, '"debug"'),
    ("[log]\nformat = 'xml'", 2, '"json"'),
    ("[expiry]\nchoices = '1h'", 2, "expected array"),
    ("[expiry]\nchoices = []", 2, "length"),
    ("[expiry]\nchoices = [3600]", 2, '"24h"'),
    ("[expiry]\nchoices = ['1h', '10s']", 2, '"1m" to "365d"'),
    ("[branding]\nname = ''", 2, "length"),
    ("[branding]\nname = '  '", 2, "blank"),
    ('[branding]\nname = "a\\u202eb"', 2, "control"),
    (f"[branding]\nname = '{'x' * 41}'", 2, "length"),
    ("[branding]\naccent = 'blue'", 2, "#1a5fb4"),
    ("[branding]\naccent = '#fff'", 2, "#1a5fb4"),
    ("[branding]\naccent = '#1a5fb4;}'", 2, "#1a5fb4"),
    ("[branding]\nlogo = 'nothing.svg'", 2, "No such file"),
    ("[branding]\nlogo = '/etc/hostname'", 2, ".svg"),
    ('[branding]\nlogo = "a\\u0000.svg"', 2, "control"),
    (f"[branding]\nfooter = '{'x' * 201}'", 2, "length"),
    ("[branding]\nfooter_links = 'https://x'", 2, "object"),
    ("[branding]\nfooter_links = {a = 'javascript:alert(1)'}", 2, "https://"),
    ("[branding]\nfooter_links = {a = 'https://x y'}", 2, "https://"),
    ("[branding]\nfooter_links = {a = 'https:'}", 2, "https://"),
    ("[branding]\nfooter_links = {a = 'mailto:'}", 2, "https://"),
    ("[branding]\nfooter_links = {a = 'x', b = 1}", 2, "expected str"),
    ("[branding]\nfooter_links = {'' = 'https://x'}", 2, "characters"),
    ("[branding]\nname = 'x'\n[branding.footer_links]\nname = 'y'", 3, "https://"),
    ("[dialects]\nscrtlink = 1", 2, "unknown section [dialects.scrtlink]; did you mean scrt-link?"),
    ("[dialects.sharokee]\nenabled = true", 1, "did you mean sharokey?"),
    ("[dialects]\n[dialects.sharokey]\n\nenabld = true", 4, "unknown option dialects.sharokey.enabld; did you mean"),
    ("[dialects.scrt-link]\nallow_attachments = true", 2, "dialects.scrt-link.allow_attachments"),
    ("[dialects.sharokey]\nenabled = 1", 2, "expected bool"),
    ("[dialects.sharokey]\nenabled = 'yes'", 2, "expected bool"),
    ("[dialects.sharokey]\nhost = 'a b'", 2, "host name"),
    ("[dialects.\"scrt-link\"]\nhost = 'a:1'", 2, "without a port"),
    ("dialects.scrt-link.host = ''", 1, "dialects.scrt-link.host: write a host name"),
    ("dialects . seecret . enabled = 0", 1, "dialects.seecret.enabled"),
    ("[dialects]\nsharokey = true", 2, "write [dialects.sharokey] on a line of its own"),
    ("dialects = true", 1, "write [dialects] on a line of its own"),
    ("[dialects.sharokey]\nhost = 'X'\n[server]\npublic_url = 'https://x/'", 2, "host of server.public_url already"),
    ("[dialects.sharokey]\nhost = 'x'\n[dialects.scrt-link]\nhost = 'X'", 2, "host of dialects.scrt-link already"),
    ("[dialects.sharokey]\nhost = 'localhost'", 2, "host of this machine already"),
    ("[dialects.sharokey]\nhost = '[::1]'", 2, "host of this machine already"),
    ("[server", 1, "TOML"),
    ("[server]\nport = ", 2, "TOML"),
    ("[server]\nport = 1\nport = 2", 3, "TOML"),
    ("[server]\n[server]", 2, "TOML"),
    ("\x00", 1, "TOML"),
    ("server.port = 'x'", 1, "server.port"),
    ("server = {port = 0}", 1, "1 to 65535"),
]


@pytest.mark.parametrize(("toml", "line", "words"), BROKEN)
def test_broken_configuration_is_refused_with_line_and_hint(toml: str, line: int, words: str) -> None:
    """CFG-01"""
    with pytest.raises(ConfigError) as refused:
        parse(toml, "seclink.toml")
    message = refused.value.message
    assert re.match(rf"seclink\.toml:{line}: ", message), message
    assert words.lower() in message.lower(), message
    assert "hunter2" not in message


def test_every_problem_is_named_at_once() -> None:
    """CFG-01"""
    with pytest.raises(ConfigError) as refused:
        parse("[server]\nport = 0\nprot = 1\n[nothing]\n[log]\nlevel = 'x'\n", "f")
    assert [each.split(": ")[0] for each in refused.value.message.splitlines()] == ["f:2", "f:3", "f:4", "f:6"]


def test_file_that_cannot_be_read_is_said_plainly(tmp_path) -> None:
    """CFG-01"""
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# \xfc")
    for path, words in ((tmp_path / "none.toml", "No such file"), (tmp_path, "directory"), (latin, "not UTF-8")):
        with pytest.raises(ConfigError, match=words):
            read_file(path)


def tried(toml: str) -> tuple[Config | None, str]:
    """The configuration, or the reason against it."""
    try:
        return parse(toml, "f"), ""
    except ConfigError as refused:
        return None, refused.message


@given(text=st.text(max_size=60))
def test_no_text_whatsoever_is_anything_but_a_configuration_or_refused(text: str) -> None:
    """CFG-01"""
    config, message = tried(text)
    assert isinstance(config, Config) or message.startswith("f:")


VALUES = st.one_of(
    st.integers(-(2**65), 2**65).map(str), st.booleans().map(lambda b: str(b).lower()), st.just("1.5"), st.just("nan"),
    st.just("''"), st.just("[]"), st.just("['x', 1]"), st.just("{a = 1}"), st.just("2020-01-01"), st.just("'\\'"),
    st.just("'20/hour'"), st.just("'7d'"), st.just("'::1'"), st.just("'https://x'"),
)  # fmt: skip


@given(option=st.sampled_from(list(options())), value=VALUES)
def test_any_option_takes_what_it_is_for_or_names_its_line(option, value: str) -> None:
    """CFG-01: and what it takes, the application starts with."""
    config, message = tried(f"[{option.section}]\n{option.name} = {value}")
    if config is None:
        assert re.match(r"f:[12]: ", message)
    else:
        assert host_names(config)
        assert parse(render(config), "again") == config


def test_nothing_configured_is_safe() -> None:
    """CFG-02"""
    config = read_file(None)
    assert config == parse("", "empty.toml") == Config()
    assert (config.server.host, config.server.trusted_proxies) == ("127.0.0.1", [])
    assert config.rates.create == Rate(20, 3600)
    assert public_url(config) == "http://127.0.0.1:8080"
    assert host_names(config) == {"localhost", "127.0.0.1", "[::1]"}
    assert not config.dialects.seecret.enabled  # its clients send secrets in the clear
    assert not config.dialects.sharokey.allow_attachments


def test_rendered_defaults_name_every_option_and_read_back_the_same() -> None:
    text = render(Config())
    assert parse(text, "rendered") == Config()
    for option in options():
        assert re.search(rf"^(# )?{option.name} = ", text, re.M), option.name
        assert option.help in text
        assert option.help.endswith(".")


LOGO = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
PNG = b"\x89PNG\r\n\x1a\n"


def test_logo_lies_beside_the_file_that_names_it(tmp_path) -> None:
    toml = tmp_path / "seclink.toml"
    toml.write_text("[branding]\nlogo = 'logo.svg'\n")
    (tmp_path / "logo.svg").write_bytes(LOGO)
    config = read_file(toml)
    assert config.branding.logo == str(tmp_path / "logo.svg")
    assert parse(render(config), "rendered") == config


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("logo.svg", LOGO + b" " * 65_536, "larger than 65536"),
        ("logo.svg", PNG, "not what .svg"),
        ("logo.png", LOGO, "not what .png"),
        ("logo.webp", PNG, "not what .webp"),
        ("logo.svg", b"", "not what .svg"),
        ("logo.html", LOGO, "must be an .svg"),
    ],
)
def test_logo_no_page_could_show_stops_the_start(tmp_path, name: str, content: bytes, words: str) -> None:
    """CFG-01"""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(words)) as refused:
        parse(f"[branding]\n\nlogo = '{name}'", "f", tmp_path)
    assert refused.value.message.startswith("f:3: branding.logo: ")


FULL = """
[server]
host = "::"
port = 443
public_url = "https://secrets.example.org/sub/"
allowed_hosts = ["a.example", "::1", "[::2]", "xn--mnchen-3ya.example"]
trusted_proxies = ["10.0.0.0/8", "::1"]
[store]
path = "/var/lib/seclink/se \\"cret\\" ü.db"
[expiry]
default = "90m"
choices = ["30m", "2h"]
[rates]
create = "5/day"
[branding]
name = "Töchter & \\"Söhne\\""
accent = "#1A5FB4"
footer = "Ask <us>"
[branding.footer_links]
Imprint = "https://example.org/imprint?a=b&c=d"
"Write to us" = "mailto:help@example.org"
[dialects]
seecret.enabled = true
[dialects.scrt-link]
host = "Send.example"
[dialects.sharokey]
enabled = false
host = "unheard.example"
allow_attachments = true
"""


def test_rendered_configuration_reads_back_the_same() -> None:
    config = parse(FULL, "full.toml")
    assert parse(render(config), "rendered") == config
    assert public_url(config) == "https://secrets.example.org/sub"
    assert {"a.example", "[::1]", "[::2]", "secrets.example.org", "Send.example"} <= host_names(config)
    assert "unheard.example" not in host_names(config)
    assert (config.dialects.seecret.enabled, config.dialects.sharokey.enabled) == (True, False)


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://localhost:8080"), ("::", "http://localhost:8080"), ("::1", "http://[::1]:8080")],
)
def test_links_point_where_the_server_listens(host: str, url: str) -> None:
    assert public_url(parse(f"[server]\nhost = '{host}'", "f")) == url


@pytest.mark.parametrize(
    ("source", "path", "found"),
    [
        ("/etc/seclink/seclink.toml", "seclink.db", "/var/lib/seclink/seclink.db"),
        ("/etc/seclink/../seclink/seclink.toml", "seclink.db", "/var/lib/seclink/seclink.db"),
        ("/etc/seclink/seclink.toml", "/srv/a.db", "/srv/a.db"),
        ("/nowhere/seclink.toml", "/srv/a.db", "/srv/a.db"),
    ],
)
def test_installed_configuration_keeps_its_data_where_a_service_may_write(source: str, path: str, found: str) -> None:
    """Whoever runs a command, the service or an administrator, means the same database."""
    config = parse(f"[store]\npath = '{path}'", source)
    assert str(database(config, Path(source))) == str(Path(found).resolve())
