"""What the tests of every vendor share: its handler with the fixtures' settings, and the fixtures themselves.

A folder of fixtures holds ``settings.json`` and per case ``NAME.json`` (the exact body; also ``.xml`` or ``.form``),
``NAME.expected.json`` (disposition, facts, ...) and ``NAME.headers.json`` (where there are headers). A case whose name
begins with ``polled_`` is an answer of the vendor's API, as is every case of a vendor that sends no webhooks.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from handlers import by_vendor
from handlers.base import Handler, Normalised, Post, Receipt
from handlers.polled import PolledHandler, ReadsRows
from router.secret import Reference

FIXTURES = Path(__file__).parent.parent / "fixtures"
NOW = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Fixture:
    """``received_at`` is `NOW`, unless the case says when it was signed."""

    vendor: str
    name: str
    body: bytes
    headers: Mapping[str, str]
    rest: str
    received_at: datetime
    expected: Mapping[str, Any]

    @property
    def polled(self) -> bool:
        return self.name.startswith("polled_") or issubclass(by_vendor()[self.vendor], PolledHandler)

    @property
    def receipt(self) -> Receipt:
        return self.with_body(self.body)

    def with_body(self, body: bytes) -> Receipt:
        return Receipt(tuple(self.headers.items()), body, self.received_at, self.rest)

    def normalised(self, handler: Handler, body: bytes | None = None) -> Normalised:
        """What the handler makes of it, or of another body in its place. Raises `Drift`."""
        receipt = self.with_body(self.body if body is None else body)
        if not self.polled:
            return handler.normalise(receipt)
        assert isinstance(handler, ReadsRows)
        return handler.normalise_rows(receipt.body)


def receipt(body: bytes, headers: Mapping[str, str] | Iterable[tuple[str, str]] = (), rest: str = "") -> Receipt:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return Receipt(headers=tuple(pairs), body=body, received_at=NOW, rest=rest)


def arrived(post: Post) -> Receipt:
    """A request as it comes in `NOW`."""
    return receipt(post.body, post.headers, post.rest)


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
    [body] = [path for kind in ("json", "xml", "form") if (path := folder / f"{name}.{kind}").exists()]
    headers = folder / f"{name}.headers.json"
    expected = json.loads((folder / f"{name}.expected.json").read_text())
    return Fixture(
        vendor=vendor,
        name=name,
        body=body.read_bytes(),
        headers=json.loads(headers.read_text()) if headers.exists() else {},
        rest=expected.get("rest", ""),
        received_at=datetime.fromisoformat(expected["received_at"]) if "received_at" in expected else NOW,
        expected=expected,
    )


def _referenced(value: object) -> object:
    if isinstance(value, list):
        return [_referenced(item) for item in value]
    return Reference(value) if isinstance(value, str) else value
