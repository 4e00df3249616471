"""The configuration: every mistake stops the start, with file, line and a hint; the defaults are safe."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seclink.config.addresses import dialect_origin, host_names, is_public, local_metrics_url, local_url, public_url
from seclink.config.durations import format_duration, parse_duration
from seclink.config.locate import database
from seclink.config.options import Option, options, render
from seclink.config.parser import location_prefix, parse, read_file
from seclink.config.schema import Config
from seclink.config.toml_lines import key_lines
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
    ("[server]\nhost = 1", 2, "string in quotes"),
    ("[server]\nhost = '[::1'", 2, "host name"),
    ("[server]\nhost = '::1]'", 2, "host name"),
    ("[server]\nhost = '[::1]:80'", 2, "without a port"),
    ("[server]\nhost = '[example.org]'", 2, "host name"),
    ("[server]\nallowed_hosts = 'a'", 2, "must be a list"),
    ("[server]\nallowed_hosts = ['bad host']", 2, "host name"),
    ("[server]\nallowed_hosts = ['']", 2, "host name"),
    ("[server]\nallowed_hosts = ['example.org:443']", 2, "without a port"),
    ("[server]\nallowed_hosts = ['*']", 2, "host name"),
    ("[server]\npublic_url = 'http://secrets.example.org'", 2, "https"),
    ("[server]\npublic_url = 'ftp://secrets.example.org'", 2, "https://"),
    ("[server]\npublic_url = 'secrets.example.org'", 2, "https://"),
    ("[server]\npublic_url = ''", 2, "https://"),
    ("[server]\npublic_url = 5", 2, "string in quotes"),
    ("[server]\npublic_url = 'https://x/?a=b'", 2, "query"),
    ("[server]\npublic_url = 'https://x/#a'", 2, "fragment"),
    ("[server]\npublic_url = 'https://user:hunter2@x/'", 2, "https://"),
    ("[server]\npublic_url = 'https://:hunter2@x/'", 2, "https://"),
    ("[server]\npublic_url = 'https://x y/'", 2, "https://"),
    ("[server]\npublic_url = 'https://münchen.example'", 2, "https://"),
    ("[server]\npublic_url = 'https://x:99999'", 2, "ort"),
    ("[server]\ntrusted_proxies = ['10.0.0.1/8']", 2, "write 10.0.0.0/8 for the range, or 10.0.0.1 for the address"),
    ("[server]\ntrusted_proxies = ['fd00::1/8']", 2, "write fd00::/8 for the range, or fd00::1 for the address"),
    ("[server]\ntrusted_proxies = ['[fd00::1]']", 2, "fd00::1 without brackets"),
    ("[server]\ntrusted_proxies = ['10.0.0.0/33']", 2, "10.0.0.0/8"),
    ("[server]\ntrusted_proxies = ['proxy.example.org']", 2, "10.0.0.0/8"),
    ("[server]\ntrusted_proxies = '10.0.0.1'", 2, "must be a list"),
    ("[server]\ntrusted_proxies = [1]", 2, "string in quotes"),
    ("[server]\nbody_timeout = 30", 2, '"24h"'),
    ("[server]\nbody_timeout = '30'", 2, "90s"),
    ("[server]\nbody_timeout = '0s'", 2, "90s"),
    ("[server]\nbody_timeout = '1.5h'", 2, "90s"),
    ("[server]\nbody_timeout = '2h'", 2, '"1s" to "1h"'),
    ("[server]\nrequests = 0", 2, "1 to 100000"),
    ("[store]\npath = ''", 2, "blank"),
    ('[store]\npath = "a\\u0000b"', 2, "control"),
    ("[store]\nmax_bytes = 1000", 2, "1048576 to"),
    ("[access]\ncreate = 'everyone'", 2, '"anyone" or "keys"'),
    ("[access]\ncreate = true", 2, '"anyone" or "keys"'),
    ("[expiry]\ndefault = '10s'", 2, "to"),
    ("[expiry]\nmax = '2y'", 2, "90s"),
    ("[expiry]\nchoices = ['1h']\ndefault = '31d'", 3, "(31d) is longer than expiry.max (30d by default)"),
    ("[expiry]\nchoices = ['1h']\nmax = '1h'", 3, "expiry.default (7d by default) is longer than"),
    ("[metrics]\nlisten = '127.0.0.1:8080'", 2, "metrics.listen (127.0.0.1:8080) is the address of server.host"),
    ("[metrics]\nlisten = '0.0.0.0:8080'", 2, "server.port already"),
    ("[expiry]\nmax = '1h'\ndefault = '2h'", 3, "expiry.default (2h) is longer than expiry.max (1h)"),
    ("[expiry]\ndefault = '2h'\nmax = '1h'", 2, "expiry.default (2h) is longer than expiry.max (1h)"),
    ("[limits]\npayload_bytes = -1", 2, "1024 to"),
    ("[limits]\nclient_bytes = 1", 2, "1024 to"),
    ("[files]\ncreate = 'all'", 2, '"anyone" or "keys" or "nobody"'),
    ("[files]\ncreate = 'anyone'\n[access]\ncreate = 'keys'", 2, 'needs access.create = "anyone"'),
    ("[files]\nmax_bytes = 11000000000", 2, "is more than files.total_bytes (10737418240 by default)"),
    ("[files]\ntotal_bytes = 1048576", 2, "(1073741824 by default) is more than files.total_bytes (1048576)"),
    ("[files]\ngrant = '2d'", 2, '"1m" to "24h"'),
    ("[files]\npath = ''", 2, "blank"),
    ("[rates]\ncreate = 20", 2, "string in quotes (N/second, minute, hour or day)"),
    ("[rates]\ncreate = '20'", 2, "20/hour"),
    ("[rates]\ncreate = '0/hour'", 2, "20/hour"),
    ("[rates]\ncreate = '20/week'", 2, "20/hour"),
    ("[rates]\ncreate = ''", 2, "20/hour"),
    ("[passcodes]\nprofile = 'weak'", 2, '"standard" or "strong"'),
    ("[receipts]\nkeep_days = 0", 2, "1 to 3650"),
    ("[reaper]\nevery = '2h'", 2, "to"),
    ("[log]\nlevel = 'trace'", 2, '"debug"'),
    ("[log]\nformat = 'xml'", 2, '"json"'),
    ("[expiry]\nchoices = '1h'", 2, "must be a list"),
    ("[expiry]\nchoices = []", 2, "a list of 1 to 20"),
    ("[expiry]\nchoices = [3600]", 2, '"24h"'),
    ("[expiry]\nchoices = ['1h', '10s']", 2, '"1m" to "365d"'),
    ("[branding]\nname = ''", 2, "1 to 40 characters"),
    ("[branding]\nname = '  '", 2, "blank"),
    ('[branding]\nname = "a\\u202eb"', 2, "control"),
    (f"[branding]\nname = '{'x' * 41}'", 2, "characters"),
    ("[branding]\naccent = 'blue'", 2, "#1a5fb4"),
    ("[branding]\naccent = '#fff'", 2, "#1a5fb4"),
    ("[branding]\naccent = '#1a5fb4;}'", 2, "#1a5fb4"),
    ("[branding]\nlogo = 'nothing.svg'", 2, "No such file"),
    ("[branding]\nlogo = '/etc/hostname'", 2, ".svg"),
    ('[branding]\nlogo = "a\\u0000.svg"', 2, "control"),
    (f"[branding]\nfooter = '{'x' * 201}'", 2, "characters"),
    ("[branding]\nfooter_links = 'https://x'", 2, "must be a table"),
    ("[branding]\nfooter_links = {a = 'javascript:alert(1)'}", 2, "https://"),
    ("[branding]\nfooter_links = {a = 'https://x y'}", 2, "https://"),
    ("[branding]\nfooter_links = {a = 'https:'}", 2, "https://"),
    ("[branding]\nfooter_links = {a = 'mailto:'}", 2, "https://"),
    ("[branding]\nfooter_links = {a = 'https://x', b = 1}", 2, "string in quotes"),
    ("[branding]\nfooter_links = {'' = 'https://x'}", 2, "characters"),
    ("[branding]\nname = 'x'\n[branding.footer_links]\nname = 'y'", 3, "https://"),
    ("[dialects]\nscrtlink = 1", 2, "unknown section [dialects.scrtlink]; did you mean scrt-link?"),
    ("[dialects.sharokee]\nenabled = true", 1, "did you mean sharokey?"),
    ("[dialects]\n[dialects.sharokey]\n\nenabld = true", 4, "unknown option dialects.sharokey.enabld; did you mean"),
    ("[dialects.scrt-link]\nallow_attachments = true", 2, "dialects.scrt-link.allow_attachments"),
    ("[dialects.sharokey]\nenabled = 1", 2, "must be true or false"),
    ("[dialects.sharokey]\nenabled = 'yes'", 2, "must be true or false"),
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
    ("[[hosts]]", 1, "hosts.origin is missing"),
    ("[hosts]\norigin = 'https://a.example'", 1, "write [[hosts]] on a line of its own"),
    ("hosts = 'https://a.example'", 1, "write [[hosts]] on a line of its own"),
    ("hosts = ['https://a.example']", 1, "write [[hosts]] on a line of its own"),
    ("hosts = [\n{origin = 'https://a.example'},\n{origin = ''}]", 1, "hosts.origin: write an address"),
    ("[[hosts]]\norigin = 'a.example'", 2, "hosts.origin: write an address like https://"),
    ("[[hosts]]\norigin = 'http://a.example'", 2, "https"),
    ("[[hosts]]\norigin = 'https://a.example/b'", 2, "without a path"),
    ("[[hosts]]\norigin = 'https://hunter2@a.example'", 2, "https://"),
    ("[[hosts]]\norigin = 5", 2, "string in quotes"),
    ("[[hosts]]\nname = 'a'", 2, "unknown option hosts.name"),
    ("[server]\norigin = 'https://a.example'", 2, "unknown option server.origin"),
    ("origin = 'https://a.example'", 1, "did you mean hosts.origin?"),
    ("[[hosts]]\norigin = 'https://a.example'\n[[hosts]]\n\norigin = 'https://a b'", 5, "hosts.origin"),
    ("[[hosts]]\norigin = 'https://a.example'\n[[hosts]]\n\n[[hosts]]\norigin = 'https://b'", 3, "is missing"),
    ("[[hosts]]\norigin = 'https://A.example'\n[[hosts]]\norigin = 'https://a.example:443/'", 4, "listed already"),
    ("[[hosts]]\norigin = 'http://[::1]'\n[[hosts]]\norigin = 'https://[::1]'", 4, "listed already"),
    ("[server", 1, "TOML"),
    ("[server]\nport = ", 2, "TOML"),
    ("[server]\nport = 1\nport = 2", 3, "TOML"),
    ("[server]\n[server]", 2, "TOML"),
    ("\x00", 1, "TOML"),
    ("server.port = 'x'", 1, "server.port"),
    ("server = {port = 0}", 1, "1 to 65535"),
]


def parsed(toml: str) -> tuple[Config | None, str]:
    """Return the configuration, or None and the message about its problems."""
    try:
        return parse(toml, "f"), ""
    except ConfigError as error:
        return None, error.message


def test_mistake_is_reported_with_line_and_hint() -> None:
    """CFG-01"""
    for toml, line, words in BROKEN:
        _, message = parsed(toml)
        assert message.startswith(f"f:{line}: "), (toml, message)
        assert words.lower() in message.lower(), (toml, message)
        assert "hunter2" not in message, toml


def test_all_problems_are_reported_at_once() -> None:
    """CFG-01"""
    _, message = parsed("[server]\nport = 0\nprot = 1\n[nothing]\n[log]\nlevel = 'x'\n")
    assert [problem.split(": ")[0] for problem in message.splitlines()] == ["f:2", "f:3", "f:4", "f:6"]


def test_unreadable_file_is_reported(tmp_path: Path) -> None:
    """CFG-01"""
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b"# \xfc")
    for path, words in ((tmp_path / "none.toml", "No such file"), (tmp_path, "directory"), (latin, "not UTF-8")):
        with pytest.raises(ConfigError, match=words):
            read_file(path)


def test_line_is_where_the_statement_begins() -> None:
    lines = key_lines('a.b = [\r\n  1]\n# x\n[c]\nd.\'e f\' = """\n[x]\n"""\n[[g]]\nh = 1\n[c.z]\n  k = {l = 1}')
    assert lines == {
        (): 1, ("a",): 1, ("a", "b"): 1, ("c",): 4, ("c", "d"): 5, ("c", "d", "e f"): 5, ("g",): 8,
        ("g", 0): 8, ("g", 0, "h"): 9, ("c", "z"): 10, ("c", "z", "k"): 11, ("c", "z", "k", "l"): 11,
    }  # fmt: skip


def test_line_of_a_syntax_error_is_where_the_statement_begins() -> None:
    for toml, line in (
        ("a = 1\n\n\nb =\n[c]\nd = 1", 4),
        ("a = [1,\n2\n]\nb = [\n1,\n2", 4),
        ("a = '''\nx\n'''\r\nb = 1\r\na = 2", 5),
        ("a = " + "[" * 5000, 1),
        ("a = 1\nb = " + "1" * 5000, 2),
        ("error\n" * 100_000, 1),
    ):
        _, message = parsed(toml)
        assert message.startswith(f"f:{line}: not valid TOML: "), (toml[:40], message)


def test_location_of_an_option_is_empty_unless_the_file_sets_it(tmp_path: Path) -> None:
    toml = tmp_path / "seclink.toml"
    toml.write_text("[server]\n\nport = 1\n")
    assert location_prefix(toml, "server", "port") == f"{toml}:3: server.port: "
    assert location_prefix(toml, "server", "host") == ""
    assert location_prefix(tmp_path / "none.toml", "server", "port") == location_prefix(None, "server", "port") == ""


def test_durations_have_one_grammar() -> None:
    accepted = {"90s": 90, "15m": 900, "24h": 86_400, "7d": 604_800, "2w": 1_209_600, " 12H ": 43_200, "007d": 604_800}
    assert {text: parse_duration(text) for text in accepted} == accepted
    for text in ("", "90", "0s", "-1d", "1.5h", "2y", "1h30m", "١d", "1234567890s"):
        with pytest.raises(ValueError, match="90s, 15m, 24h, 7d or 2w"):
            parse_duration(text)
    assert [format_duration(seconds) for seconds in (1, 90, 5400, 86_400, 1_209_600)] == [
        "1s",
        "90s",
        "90m",
        "1d",
        "14d",
    ]


@given(text=st.text(max_size=60))
def test_any_text_is_a_configuration_or_reported(text: str) -> None:
    """CFG-01"""
    config, message = parsed(text)
    assert isinstance(config, Config) or message.startswith("f:")


VALUES = st.one_of(
    st.integers(-(2**65), 2**65).map(str), st.booleans().map(lambda b: str(b).lower()), st.just("1.5"), st.just("nan"),
    st.just("''"), st.just("[]"), st.just("['x', 1]"), st.just("{a = 1}"), st.just("2020-01-01"), st.just("'\\'"),
    st.just("'20/hour'"), st.just("'7d'"), st.just("'::1'"), st.just("'https://x'"),
)  # fmt: skip


@given(option=st.sampled_from(list(options())), value=VALUES)
def test_any_value_is_accepted_or_reported_with_its_line(option: Option, value: str) -> None:
    """CFG-01: an accepted value is rendered so that it reads back to the same."""
    config, message = parsed(f"{option.header}\n{option.name} = {value}")
    if config is None:
        assert re.match(r"f:[12]: ", message)
    else:
        assert host_names(config)
        assert parse(render(config), "again") == config


def test_defaults_are_safe() -> None:
    """CFG-02"""
    config = read_file(None)
    assert config == parse("", "empty.toml") == Config()
    assert (config.server.host, config.server.trusted_proxies) == ("127.0.0.1", [])
    assert config.rates.create == Rate(20, 3600)
    assert public_url(config) == "http://127.0.0.1:8080"
    assert host_names(config) == {"localhost", "127.0.0.1", "[::1]"}
    dialects: Any = config.dialects
    assert not dialects.seecret.enabled  # its clients send secrets in the clear
    assert not dialects.sharokey.allow_attachments


def test_rendered_defaults_contain_every_option_and_read_back() -> None:
    text = render(Config())
    assert parse(text, "rendered") == Config()
    for option in options():
        assert re.search(rf"^(# )?{option.name} = ", text, re.M), option.name
        assert option.help in text
        assert option.help.endswith(".")


LOGO = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
PNG = b"\x89PNG\r\n\x1a\n"


def test_logo_path_is_relative_to_the_toml_file(tmp_path: Path) -> None:
    toml = tmp_path / "seclink.toml"
    toml.write_text("[branding]\nlogo = 'logo.svg'\n")
    (tmp_path / "logo.svg").write_bytes(LOGO)
    config = read_file(toml)
    assert config.branding.logo == str(tmp_path / "logo.svg")
    assert parse(render(config), "rendered") == config


def test_unusable_logo_is_reported(tmp_path: Path) -> None:
    """CFG-01"""
    for name, content, words in (
        ("logo.svg", LOGO + b" " * 65_536, "larger than 65536"),
        ("logo.svg", PNG, "other content than .svg"),
        ("logo.png", LOGO, "other content than .png"),
        ("logo.webp", PNG, "other content than .webp"),
        ("logo.svg", b"", "other content than .svg"),
        ("logo.html", LOGO, "must be an .svg"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ConfigError, match=rf"^f:3: branding\.logo: .*{re.escape(words)}"):
            parse(f"[branding]\n\nlogo = '{name}'", "f", tmp_path)


FULL = """
[server]
host = "::"
port = 443
public_url = "https://secrets.example.org/sub/"
allowed_hosts = ["a.example", "::1", "[::2]", "xn--mnchen-3ya.example"]
trusted_proxies = ["10.0.0.0/8", "::1"]
[[hosts]]
origin = "https://Send.example:8443"
[[hosts]]
origin = "https://br3f.com:443/"
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


