"""Tests beside the rules: what passes, what fails, and what is said of it."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from router.config import Config, ConfigErrors
from router.config.check import load_tests
from router.schema import Event, EventType, Job
from router.trying.cases import CaseResult, Stored, print_results, run_case, wanted_events
from router.trying.outlook import Outlook
from tests.router.test_headline import make
from tests.router.trying.configs import ROUTES, configured

FIXTURES = Path(__file__).parents[2] / "fixtures" / "greenhouse"
EVENT = "evt_00" + "a" * 24
ONSITE = "fields: {event: StageChanged, to_stage: Onsite, department: Engineering, candidate.name: Ada Lovelace}"
ONSITE_IN_SALES = ONSITE.replace("Engineering", "Sales")


def case(given: str, expected: str) -> str:
    return f"\n  - name: a test\n    {given}\n    {expected}\n"


def run(folder: Path, test: str, stored: Stored | None = None, routes: str = ROUTES) -> CaseResult:
    config = configured(folder, f"{routes}\ntests:{test}")
    [only] = config.tests
    return run_case(only, Outlook(config), stored or {})


def report(*results: CaseResult) -> str:
    stream = io.StringIO()
    print_results(results, "config.yaml", Console(file=stream, highlight=False, soft_wrap=True, width=10_000))
    return stream.getvalue()


def test_a_test_passes_where_exactly_the_expected_sinks_get_it(tmp_path: Path) -> None:
    result = run(tmp_path, case(ONSITE, "send_to: [recruiters, my-service]"))
    assert result.passed
    assert (result.line, list(result.expected)) == (21, ["recruiters", "my-service"])
    assert set(result.got) == set(result.expected)
    assert run(tmp_path, case("fields: {event: OfferChanged}", "send_to: []")).passed


def test_a_failure_tells_what_was_expected_and_which_condition_failed(tmp_path: Path) -> None:
    result = run(tmp_path, case(ONSITE_IN_SALES, "send_to: recruiters"))
    assert not result.passed
    assert report(result).splitlines() == [
        "FAILED config.yaml:21: a test",
        "  expected: recruiters",
        "  got:      my-service",
        "  - recruiters",
        '      interviews: department is "Sales", not "Engineering"',
        "      asleep: it is switched off",
        "  + my-service",
        "      all about applications sends it there",
        "",
        "0 of 1 test passed",
    ]


def test_nowhere_is_said_in_words(tmp_path: Path) -> None:
    lines = report(run(tmp_path, case("fields: {event: OfferChanged}", "send_to: my-service"))).splitlines()
    assert "  got:      nowhere" in lines
    lines = report(run(tmp_path, case("fields: {event: ApplicationCreated}", "send_to: []"))).splitlines()
    assert "  expected: nowhere" in lines


def test_a_sink_to_which_no_route_sends(tmp_path: Path) -> None:
    routes = "routes: [{name: all, send_to: my-service}]"
    result = run(tmp_path, case(ONSITE, "send_to: [my-service, recruiters]"), routes=routes)
    assert result.missing == {"recruiters": ["no route sends to recruiters"]}


def test_of_many_routes_the_first_that_are_about_the_event(tmp_path: Path) -> None:
    whens = ["{event: OfferChanged}"] * 9 + ["{event: StageChanged, job: x}"] * 3
    lines = [f"  - {{name: r{i}, when: {when}, send_to: recruiters}}\n" for i, when in enumerate(whens)]
    routes = f"routes:\n{''.join(lines)}"
    result = run(tmp_path, case(ONSITE, "send_to: recruiters"), routes=routes)
    reasons = result.missing["recruiters"]
    assert len(reasons) == 5
    assert [reason.split(":")[0] for reason in reasons] == ["r9", "r10", "r11", "r0", "r1"]


def test_routes_are_compared_where_they_are_named(tmp_path: Path) -> None:
    sinks = "send_to: [recruiters, my-service]\n    routes: "
    assert run(tmp_path, case(ONSITE, f"{sinks}[interviews, all about applications]")).passed
    result = run(tmp_path, case(ONSITE, f"{sinks}[interviews, asleep]"))
    assert not result.passed
    assert result.missing_routes == {"asleep": ["it is switched off"]}
    assert result.unexpected_routes == ["all about applications"]
    told = report(result)
    assert '  - the route "asleep" does not match\n      it is switched off\n' in told
    assert '  + the route "all about applications" matches\n' in told
    assert not run(tmp_path, case(ONSITE, f"{sinks}[]")).passed


def test_parts_of_the_message_are_looked_for_in_what_people_see(tmp_path: Path) -> None:
    sinks = "send_to: [recruiters, my-service]\n    message: "
    assert run(tmp_path, case(ONSITE, f"{sinks}{{recruiters: [Ada Lovelace moved to  Onsite, Engineering]}}")).passed
    assert run(tmp_path, case(ONSITE, f'{sinks}{{my-service: \'"name": "Ada Lovelace"\'}}')).passed
    result = run(tmp_path, case(ONSITE, f"{sinks}{{recruiters: [Ada, Grace]}}"))
    assert not result.passed
    [lacking] = result.lacking
    assert (lacking.sink, lacking.text) == ("recruiters", "Grace")
    assert '  - the message to recruiters lacks "Grace"; it is\n      | Ada Lovelace moved to Onsite\n' in report(
        result
    )
    assert not run(tmp_path, case(ONSITE, f"{sinks}{{recruiters: ╭}}")).passed


def test_kinds_of_stages_are_those_of_the_configuration(tmp_path: Path) -> None:
    routes = "stages: {ASSESSMENT: Wochenende}\nroutes: [{when: {stage_kind: ASSESSMENT}, send_to: recruiters}]"
    given = "fields: {event: StageChanged, to_stage: Wochenende}"
    assert run(tmp_path, case(given, "send_to: recruiters"), routes=routes).passed
    of_source = 'secret: "${GREENHOUSE_SECRET}", stages: {OFFER: Wochenende}'
    routes = "routes: [{when: {stage_kind: OFFER}, send_to: recruiters}]"
    config = configured(
        tmp_path,
        f"{routes}\ntests:{case(given, 'send_to: recruiters')}",
        {'secret: "${GREENHOUSE_SECRET}"': of_source},
    )
    assert run_case(config.tests[0], Outlook(config), {}).passed


def test_the_only_source_is_where_an_event_comes_from(tmp_path: Path) -> None:
    routes = "routes: [{when: {source: greenhouse, vendor: greenhouse}, send_to: recruiters}]"
    given = "fields: {event: StageChanged}"
    assert run(tmp_path, case(given, "send_to: recruiters"), routes=routes).passed
    two = f"{routes}\ntests:{case(given, 'send_to: []')}"
    more = {"sinks:": '  second: {vendor: greenhouse, secret: "${GREENHOUSE_SECRET}"}\nsinks:'}
    config = configured(tmp_path, two, more)
    assert run_case(config.tests[0], Outlook(config), {}).passed
    said = case("source: greenhouse\n    fields: {event: StageChanged}", "send_to: recruiters")
    for text in (said, said.replace("source: greenhouse\n    ", "").replace("{event", "{source: greenhouse, event")):
        config = configured(tmp_path, f"{routes}\ntests:{text}", more)
        assert run_case(config.tests[0], Outlook(config), {}).passed


def test_a_recorded_webhook_counts_with_all_its_events(tmp_path: Path) -> None:
    (tmp_path / "moved.json").write_bytes((FIXTURES / "stage_changed.json").read_bytes())
    assert run(tmp_path, case("payload: moved.json", "send_to: my-service")).passed
    (tmp_path / "ping.json").write_bytes((FIXTURES / "ping.json").read_bytes())
    assert run(tmp_path, case("payload: ping.json\n    source: greenhouse", "send_to: []")).passed
    result = run(tmp_path, case("payload: ping.json", "send_to: my-service"))
    assert "  not tried: it becomes no event (ping)" in report(result)
    (tmp_path / "odd.json").write_bytes(b"no json")
    assert not run(tmp_path, case("payload: odd.json", "send_to: []")).passed


def test_a_payload_that_went_away_fails_its_test(tmp_path: Path) -> None:
    file = tmp_path / "moved.json"
    file.write_bytes(b"{}")
    config = configured(tmp_path, f"{ROUTES}\ntests:{case('payload: moved.json', 'send_to: []')}")
    file.unlink()
    assert "can't be read: no such file" in str(run_case(config.tests[0], Outlook(config), {}).untried)


def test_a_webhook_with_several_events_says_of_which_a_reason_is(tmp_path: Path) -> None:
    routes = "routes: [{when: {job: nothing}, send_to: recruiters}]"
    (tmp_path / "hired.json").write_bytes((FIXTURES / "hired.json").read_bytes())
    stages = "stages: {HIRED: '*'}\n"
    moved = (FIXTURES / "stage_changed.json").read_bytes()
    (tmp_path / "hired.json").write_bytes(moved)
    result = run(tmp_path, case("payload: hired.json", "send_to: recruiters"), routes=stages + routes)
    reasons = result.missing["recruiters"]
    assert [reason.split(":")[0] for reason in reasons] == ["StageChanged", "OutcomeChanged"]


def test_a_stored_event_is_tried_as_it_is_stored(tmp_path: Path) -> None:
    test = case(f"event: {EVENT}", "send_to: my-service")
    stored: dict[str, Event | str] = {EVENT: make(EventType.APPLICATION_CREATED, job=Job(title="x"))}
    assert run(tmp_path, test, stored).passed
    result = run(tmp_path, test, {EVENT: "nothing runs"})
    assert report(result).splitlines()[1] == "  not tried: nothing runs"
    config = configured(tmp_path, f"{ROUTES}\ntests:{test}")
    assert wanted_events(config.tests) == [EVENT]


def test_nothing_that_a_test_says_is_more_than_text_on_the_terminal(tmp_path: Path) -> None:
    given = 'fields: {event: StageChanged, to_stage: Onsite, department: "[red]Sales[/] \\e[31m"}'
    told = report(run(tmp_path, case(given, "send_to: recruiters").replace("a test", '"[bold]x[/]"')))
    assert "[bold]x[/]" in told
    assert "[red]Sales[/]" in told
    assert "\x1b" not in told


# --- a file of tests ------------------------------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return configured(tmp_path)


def test_tests_may_have_a_file_of_their_own(tmp_path: Path, config: Config) -> None:
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "moved.json").write_bytes((FIXTURES / "stage_changed.json").read_bytes())
    file = folder / "rules.yaml"
    file.write_text(f"tests:{case('payload: moved.json', 'send_to: my-service')}")
    [test] = load_tests(file, config)
    assert (test.line, test.settings.payload) == (2, folder / "moved.json")
    assert run_case(test, Outlook(config), {}).passed


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("test: []", 'rules.yaml:1:1: unknown key "test" in a file of tests; did you mean "tests"?'),
        ("tests: []\nsinks: {}", 'rules.yaml:2:1: unknown key "sinks" in a file of tests'),
        (f"tests:{case(ONSITE, 'send_to: recruiter')}", 'did you mean "recruiters"?'),
        (f"tests:{case(ONSITE, 'send_to: []')}    routes: asleeep", 'did you mean "asleep"?'),
        ("tests: [a", "is not closed"),
    ],
)
def test_mistakes_in_a_file_of_tests_are_told_as_in_the_configuration(
    tmp_path: Path, config: Config, monkeypatch: pytest.MonkeyPatch, text: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rules.yaml").write_text(text)
    with pytest.raises(ConfigErrors) as caught:
        load_tests("rules.yaml", config)
    assert sentence in str(caught.value)
