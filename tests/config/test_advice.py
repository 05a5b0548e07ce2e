"""What `check` warns of: what nothing reaches, and names that nothing ever had."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from router.cli import app
from router.config import ConfigError, Seen, check
from router.ledger import Ledger
from router.schema import Application, Event, Job, Stage
from router.seen import seen_in
from tests.factories import PARTITION, claim_one, make_event, make_receipt, make_routed
from tests.router.test_config import ENVIRONMENT, SOURCES
from tests.router.test_rules import event

SINKS = 'sinks:\n  one: {type: http, url: "${MY_SERVICE_URL}"}\n  two: {type: http, url: "${MY_SERVICE_URL}"}\n'
SEEN = Seen(
    412,
    {
        "stage": {"Application Review", "Virtual Onsite", "Phone Screen"},
        "job": {f"Engineer {number}" for number in range(9)},
        "department": {"Engineering", "Sales"},
        "office": set(),
        "candidate source": {"Grandma Ada Lovelace"},
    },
)


def problems(folder: Path, routes: str, *, seen: Seen | None = None, sinks: str = SINKS) -> tuple[ConfigError, ...]:
    file = folder / "config.yaml"
    file.write_text(SOURCES + sinks + routes)
    return check(file, ENVIRONMENT, seen).problems


def told(folder: Path, when: str, seen: Seen = SEEN) -> list[str]:
    """The warnings about one route with these conditions."""
    found = problems(folder, f"routes:\n  - send_to: [one, two]\n    when: {when}\n", seen=seen)
    assert all(problem.is_warning for problem in found)
    return [problem.sentence for problem in found]


class TestUnused:
    def test_a_sink_is_used_by_a_route_or_by_the_default(self, tmp_path: Path) -> None:
        assert problems(tmp_path, "routes: [{send_to: [one, two]}]") == ()
        assert problems(tmp_path, "routes: [{send_to: one, when: {test: no}}]\ndefault: {send_to: two}") == ()
        assert problems(tmp_path, "routes: [{send_to: one}, {send_to: two, enabled: no}]") == ()
        assert problems(tmp_path, "routes: [{send_to: [one, {two: {timeout: 5s}}]}]")[0].is_warning is False

    def test_one_that_is_not_is_told(self, tmp_path: Path) -> None:
        [problem] = problems(tmp_path, "routes: [{send_to: two}]")
        assert (problem.line, problem.column, problem.words, problem.is_warning) == (5, 3, "one", True)
        assert str(problem).startswith(f'{tmp_path}/config.yaml:5:3: warning: no route sends to "one"')

    def test_not_where_a_mistake_in_the_routes_may_be_why(self, tmp_path: Path) -> None:
        [problem] = problems(tmp_path, "routes: [{send_to: [one, tow]}]")
        assert 'did you mean "two"' in problem.sentence

    def test_also_where_something_else_is_wrong(self, tmp_path: Path) -> None:
        warning, error = problems(
            tmp_path, "routes: [{send_to: one}]", sinks=SINKS.replace("MY_SERVICE", "MY_OTHER", 1)
        )
        assert (warning.is_warning, error.is_warning) == (True, False)  # what is missing outside of the file comes last

    def test_a_default_beside_a_route_for_everything(self, tmp_path: Path) -> None:
        routes = "routes: [{name: all, send_to: [one, two]ENABLED}]\ndefault: {send_to: one}"
        [problem] = problems(tmp_path, routes.replace("ENABLED", ""))
        assert problem.is_warning
        assert problem.words == "default"
        assert problems(tmp_path, routes.replace("ENABLED", ", enabled: no")) == ()


class TestUnreachable:
    ROUTES = (
        "routes:\n  - {name: first, when: {department: [Sales, Legal]}, stop: STOP, send_to: one}\n"
        "  - {name: second, when: {department: legal, event: StageChanged}, send_to: two}\n"
    )

    def test_below_a_wider_route_that_stops(self, tmp_path: Path) -> None:
        [problem] = problems(tmp_path, self.ROUTES.replace("STOP", "true"))
        assert not problem.is_warning
        assert (problem.line, problem.words) == (9, "")
        assert problem.sentence.startswith('the route "second" is never reached: "first" above it matches all that')

    def test_not_below_one_that_goes_on_or_is_switched_off(self, tmp_path: Path) -> None:
        assert problems(tmp_path, self.ROUTES.replace("STOP", "false")) == ()
        assert problems(tmp_path, self.ROUTES.replace("STOP", "true, enabled: false")) == ()
        below = self.ROUTES.replace("STOP", "true").replace("name: second", "name: second, enabled: false")
        assert problems(tmp_path, below) == ()

    def test_each_one_has_its_own_line_also_without_names(self, tmp_path: Path) -> None:
        routes = "routes:\n  - {enabled: no, send_to: one}\n  - {stop: yes, send_to: one}\n  - send_to: one\n"
        found = problems(tmp_path, routes + "  - send_to: two\n")
        assert [(problem.line, problem.sentence.split('"')[1]) for problem in found] == [
            (10, "everything to one (3)"),
            (11, "everything to two"),
        ]


class TestNeverSeen:
    @pytest.mark.parametrize(
        ("when", "words"),
        [
            (
                '{to_stage: "*Onsit *"}',
                'no stage in the newest 412 events is "*Onsit *"; did you mean "Virtual Onsite"?',
            ),
            ("{from_stage: Phone Scren}", '"Phone Scren"; did you mean "Phone Screen"?'),
            (
                "{application.stage.name: Offr}",
                'is "Offr"; seen were "Application Review", "Phone Screen" and "Virtual',
            ),
            (
                "{job: Gardener}",
                '"Gardener"; seen were "Engineer 0", "Engineer 1", "Engineer 2", "Engineer 3" and 5 more',
            ),
            ("{job.departments: {not: [Sales, Sails]}}", 'no department in the newest 412 events is "Sails"; did you'),
            ("{any: [{department: Sales}, {department: Slaes}]}", 'is "Slaes"; did you mean "Sales"?'),
            ("{candidate_source: Linkedin}", 'no candidate source in the newest 412 events is "Linkedin"; check how'),
        ],
    )
    def test_a_name_that_no_event_had(self, tmp_path: Path, when: str, words: str) -> None:
        [sentence] = told(tmp_path, when)
        assert words in sentence
        assert "Lovelace" not in sentence

    @pytest.mark.parametrize(
        "when",
        [
            '{to_stage: "*onsite*", from_stage: [phone screen, " Application review"]}',
            "{office: Nowhere}",
            "{candidate: Nobody}",
            "{to_stage: {present: true}}",
            "{job.custom_fields.team: Nothing}",
        ],
    )
    def test_what_was_seen_or_can_not_be_known(self, tmp_path: Path, when: str) -> None:
        assert told(tmp_path, when) == []

    def test_it_is_told_at_its_place_also_under_unless(self, tmp_path: Path) -> None:
        routes = "routes:\n  - send_to: [one, two]\n    unless:\n      department: [Sales, Sails]\n"
        [problem] = problems(tmp_path, routes, seen=SEEN)
        assert (problem.line, problem.column, problem.words) == (10, 27, "Sails")


# --- what was seen ---------------------------------------------------------------------------------------------------


async def stored(ledger: Ledger, *events: Event) -> None:
    for number, what in enumerate(events):
        receipt = make_receipt(f"{number}", [(f"s{number}", b"item")])

        await ledger.accept(PARTITION, [receipt])
        claim = await claim_one(ledger)
        made = make_event(receipt.id)
        kept = type(made)(made.id, what.type, what.model_dump_json().encode(), made.routes, made.deliveries)
        await ledger.commit(PARTITION, [make_routed(claim, receipt.id, [kept])])


async def test_the_names_in_stored_events(ledger: Ledger) -> None:
    job = Job(title="Chef", departments=["Kitchen", "Bar"], offices=["Berlin"])
    application = Application(id="1", stage=Stage(name="Trial shift"), source="Referral")
    first = event(job=job, application=application, to_stage=None, from_stage=None)
    made_up = event(job=job.model_copy(update={"title": "Sample"}), test=True)
    await stored(ledger, first, event(), made_up)
    seen = await seen_in(ledger)
    assert seen.events == 2
    assert seen.names["job"] == {"Chef", "Engineer [L5]?"}
    assert seen.names["stage"] == {"Trial shift", "Virtual Onsite", "Phone Screen"}
    assert seen.names["department"] == {"Kitchen", "Bar", "Engineering", "Platform"}
    assert seen.names["office"] == {"Berlin"}
    assert seen.names["candidate source"] == {"Referral"}
    assert (await seen_in(ledger, 1)).events <= 1


# --- the command -----------------------------------------------------------------------------------------------------


def run(*words: str) -> Result:
    return CliRunner(env={**ENVIRONMENT, "COLUMNS": "200"}).invoke(app, ["check", *words])


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ATS_ROUTER_CONFIG", raising=False)
    file = tmp_path / "config.yaml"
    file.write_text(SOURCES + SINKS + "routes:\n  - send_to: two\n    when: {department: Enginering}\n")
    return file


def as_json() -> list[dict[str, Any]]:
    result: list[dict[str, Any]] = json.loads(run("--json").stdout)
    return result


def test_with_warnings_only_the_file_is_good(file: Path) -> None:
    result = run()
    assert result.exit_code == 0
    assert result.stdout == "config.yaml is good: 1 source, 2 sinks, 1 route, 1 warning.\n"
    assert result.stderr.startswith("config.yaml:5:3: warning: no route sends to")
    assert run("--json").exit_code == 0


def test_all_problems_as_json(file: Path) -> None:
    file.write_text(file.read_text().replace("department:", "departmnt:") + "retention: {event: 3d}\n")
    assert run("--json").exit_code == 2
    first, second = as_json()
    assert first == {
        "severity": "error",
        "file": "config.yaml",
        "line": 9,
        "column": 12,
        "words": "departmnt",
        "message": 'an event has no field "departmnt"; did you mean "department"?',
    }
    assert (second["line"], second["words"]) == (10, "event")


def test_a_file_that_can_not_be_read_as_json(file: Path) -> None:
    file.unlink()
    [problem] = as_json()
    assert (problem["severity"], problem["line"], problem["words"]) == ("error", None, "")


def test_a_secret_is_not_among_the_words(file: Path) -> None:
    file.write_text(
        file.read_text().replace("${GREENHOUSE_SECRET}", "hunter2").replace("http,", "http, secret: hunter2,")
    )
    problems = as_json()
    assert len([problem for problem in problems if "secret must not stand" in problem["message"]]) >= 2
    assert "hunter2" not in json.dumps(problems)


async def test_names_are_compared_while_a_router_runs(file: Path, url: str, ledger: Ledger) -> None:
    await stored(ledger, event())
    result = await asyncio.to_thread(_checked_at, url, file)
    assert result.exit_code == 0
    assert 'no department in the newest event is "Enginering"; did you mean "Engineering"?' in result.stderr
    assert result.stdout.endswith(", 1 warning.\nIts names were compared with those of the newest event.\n")
    assert "Zoë" not in result.output


def _checked_at(url: str, file: Path) -> Result:
    text = file.read_text().replace("send_to: two", "send_to: [one, two]")
    file.write_text(f'redis: {{url: "{url}"}}\n{text}')
    return run()


class TestSeveralInOne:
    @pytest.mark.parametrize(
        "written", ["Engineering or Platform", "Engineering | Platform", "Engineering OR Platform"]
    )
    def test_an_or_in_a_name_is_hardly_meant(self, tmp_path: Path, written: str) -> None:
        routes = f"routes: [{{when: {{department: '{written}'}}, send_to: [one, two]}}]"
        [problem] = problems(tmp_path, routes)
        assert problem.is_warning
        assert "write a list: [Engineering, Platform]" in problem.sentence

    @pytest.mark.parametrize("written", ["Sales and Marketing", "Corporate", "R&D, Berlin", "Orion"])
    def test_names_may_hold_much(self, tmp_path: Path, written: str) -> None:
        assert not problems(tmp_path, f"routes: [{{when: {{department: '{written}'}}, send_to: [one, two]}}]")


class TestWrittenOtherwise:
    @pytest.mark.parametrize(
        ("when", "meant"),
        [
            ("{department: not Sales}", "write {not: Sales}"),
            ("{department: '!= Sales'}", "write {not: Sales}"),
            ("{job: '/engineer/'}", 'written with stars: "*engineer*"'),
            ("{job: 'Senior.*Engineer'}", 'written with stars: "*Senior*Engineer*"'),
            ("{job: '%Engineer%'}", 'written with stars: "*Engineer*"'),
            ("{to_stage: Screen → Onsite}", "from_stage: Screen and to_stage: Onsite"),
            ("{office: ' '}", "write {present: false}"),
        ],
    )
    def test_what_other_languages_say(self, tmp_path: Path, when: str, meant: str) -> None:
        [problem] = problems(tmp_path, f"routes: [{{when: {when}, send_to: [one, two]}}]")
        assert problem.is_warning
        assert meant in problem.sentence

    @pytest.mark.parametrize(
        "name", ["Not a fit", "100%", "50% Sales", "C++ / Go", "/r", "US$", "Notary", "a.b*", "!", "Sales -> EMEA", "^"]
    )
    def test_names_may_look_like_it(self, tmp_path: Path, name: str) -> None:
        assert not problems(tmp_path, f"routes: [{{when: {{department: '{name}'}}, send_to: [one, two]}}]")