def test_rendered_configuration_reads_back() -> None:
    config = parse(FULL, "full.toml")
    assert parse(render(config), "rendered") == config
    assert public_url(config) == "https://secrets.example.org/sub"
    assert [host.origin for host in config.hosts] == ["https://send.example:8443", "https://br3f.com"]
    assert {"a.example", "[::1]", "[::2]", "secrets.example.org", "Send.example", "br3f.com"} <= host_names(config)
    assert "unheard.example" not in host_names(config)
    dialects = config.dialects.by_name()
    assert (dialects["seecret"].enabled, dialects["sharokey"].enabled) == (True, False)


def test_public_url_is_where_the_server_listens() -> None:
    for host, public, local in (
        ("127.0.0.1", "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://localhost:8080", "http://127.0.0.1:8080"),
        ("::", "http://localhost:8080", "http://[::1]:8080"),
        ("::1", "http://[::1]:8080", "http://[::1]:8080"),
        ("[::1]", "http://[::1]:8080", "http://[::1]:8080"),
    ):
        config = parse(f"[server]\nhost = '{host}'", "f")
        assert (public_url(config), local_url(config.server)) == (public, local), host


def test_origin_of_a_dialects_host_is_listed_or_like_the_public_one() -> None:
    config = parse(FULL, "full.toml")
    assert dialect_origin(config, "Send.example") == "https://send.example:8443"
    assert dialect_origin(config, "other.example") == "https://other.example"
    assert dialect_origin(Config(), "[::2]") == "http://[::2]:8080"


