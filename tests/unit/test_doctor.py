"""What the doctor looks at, one look at a time: what is right is said to be, and what is not is told with its cure."""

import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from seclink.config.parser import parse, read_file
from seclink.config.schema import Config
from seclink.doctor import configuration, database, files, machine
from seclink.doctor.findings import Finding
from seclink.errors import ConfigError
from seclink.store import connection

NOW = int(time.time() * 1000)


def levels(findings: Iterable[Finding]) -> dict[str, str]:
    """The worst level by what was looked at, and every finding is whole."""
    worst: dict[str, str] = {}
    order = ("ok", "warning", "problem")
    for each in findings:
        assert each.said
        assert bool(each.fix) is (each.level != "ok"), each
        worst[each.looked] = max(worst.get(each.looked, "ok"), each.level, key=order.index)
    return worst


def troubles(findings: Iterable[Finding]) -> dict[str, str]:
    return {looked: level for looked, level in levels(findings).items() if level != "ok"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database as the first start makes it."""
    made = tmp_path / "data" / "seclink.db"
    made.parent.mkdir(mode=0o700)
    connection.open_or_create(made)
    return made


# Configuration

PUBLIC = '[server]\npublic_url = "https://secrets.example.org"\n'


@pytest.mark.parametrize(
    ("toml", "wanted"),
    [
        (PUBLIC + 'trusted_proxies = ["10.0.0.1"]\n[access]\ncreate = "keys"\n', {}),
        ("", {"server.public_url": "warning"}),
        ('[server]\npublic_url = "http://localhost:8080"\n', {"server.public_url": "warning"}),
        (PUBLIC + '[access]\ncreate = "keys"\n', {"server.trusted_proxies": "problem"}),
        (
            PUBLIC + 'trusted_proxies = ["::/0"]\n[access]\ncreate = "keys"\n',
            {"server.trusted_proxies": "problem"},
        ),
        (PUBLIC + 'trusted_proxies = ["10.0.0.1"]\n', {"access.create": "warning"}),
        (
            PUBLIC + 'host = "0.0.0.0"\ntrusted_proxies = ["10.0.0.1"]\n[access]\ncreate = "keys"\n',
            {"server.host": "warning"},
        ),
        ("[dialects.seecret]\nenabled = true\n", {"server.public_url": "warning", "dialects.seecret": "warning"}),
        ('[log]\nlevel = "debug"\n', {"server.public_url": "warning", "log.level": "warning"}),
    ],
)
def test_settings_that_are_doubtful_together_are_told(toml: str, wanted: dict[str, str]) -> None:
    assert troubles(configuration.look(parse(toml, "seclink.toml"), Path("seclink.toml"))) == wanted


def test_every_line_that_is_wrong_is_a_problem() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("[server]\nprot = 1\n[rates]\ncreate = 20\n", "seclink.toml")
    found = list(configuration.refused(caught.value))
    assert [each.said.split(": ")[0] for each in found] == ["seclink.toml:2", "seclink.toml:4"]
    assert {each.level for each in found} == {"problem"}


def test_file_that_cannot_be_read_is_not_to_be_corrected() -> None:
    with pytest.raises(ConfigError) as caught:
        read_file(Path("none.toml"))
    [found] = configuration.refused(caught.value)
    assert "--config" in found.fix
    assert "correct" not in found.fix


# Files


def test_files_as_the_server_makes_them_are_right(path: Path) -> None:
    source = path.parent / "seclink.toml"
    source.write_text("")
    source.chmod(0o644)
    assert troubles(files.look(source, path)) == {}


def test_files_that_others_may_read_or_change_are_problems(path: Path) -> None:
    source = path.parent / "seclink.toml"
    source.write_text("")
    source.chmod(0o666)
    path.chmod(0o640)
    log = Path(f"{path}-wal")
    log.touch(0o600)
    log.chmod(0o604)
    path.parent.chmod(0o777)
    found = list(files.look(source, path))
    assert set(troubles(found)) == {str(each) for each in (source, path, log, path.parent)}
    for each in found:
        if each.fix.startswith("chmod "):
            os.system(each.fix)
    assert troubles(files.look(source, path)) == {}, "what was said to be done did not help"


@pytest.mark.parametrize("secret", [f"sk_live_{'a' * 38}", "-----BEGIN PRIVATE KEY-----"])
def test_toml_with_a_secret_in_it_is_for_its_owner_alone(path: Path, secret: str) -> None:
    source = path.parent / "seclink.toml"
    source.write_text(f"# {secret}\n")
    source.chmod(0o644)
    assert troubles(files.look(source, path)) == {str(source): "problem"}
    source.chmod(0o640)
    assert troubles(files.look(source, path)) == {}


@pytest.mark.parametrize(("mode", "found"), [(0o600, {}), (0o640, {}), (0o644, "problem"), (0o660, "problem")])
def test_key_of_the_certificate_is_private(path: Path, mode: int, found: object) -> None:
    key = path.parent / "key.pem"
    key.touch()
    key.chmod(mode)
    assert troubles(files.look(None, path, [key])) == (found and {str(key): found})


def test_key_that_is_not_there_is_not_called_private(path: Path) -> None:
    found = files.look(None, path, [path.parent / "none.pem"])
    assert str(path.parent / "none.pem") not in levels(found)


def test_folder_that_is_for_everybody_is_left_as_it_is(path: Path) -> None:
    """As /tmp: the cure is a folder of one's own."""
    path.parent.chmod(0o1777)
    [found] = [each for each in files.look(None, path) if each.level == "problem"]
    assert found.looked == str(path.parent)
    assert found.fix.startswith(f"mkdir -m 700 {path.parent}/seclink")


def test_what_may_not_be_looked_at_is_told_with_who_may(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what may be looked at still is."""

    def refused(each: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(each))

    key = path.parent / "key.pem"
    monkeypatch.setattr(Path, "exists", refused)
    found = [each for each in files.look(None, path, [key]) if each.level == "problem"]
    assert {each.looked for each in found} == {str(key), str(path)}
    assert all("service's user" in each.fix for each in found)


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    assert troubles(files.look(None, tmp_path / "none" / "seclink.db")) == {str(tmp_path / "none"): "problem"}
    assert troubles(files.look(None, tmp_path / "seclink.db")) == {str(tmp_path / "seclink.db"): "warning"}


def test_file_that_root_left_beside_the_services_is_a_problem(path: Path) -> None:
    """As `sudo` does it: the service can no longer open its own database."""
    log = Path(f"{path}-wal")
    log.touch(0o600)
    if os.geteuid() == 0:
        for each in (path.parent, path):
            os.chown(each, 4711, 4711)
        assert troubles(files.look(None, path)) == {f"{path}*": "problem"}
        os.chown(log, 4711, 4711)
    assert troubles(files.look(None, path)) == {}


# Database


def test_database_that_is_whole_is_right(path: Path) -> None:
    found = levels(database.look(parse("[store]\nmax_bytes = 1048576", "t"), path, NOW))
    assert found.pop(str(path.parent)) in ("ok", "warning")  # the file system of the machine that runs this
    assert set(found.values()) == {"ok"}


def test_looking_changes_nothing(path: Path) -> None:
    before = {each.name: each.read_bytes() for each in path.parent.iterdir()}
    list(database.look(Config(), path, NOW))
    assert path.read_bytes() == before["seclink.db"]
    assert {each.name for each in path.parent.iterdir()} - before.keys() <= {"seclink.db-shm", "seclink.db-wal"}


def test_damaged_database_is_a_problem_that_names_the_way_out(path: Path) -> None:
    """CR-06"""
    content = bytearray(path.read_bytes())
    content[5000:9000] = bytes(4000)
    path.write_bytes(content)
    found = [each for each in database.look(Config(), path, NOW) if each.level == "problem"]
    assert [each.looked for each in found] == [str(path)]
    assert "seclink restore" in found[0].fix


@pytest.mark.parametrize(
    ("change", "cure"),
    [
        ("PRAGMA user_version = 99", "install that release again"),
        ("PRAGMA application_id = 1", "[store] path = "),
        ("DROP TABLE events", "seclink restore"),
    ],
)
def test_cure_is_that_of_what_is_wrong(path: Path, change: str, cure: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(change)
    [found] = [each for each in database.look(Config(), path, NOW) if each.level == "problem"]
    assert cure in found.fix


def test_restore_is_no_cure_for_a_file_that_somebody_else_may_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    [found] = [each for each in database.look(Config(), path, NOW) if each.level == "problem"]
    assert (found.said, "as root" in found.fix) == ("may not be read by you", True)


def test_what_is_no_database_yet_or_never_is_told(path: Path) -> None:
    path.write_bytes(b"")
    assert levels(database.look(Config(), path, NOW))[str(path)] == "warning"
    connection.open_or_create(path)
    assert levels(database.look(Config(), path, NOW))[str(path)] == "ok", "what was said of an empty file is not so"
    [found] = [each for each in database.look(Config(), path.parent, NOW) if each.level == "problem"]
    assert (found.said, "[store] path = " in found.fix) == ("is not a file", True)


@pytest.mark.parametrize(
    ("change", "looked", "level"),
    [
        ("PRAGMA user_version = 1", "{path}", "warning"),
        ("PRAGMA user_version = 99", "{path}", "problem"),
        ("PRAGMA application_id = 1", "{path}", "problem"),
        ("PRAGMA journal_mode = DELETE", "journal_mode", "problem"),
        ("UPDATE meta SET clock_mark = {later}", "the clock", "problem"),
        ("INSERT INTO events (secret, at, type) VALUES (9, 9, 'created')", "{path}", "problem"),
        ("INSERT INTO audit VALUES (1, '{{}}', 'no digest')", "the audit trail", "problem"),
    ],
)
def test_what_somebody_did_to_the_database_is_seen(path: Path, change: str, looked: str, level: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(change.format(later=NOW + 3_600_000))
    found = levels(database.look(Config(), path, NOW))
    assert found[looked.format(path=path)] == level


def test_log_that_is_not_cut_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "LOG_BYTES", 1000)
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE meta SET clock_mark = clock_mark + 1")
        db.commit()
        found = levels(database.look(Config(), path, NOW))
    assert found[f"{path}-wal"] == "warning"


def test_disk_smaller_than_what_is_allowed_is_told_with_what_fits(path: Path) -> None:
    config = parse("[store]\nmax_bytes = 17592186044416", "t")
    [found] = [each for each in database.look(config, path, NOW) if each.looked == "the disk"]
    assert found.level == "warning"
    again = parse(found.fix.replace("] ", "]\n"), "t")
    assert levels(database.look(again, path, NOW))["the disk"] == "ok"


@pytest.mark.parametrize(("kind", "level"), [("tmpfs", "warning"), ("nfs4", "warning"), ("ext4", "ok")])
def test_file_system_that_does_not_last_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, level: str
) -> None:
    monkeypatch.setattr(database, "file_system", lambda _: kind)
    assert levels(database.look(Config(), path, NOW))[str(path.parent)] == level


def test_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    spaced = str(tmp_path / "a b").replace(" ", "\\040")
    lines = ["1 0 8:1 / / rw - ext4 /dev/sda rw", f"2 1 0:5 / {spaced} rw shared:1 - tmpfs tmpfs rw"]
    mounts.write_text("\n".join([*lines, f"3 1 0:6 / {tmp_path}/a rw - nfs4 host:/ rw", ""]))
    (tmp_path / "a b" / "c").mkdir(parents=True)
    assert database.file_system(tmp_path / "a b" / "c", mounts) == "tmpfs"
    assert database.file_system(tmp_path / "a", mounts) == "nfs4"
    assert database.file_system(tmp_path / "ab", mounts) == "ext4"
    assert database.file_system(tmp_path, tmp_path / "none") == ""


# Machine


@pytest.mark.parametrize(
    ("version", "level"),
    [
        ((3, 40, 1), "warning"), ((3, 44, 5), "warning"), ((3, 44, 6), "ok"), ((3, 45, 0), "warning"),
        ((3, 50, 6), "warning"), ((3, 50, 7), "ok"), ((3, 51, 2), "warning"), ((3, 51, 3), "ok"), ((3, 53, 0), "ok"),
    ],
)  # fmt: skip
def test_sqlite_with_a_known_mistake_is_told(version: tuple[int, ...], level: str) -> None:
    found = machine.sqlite(version)
    assert found.level == level
    if level == "warning":
        for words in (".".join(map(str, version)), "3.51.3", "damages the database", "another program"):
            assert words in found.said
        assert "seclink backup" in found.fix


@pytest.mark.parametrize(
    ("listed", "level"), [("", "ok"), ("/dev/zram0 partition 1 0 5\n", "ok"), ("/swapfile file 1 0 -2\n", "warning")]
)
def test_swap_that_lasts_is_told(tmp_path: Path, listed: str, level: str) -> None:
    (tmp_path / "swaps").write_text(f"Filename Type Size Used Priority\n{listed}")
    assert machine.swap(tmp_path / "swaps").level == level
    assert machine.swap(tmp_path / "none").level == "ok"


@pytest.mark.parametrize(
    ("profile", "standard", "strong", "gigabytes", "level", "said"),
    [
        ("standard", 0.03, 0.1, 4, "ok", "this machine can afford strong"),
        ("standard", 0.03, 0.1, 1, "ok", "is standard"),
        ("standard", 0.2, 0.8, 4, "ok", "is standard"),
        ("standard", 0.6, 2.0, 4, "warning", "is slow here"),
        ("strong", 0.03, 0.1, 4, "ok", "is strong"),
        ("strong", 0.2, 0.8, 4, "warning", "which is slow here"),
    ],
)
def test_passcodes_profile_is_suggested_by_what_it_costs_here(
    profile: str, standard: float, strong: float, gigabytes: int, level: str, said: str
) -> None:
    config = parse(f'[passcodes]\nprofile = "{profile}"', "t")
    found = machine.passcodes(config, {"standard": standard, "strong": strong}, gigabytes * 2**30)
    assert (found.level, said in found.said) == (level, True)
    assert ("afford" in found.said) is ("afford" in said)


def test_machine_is_measured_and_its_limits_are_compared() -> None:
    found = list(machine.look(parse("[server]\nrequests = 1", "t"), os.getpid()))
    assert levels(found)["open files"] == "ok"
    assert any("standard" in each.said and " ms" in each.said for each in found if each.looked == "passcodes.profile")


def test_too_few_open_files_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "limits", lambda _: {"Max open files": 1024, "Max core file size": None})
    found = levels(machine.look(Config(), 1))
    assert (found["open files"], found["core dumps"]) == ("problem", "warning")
