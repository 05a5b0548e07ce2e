"""docs/sinks.md is what the sinks themselves say."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import sinks
from router.cli import app
from router.units import Seconds, as_written
from sinks.base import SinkSettings

ROOT = Path(__file__).parents[2]


def test_the_published_page_is_current() -> None:
    printed = CliRunner().invoke(app, ["sinks", "--markdown"]).stdout
    assert (ROOT / "docs" / "sinks.md").read_text() == printed, "run: ats-router sinks --markdown > docs/sinks.md"


@pytest.mark.parametrize("kind", sinks.by_type())
def test_every_sink_and_every_setting_is_told(kind: str) -> None:
    section = (ROOT / "docs" / "sinks.md").read_text().partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
    own = sinks.by_type()[kind].Settings.model_fields.keys() - SinkSettings.model_fields.keys()
    assert own
    assert all(f"| `{name}` |" in section for name in own)
    assert all(field.description for field in sinks.by_type()[kind].Settings.model_fields.values())


def test_they_are_listed() -> None:
    assert "by a unique column" in CliRunner().invoke(app, ["sinks"]).stdout
    assert '"type": "slack"' in CliRunner().invoke(app, ["sinks", "--json"]).stdout


def test_defaults_are_told_as_people_write_them() -> None:
    duration = Seconds.__metadata__  # type: ignore[attr-defined]
    values = [(15.0, duration), (60.0, duration), (True, ()), (None, ()), (64, ()), ((), ())]
    assert [as_written(value, metadata) for value, metadata in values] == ["15s", "1m", "true", "-", "64", "-"]
