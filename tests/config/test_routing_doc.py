"""docs/routing.md as somebody follows it: every file in it works, and says what the page says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import sinks
from router.client import Client
from router.config import Config, check, load
from router.config.editor import File
from router.fields import field_names
from router.glossary import as_markdown
from router.schema import Application, Event, EventType, Job, Offer, OfferStatus, Outcome, Person, Stage
from sinks.base import Delivery
from tests.config.test_editor import marked
from tests.router.test_config import SOURCES, loaded
from tests.router.test_rules import event

PAGE = (Path(__file__).parents[2] / "docs" / "routing.md").read_text(encoding="utf-8")
ENVIRONMENT = {
    "GREENHOUSE_SECRET": "gh-secret-1",
    "SLACK_TOKEN": "xoxb-1-2-3",
    "HRIS_DATABASE_URL": "sqlite:///hris_staging.db",
    "IT_TICKETS_URL": "https://it.example.com/tickets",
}
_BLOCK = r"```{}\n(.*?)```"
_STEP = re.compile(rf"<!-- step: (\w+) -->\n{_BLOCK.format('yaml')}", re.DOTALL)
_MISTAKE = re.compile(rf"<!-- mistake: (.*?) -->\n{_BLOCK.format('yaml')}\n{_BLOCK.format('text')}", re.DOTALL)
_ROW = re.compile(r"^\| (an? .*?) \| (.*?) \|$", re.MULTILINE)


@dataclass
class Step:
    name: str
    file: str
    mistakes: list[tuple[str, str, str]] = field(default_factory=list)
    rows: list[tuple[str, str]] = field(default_factory=list)


def steps() -> list[Step]:
    parts = PAGE.partition("\n## Reference")[0].split("\n## Step ")[1:]
    found = []
    for part in parts:
        [(name, file)] = _STEP.findall(part)
        found.append(Step(name, file, _MISTAKE.findall(part), _ROW.findall(part)))
    return found


STEPS = steps()
MISTAKES = [
    pytest.param(step, *mistake, id=f"{step.name}: {mistake[0]}") for step in STEPS for mistake in step.mistakes
]


def written(folder: Path, text: str) -> Path:
    file = folder / "config.yaml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


JOBS: Mapping[str, Mapping[str, Any]] = {
    "Engineering": {"departments": ["Engineering"]},
    "engineering": {"departments": ["engineering"]},
    "Sales": {"departments": ["Sales"]},
    "confidential Engineering": {"departments": ["Engineering"], "custom_fields": {"Confidential": True}},
    "CFO": {"title": "CFO (Confidential)", "departments": ["Finance"]},
}
ANN = Person(name="Ann Lee", email="Ann.Lee@example.com")
APPLICATION = Application(id="1", outcome=Outcome.PENDING)


def happened(words: str) -> Event:
    """The event that a row of the page tells."""
    kind = re.search(r"(?:for|of) a (confidential )?job (?:in|called) (\w+)", words)
    assert kind, words
    job = {"title": "Backend Engineer", "recruiters": [ANN], **JOBS[(kind[1] or "") + kind[2]]}
    told: dict[str, Any] = {"job": Job(**job), "from_stage": None, "to_stage": None, "offer": None}
    if moved := re.search(r"moves to ([\w ]+?) for", words):
        told |= {"type": EventType.STAGE_CHANGED, "to_stage": Stage(name=moved[1])}
    elif decided := re.search(r"is (hired|declined)", words):
        outcome = Outcome(decided[1].upper())
        told |= {"type": EventType.OUTCOME_CHANGED, "application": APPLICATION.model_copy(update={"outcome": outcome})}
    elif "an offer is sent" in words:
        told |= {"type": EventType.OFFER_CHANGED, "offer": Offer(status=OfferStatus.SENT)}
    else:
        assert "applies" in words, words
        told |= {"type": EventType.APPLICATION_CREATED}
    return event(**told)


def test_the_page_has_its_steps() -> None:
    assert [step.name for step in STEPS] == ["everything", "onsites", "offers", "hires", "confidential"]
    assert all(len(step.mistakes) >= 2 and len(step.rows) >= 3 for step in STEPS)
    assert PAGE.count("<!-- mistake:") == len(MISTAKES)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_a_step_sends_events_where_the_page_says(step: Step, tmp_path: Path) -> None:
    file = written(tmp_path, step.file)
    checked = check(file, ENVIRONMENT)
    assert checked.problems == ()
    assert marked(step.file) == []
    assert checked.config is not None
    for words, where in step.rows:
        routes = checked.config.rules.match(happened(words))
        assert ", ".join(to.sink for route in routes for to in route.send_to) == where.replace("nowhere", ""), words


@pytest.mark.parametrize(("step", "line", "instead", "report"), MISTAKES)
def test_a_mistake_is_told_as_the_page_says(step: Step, line: str, instead: str, report: str, tmp_path: Path) -> None:
    lines = step.file.splitlines(keepends=True)
    [first, *_] = [i for i, text in enumerate(lines) if text.strip() == line]
    lines[first] = instead
    written(tmp_path, "".join(lines))
    told = [str(problem).splitlines()[0] for problem in check("config.yaml", ENVIRONMENT).problems]
    assert told == report.splitlines()


def test_the_message_of_an_offer_mentions_the_recruiter(tmp_path: Path) -> None:
    [step] = [step for step in STEPS if step.name == "offers"]
    settings = load(written(tmp_path, step.file), ENVIRONMENT).sinks["offers"]
    sink = sinks.by_type()["slack"](settings, Client())
    offer = happened("an offer is sent for a job in Sales")
    offer = offer.model_copy(
        update={"candidate": offer.candidate and offer.candidate.model_copy(update={"name": "Ada Lovelace"})}
    )
    said = re.search(r'the message "(.*?)"', PAGE)
    assert said
    rendered = sink.render(Delivery("dlv_1", offer.model_dump_json().encode())).decode()
    assert said[1].replace("@Ann Lee", "<@U012AB3CD>") in rendered


def test_the_first_step_is_called_good_as_the_page_says() -> None:
    assert "config.yaml is good: 1 source, 1 sink, 1 route." in PAGE


def test_the_tables_of_fields_are_those_of_the_code() -> None:
    said = PAGE.partition("<!-- fields -->\n")[2].partition("\n<!-- /fields -->")[0]
    assert said == as_markdown(), "print(router.glossary.as_markdown()) between the two marks"
    assert all(f"`{name}" in said for name in field_names())


def test_every_event_and_every_part_of_the_file_is_explained() -> None:
    reference = PAGE.partition("\n## Reference")[2]
    assert all(f"| `{event_type}` |" in reference for event_type in EventType)
    assert {"timezone", "tests", "retention", "server", "redis"} <= File.model_fields.keys()


def conditions() -> list[str]:
    table = PAGE.partition("### Conditions")[2].partition("### Events")[0]
    cells = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    return [text for cell in cells for text in re.findall(r"`([^`]+: [^`]+)`", cell)]


@pytest.mark.parametrize("condition", conditions())
def test_a_condition_of_the_reference_is_one(condition: str, tmp_path: Path) -> None:
    config = _with_route(tmp_path, f"    when:\n      {condition}\n")
    assert config.rules.routes[0].tests


def test_the_part_about_stages_is_one(tmp_path: Path) -> None:
    [part] = re.findall(rf"<!-- part -->\n{_BLOCK.format('yaml')}", PAGE, re.DOTALL)
    config = _with_route(tmp_path, "", part)
    [one, other] = [config.stages.known(Stage(name=name)) for name in ("Final Round", "coffee chat")]
    assert (one.kind, other.kind) == ("INTERVIEW", "SCREEN")


def _with_route(folder: Path, when: str, more: str = "") -> Config:
    sink = 'sinks:\n  my-service: {type: http, url: "${MY_SERVICE_URL}"}\n'
    return loaded(folder, f"{SOURCES}{sink}{more}routes:\n  - name: r\n{when}    send_to: my-service\n")
