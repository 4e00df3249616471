"""The doctor's checks, one at a time: what is fine is reported as ok, and every problem with its fix."""

import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
import schema_snapshots
from database import FOREIGN_SCHEMAS, change_schema

from seclink.config.parser import parse, read_file
from seclink.config.schema import Config
from seclink.doctor import chunks, configuration, database, files, machine
from seclink.doctor.findings import Finding
from seclink.errors import ConfigError, StoreFault, StoreUnusable
from seclink.store import connection

NOW = int(time.time() * 1000)


def levels(findings: Iterable[Finding]) -> dict[str, str]:
    """Return the worst level of every subject, and check that every finding is complete."""
    worst: dict[str, str] = {}
    order = ("ok", "warning", "problem")
    for finding in findings:
        assert finding.observation
        assert bool(finding.fix) is (finding.level != "ok"), finding
        worst[finding.subject] = max(worst.get(finding.subject, "ok"), finding.level, key=order.index)
    return worst


def not_ok(findings: Iterable[Finding]) -> dict[str, str]:
    return {subject: level for subject, level in levels(findings).items() if level != "ok"}


def problems(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level == "problem"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database as the first start makes it."""
    path = tmp_path / "data" / "seclink.db"
    path.parent.mkdir(mode=0o700)
    connection.open_or_create(path)
    return path


# Configuration

PUBLIC = '[server]\npublic_url = "https://secrets.example.org"\n'


@pytest.mark.parametrize(
    ("toml", "expected"),
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
        (
            "[dialects.sharokey]\nallow_attachments = true\n",
            {"server.public_url": "warning", "dialects.sharokey": "warning"},
        ),
        ('[log]\nlevel = "debug"\n', {"server.public_url": "warning", "log.level": "warning"}),
    ],
)
def test_doubtful_settings_are_reported(toml: str, expected: dict[str, str]) -> None:
    assert not_ok(configuration.check(parse(toml, "seclink.toml"), Path("seclink.toml"))) == expected


def test_every_wrong_line_is_a_problem() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("[server]\nprot = 1\n[rates]\ncreate = 20\n", "seclink.toml")
    findings = list(configuration.config_problems(caught.value))
    assert [finding.observation.split(": ")[0] for finding in findings] == ["seclink.toml:2", "seclink.toml:4"]
    assert {finding.level for finding in findings} == {"problem"}


def test_unreadable_file_is_not_to_be_corrected() -> None:
    with pytest.raises(ConfigError) as caught:
        read_file(Path("none.toml"))
    [finding] = configuration.config_problems(caught.value)
    assert "--config" in finding.fix
    assert "correct" not in finding.fix


# Files


def test_files_created_by_the_server_are_ok(path: Path) -> None:
    source = path.parent / "seclink.toml"
    source.write_text("")
    source.chmod(0o644)
    assert not_ok(files.check(source, path)) == {}


def test_files_accessible_to_other_users_are_problems(path: Path) -> None:
    source = path.parent / "seclink.toml"
    source.write_text("")
    source.chmod(0o666)
    path.chmod(0o640)
    log = Path(f"{path}-wal")
    log.touch(0o600)
    log.chmod(0o604)
    path.parent.chmod(0o777)
    findings = list(files.check(source, path))
    assert set(not_ok(findings)) == {str(file) for file in (source, path, log, path.parent)}
    for finding in findings:
        if finding.fix.startswith("chmod "):
            os.system(finding.fix)
    assert not_ok(files.check(source, path)) == {}, "the suggested fixes did not help"


@pytest.mark.parametrize("secret", [f"sk_live_{'a' * 38}", "-----BEGIN PRIVATE KEY-----"])
def test_toml_with_a_secret_must_be_private(path: Path, secret: str) -> None:
    source = path.parent / "seclink.toml"
    source.write_text(f"# {secret}\n")
    source.chmod(0o644)
    assert not_ok(files.check(source, path)) == {str(source): "problem"}
    source.chmod(0o640)
    assert not_ok(files.check(source, path)) == {}


@pytest.mark.parametrize(("mode", "level"), [(0o600, None), (0o640, None), (0o644, "problem"), (0o660, "problem")])
def test_private_key_must_be_private(path: Path, mode: int, level: str | None) -> None:
    key = path.parent / "key.pem"
    key.touch()
    key.chmod(mode)
    assert not_ok(files.check(None, path, [key])) == ({str(key): level} if level else {})


def test_missing_key_is_not_reported_as_private(path: Path) -> None:
    findings = files.check(None, path, [path.parent / "none.pem"])
    assert str(path.parent / "none.pem") not in levels(findings)


def test_sticky_folder_is_not_to_be_changed(path: Path) -> None:
    """Like /tmp: the fix is a folder in it."""
    path.parent.chmod(0o1777)
    [finding] = problems(files.check(None, path))
    assert finding.subject == str(path.parent)
    assert finding.fix.startswith(f"mkdir -m 700 {path.parent}/seclink")


def test_permission_error_is_a_problem_with_a_fix(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other checks still run."""

    def deny(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    key = path.parent / "key.pem"
    monkeypatch.setattr(Path, "exists", deny)
    findings = problems(files.check(None, path, [key]))
    assert {finding.subject for finding in findings} == {str(key), str(path)}
    assert all("service's user" in finding.fix for finding in findings)


def test_missing_folder_or_database_is_reported(tmp_path: Path) -> None:
    assert not_ok(files.check(None, tmp_path / "none" / "seclink.db")) == {str(tmp_path / "none"): "problem"}
    assert not_ok(files.check(None, tmp_path / "seclink.db")) == {str(tmp_path / "seclink.db"): "warning"}


def test_file_of_another_owner_is_a_problem(path: Path) -> None:
    """As `sudo` does it: the service can no longer open its own database."""
    log = Path(f"{path}-wal")
    log.touch(0o600)
    if os.geteuid() == 0:
        for owned in (path.parent, path):
            os.chown(owned, 4711, 4711)
        assert not_ok(files.check(None, path)) == {f"{path}*": "problem"}
        os.chown(log, 4711, 4711)
    assert not_ok(files.check(None, path)) == {}


# The folder with the chunks


@pytest.fixture
def folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the chunks, on a disk with room."""
    monkeypatch.setattr(chunks, "MIN_FREE_BYTES", 0)
    monkeypatch.setattr(chunks, "file_system", lambda path: "ext4")
    folder = path.with_name("seclink.db.files")
    folder.mkdir(mode=0o700)
    return folder


FEW = "[files]\nmax_bytes = 1048576\ntotal_bytes = 1048576\n"


def test_folder_of_files_is_ok(path: Path, folder: Path) -> None:
    (folder / ("a" * 32)).touch(0o600)
    assert set(levels(chunks.check(parse(FEW, "t"), path)).values()) == {"ok"}
    (folder / ("a" * 32)).unlink()
    folder.rmdir()
    assert set(levels(chunks.check(parse(FEW, "t"), path)).values()) == {"ok"}
    assert not folder.exists()


def test_folder_of_files_that_others_can_enter_is_fixed_by_the_command(path: Path, folder: Path) -> None:
    folder.chmod(0o755)
    [finding] = problems(chunks.check(parse(FEW, "t"), path))
    os.system(finding.fix)
    assert problems(chunks.check(parse(FEW, "t"), path)) == []


def test_folder_of_files_of_another_owner_is_a_problem(path: Path, folder: Path) -> None:
    if os.geteuid() == 0:
        os.chown(folder, 4711, 4711)
        [finding] = problems(chunks.check(parse(FEW, "t"), path))
        assert finding.fix == f"chown -R 0 {folder}"
        os.system(finding.fix)
    assert problems(chunks.check(parse(FEW, "t"), path)) == []


def test_folder_of_files_with_strangers_is_a_problem(path: Path, folder: Path) -> None:
    (folder / "lost+found").mkdir()
    assert problems(chunks.check(parse(FEW, "t"), path)) == []
    (folder / "notes.txt").touch()
    [finding] = problems(chunks.check(parse(FEW, "t"), path))
    assert "notes.txt" in finding.observation


def test_link_or_file_in_place_of_the_folder_is_a_problem(path: Path, folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))
    assert not_ok(chunks.check(parse(FEW, "t"), path)) == {str(folder): "problem"}
    folder.unlink()
    folder.touch()
    assert not_ok(chunks.check(parse(FEW, "t"), path)) == {str(folder): "problem"}


@pytest.mark.parametrize("has_folder", [True, False])
def test_missing_files_are_a_problem(path: Path, folder: Path, has_folder: bool) -> None:
    insert = "INSERT INTO uploads VALUES (1, 'u', x'00', ?, NULL, 300, 272, x'01', 300, 0, 1, 9)"
    with closing(sqlite3.connect(path)) as db:
        db.execute(insert, ("a" * 32,))
        db.commit()
    assert not_ok(chunks.check(parse(FEW, "t"), path)) == {str(folder): "problem"}
    if has_folder:
        (folder / ("a" * 32)).touch(0o600)
    else:
        folder.rmdir()
    assert not_ok(chunks.check(parse(FEW, "t"), path)) == ({} if has_folder else {str(folder): "problem"})


def test_disk_smaller_than_the_files_is_fixed_by_the_suggested_limit(path: Path, folder: Path) -> None:
    config = parse("[files]\ntotal_bytes = 17592186044416", "t")
    [finding] = [finding for finding in chunks.check(config, path) if finding.level == "warning"]
    again = parse(finding.fix.replace("] ", "]\n").replace(", ", "\n"), "t")
    assert not_ok(chunks.check(again, path)) == {}


def test_folder_of_files_on_an_ephemeral_file_system_is_reported(
    path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "file_system", lambda _: "tmpfs")
    assert not_ok(chunks.check(parse(FEW, "t"), path)) == {str(folder): "warning"}


# Database


def test_intact_database_is_ok(path: Path) -> None:
    by_subject = levels(database.check(parse("[store]\nmax_bytes = 1048576", "t"), path, NOW))
    assert by_subject.pop(str(path.parent)) in ("ok", "warning")  # depends on the file system of this machine
    assert set(by_subject.values()) == {"ok"}


def test_checks_do_not_change_the_database(path: Path) -> None:
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    list(database.check(Config(), path, NOW))
    assert path.read_bytes() == before["seclink.db"]
    assert {file.name for file in path.parent.iterdir()} - before.keys() <= {"seclink.db-shm", "seclink.db-wal"}


def test_damaged_database_is_fixed_by_a_restore(path: Path) -> None:
    """CR-06"""
    content = bytearray(path.read_bytes())
    content[5000:9000] = bytes(4000)
    path.write_bytes(content)
    [finding] = problems(database.check(Config(), path, NOW))
    assert finding.subject == str(path)
    assert "seclink restore" in finding.fix


@pytest.mark.parametrize(
    ("change", "fix"),
    [
        ("PRAGMA user_version = 99", "install that release again"),
        ("PRAGMA application_id = 1", "[store] path = "),
        ("DROP TABLE events", "seclink restore"),
    ],
)
def test_fix_matches_the_fault(path: Path, change: str, fix: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(change)
    [finding] = problems(database.check(Config(), path, NOW))
    assert fix in finding.fix


@pytest.mark.parametrize("fault", StoreFault)
def test_fix_does_not_depend_on_the_message(path: Path, monkeypatch: pytest.MonkeyPatch, fault: StoreFault) -> None:
    def refuse(_: Path) -> None:
        raise StoreUnusable("any other words", fault)

    monkeypatch.setattr(database, "inspect", refuse)
    [finding] = problems(database.check(Config(), path, NOW))
    assert finding.fix == database.FIXES[fault].format(path=path)


def test_unreadable_database_is_not_fixed_by_a_restore(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    [finding] = problems(database.check(Config(), path, NOW))
    assert (finding.observation, "as root" in finding.fix) == ("cannot be read by this user", True)


def test_empty_file_and_folder_are_reported(path: Path) -> None:
    path.write_bytes(b"")
    assert levels(database.check(Config(), path, NOW))[str(path)] == "warning"
    connection.open_or_create(path)
    assert levels(database.check(Config(), path, NOW))[str(path)] == "ok", "the next start did not make it a database"
    [finding] = problems(database.check(Config(), path.parent, NOW))
    assert (finding.observation, "[store] path = " in finding.fix) == ("is not a file", True)


@pytest.mark.parametrize(
    ("change", "subject", "level"),
    [
        ("PRAGMA user_version = 1", "{path}", "problem"),
        ("PRAGMA user_version = 99", "{path}", "problem"),
        ("PRAGMA application_id = 1", "{path}", "problem"),
        ("PRAGMA journal_mode = DELETE", "journal_mode", "problem"),
        ("UPDATE meta SET clock_mark = {later}", "the clock", "problem"),
        ("INSERT INTO events (secret, at, type) VALUES (9, 9, 'created')", "{path}", "problem"),
        ("INSERT INTO audit VALUES (1, '{{}}', 'no digest')", "the audit trail", "problem"),
    ],
)
def test_changed_database_is_reported(path: Path, change: str, subject: str, level: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(change.format(later=NOW + 3_600_000))
    assert levels(database.check(Config(), path, NOW))[subject.format(path=path)] == level


def test_database_of_an_earlier_release_is_a_warning(tmp_path: Path) -> None:
    schema_snapshots.load("2", tmp_path / "seclink.db")
    path = tmp_path / "seclink.db"
    assert levels(database.check(Config(), path, NOW))[str(path)] == "warning"


@pytest.mark.parametrize("change", FOREIGN_SCHEMAS.values(), ids=FOREIGN_SCHEMAS)
def test_changed_schema_is_a_problem(path: Path, change: str) -> None:
    """FOR-03: it could keep what is erased."""
    change_schema(path, change)
    [finding] = problems(database.check(Config(), path, NOW))
    assert (finding.subject, "seclink restore" in finding.fix) == (str(path), True)


def test_log_that_is_not_truncated_is_reported(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "MAX_LOG_BYTES", 1000)
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE meta SET clock_mark = clock_mark + 1")
        db.commit()
        by_subject = levels(database.check(Config(), path, NOW))
    assert by_subject[f"{path}-wal"] == "warning"


def test_disk_smaller_than_max_bytes_is_fixed_by_the_suggested_limit(path: Path) -> None:
    config = parse("[store]\nmax_bytes = 17592186044416", "t")
    [finding] = [finding for finding in database.check(config, path, NOW) if finding.subject == "the disk"]
    assert finding.level == "warning"
    again = parse(finding.fix.replace("] ", "]\n"), "t")
    assert levels(database.check(again, path, NOW))["the disk"] == "ok"


@pytest.mark.parametrize(("kind", "level"), [("tmpfs", "warning"), ("nfs4", "warning"), ("ext4", "ok")])
def test_ephemeral_or_network_file_system_is_reported(
    path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, level: str
) -> None:
    monkeypatch.setattr(database, "file_system", lambda _: kind)
    assert levels(database.check(Config(), path, NOW))[str(path.parent)] == level


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
def test_sqlite_with_a_known_bug_is_reported(version: tuple[int, ...], level: str) -> None:
    finding = machine.sqlite(version)
    assert finding.level == level
    if level == "warning":
        for words in (".".join(map(str, version)), "3.51.3", "damages the database", "another program"):
            assert words in finding.observation
        assert "seclink backup" in finding.fix


@pytest.mark.parametrize(
    ("listed", "level"), [("", "ok"), ("/dev/zram0 partition 1 0 5\n", "ok"), ("/swapfile file 1 0 -2\n", "warning")]
)
def test_swap_on_disk_is_reported(tmp_path: Path, listed: str, level: str) -> None:
    (tmp_path / "swaps").write_text(f"Filename Type Size Used Priority\n{listed}")
    assert machine.swap(tmp_path / "swaps").level == level
    assert machine.swap(tmp_path / "none").level == "ok"


@pytest.mark.parametrize(
    ("profile", "standard", "strong", "gigabytes", "level", "observation"),
    [
        ("standard", 0.03, 0.1, 4, "ok", "this machine can afford strong"),
        ("standard", 0.03, 0.1, 1, "ok", "is standard"),
        ("standard", 0.2, 0.8, 4, "ok", "is standard"),
        ("standard", 0.6, 2.0, 4, "warning", "is slow here"),
        ("strong", 0.03, 0.1, 4, "ok", "is strong"),
        ("strong", 0.2, 0.8, 4, "warning", "which is slow here"),
    ],
)
def test_passcode_profile_is_suggested_by_its_cost(
    profile: str, standard: float, strong: float, gigabytes: int, level: str, observation: str
) -> None:
    config = parse(f'[passcodes]\nprofile = "{profile}"', "t")
    finding = machine.passcodes(config, {"standard": standard, "strong": strong}, gigabytes * 2**30)
    assert (finding.level, observation in finding.observation) == (level, True)
    assert ("afford" in finding.observation) is ("afford" in observation)


def test_machine_is_measured_and_limits_are_compared() -> None:
    findings = list(machine.check(parse("[server]\nrequests = 1", "t"), os.getpid()))
    assert levels(findings)["open files"] == "ok"
    [observation] = [finding.observation for finding in findings if finding.subject == "passcodes.profile"]
    assert "standard" in observation
    assert " ms" in observation


def test_too_few_open_files_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "soft_limits", lambda _: {"Max open files": 1024, "Max core file size": None})
    by_subject = levels(machine.check(Config(), 1))
    assert (by_subject["open files"], by_subject["core dumps"]) == ("problem", "warning")
