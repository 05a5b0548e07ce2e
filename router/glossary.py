"""Every field that a rule can name, in words: for the documentation and for editors."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from router.fields import Field, Kind, UnknownField, field_at, field_names
from router.schema import Event
from router.wording import listed

_MEANINGS: Mapping[str, str] = {
    "event": "what happened",
    "job": "the job's title",
    "department": "a department of the job",
    "office": "an office of the job",
    "recruiter": "a recruiter of the job, by name or e-mail address",
    "hiring_manager": "a hiring manager of the job, by name or e-mail address",
    "stage": "the stage in which the application is now, by name",
    "from_stage": "on StageChanged: the stage before, by name",
    "to_stage": "on StageChanged: the stage after, by name",
    "stage_kind": "what kind of stage the application is in now, the same for every ATS",
    "outcome": "whether the candidate is in the process, hired or declined",
    "candidate_source": "where the candidate came from, such as LinkedIn",
    "tag": "a tag of the candidate",
    "source": "the ATS account that told it, by its name under sources",
    "vendor": "the ATS that told it",
    "candidate": "the candidate, by name",
    "actor": "who did it, by name or e-mail address",
}
"""What the names do not say by themselves. The rest is described where the event is, in `router.schema`."""

_HOLDS = {
    Kind.TEXT: "text",
    Kind.NUMBER: "whole number",
    Kind.MOMENT: "date and time",
    Kind.BOOL: "true or false",
    Kind.FREE: "text, number, date, or true or false",
}
_ANY_NAME = "NAME"


@dataclass(frozen=True, slots=True)
class Entry:
    """``name`` ends with ``.NAME`` where the name of one's own field follows; ``meaning`` may be empty."""

    name: str
    field: Field
    meaning: str

    @property
    def is_of_any_name(self) -> bool:
        return self.name.endswith(f".{_ANY_NAME}")

    @property
    def is_everyday(self) -> bool:
        """A word for a field that has a longer name as well, or what most rules ask."""
        return self.name != self.field.path or self.name in ("from_stage", "to_stage", "source", "candidate")

    @property
    def holds(self) -> str:
        if self.field.choices:
            return listed(self.field.choices)
        is_date = self.field.kind is Kind.TEXT and self.field.is_moment
        return "date" if is_date else _HOLDS[self.field.kind]


def entries() -> Iterator[Entry]:
    """Everyday words first."""
    for name in field_names():
        try:
            yield Entry(name, field_at(name), _MEANINGS.get(name) or _described(field_at(name)))
        except UnknownField:  # custom fields: one of them has to be named
            named = f"{name}.{_ANY_NAME}"
            yield Entry(named, field_at(named), "your own field NAME, as your ATS calls it")


def _described(field: Field) -> str:
    """What `router.schema` says of the field at the end of the path."""
    model: type[BaseModel] = Event
    description = ""
    for step in field.path.split("."):
        info = next((info for name, info in model.model_fields.items() if step in (name, info.alias)), None)
        description = (info.description if info else None) or ""
        model = _model_of(info.annotation if info else None) or Event
    return description[:1].lower() + description[1:].removesuffix(".")


def _model_of(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = getattr(annotation, "__args__", ())
    return next((model for part in inner if (model := _model_of(part))), None)


def as_markdown() -> str:
    """The tables of docs/routing.md."""
    rows = {True: ["| everyday word | what it is | what it holds |"], False: ["| field | what it is | what it holds |"]}
    for table in rows.values():
        table.append("| --- | --- | --- |")
    for entry in entries():
        rows[entry.is_everyday].append(f"| `{entry.name}` | {entry.meaning} | {entry.holds} |")
    return "\n".join([*rows[True], "", *rows[False]])
