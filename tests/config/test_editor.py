"""The schema of the configuration, as an editor uses it: what is right is not marked, and most of what is wrong is."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from typer.testing import CliRunner

import handlers
import sinks
from router.cli import app
from router.config.editor import config_schema
from router.config.faults import Unreadable
from router.config.located_yaml import decode, read
from router.config.settings import TOP_LEVEL
from router.glossary import entries

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "config.example.yaml").read_text()
BAD = Path(__file__).parent / "bad"
SCHEMA = config_schema()
VALIDATOR = Draft7Validator(SCHEMA)


def marked(text: str) -> list[str]:
    """Where an editor marks something. YAML as we read it is the one that editors know (1.2)."""
    return [".".join(map(str, error.path)) for error in VALIDATOR.iter_errors(read(text).root)]


def config(changed: str, by: str) -> str:
    assert changed in EXAMPLE
    return EXAMPLE.replace(changed, by, 1)


def test_it_is_a_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)


def test_the_published_file_is_what_the_command_prints() -> None:
    printed = CliRunner().invoke(app, ["schema", "config"]).stdout
    assert json.loads(printed) == SCHEMA
    published = (ROOT / "docs" / "config.schema.json").read_text()
    assert published == printed, "run: ats-router schema config > docs/config.schema.json"


def test_the_example_names_the_published_file_and_is_not_marked() -> None:
    assert EXAMPLE.splitlines()[0] == "# yaml-language-server: $schema=docs/config.schema.json"
    assert marked(EXAMPLE) == []


def test_every_part_of_the_file_is_known() -> None:
    assert SCHEMA["properties"].keys() == set(TOP_LEVEL)


@pytest.mark.parametrize(
    ("changed", "by"),
    [
        ("secret: ${GREENHOUSE_SECRET} ", "secret: {file: secrets/greenhouse}"),
        ("secret: ${GREENHOUSE_SECRET} ", 'secret: ["${NEW}", {file: old.txt}]'),
        ("url: ${MY_SERVICE_URL}", "url: https://example.com/${PATH}"),
        ("    # headers:", '    headers: {Authorization: "Bearer ${TOKEN}"}\n    # headers:'),
        ("port: 8080", "port: ${PORT}"),
        ("timeout: 15s", "timeout: 1.5 M"),
        ("timeout: 15s", "timeout: ${TIMEOUT}"),
        ("max_body: 1MiB", "max_body: 2 mb"),
        ("enabled: true", "enabled: off"),
        ("outcome: HIRED", "outcome: hired"),
        ("outcome: HIRED", "outcome: [Hired, DECLINED]"),
        ("outcome: HIRED", "outcome: {not: PENDING}"),
        ("outcome: HIRED", "job.custom_fields.Level of job: {at_least: 5, below: 9}"),
        ("outcome: HIRED", "job.custom_fields.level: 5"),
        ("outcome: HIRED", "offer.start_date: {after: 2026-01-31}"),
        ("outcome: HIRED", "any: [{tag: VIP}, {test: yes}]"),
        ("outcome: HIRED", "any: {tag: VIP, sequence: 5}"),
        ("outcome: HIRED", "not: {all: [{tag: VIP}]}"),
        ("outcome: HIRED", "candidate_source: {present: false}"),
        ("send_to: [my-service, hr-staging]", "send_to: [my-service, {recruiters: {channel: other}}]"),
        ("send_to: [my-service, hr-staging]", "stop: true"),
        ("# How long", "default: {send_to: [my-service]}\nstages: {INTERVIEW: [a, b], OFFER: c}\n# How long"),
    ],
)
def test_what_is_right_is_not_marked(changed: str, by: str) -> None:
    assert marked(config(changed, by)) == []


@pytest.mark.parametrize(
    ("changed", "by", "where"),
    [
        ("secret: ${GREENHOUSE_SECRET} ", "secret: hunter2", "sources.greenhouse.secret"),
        ("vendor: greenhouse", "vendor: grenhouse", "sources.greenhouse.vendor"),
        ("vendor: greenhouse", "vendr: greenhouse", "sources.greenhouse"),
        ("type: slack", "type: slak", "sinks.recruiters.type"),
        ("webhook_url: ${", "webhook: ${", "sinks.recruiters"),
        ("timeout: 15s", "timeout: 15", "sinks.my-service.timeout"),
        ("timeout: 15s", "timeout: 15 minutes", "sinks.my-service.timeout"),
        ("max_body: 1MiB", "max_body: 1048576", "server.max_body"),
        ("port: 8080", "port: many", "server.port"),
        ("tries: 12", "tries: 0", "sinks.my-service.retry.tries"),
        ("outcome: HIRED", "outcome: HIRE", "routes.2.when.outcome"),
        ("outcome: HIRED", "outcom: HIRED", "routes.2.when"),
        ("outcome: HIRED", "outcome: {nott: HIRED}", "routes.2.when.outcome"),
        ("outcome: HIRED", "outcome: {above: 5}", "routes.2.when.outcome"),
        ("outcome: HIRED", "any: HIRED", "routes.2.when.any"),
        ("outcome: HIRED", "sequence: first", "routes.2.when.sequence"),
        ("outcome: HIRED", "unless: {outcome: HIRED}", "routes.2.when"),
        ("outcome: HIRED", "job.custom_fields: HIRED", "routes.2.when"),
        ("  greenhouse:\n", "  Green House:\n", "sources"),
        ("# How long", "stages: {ONSITE: a}\n# How long", "stages"),
        ("retention:", "retentoin:", ""),
    ],
)
def test_what_is_wrong_is_marked_at_its_place(changed: str, by: str, where: str) -> None:
    assert where in marked(config(changed, by))


def test_most_bad_configurations_are_marked() -> None:
    """What is left needs the environment, other files, other lines, or a look into a text."""
    seen = {}
    for file in BAD.glob("*.yaml"):
        try:
            seen[file.stem] = bool(marked(decode(file.read_bytes())))
        except Unreadable:
            seen[file.stem] = True  # an editor says so by itself
    assert sum(seen.values()) > 0.5 * len(seen), [name for name, found in seen.items() if not found]


def described(schema: Any, path: str = "") -> list[str]:
    """The properties without a description, by where they are."""
    if isinstance(schema, list):
        return [missing for item in schema for missing in described(item, path)]
    if not isinstance(schema, dict):
        return []
    lacking = []
    for name, inner in (schema.get("properties") or {}).items() if isinstance(schema.get("properties"), dict) else ():
        target = SCHEMA["definitions"].get(inner.get("$ref", "").rpartition("/")[2], inner)
        if "if" not in path and not target.get("description"):
            lacking.append(f"{path}.{name}")
    return lacking + [
        miss for key, inner in schema.items() if key != "if" for miss in described(inner, f"{path}.{key}")
    ]


def test_every_key_is_described() -> None:
    assert described(SCHEMA) == []


def test_every_vendor_sink_and_field_can_be_completed() -> None:
    sources = SCHEMA["properties"]["sources"]["additionalProperties"]
    assert sources["properties"]["vendor"]["enum"] == sorted(handlers.by_vendor())
    targets = SCHEMA["properties"]["sinks"]["additionalProperties"]
    assert targets["properties"]["type"]["enum"] == sorted(sinks.by_type())
    conditions = SCHEMA["definitions"]["conditions"]
    known = conditions["properties"].keys() | conditions["patternProperties"].keys()
    assert len(known) == len(list(entries())) + len(("any", "all", "not", "expr"))


def test_defaults_are_told_as_they_are_written() -> None:
    http = SCHEMA["definitions"]["HttpSettings"]["properties"]
    assert http["timeout"]["description"].endswith("Without it: 15s.")
    assert http["concurrency"]["default"] == 64
    assert SCHEMA["definitions"]["Server"]["properties"]["max_body"]["description"].endswith("Without it: 1MiB.")
