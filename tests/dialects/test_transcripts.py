"""Every transcript of every dialect, against an appliance of its own."""

from pathlib import Path
from typing import Any

import pytest
from replaying import Replay, load, transcripts

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("path", transcripts(), ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_transcript_is_what_happens(make_appliance: Any, path: Path) -> None:
    said = load(path)
    assert said["comment"]
    made = await make_appliance(said["toml"]) if "toml" in said else await make_appliance()
    await Replay(made).run(said)
