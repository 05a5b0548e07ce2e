"""The configuration as JSON Schema, so that an editor completes and marks while somebody writes it.

Draft 7, which editors know best, read off the settings' classes. What it marks is wrong; ``ats-router check`` may find
more. Environment variables may stand for anything but names, as in the file.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

import handlers
import sinks
from router import fields
from router.conditions import DATES, NUMBERS
from router.config.settings import (
    Company,
    DefaultSettings,
    Redis,
    Retention,
    RouteSettings,
    Server,
    StagesSettings,
    TestSettings,
)
from router.fields import Kind
from router.glossary import entries
from router.rules import SendTo
from router.units import like

Schema = dict[str, Any]


class File(Company):
    """The configuration of ats-router: who sends (sources), where to (sinks), and what goes where (routes)."""

    server: Server = Field(Server(), description="Where the router listens.")
    redis: Redis = Field(Redis(), description="Where events wait until they are delivered.")
    sources: Mapping[str, Any] = Field(description="The ATS accounts that send webhooks, by names of your choice.")
    stages: StagesSettings = Field(
        StagesSettings({}), description="Which stages are of which kind, for all sources: names or ids, * for anything."
    )
    sinks: Mapping[str, Any] = Field(description="The places that events go to, by names of your choice.")
    routes: Sequence[RouteSettings] = Field(description="Which event goes to which sink. Each begins with a dash.")
    default: DefaultSettings | None = Field(None, description="Where an event goes that no route matched.")
    tests: Sequence[TestSettings] = Field((), description="What the routes shall do with examples: `ats-router test`.")
    retention: Retention = Field(Retention(), description="How long things are kept.")


_REF = "#/definitions/{model}"
_VARIABLE = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"}
_FROM_FILE = {
    "type": "object",
    "properties": {"file": {"type": "string", "description": "A file that holds the secret and nothing else."}},
    "required": ["file"],
    "additionalProperties": False,
}
_YES_OR_NO = {"enum": [True, False, "yes", "no", "on", "off"]}


def config_schema() -> Schema:
    """The schema of the whole file."""
    vendors = {vendor: handler.Settings for vendor, handler in sorted(handlers.by_vendor().items())}
    types = {sink_type: sink.Settings for sink_type, sink in sorted(sinks.by_type().items())}
    models: list[type[BaseModel]] = list(dict.fromkeys([File, *vendors.values(), *types.values()]))
    refs, made = models_json_schema([(model, "validation") for model in models], ref_template=_REF)
    parts = {name: _written(schema) for name, schema in made["$defs"].items()}
    whole = parts.pop(File.__name__)
    for section, chooser, by_name in (("sources", "vendor", vendors), ("sinks", "type", types)):
        choices = {name: refs[model, "validation"] for name, model in by_name.items()}
        whole["properties"][section]["propertyNames"] = {"pattern": "^[a-z0-9][a-z0-9_-]{0,62}$"}
        whole["properties"][section]["additionalProperties"] = _chosen(chooser, choices)
    del whole["required"]  # of a folder with several files each has a part
    route = parts[RouteSettings.__name__]
    del route["required"]  # the name is made where there is none
    route["anyOf"] = [{"required": ["send_to"]}, {"required": ["stop"]}]
    for key in ("when", "unless"):
        described = {"description": route["properties"][key]["description"]}
        route["properties"][key] = described | {"allOf": [{"$ref": _REF.format(model="conditions")}]}
    del parts[SendTo.__name__]  # what becomes of a recipient, not what is written
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "ats-router",
        **whole,
        "definitions": dict(sorted((parts | _conditions()).items())),
    }


def _chosen(chooser: str, choices: Mapping[str, Schema]) -> Schema:
    """Settings whose class one of them chooses."""
    return {
        "type": "object",
        "properties": {chooser: {"description": f"One of: {', '.join(choices)}.", "enum": list(choices)}},
        "required": [chooser],
        "allOf": [
            {"if": {"properties": {chooser: {"const": name}}, "required": [chooser]}, "then": ref}
            for name, ref in choices.items()
        ],
    }


# --- settings ---------------------------------------------------------------------------------------------------------


def _written(schema: Schema) -> Schema:
    """What pydantic says of a setting -> what may stand in the file: nothing is null, variables stand for values."""
    told = {key: value for key, value in schema.items() if not (key == "title" and isinstance(value, str))}
    default = told.pop("default", None)
    for key in ("properties", "patternProperties"):
        if key in told:
            told[key] = {name: _written(_described(inner, schema)) for name, inner in told[key].items()}
    for key in ("items", "additionalProperties", "propertyNames"):
        if isinstance(told.get(key), dict):
            told[key] = _written(told[key])
    if "anyOf" in told:
        options = [_written(option) for option in told.pop("anyOf") if option.get("type") != "null"]
        told = options[0] | told if len(options) == 1 else told | {"anyOf": options}
    if "$ref" in told and len(told) > 1:  # draft 7 looks at nothing beside it
        told["allOf"] = [{"$ref": told.pop("$ref")}]
    return _with_default(_or_variable(told), default)


def _described(schema: Schema, whole: Schema) -> Schema:
    """A setting that says nothing by itself is told as what it is part of."""
    if "$ref" in schema or "description" not in whole:
        return schema
    return {"description": whole["description"]} | schema


def _or_variable(schema: Schema) -> Schema:
    about = {key: value for key, value in schema.items() if key == "description"}
    value = {key: value for key, value in schema.items() if key not in ("description", "writeOnly")}
    if value.get("format") == "password":
        return about | {"anyOf": [value, _FROM_FILE]}
    if value.get("type") == "boolean":
        return about | {"anyOf": [_YES_OR_NO, _VARIABLE]}
    if value.get("type") in ("integer", "number") or (value.get("type") == "string" and "pattern" in value):
        return about | {"anyOf": [value, _VARIABLE]}
    return about | value


def _with_default(schema: Schema, default: object) -> Schema:
    """Quantities have their defaults in seconds and bytes, which is not how they are written."""
    if not isinstance(default, str | int | float) or "*" in str(default):
        return schema
    is_quantity = any("pattern" in option for option in schema.get("anyOf", ()) if option is not _VARIABLE)
    if is_quantity and not isinstance(default, str):
        written = like(default, "1s" if isinstance(default, float) else "1b")
        return schema | {"description": f"{schema.get('description', '')} Without it: {written}."}
    return schema | {"default": default}


# --- conditions -------------------------------------------------------------------------------------------------------


def _conditions() -> dict[str, Schema]:
    """What may stand under ``when`` and ``unless``, and the values of fields that hold the same."""
    conditions: Schema = {"$ref": _REF.format(model="conditions")}
    group = {"anyOf": [conditions, {"type": "array", "items": conditions, "minItems": 1}]}
    properties: Schema = {
        "any": {"description": "At least one of the conditions below is so.", **group},
        "all": {"description": "All of the conditions below are so.", **group},
        "not": {"description": "Not all of the conditions below are so.", **group},
        "expr": {
            "description": "For what conditions can't say: a JMESPath expression over the event.",
            "type": "string",
            "maxLength": 1000,
        },
    }
    patterns: Schema = {}
    values: dict[str, Schema] = {}
    for entry in entries():
        kind = f"{entry.field.kind.value}_{'_'.join(entry.field.choices)}" if entry.field.choices else entry.holds
        named = f"value: {kind}"
        values.setdefault(named, _value(entry.field))
        description = ". ".join(filter(None, (entry.meaning[:1].upper() + entry.meaning[1:], f"Holds: {entry.holds}")))
        told = {"description": f"{description}.", "allOf": [{"$ref": _REF.format(model=named)}]}
        if entry.is_of_any_name:
            prefix = entry.name.rpartition(".")[0].replace(".", r"\.")
            patterns[rf"^{prefix}\.."] = told
        else:
            properties[entry.name] = told
    return values | {
        "conditions": {
            "type": "object",
            "minProperties": 1,
            "properties": properties,
            "patternProperties": patterns,
            "additionalProperties": False,
        }
    }


def _value(field: fields.Field) -> Schema:
    """One value, a list of them, or a comparison."""
    one = _single(field)
    several = {"type": "array", "items": one, "minItems": 1}
    compared: Schema = {
        "not": {"description": "Any other value than this, or than these.", "anyOf": [one, several]},
        "present": {"description": "Whether the event has the field at all.", "type": "boolean"},
    }
    if field.is_number:
        compared |= {
            how: {"description": f"A number: {word} it.", "type": ["number", "string"]} for how, word in NUMBERS.items()
        }
    if field.is_moment:
        compared |= {
            how: {"description": f"A date or a time: {word} it, as in 2026-01-31.", "type": "string"}
            for how, word in DATES.items()
        }
    operators = {"type": "object", "minProperties": 1, "properties": compared, "additionalProperties": False}
    return {"anyOf": [one, several, operators]}


def _single(field: fields.Field) -> Schema:
    if field.choices:
        known = "|".join("".join(f"[{char.upper()}{char.lower()}]" for char in choice) for choice in field.choices)
        of_any_case = {"type": "string", "pattern": rf"^\s*({known})\s*$|\*"}
        return {"anyOf": [{"enum": list(field.choices)}, of_any_case]}
    match field.kind:
        case Kind.BOOL:
            return {"enum": [True, False, "yes", "no"]}
        case Kind.NUMBER:
            return {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^\s*-?[0-9]+\s*$"}]}
        case Kind.FREE:
            return {"type": ["string", "number", "boolean"]}
    return {"type": ["string", "integer"]}
