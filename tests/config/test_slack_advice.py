"""What `check` warns of in messages to Slack: mentions and fields that are none."""

from pathlib import Path

import pytest

from router.config import check
from tests.router.test_config import ENVIRONMENT, SOURCES

CONFIG = """{sources}
sinks:
  offers:
    type: slack
    token: ${{SLACK_TOKEN}}
    channel: offers
    {settings}
routes:
  - name: offers
    send_to: {send_to}
"""


def warned(folder: Path, settings: str, send_to: str = "offers") -> list[tuple[int, str]]:
    file = folder / "config.yaml"
    file.write_text(CONFIG.format(sources=SOURCES.strip(), settings=settings, send_to=send_to))
    checked = check(file, ENVIRONMENT)
    assert checked.config is not None
    return [(problem.line or 0, problem.sentence) for problem in checked.problems]


def test_a_mention_needs_people(tmp_path: Path) -> None:
    written = 'template: "{{ recruiter | mention }}"'
    sentence = "nobody can be mentioned: write people: into the sink, and below it ann@example.com: U012AB3CD"
    assert warned(tmp_path, written) == [(8, sentence)]
    assert warned(tmp_path, f"{written}\n    people: {{ann@example.com: U012AB3CD}}") == []
    override = "{offers: {template: 'Hi {{ recruiter | mention }}'}}"
    assert warned(tmp_path, "enabled: true", override) == [(11, sentence)]
    assert warned(tmp_path, "people: {ann@example.com: U012AB3CD}", override) == []


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("Hi @{{ recruiter }}", "a @ before a field mentions nobody; write {{ recruiter | mention }}"),
        ("Hi <@{{ recruiter.email }}>", "a @ before a field mentions nobody"),
        ("@here {{ candidate }}", "@here mentions nobody; write <!here>"),
        ("{{ candidate }}, @channel!", "@channel mentions nobody; write <!channel>"),
    ],
)
def test_what_only_looks_like_a_mention(tmp_path: Path, template: str, sentence: str) -> None:
    [(line, told)] = warned(tmp_path, f'template: "{template}"')
    assert line == 8
    assert told.startswith(sentence)


@pytest.mark.parametrize("template", ["<!here> {{ job }}", "ats@here.example {{ job }} @", "<@U012AB3CD> {{ job }}"])
def test_and_what_is_right(tmp_path: Path, template: str) -> None:
    assert warned(tmp_path, f'template: "{template}"') == []
