"""Every transcript of every dialect, against an appliance of its own."""

from pathlib import Path

import pytest
from support.appliance import MakeAppliance
from transcripts import TranscriptRunner, load, transcripts

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("path", transcripts(), ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_responses_are_as_in_the_transcript(make_appliance: MakeAppliance, path: Path) -> None:
    transcript = load(path)
    assert transcript["comment"]
    appliance = await make_appliance(transcript["toml"]) if "toml" in transcript else await make_appliance()
    await TranscriptRunner(appliance).run(transcript)
