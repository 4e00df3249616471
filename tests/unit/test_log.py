"""Every event is one line, with listed fields only."""

import io
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seclink.config.schema import LogOptions
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


def log_line(form: str, value: str, level: str = "debug") -> str:
    stream = io.StringIO()
    Log(LogOptions(level=level, format=form), stream).info("happened", detail=value)  # type: ignore[arg-type]
    return stream.getvalue()


@pytest.mark.parametrize("form", ["json", "human"])
@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_value_stays_on_one_line(form: str, value: str) -> None:
    """LOG-02"""
    check_line(form, log_line(form, value))


@pytest.mark.parametrize("form", ["json", "human"])
@given(value=st.text(st.characters(codec=None), max_size=300))
def test_any_text_stays_on_one_line(form: str, value: str) -> None:
    """LOG-02"""
    check_line(form, log_line(form, value))


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
def test_unlisted_field_is_rejected(name: str) -> None:
    """LOG-01: the list is closed, so that a new field cannot log a secret by accident."""
    assert name not in FIELDS
    with pytest.raises(ValueError, match="not a log field"):
        Log(LogOptions(), io.StringIO()).error("happened", **{name: "x"})


@pytest.mark.parametrize("level", LEVELS)
def test_level_is_the_lowest_that_is_logged(level: str) -> None:
    stream = io.StringIO()
    log = Log(LogOptions(level=level, format="json"), stream)  # type: ignore[arg-type]
    for name in LEVELS:
        getattr(log, name)("happened")
    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == list(LEVELS[LEVELS.index(level) :])


def test_automatic_format_is_json_without_a_terminal() -> None:
    assert json.loads(log_line("auto", "x"))["detail"] == "x"


def journal(tmp_path: Path, form: str) -> tuple[str, str]:
    """Return the lines of two events in a file that the environment declares to be the journal."""
    with (tmp_path / "journal").open("w+") as stream:
        status = os.fstat(stream.fileno())
        log = Log(LogOptions(format=form), stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})  # type: ignore[arg-type]
        log.info("created", receipt="abc")
        log.error("reaper", detail="a\nb")
        stream.seek(0)
        first, second = stream.read().splitlines()
        return first, second


def test_journal_lines_have_a_priority_and_no_time(tmp_path: Path) -> None:
    """The journal adds the time, and `journalctl -p warning` filters by priority."""
    assert journal(tmp_path, "auto") == ("<6>created receipt=abc", "<3>reaper detail=a\\u000ab")
    assert journal(tmp_path, "json") == (
        '<6>{"event":"created","receipt":"abc"}',
        '<3>{"event":"reaper","detail":"a\\\\u000ab"}',
    )


def test_redirected_stream_is_not_the_journal(tmp_path: Path) -> None:
    """Every process that a service starts inherits the variable."""
    with (tmp_path / "file").open("w") as stream:
        assert not Log(LogOptions(), stream, {"JOURNAL_STREAM": "1:2"}).is_journal


def test_level_and_format_change_while_in_use() -> None:
    stream = io.StringIO()
    log = Log(LogOptions(level="error", format="json"), stream)
    log.info("hidden")
    log.reconfigure(LogOptions(level="debug", format="human"))
    log.debug("shown", count=1)
    assert re.fullmatch(r"\d\d:\d\d:\d\d debug   shown      count=1\n", stream.getvalue())
