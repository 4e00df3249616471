"""A line stays one line, and says only what it may."""

import io
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seclink.config.schema import LogOptions as Settings
from seclink.telemetry.log import FIELDS, LEVELS, Log

HOSTILE = [
    "a\r\nb",
    "a\nFAKE error line",
    "\x1b[31mred\x1b[0m",
    "x" * 1_000_000,
    "a\u2028b\u2029c",
    "a\x00b",
    "\ud800",
    "\u202eabc",
    "\x85",
]


def written(form: str, value: str, level: str = "debug") -> str:
    stream = io.StringIO()
    Log(Settings(level=level, format=form), stream).info("happened", detail=value)  # type: ignore[arg-type]
    return stream.getvalue()


@pytest.mark.parametrize("form", ["json", "human"])
@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_value_stays_in_its_line(form: str, value: str) -> None:
    """LOG-02"""
    check_line(form, written(form, value))


@pytest.mark.parametrize("form", ["json", "human"])
@given(value=st.text(st.characters(codec=None), max_size=300))
def test_no_text_breaks_a_line(form: str, value: str) -> None:
    """LOG-02"""
    check_line(form, written(form, value))


def check_line(form: str, line: str) -> None:
    assert line.endswith("\n")
    assert len(line) < 2000
    assert line[:-1].isprintable()
    assert len(line.splitlines()) == 1
    line.encode()
    if form == "json":
        assert json.loads(line).keys() == {"at", "level", "event", "detail"}


@pytest.mark.parametrize(
    "name", ["link_id", "passcode", "token", "note", "label", "query", "body", "proof", "blob", "user_agent"]
)
def test_field_that_is_not_on_the_list_is_refused(name: str) -> None:
    """LOG-01: a closed list, so that nobody logs a secret by adding a field."""
    assert name not in FIELDS
    with pytest.raises(ValueError, match="not a log field"):
        Log(Settings(), io.StringIO()).error("happened", **{name: "x"})


@pytest.mark.parametrize("level", LEVELS)
def test_level_is_the_least_important_that_is_written(level: str) -> None:
    stream = io.StringIO()
    log = Log(Settings(level=level, format="json"), stream)  # type: ignore[arg-type]
    for each in LEVELS:
        getattr(log, each)("happened")
    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == list(LEVELS[LEVELS.index(level) :])


def test_form_is_json_where_nobody_watches() -> None:
    assert json.loads(written("auto", "x"))["detail"] == "x"


def journal(tmp_path: Path, form: str) -> tuple[str, str]:
    """What two events look like in a file that the environment says is the journal."""
    with (tmp_path / "journal").open("w+") as stream:
        found = os.fstat(stream.fileno())
        log = Log(Settings(format=form), stream, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})  # type: ignore[arg-type]
        log.info("created", receipt="abc")
        log.error("reaper", detail="a\nb")
        stream.seek(0)
        first, second = stream.read().splitlines()
        return first, second


def test_journal_is_told_the_level_and_no_time(tmp_path: Path) -> None:
    """It has a time of its own, and the priority is what `journalctl -p warning` goes by."""
    assert journal(tmp_path, "auto") == ("<6>created receipt=abc", "<3>reaper detail=a\\u000ab")
    assert journal(tmp_path, "json") == (
        '<6>{"event":"created","receipt":"abc"}',
        '<3>{"event":"reaper","detail":"a\\\\u000ab"}',
    )


def test_file_that_is_not_the_journal_is_none(tmp_path: Path) -> None:
    """The variable is inherited by whatever is started from a service."""
    with (tmp_path / "file").open("w") as stream:
        assert not Log(Settings(), stream, {"JOURNAL_STREAM": "1:2"}).is_journal


def test_settings_can_change_while_it_is_in_use() -> None:
    stream = io.StringIO()
    log = Log(Settings(level="error", format="json"), stream)
    log.info("hidden")
    log.reconfigure(Settings(level="debug", format="human"))
    log.debug("shown", count=1)
    assert re.fullmatch(r"\d\d:\d\d:\d\d debug   shown      count=1\n", stream.getvalue())
