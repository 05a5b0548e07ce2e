"""What every handler must do, whichever vendor it is of. A handler passes by being there, with fixtures beside it."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from handlers import by_vendor
from handlers.base import Disposition, Drift, Handler, Normalised, Receipt, Rejected, Sample
from handlers.guide import Proof
from handlers.polled import PolledHandler
from handlers.settings import ConnectSettings
from router.assess import waiting_facts
from router.project import project
from router.records import ApplicationState
from router.schema import EventType, Fact, Outcome
from tests.handlers.vendors import NOW, Fixture, arrived, fixtures_of, handler_of, receipt, settings_of

VENDORS = sorted(by_vendor())
PUSHING = [vendor for vendor in VENDORS if not issubclass(by_vendor()[vendor], PolledHandler)]
PROVING_THE_BODY = [vendor for vendor in VENDORS if by_vendor()[vendor].guide.proof is Proof.BODY]
EVERY_FIXTURE = [
    pytest.param(fixture, id=f"{vendor}-{name}") for vendor in VENDORS for name, fixture in fixtures_of(vendor).items()
]
OTHER_SECRETS = ("bmV3IHNlY3JldCBvZiB0aGUgc291cmNl", "b2xkIHNlY3JldCBvZiB0aGUgc291cmNl")
"""Also base64, as some schemes want it."""
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


def _is_json(fixture: Fixture) -> bool:
    return fixture.body.lstrip()[:1] in (b"{", b"[")


IN_JSON = [param for param in EVERY_FIXTURE if isinstance(param.values[0], Fixture) and _is_json(param.values[0])]


def body_of(vendor: str) -> bytes:
    """A body that the vendor could have sent."""
    return fixtures_of(vendor)["unknown_event"].body


def signing_headers(vendor: str) -> list[str]:
    """The headers that hang on the secret: those that differ when another secret signs the same."""
    ours, others = (handler_of(vendor, secret=[secret]).sign(body_of(vendor), NOW) for secret in OTHER_SECRETS)
    return [name for name in ours.headers if ours.headers[name] != others.headers[name]]


def signed(handler: Handler, body: bytes) -> Receipt:
    return arrived(handler.sign(body, NOW))


def checked(fixture: Fixture, body: bytes) -> Normalised | Drift:
    """Normalise, and check what holds for any body whatsoever."""
    try:
        normalised = fixture.normalised(handler_of(fixture.vendor), body)
    except Drift as error:
        drift = error
    else:
        return _consistent(normalised)
    assert MARK not in str(drift)
    return drift


def _consistent(normalised: Normalised) -> Normalised:
    assert normalised.disposition not in {Disposition.DRIFT, Disposition.REJECTED}
    assert bool(normalised.facts) == (normalised.disposition is Disposition.EVENTS)
    assert (normalised.reply is not None) == (normalised.disposition is Disposition.HANDSHAKE)
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
def test_a_vendor_has_a_name_a_title_a_guide_and_fixtures(vendor: str) -> None:
    handler = by_vendor()[vendor]
    assert handler.__module__ == f"handlers.{vendor}"
    assert handler.title
    assert handler.guide.verified
    assert (handler.guide.proof is Proof.NONE) == (vendor not in PUSHING)
    assert bool(handler.guide.steps and handler.guide.events) == (vendor in PUSHING)
    assert ({"unknown_event"} if vendor in PUSHING else set()) <= fixtures_of(vendor).keys() != set()


@pytest.mark.parametrize("fixture", EVERY_FIXTURE)
def test_a_fixture_is_verified_and_says_what_is_expected(fixture: Fixture) -> None:
    handler = handler_of(fixture.vendor)
    if not fixture.polled:
        handler.verify(fixture.receipt)
        assert handler.normalise(fixture.receipt) == handler.normalise(fixture.receipt)
    normalised = handler.with_kinds(fixture.normalised(handler))
    facts = [json.loads(fact.model_dump_json(exclude_defaults=True)) for fact in normalised.facts]
    expected = fixture.expected
    assert facts == expected["facts"]
    assert normalised.disposition == expected["disposition"]
    assert normalised.vendor_event == expected["vendor_event"]
    assert normalised.account == expected.get("account")
    assert normalised.reason == expected.get("reason")
    assert list(normalised.soft_drift) == expected["soft_drift"]
    if not fixture.polled:
        assert normalised == handler.read(fixture.receipt)


@pytest.mark.parametrize("vendor", PUSHING)
def test_an_unknown_event_is_ignored_by_name(vendor: str) -> None:
    normalised = handler_of(vendor).normalise(fixtures_of(vendor)["unknown_event"].receipt)
    assert normalised.disposition is Disposition.IGNORED
    assert normalised.vendor_event
    assert normalised.reason


@pytest.mark.parametrize("vendor", PUSHING)
@pytest.mark.parametrize("secret", [[], [""], [" \n"], ["good", ""], None])
def test_settings_without_a_secret_are_refused(vendor: str, secret: list[str] | None) -> None:
    with pytest.raises(ValidationError):
        handler_of(vendor, secret=secret)
    with pytest.raises(ValidationError):
        by_vendor()[vendor].Settings.model_validate({k: v for k, v in settings_of(vendor).items() if k != "secret"})


@pytest.mark.parametrize("vendor", PUSHING)
def test_a_secret_that_is_pending_lets_nothing_in(vendor: str) -> None:
    if not issubclass(by_vendor()[vendor].Settings, ConnectSettings):
        pytest.skip("its secret is always in the configuration")
    handler, new = handler_of(vendor, secret="pending"), OTHER_SECRETS[0]
    sent = signed(handler_of(vendor, secret=[new]), body_of(vendor))
    with pytest.raises(Rejected):
        handler.verify(sent)
    assert isinstance(handler.settings, ConnectSettings)
    type(handler)(handler.settings.knowing([new])).verify(sent)


@pytest.mark.parametrize("vendor", PUSHING)
def test_both_secrets_are_valid_while_one_replaces_the_other(vendor: str) -> None:
    new, old = OTHER_SECRETS
    both = handler_of(vendor, secret=[new, old])
    for secret in (new, old):
        both.verify(signed(handler_of(vendor, secret=[secret]), body_of(vendor)))
    assert both.sign(body_of(vendor), NOW) == handler_of(vendor, secret=[new]).sign(body_of(vendor), NOW)


@pytest.mark.parametrize("vendor", PUSHING)
def test_another_secret_is_rejected(vendor: str) -> None:
    ours, theirs = OTHER_SECRETS
    for wrong in (theirs, ours[:-1], ours + "a", ours.swapcase()):
        with pytest.raises(Rejected) as rejected:
            handler_of(vendor, secret=[ours]).verify(signed(handler_of(vendor, secret=[wrong]), body_of(vendor)))
        assert ours not in str(rejected.value)


@pytest.mark.parametrize("vendor", PUSHING)
def test_a_request_that_brings_no_secret_at_all_is_rejected(vendor: str) -> None:
    with pytest.raises(Rejected):
        handler_of(vendor).verify(receipt(body_of(vendor)))


@pytest.mark.parametrize("vendor", PROVING_THE_BODY)
def test_one_changed_byte_of_the_body_is_rejected(vendor: str) -> None:
    handler, body = handler_of(vendor), body_of(vendor)
    sent = handler.sign(body, NOW)
    handler.verify(arrived(sent))
    middle = len(body) // 2
    flipped = body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :]
    for changed in (flipped, b" " + body, body + b"\n", body[:-1], b"{}", b""):
        with pytest.raises(Rejected):
            handler.verify(receipt(changed, sent.headers, sent.rest))


@pytest.mark.parametrize("vendor", PUSHING)
def test_one_changed_character_of_a_signing_header_is_rejected(vendor: str) -> None:
    handler = handler_of(vendor)
    sent = handler.sign(body_of(vendor), NOW)
    for name in signing_headers(vendor):
        value = sent.headers[name]
        for index, character in enumerate(value):
            other = value[:index] + ("1" if character == "0" else "0") + value[index + 1 :]
            with pytest.raises(Rejected):
                handler.verify(receipt(sent.body, {**sent.headers, name: other}, sent.rest))


@pytest.mark.parametrize("vendor", PUSHING)
def test_a_missing_doubled_or_garbled_signing_header_is_rejected(vendor: str) -> None:
    handler = handler_of(vendor)
    sent = handler.sign(body_of(vendor), NOW)
    for name in signing_headers(vendor):
        value = sent.headers[name]
        without = [pair for pair in sent.headers.items() if pair[0] != name]
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
        garbage = [bad for bad in garbage if not _still_says(value, bad)]
        assert len(garbage) > 10
        for pairs in [without, [*without, (name, value), (name, value)], *([*without, (name, bad)] for bad in garbage)]:
            with pytest.raises(Rejected) as rejected:
                handler.verify(receipt(sent.body, pairs, sent.rest))
            assert value[-8:] not in str(rejected.value)
        assert name not in handler.kept_headers


def _still_says(value: str, other: str) -> bool:
    """Padding of base64 may be left out; a list of signatures may hold more than the right one."""
    if other.rstrip("=") == value.rstrip("="):
        return True
    return any(mark in value for mark in (",", ";")) and value.rstrip("=") in re.split(r"[ ;]+", other.rstrip("="))


@pytest.mark.parametrize("vendor", PUSHING)
def test_a_secret_in_the_path_is_needed_whole(vendor: str) -> None:
    handler = handler_of(vendor)
    sent = handler.sign(body_of(vendor), NOW)
    if not sent.rest:
        pytest.skip("its secret is elsewhere")
    for rest in ("", sent.rest[:-1], sent.rest + "a", sent.rest + "/", "/" + sent.rest, sent.rest.swapcase(), "é" * 9):
        with pytest.raises(Rejected):
            handler.verify(receipt(sent.body, sent.headers, rest))


@pytest.mark.parametrize("vendor", VENDORS)
@given(body=st.binary(max_size=60), rest=st.text(max_size=9), data=st.data())
def test_verifying_anything_raises_nothing_but_rejected(
    vendor: str, body: bytes, rest: str, data: st.DataObject
) -> None:
    handler = handler_of(vendor)
    names = list(handler.sign(body_of(vendor), NOW).headers) if vendor in PUSHING else ["signature"]
    pairs = data.draw(st.lists(st.tuples(st.sampled_from([*names, "x"]), st.text(max_size=80)), max_size=4))
    with suppress(Rejected):
        handler.verify(receipt(body, pairs, rest))


@pytest.mark.parametrize("fixture", EVERY_FIXTURE)
def test_a_body_cut_short_is_kept_as_drift(fixture: Fixture) -> None:
    handler = handler_of(fixture.vendor)
    body = fixture.body.rstrip()
    for length in (0, 1, len(body) // 2, len(body) - 1):
        with pytest.raises(Drift):
            fixture.normalised(handler, body[:length])
        if fixture.polled or handler.guide.proof is not Proof.BODY:
            with pytest.raises(Rejected):
                handler.verify(fixture.with_body(body[:length]))
        else:
            cut = signed(handler, body[:length])
            handler.verify(cut)
            assert handler.read(cut).disposition is Disposition.DRIFT


@pytest.mark.parametrize("fixture", IN_JSON)
def test_any_subtree_may_be_missing_or_of_another_type(fixture: Fixture) -> None:
    for mutation in mutations(json.loads(fixture.body)):
        checked(fixture, json.dumps(mutation).encode())


@pytest.mark.parametrize("vendor", [vendor for vendor in VENDORS if vendor != "workday"])
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_any_json_in_any_place_is_events_ignored_or_drift(vendor: str, data: st.DataObject) -> None:
    """Also what Python writes as JSON but is none (NaN), and what it writes though it is no text (half surrogates)."""
    fixture = data.draw(st.sampled_from([fixture for fixture in fixtures_of(vendor).values() if _is_json(fixture)]))
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
    checked(fixture, json.dumps(whole).encode())


@pytest.mark.parametrize("vendor", VENDORS)
@given(data=st.data(), body=st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_ignored_or_drift(vendor: str, data: st.DataObject, body: bytes) -> None:
    fixture = data.draw(st.sampled_from(list(fixtures_of(vendor).values())))
    assert isinstance(result := checked(fixture, body), Drift) or not result.facts


@pytest.mark.parametrize("fixture", IN_JSON)
def test_a_megabyte_of_something_new_changes_nothing(fixture: Fixture) -> None:
    handler = handler_of(fixture.vendor)
    if fixture.body.lstrip().startswith(b"["):
        pytest.skip("its fields are further inside")
    body = json.dumps(json.loads(fixture.body) | {"something_new": ["<ü>" * 70_000] * 2}).encode()
    assert len(body) > 1_000_000
    if handler.guide.proof is Proof.BODY and not fixture.polled:
        handler.verify(signed(handler, body))
    facts = fixture.normalised(handler, body).facts
    assert facts == fixture.normalised(handler).facts


@pytest.mark.parametrize("vendor", PUSHING)
def test_it_can_make_up_a_beginning_or_a_move(vendor: str) -> None:
    handler, told = handler_of(vendor), []
    if not any(fixture.expected["facts"] for fixture in fixtures_of(vendor).values() if not fixture.polled):
        pytest.skip("none of its webhooks tells anything of an application")
    for step in STEPS[:2]:
        with suppress(ValueError):
            told.append(handler.sample(step))
    assert told


@pytest.mark.parametrize("vendor", PUSHING)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step.type}-{step.application_id}-{step.outcome}")
def test_a_sample_gives_its_step_back(vendor: str, step: Sample) -> None:
    handler = handler_of(vendor)
    try:
        body = handler.sample(step)
    except ValueError:
        pytest.skip("it has no webhook that tells this")
    sent = signed(handler, body)
    handler.verify(sent)
    normalised = handler.with_kinds(handler.normalise(sent))
    waiting = waiting_facts(normalised, receipt_id="r", source="s", vendor=vendor, receipt=sent, mark=None)
    told = [fact.fact for fact in waiting]
    assert normalised.soft_drift == ()
    assert all(step.application_id in fact.application.id for fact in told if fact.application)
    if any(fact.needs_enrichment for fact in told):
        return
    state, events = ApplicationState(), []
    for fact in waiting:
        state, news = project(state, fact)
        events += news
    event = next(event for event in events if event.type is step.type)
    assert event.application
    assert event.candidate
    assert event.job
    assert event.application.stage
    assert event.candidate.name == step.candidate_name
    assert event.job.title == step.job_title
    assert event.application.stage.name == step.stage
    known = event.application.outcome
    assert known is step.outcome or (known is None and step.outcome is Outcome.PENDING)  # a move need not tell it
    assert event.occurred_at == NOW
    if step.type is EventType.STAGE_CHANGED:
        assert event.to_stage == event.application.stage
