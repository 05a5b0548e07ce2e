"""docs/routing-templates.md: its files are good, and its templates become what the page says."""

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from router.allowed import ALWAYS
from router.preview import sample_event
from router.schema import Candidate, EventType, Job, Person
from router.templates import PLAIN, compiled
from router.templates.filters import FILTERS
from router.templates.language import LINK, MENTION
from tests.config.test_routing_doc import ENVIRONMENT
from tests.router.test_config import loaded

PAGE = (Path(__file__).parents[2] / "docs" / "routing-templates.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"<!-- example -->\n```yaml\n(.*?)```", PAGE, re.DOTALL)
ROWS = re.findall(r"^\| `(.*)` \| (.*?) ?\|$", PAGE, re.MULTILINE)
EVENT = sample_event(EventType.STAGE_CHANGED).model_copy(
    update={
        "candidate": Candidate(name="Ada Lovelace"),
        "job": Job(
            title="Backend Engineer",
            departments=["Engineering"],
            recruiters=[
                Person(name="Grace Hopper", email="grace@example.com"),
                Person(name="Alan Turing", email="alan@example.com"),
            ],
            custom_fields={"Cost Centre": 4711},
        ),
    }
)


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_good(tmp_path: Path, example: str) -> None:
    assert loaded(tmp_path, example, ENVIRONMENT).rules.routes


def test_the_zone_of_the_company_is_that_of_its_sinks_unless_they_have_one(tmp_path: Path) -> None:
    config = loaded(tmp_path, EXAMPLES[0], ENVIRONMENT)
    assert (config.timezone, config.sinks["recruiters"].timezone) == ("Europe/Berlin", "Europe/Berlin")
    own = EXAMPLES[0].replace("    type: slack\n", "    type: slack\n    timezone: Asia/Tokyo\n")
    assert loaded(tmp_path, own, ENVIRONMENT).sinks["recruiters"].timezone == "Asia/Tokyo"
    assert loaded(tmp_path, EXAMPLES[2], ENVIRONMENT).sinks["it-tickets"].timezone == "UTC"


@pytest.mark.parametrize(("written", "shown"), ROWS)
def test_rows_become_what_they_say(written: str, shown: str) -> None:
    template = compiled(written.replace("\\|", "|"), PLAIN)
    assert template.text(EVENT, ZoneInfo("Europe/Berlin")).strip() == shown


def test_every_filter_and_every_field_that_stays_is_told() -> None:
    assert len(EXAMPLES) == 5
    assert len(ROWS) > 15
    for name in (*FILTERS, LINK, MENTION):
        assert re.search(rf"\| {name}\b", PAGE), name
    for name in ALWAYS:
        assert f"`{name}`" in PAGE, name
