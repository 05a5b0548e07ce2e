"""Events with something in every field that the schema has: markers by path, or whatever a vendor may send."""

import types
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Union, get_args, get_origin

from hypothesis import strategies as st
from pydantic import AwareDatetime, BaseModel, JsonValue

from router.schema import Event

Leaf = Callable[[str, object], Any]

HOSTILE = [
    "<!channel>",
    "<@U012AB3CD> <!subteam^S012>",
    "<https://evil.example|Bob>",
    "*bold* _italic_ ~struck~ `code` ```block```",
    "> quoted",
    "&amp; &lt;!here&gt;",
    'a"b\\c\nd',
    "{{ candidate.emails }} {% if test %}",
    "</script><img onerror=x>",
    ":tada: 10:30:00",
    "\u202e\x00\u200d",
    "*",
    "_a_",
    "",
    "ﬀ ß İ 李小龍 é",
    "2026-13-45",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00",
    "https://a.example/x?b=1&c=2",
    "x" * 4000,
]
TEXTS = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30))
TIMES = st.datetimes(timezones=st.just(UTC))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=5,
)


def filled(leaf: Leaf) -> Event:
    """An event whose single values are what ``leaf`` says for a path and a type."""
    return Event.model_validate(_value("", Event, leaf))


def markers() -> Event:
    """Every text says where it stands: ``@candidate.name@``."""
    moment = datetime(2026, 11, 20, tzinfo=UTC)
    plain = {str: None, bool: True, int: 77, datetime: moment, AwareDatetime: moment}

    def leaf(path: str, annotation: object) -> Any:
        if isinstance(annotation, type) and issubclass(annotation, StrEnum):
            return next(iter(annotation))
        value = plain.get(annotation)  # type: ignore[call-overload]
        return f"@{path}@" if value is None else value

    return filled(leaf)


@st.composite
def any_events(draw: st.DrawFn) -> Event:
    def leaf(path: str, annotation: object) -> Any:
        if isinstance(annotation, type) and issubclass(annotation, StrEnum):
            return draw(st.sampled_from(list(annotation)))
        if annotation is bool:
            return draw(st.booleans())
        if annotation is int:
            return draw(st.integers(0, 10**9))
        if path == "received_at":
            return datetime(2026, 11, 20, tzinfo=UTC)  # it is ours
        if annotation in (datetime, AwareDatetime):
            return draw(TIMES)
        return draw(JSON if annotation is JsonValue else TEXTS)

    event = filled(leaf)
    gone = draw(st.sets(st.sampled_from(["application", "candidate", "job", "offer", "interview", "to_stage"])))
    return event.model_copy(update=dict.fromkeys(gone))


def _value(path: str, annotation: Any, leaf: Leaf) -> Any:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType, Annotated):
        return _value(path, next(part for part in arguments if part is not types.NoneType), leaf)
    if origin is list:
        return [_value(path, arguments[0], leaf) for _ in range(2)]
    if origin is dict:
        return {
            "Cost Centre": leaf(f"{path}.Cost Centre", JsonValue),
            "team": {"name": leaf(f"{path}.team.name", JsonValue), "lead": leaf(f"{path}.team.lead", JsonValue)},
        }
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = {field.alias or name: field.annotation for name, field in annotation.model_fields.items()}
        return {name: _value(f"{path}.{name}".lstrip("."), inner, leaf) for name, inner in fields.items()}
    return leaf(path, annotation)
