"""What every handler must do, whichever vendor it is of. A handler passes by being there, with fixtures beside it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from handlers import by_vendor
from handlers.base import Disposition, Drift, Handler, Normalised, Rejected, Sample, SignedSettings
from router.schema import EventType, Fact, Outcome
from tests.handlers.vendors import NOW, Fixture, fixtures_of, handler_of, receipt, settings_of

VENDORS = sorted(by_vendor())
SIGNED = [vendor for vendor in VENDORS if issubclass(by_vendor()[vendor].Settings, SignedSettings)]
EVERY_FIXTURE = [
    pytest.param(fixture, id=f"{vendor}-{name}") for vendor in VENDORS for name, fixture in fixtures_of(vendor).items()
]
MARK = "Mark-7f3a"
REPLACEMENTS: list[Any] = [None, "", MARK, 7, -1.5, 10**40, True, [], [None], [[]], {}, {"id": {}}, [{"name": MARK}]]
STEPS = [
    Sample(EventType.APPLICATION_CREATED, "9001", "Ada Lovelace", "Analyst", NOW, "Application Review"),
    Sample(EventType.STAGE_CHANGED, "9001", "Grace Hopper", "Compiler Engineer", NOW, "On-site <2>"),
    Sample(EventType.STAGE_CHANGED, "demo-1", "Zoë van der Ång", "Chef & Baker 🥐", NOW, "Küche"),
    Sample(EventType.OUTCOME_CHANGED, "9001", "Cher", "Singer", NOW, "Offer", Outcome.HIRED),
    Sample(EventType.OUTCOME_CHANGED, "9001", "Ada Lovelace", "Analyst", NOW, "Offer", Outcome.DECLINED),
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.sampled_from(["", "0", "a b"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def signing_headers(vendor: str) -> list[str]:
    """The headers that hang on the secret: those that differ when another secret signs the same."""
    ours, others = (handler_of(vendor, secret=[secret]).sign(b"{}", NOW) for secret in ("one", "another"))
    return [name for name in ours if ours[name] != others[name]]


def signed_receipt(handler: Handler, body: bytes) -> Any:
    return receipt(body, handler.sign(body, NOW))


def checked(handler: Handler, body: bytes) -> Normalised | Drift:
    """Normalise, and check what holds for any body whatsoever."""
    try:
        normalised = handler.normalise(receipt(body))
    except Drift as error:
        drift = error
    else:
        return _consistent(normalised)
    assert MARK not in str(drift)
    return drift


def _consistent(normalised: Normalised) -> Normalised:
    assert normalised.disposition in {Disposition.EVENTS, Disposition.IGNORED, Disposition.PING, Disposition.SIGNAL}
    assert bool(normalised.facts) == (normalised.disposition is Disposition.EVENTS)
    assert not any(MARK in path for path in normalised.soft_drift)
    for fact in normalised.facts:
        assert Fact.model_validate_json(fact.model_dump_json()) == fact
    return normalised


def mutations(value: Any) -> Iterator[Any]:
    """The value with one subtree removed or replaced, for every subtree."""
    yield from REPLACEMENTS
    if isinstance(value, dict):
        for key, item in value.items():
            yield {name: other for name, other in value.items() if name != key}
            for mutation in mutations(item):
                yield value | {key: mutation}
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield value[:index] + value[index + 1 :]
            for mutation in mutations(item):
                yield [*value[:index], mutation, *value[index + 1 :]]


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_vendor_has_a_name_a_title_and_fixtures(vendor: str) -> None:
    handler = by_vendor()[vendor]
    assert handler.__module__ == f"handlers.{vendor}"
    assert handler.title
    assert {"unknown_event"} <= fixtures_of(vendor).keys()


@pytest.mark.parametrize("fixture", EVERY_FIXTURE)
def test_a_fixture_is_verified_and_says_what_is_expected(fixture: Fixture) -> None:
    handler = handler_of(fixture.vendor)
    handler.verify(fixture.receipt)
    normalised = handler.normalise(fixture.receipt)
    facts = [json.loads(fact.model_dump_json(exclude_defaults=True)) for fact in normalised.facts]
    assert facts == fixture.expected["facts"]
    assert normalised.disposition == fixture.expected["disposition"]
    assert normalised.vendor_event == fixture.expected["vendor_event"]
    assert normalised.reason == fixture.expected.get("reason")
    assert list(normalised.soft_drift) == fixture.expected["soft_drift"]
    assert normalised == handler.read(fixture.receipt)


@pytest.mark.parametrize("vendor", VENDORS)
def test_an_unknown_event_is_ignored_by_name(vendor: str) -> None:
    normalised = handler_of(vendor).normalise(fixtures_of(vendor)["unknown_event"].receipt)
    assert normalised.disposition is Disposition.IGNORED
    assert normalised.vendor_event
    assert normalised.reason


@pytest.mark.parametrize("vendor", SIGNED)
@pytest.mark.parametrize("secret", [[], [""], [" \n"], ["good", ""], None])
def test_settings_without_a_secret_are_refused(vendor: str, secret: list[str] | None) -> None:
    with pytest.raises(ValidationError):
        handler_of(vendor, secret=secret)
    with pytest.raises(ValidationError):
        by_vendor()[vendor].Settings.model_validate({k: v for k, v in settings_of(vendor).items() if k != "secret"})


@pytest.mark.parametrize("vendor", SIGNED)
def test_both_secrets_are_valid_while_one_replaces_the_other(vendor: str) -> None:
    both = handler_of(vendor, secret=["new", "old"])
    for secret in ("new", "old"):
        both.verify(signed_receipt(handler_of(vendor, secret=[secret]), b"{}"))
    assert both.sign(b"{}", NOW) == handler_of(vendor, secret=["new"]).sign(b"{}", NOW)


@pytest.mark.parametrize("vendor", SIGNED)
def test_another_secret_is_rejected(vendor: str) -> None:
    with pytest.raises(Rejected) as rejected:
        handler_of(vendor, secret=["ours", "ours too"]).verify(
            signed_receipt(handler_of(vendor, secret=["theirs"]), b"{}")
        )
    assert "ours" not in str(rejected.value)


@pytest.mark.parametrize("vendor", SIGNED)
def test_one_changed_byte_of_the_body_is_rejected(vendor: str) -> None:
    handler, body = handler_of(vendor), b'{"id": 1}'
    headers = handler.sign(body, NOW)
    handler.verify(receipt(body, headers))
    for changed in (b'{"id": 2}', b'{"id":1}', body + b"\n", body[:-1], b""):
        with pytest.raises(Rejected):
            handler.verify(receipt(changed, headers))


@pytest.mark.parametrize("vendor", SIGNED)
def test_one_changed_character_of_a_signing_header_is_rejected(vendor: str) -> None:
    handler = handler_of(vendor)
    headers = handler.sign(b"{}", NOW)
    for name in signing_headers(vendor):
        value = headers[name]
        for index, character in enumerate(value):
            other = value[:index] + ("1" if character == "0" else "0") + value[index + 1 :]
            with pytest.raises(Rejected):
                handler.verify(receipt(b"{}", headers | {name: other}))


@pytest.mark.parametrize("vendor", SIGNED)
def test_a_missing_doubled_or_garbled_signing_header_is_rejected(vendor: str) -> None:
    handler = handler_of(vendor)
    headers = handler.sign(b"{}", NOW)
    assert signing_headers(vendor)
    for name in signing_headers(vendor):
        value = headers[name]
        without = [pair for pair in headers.items() if pair[0] != name]
        garbage = ["", " ", "x", "ÿ" * len(value), "\x00", value[:-1], value + "0", value + value, f"{value}, {value}"]
        garbage += [
            f" {value}",
            f"{value} ",
            f"{value}\n",
            value.upper(),
            value[:-2] + "zz",
            value[:-2] + "é0",
            "٣" * 64,
        ]
        for pairs in [without, [*without, (name, value), (name, value)], *([*without, (name, bad)] for bad in garbage)]:
            with pytest.raises(Rejected) as rejected:
                handler.verify(receipt(b"{}", pairs))
            assert value[-8:] not in str(rejected.value)
        assert name not in handler.kept_headers


@pytest.mark.parametrize("fixture", EVERY_FIXTURE)
def test_a_body_cut_short_is_kept_as_drift(fixture: Fixture) -> None:
    handler = handler_of(fixture.vendor)
    body = fixture.body.rstrip()
    for length in (0, 1, len(body) // 2, len(body) - 1):
        cut = signed_receipt(handler, body[:length])
        handler.verify(cut)
        assert handler.read(cut).disposition is Disposition.DRIFT


@pytest.mark.parametrize("fixture", EVERY_FIXTURE)
def test_any_subtree_may_be_missing_or_of_another_type(fixture: Fixture) -> None:
    handler = handler_of(fixture.vendor)
    for mutation in mutations(json.loads(fixture.body)):
        checked(handler, json.dumps(mutation).encode())


@pytest.mark.parametrize("vendor", VENDORS)
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_json_in_any_place_is_events_ignored_or_drift(vendor: str, data: st.DataObject) -> None:
    """Also what Python writes as JSON but is none (NaN), and what it writes though it is no text (half surrogates)."""
    fixture = data.draw(st.sampled_from(list(fixtures_of(vendor).values())))
    whole = json.loads(fixture.body)
    for _ in range(data.draw(st.integers(0, 3))):
        place = whole
        while isinstance(place, dict) and place:
            key = data.draw(st.sampled_from(sorted(place)))
            inner = place[key][0] if isinstance(place[key], list) and place[key] else place[key]
            if not isinstance(inner, dict) or data.draw(st.booleans()):
                place[key] = data.draw(JSON)
                break
            place = inner
    checked(handler_of(vendor), json.dumps(whole).encode())


@pytest.mark.parametrize("vendor", VENDORS)
@given(body=st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_ignored_or_drift(vendor: str, body: bytes) -> None:
    assert isinstance(result := checked(handler_of(vendor), body), Drift) or not result.facts


@pytest.mark.parametrize("fixture", EVERY_FIXTURE)
def test_a_megabyte_of_something_new_changes_nothing(fixture: Fixture) -> None:
    handler = handler_of(fixture.vendor)
    body = json.dumps(json.loads(fixture.body) | {"something_new": ["<ü>" * 70_000] * 2}).encode()
    assert len(body) > 1_000_000
    large = signed_receipt(handler, body)
    handler.verify(large)
    facts = [fact.model_copy(update={"vendor_event_id": None}) for fact in handler.normalise(large).facts]
    assert facts == [
        fact.model_copy(update={"vendor_event_id": None}) for fact in handler.normalise(fixture.receipt).facts
    ]


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step.type}-{step.application_id}-{step.outcome}")
def test_a_sample_gives_its_step_back(vendor: str, step: Sample) -> None:
    handler = handler_of(vendor)
    body = handler.sample(step)
    sent = signed_receipt(handler, body)
    handler.verify(sent)
    normalised = handler.normalise(sent)
    (fact,) = [fact for fact in normalised.facts if fact.type is step.type]
    assert fact.application
    assert fact.candidate
    assert fact.job
    assert fact.application.stage
    assert fact.application.id == step.application_id
    assert fact.candidate.name == step.candidate_name
    assert fact.job.title == step.job_title
    assert fact.application.stage.name == step.stage
    assert fact.application.outcome is step.outcome
    assert fact.occurred_at == NOW
    assert normalised.soft_drift == ()
    if step.type is EventType.STAGE_CHANGED:
        assert fact.to_stage == fact.application.stage
