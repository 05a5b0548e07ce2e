import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from router.cli import app
from router.preview import NotAnEvent, print_preview, read_event, sample_event
from router.schema import EventType

CONFIG = """
sources: {}
sinks:
  recruiters:
    type: slack
    token: ${TOKEN}
    channel: hiring
  service:
    type: http
    url: https://example.com/hook
routes: []
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOKEN", "xoxb-1-S3CRET")
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    return path


def preview(config: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["preview", *arguments, "--config", str(config)])
    assert result.exit_code == 0, result.output
    return result.output


def test_slack_message_as_people_see_it(config: Path) -> None:
    shown = preview(config, "recruiters")
    assert "Ada Lovelace moved from Phone Screen to Onsite" in shown
    assert "Open application  ·  Open job" in shown
    assert "Notification: Ada Lovelace moved" in shown
    assert "<!date" not in shown


def test_a_message_in_own_words(config: Path) -> None:
    template = "*{{ candidate.name }}* <R&D>\\n{{ application.url | link('Open') }}"
    config.write_text(
        config.read_text().replace("    channel: hiring\n", f'    channel: hiring\n    template: "{template}"\n')
    )
    shown = preview(config, "recruiters")
    assert "*Ada Lovelace* <R&D>" in shown
    assert "Open" in shown
    assert "https" not in shown
    assert "Notification: Ada Lovelace" in shown


def test_who_is_mentioned(config: Path) -> None:
    own = 'template: "{{ recruiter | mention }} {{ candidate }}"\n    people: {ann.lee@example.com: U012AB3CD}'
    config.write_text(config.read_text().replace("    channel: hiring\n", f"    channel: hiring\n    {own}\n"))
    shown = preview(config, "recruiters")
    assert "│ @U012AB3CD Ada Lovelace" in shown
    assert "Notification: Ann Lee Ada Lovelace" in shown


def test_another_type(config: Path) -> None:
    assert "Ada Lovelace was hired" in preview(config, "recruiters", "--type", "OutcomeChanged")


def test_an_event_of_ones_own(config: Path, tmp_path: Path) -> None:
    file = tmp_path / "event.json"
    event = sample_event(EventType.APPLICATION_CREATED).model_copy(update={"test": True})
    file.write_text(event.model_dump_json())
    assert "TEST Ada Lovelace applied" in preview(config, "recruiters", "--event", str(file))


def test_the_exact_json(config: Path) -> None:
    sent = json.loads(preview(config, "recruiters", "--json"))
    assert sent["metadata"]["event_payload"]["delivery_key"].startswith("dlv_")
    assert "S3CRET" not in json.dumps(sent)


def test_a_sink_that_sends_the_event_itself(config: Path) -> None:
    assert json.loads(preview(config, "service"))["to_stage"]["name"] == "Onsite"
    assert json.loads(preview(config, "service", "--json"))["to_stage"]["name"] == "Onsite"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody"], "there is no sink 'nobody'"),
        (["service", "--event", "/nowhere/event.json"], "can't be read"),
        (["service", "--event", "{config}"], "is not an event"),
    ],
)
def test_misuse(config: Path, arguments: list[str], words: str) -> None:
    given = [argument.format(config=config) for argument in arguments]
    result = CliRunner().invoke(app, ["preview", *given, "--config", str(config)])
    assert result.exit_code == 2
    assert words in result.output


def test_what_is_no_event_is_told_without_its_values() -> None:
    with pytest.raises(NotAnEvent) as told:
        read_event(b'{"id": "evt_1", "type": "Ada Lovelace"}')
    assert "type" in str(told.value)
    assert "Ada" not in str(told.value)


@pytest.mark.parametrize("event_type", EventType)
def test_nothing_of_a_terminal_is_taken_over(event_type: EventType) -> None:
    event = sample_event(event_type)
    assert event.candidate is not None
    hostile = event.candidate.model_copy(update={"name": "\x1b[31mRed\u202e[bold]"})
    console = Console(width=200)
    with console.capture() as captured:
        print_preview(event.model_copy(update={"candidate": hostile}).model_dump_json().encode(), console)
    assert not {"\x1b", "\u202e"} & set(captured.get())
    assert "[bold]" in captured.get()