def test_local_urls_pass_the_public_one() -> None:
    tls = "public_url = 'https://secrets.example.org'\ntls_cert = 'c'\ntls_key = 'k'"
    config = parse(f"[server]\n{tls}\n[metrics]\nlisten = '[::]:9464'", "f")
    assert local_url(config.server) == "https://127.0.0.1:8080"
    assert config.metrics.listen is not None
    assert local_metrics_url(config.metrics.listen) == "http://[::1]:9464"
    assert is_public(config)
    assert not is_public(Config())


def test_installed_configuration_has_its_database_in_var_lib() -> None:
    """A command of an administrator and the service use the same database."""
    for source, path, expected in (
        ("/etc/seclink/seclink.toml", "seclink.db", "/var/lib/seclink/seclink.db"),
        ("/etc/seclink/../seclink/seclink.toml", "seclink.db", "/var/lib/seclink/seclink.db"),
        ("/etc/seclink/seclink.toml", "/srv/a.db", "/srv/a.db"),
        ("/nowhere/seclink.toml", "/srv/a.db", "/srv/a.db"),
    ):
        config = parse(f"[store]\npath = '{path}'", source)
        assert database(config, Path(source)) == Path(expected).resolve(), (source, path)


def test_lines_are_right_after_a_long_array_and_for_a_deep_key() -> None:
    addresses = "\n".join(f'  "192.0.{n // 256}.{n % 256}",' for n in range(4000))
    with pytest.raises(ConfigError) as caught:
        parse(f"[server]\ntrusted_proxies = [\n{addresses}\n]\nport = 'x'\n", "long.toml")
    assert caught.value.message.startswith("long.toml:4004: server.port")
    with pytest.raises(ConfigError) as caught:
        parse(f"[server]\nport = 1\n{'.'.join('a' * 900)} = 1\n", "deep.toml")
    assert caught.value.message.startswith("deep.toml:3: ")


def test_array_without_an_end_is_reported_where_it_begins() -> None:
    with pytest.raises(ConfigError, match=r"open\.toml:2: not valid TOML"):
        parse("[server]\ntrusted_proxies = [\n" + f"'{'x' * 200}',\n" * 990, "open.toml")
