"""An HTTP body of one's own: names and values with fields of the event in them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from router.client import Client
from router.preview import sample_event
from router.schema import Candidate, Event, EventType
from sinks.base import Delivery
from sinks.http import Http, HttpSettings
from tests.router.any_event import HOSTILE, any_events
from tests.router.test_templates import good_templates

MOVED = sample_event(EventType.STAGE_CHANGED)


def http(body: Any, **settings: Any) -> Http:
    written = {"type": "http", "url": "http://127.0.0.1:9/", "body": body, **settings}
    return Http(HttpSettings.model_validate(written), Client())


def sent(body: Any, event: Event = MOVED, **settings: Any) -> Any:
    def never(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    rendered = http(body, **settings).render(Delivery("dlv_1", event.model_dump_json().encode()))
    return json.loads(rendered, parse_constant=never)


def test_names_lists_and_kinds_stay() -> None:
    body = {
        "who": "{{ candidate.name }}",
        "what": [{"deep": "to {{ to_stage }}"}, 5, 1.5, True],
        "number": "{{ sequence }}",
        "yes": "{{ late }}",
        "list": "{{ job.departments }}",
        "whole": "{{ to_stage }}",
        "nothing": "{{ candidate.company }}",
        "when": "{{ occurred_at }}",
        "day": "{{ occurred_at | date }}",
    }
    assert sent(body, timezone="Europe/Berlin") == {
        "who": "Ada Lovelace",
        "what": [{"deep": "to Onsite"}, 5, 1.5, True],
        "number": 1,
        "yes": False,
        "list": ["Engineering"],
        "whole": {"id": "3", "name": "Onsite", "kind": None, "index": None},
        "nothing": None,
        "when": "2026-11-20T12:00:00Z",
        "day": "20 Nov 2026",
    }
    assert sent(["{{ candidate.name }}"]) == ["Ada Lovelace"]


def test_without_one_the_event_itself_is_sent() -> None:
    delivery = Delivery("dlv_1", b'{"a": 1}')
    assert http(None).render(delivery) is delivery.event_body


@given(st.sampled_from(HOSTILE))
def test_a_name_stays_a_name(name: str) -> None:
    event = MOVED.model_copy(update={"candidate": Candidate(name=name)})
    told = name if name.strip() else "Application 77"
    assert sent({"a": "{{ candidate.name }}", "b": "<{{ candidate.name }}>"}, event) == {"a": name, "b": f"<{told}>"}


bodies = st.recursive(
    st.one_of(good_templates, st.integers(), st.booleans()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(HOSTILE), inner, max_size=3)),
    max_leaves=5,
).filter(lambda body: isinstance(body, dict | list))


@settings(max_examples=200, deadline=None)
@given(bodies, any_events())
def test_whatever_is_written_and_comes_it_is_json(body: Any, event: Event) -> None:
    made = sent(body, event)
    assert type(made) is type(body)
    assert len(made) == len(body)


def test_a_number_without_end_is_nothing() -> None:
    """JSON can say 1e999, and has no word for what that is."""
    raw = json.loads(MOVED.model_dump_json())
    raw["job"]["custom_fields"] = {"level": "@"}
    endless = json.dumps(raw).replace('"@"', "1e999").encode()
    made = http({"level": "{{ job.custom_fields.level }}"}).render(Delivery("dlv_1", endless))
    assert json.loads(made) == {"level": None}


@pytest.mark.parametrize(
    ("body", "place", "words"),
    [
        ('{"text": "x"}', ("body",), "write the names of the JSON below body"),
        ({"a": [{"b": "{{ candidate.nam }}"}]}, ("body", "a", 0, "b"), 'did you mean "name"'),
    ],
)
def test_mistakes_are_told_where_they_are(body: Any, place: tuple[str | int, ...], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        http(body)
    [error] = caught.value.errors()
    assert error["loc"] == place
    assert words in error["msg"]


def test_whole_objects_have_only_what_the_sink_may_get() -> None:
    event = MOVED.model_copy(update={"candidate": Candidate(name="Ada", emails=["ada@example.com"])})
    with pytest.raises(ValidationError, match=r'does not get "candidate"'):
        http({"who": "{{ candidate }}"}, fields=["candidate.name"])
    assert "emails" in sent({"who": "{{ candidate }}"}, event, fields=["candidate"])["who"]
