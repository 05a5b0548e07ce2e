"""What pydantic says about settings -> faults: one plain sentence each, at the place in the file."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from router.config.faults import Fault, Path
from router.config.located_yaml import Document
from router.config.references import as_written
from router.units import like
from router.wording import OF_ITS_OWNER, did_you_mean, listed, nearest, quoted

_LIMITS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_SETTINGS = "settings, one a line, indented below it: name: value"
_KINDS = {
    "string": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "tuple": "a list, like [a, b]",
    "list": "a list, like [a, b]",
    "dict": _SETTINGS,
    "mapping": _SETTINGS,
    "model": _SETTINGS,
}


def unknown_key(key: str, place: str, known: Collection[str]) -> str:
    hint = did_you_mean(key, known) or f"; known: {listed(known, 'and')}"
    return f"unknown key {quoted(key)} in {place}{hint}"


def missing_key(key: str, place: str, meaning: str | None = None) -> str:
    return f"{quoted(key)} is missing in {place}; add it{f' ({meaning})' if meaning else ''}"


def plain_faults(
    document: Document, path: Path, place: str, model: type[BaseModel], failure: ValidationError
) -> Iterator[Fault]:
    """Why the mapping at ``path`` did not become a ``model``; ``place`` is what a person calls that mapping."""
    errors = failure.errors(include_url=False)
    misspelt = {error["loc"][:-1]: str(error["loc"][-1]) for error in errors if error["type"] == "extra_forbidden"}
    for error in errors:
        loc = (*path, *error["loc"])
        known = document.known_part(loc)
        is_of_key = error["type"] == "extra_forbidden" or error["loc"][-1:] == ("[key]",)
        inner = known[:-1] if is_of_key else known
        where = place if len(inner) <= len(path) else f"{quoted(inner[-1])} of {place}"
        fields = _fields(_model_at(model, inner[len(path) :]))
        if error["loc"][-1:] == ("[key]",):
            yield Fault(_key_sentence(error, where), document.keys.get(known), known)
        elif error["type"] == "missing":
            key = str(loc[-1])
            if nearest(misspelt.get(error["loc"][:-1], ""), fields) != key:
                yield Fault(missing_key(key, where, _meaning(fields.get(key))), document.spot(known), loc)
        elif error["type"] == "extra_forbidden":
            yield Fault(unknown_key(str(known[-1]), where, fields), document.keys.get(known), known)
        else:
            sentence = _sentence(error, _name(known), document.value_at(known))
            if error["type"] == OF_ITS_OWNER:
                sentence = f"{_name(known)}: {place} {_message(error)}"
            yield Fault(sentence, document.spot(known), known, hidden=error["type"] == "literal_secret")


def _meaning(field: FieldInfo | None) -> str | None:
    if field is None or field.description is None:
        return "as ${NAME_OF_AN_ENVIRONMENT_VARIABLE}" if field and "SecretStr" in str(field.annotation) else None
    first = field.description.partition(". ")[0].removesuffix(".")
    return first[0].lower() + first[1:]


def _fields(model: type[BaseModel]) -> Mapping[str, FieldInfo]:
    """The fields as the file names them."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _model_at(model: type[BaseModel], path: Path) -> type[BaseModel]:
    for step in path:
        field = _fields(model).get(str(step))
        model = next(_models_in(field.annotation), model) if field else model
    return model


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _name(path: Path) -> str:
    key = quoted(next((step for step in reversed(path) if isinstance(step, str)), ""))
    return f"an item of {key}" if isinstance(path[-1], int) else key


def _sentence(error: ErrorDetails, name: str, written: object) -> str:
    kind, context = error["type"], error.get("ctx", {})
    first = kind.partition("_")[0]
    if kind in _LIMITS:
        words, limit = _LIMITS[kind]
        return f"{name} must be {words} {like(context[limit], written)}{_but_is(written)}"
    if kind in ("string_too_short", "too_short"):
        return f"{name} must not be empty"
    if kind == "string_too_long":
        return f"{name} must have at most {context['max_length']} characters"
    if kind == "string_type" and isinstance(written, bool | int | float):
        return f'{name} must be a text; put it in quotes: "{quoted(written)}"'
    if first in _KINDS:
        return f"{name} must be {_KINDS[first]}{_but_is(written)}"
    if kind in ("enum", "literal_error"):
        choices = _choices(error)
        hint = did_you_mean(written, choices) if isinstance(written, str) else ""
        return f"{name} must be {listed(choices)}{_but_is(written)}{hint}"
    return f"{name}: {as_written(_message(error), error.get('input'), written)}"


def _key_sentence(error: ErrorDetails, where: str) -> str:
    """Of names that can be chosen, but not freely."""
    name = str(error["loc"][-2])
    return (
        unknown_key(name, where, _choices(error)) if error["type"] == "enum" else f"{quoted(name)}: {_message(error)}"
    )


def _choices(error: ErrorDetails) -> list[str]:
    return re.findall(r"'([^']*)'", error.get("ctx", {})["expected"])


def _message(error: ErrorDetails) -> str:
    return error["msg"].removeprefix("Value error, ")


def _but_is(written: object) -> str:
    """Says the value as it stands in the file, never what a reference in it stands for."""
    if isinstance(written, dict):
        return ", not what the file holds" if list(written) == ["file"] else ", not names with values"
    if isinstance(written, list):
        return ", not a list"
    if isinstance(written, str) and "${" in written:
        return f", not what {written} stands for"
    return f", not {quoted(written)}"
