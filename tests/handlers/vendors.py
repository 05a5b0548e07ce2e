"""What the tests of every vendor share: its handler with the fixtures' settings, and the fixtures themselves."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from handlers import by_vendor
from handlers.base import Handler, Receipt
from router.secret import Reference

FIXTURES = Path(__file__).parent.parent / "fixtures"
NOW = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Fixture:
    vendor: str
    name: str
    body: bytes
    headers: Mapping[str, str]
    expected: Mapping[str, Any]

    @property
    def receipt(self) -> Receipt:
        return receipt(self.body, self.headers)


def receipt(body: bytes, headers: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> Receipt:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return Receipt(headers=tuple(pairs), body=body, received_at=NOW)


@cache
def settings_of(vendor: str) -> Mapping[str, Any]:
    """The settings with which the vendor's fixtures were signed, every text standing for a secret as well."""
    loaded: dict[str, Any] = json.loads((FIXTURES / vendor / "settings.json").read_text())
    return {key: _referenced(value) for key, value in loaded.items()}


def handler_of(vendor: str, **changes: object) -> Handler:
    handler = by_vendor()[vendor]
    settings = {**settings_of(vendor), **{key: _referenced(value) for key, value in changes.items()}}
    return handler(handler.Settings.model_validate(settings))


@cache
def fixtures_of(vendor: str) -> Mapping[str, Fixture]:
    folder = FIXTURES / vendor
    names = sorted(path.name.removesuffix(".expected.json") for path in folder.glob("*.expected.json"))
    return {name: _fixture(vendor, name) for name in names}


def _fixture(vendor: str, name: str) -> Fixture:
    folder = FIXTURES / vendor
    return Fixture(
        vendor=vendor,
        name=name,
        body=(folder / f"{name}.json").read_bytes(),
        headers=json.loads((folder / f"{name}.headers.json").read_text()),
        expected=json.loads((folder / f"{name}.expected.json").read_text()),
    )


def _referenced(value: object) -> object:
    if isinstance(value, list):
        return [_referenced(item) for item in value]
    return Reference(value) if isinstance(value, str) else value
