"""Makes the dictionary that records in the ledger are compressed with, from the tests' recorded webhooks.

`python -m benchmarks.dictionary PATH` writes it. What a ledger holds can be read only with the dictionary that it was
written with, so an existing one never changes: a better one becomes a further form in `router/codec.py`. Words of the
vendors and of the common event make it up; what people wrote is scrambled, in each sample otherwise, before it counts.
"""

import json
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import zstandard

from handlers import by_vendor
from handlers.base import Disposition, Drift
from router.assess import waiting_facts
from router.identity import receipt_id
from router.project import project
from router.records import ApplicationState, Attempt, DeliveryRecord, DeliveryState, ReceiptRecord
from sinks.base import Result
from tests.handlers.vendors import Fixture, fixtures_of, handler_of

SIZE = 32768
_TIMES = 6
"""So often each recorded webhook is a sample, scrambled anew."""

_RECURS = 3
_CONSTANT = re.compile(r"[a-z]+([_.-][a-z]+)*|[A-Z]+(_[A-Z]+)*")


def texts_of(value: Any) -> Iterator[str]:
    """Every text in a piece of JSON, without the keys."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, str):
        yield value


def scrambled(value: Any, kept: frozenset[str], chance: random.Random) -> Any:
    """The same with other letters and digits in every text but the kept ones; its form stays: ``1f-2``, ``a@b.cd``."""
    match value:
        case dict():
            return {key: scrambled(item, kept, chance) for key, item in value.items()}
        case list():
            return [scrambled(item, kept, chance) for item in value]
        case str() if value not in kept and not value.startswith("http"):
            return "".join(_other(letter, chance) for letter in value)
        case str() if value not in kept:
            host, slash, rest = value.partition("//")[2].partition("/")
            return f"https://{host}{slash}" + "".join(_other(letter, chance) for letter in rest)
        case int() if not isinstance(value, bool) and value > 9:
            return chance.randrange(10 ** (len(str(value)) - 1), 10 ** len(str(value)))
        case _:
            return value


def _other(letter: str, chance: random.Random) -> str:
    if letter.isdecimal():
        return chance.choice("0123456789")
    if letter.isalpha():
        other = chance.choice("abcdefghiklmnoprstuw")
        return other.upper() if letter.isupper() else other
    return letter


def _parsed(fixture: Fixture) -> Any:
    try:
        return json.loads(fixture.body)
    except ValueError:
        return None


def samples_of(fixture: Fixture, kept: frozenset[str], chance: random.Random) -> Iterator[bytes]:
    """The body, and all that the ledger then keeps of it."""
    if (parsed := _parsed(fixture)) is None:
        return
    body = json.dumps(scrambled(parsed, kept, chance), separators=(",", ":")).encode()
    yield body
    handler = handler_of(fixture.vendor)
    try:
        normalised = handler.with_kinds(fixture.normalised(handler, body))
    except Drift:
        return
    if normalised.disposition is not Disposition.EVENTS:
        return
    at = datetime.fromtimestamp(chance.uniform(1.7e9, 2e9), UTC)
    source = chance.choice((fixture.vendor, f"{fixture.vendor}-eu", "ats"))
    record = ReceiptRecord(
        source=source,
        vendor=fixture.vendor,
        received_at=at,
        disposition=normalised.disposition,
        vendor_event=normalised.vendor_event,
        soft_drift=normalised.soft_drift,
    )
    yield record.model_dump_json(exclude_defaults=True).encode()
    identifier = receipt_id(source, normalised.account, str(chance.random()))
    receipt = fixture.with_body(body)
    for waiting in waiting_facts(
        normalised, receipt_id=identifier, source=source, vendor=fixture.vendor, receipt=receipt, mark=None
    ):
        yield waiting.model_dump_json(exclude_defaults=True).encode()
        state, events = project(ApplicationState(), waiting)
        yield state.model_dump_json(exclude_defaults=True).encode()
        for event in events:
            yield event.model_dump_json().encode()
        yield delivery(at, chance).model_dump_json(exclude_defaults=True).encode()


def delivery(at: datetime, chance: random.Random) -> DeliveryRecord:
    attempts = {
        Result.DELIVERED: Attempt(
            at=at, ms=chance.randrange(500), result=Result.DELIVERED, reason="ok", code=200, response="ok"
        ),
        Result.RETRY: Attempt(
            at=at, ms=chance.randrange(500), result=Result.RETRY, reason="http_503", code=503, response=""
        ),
        Result.AMBIGUOUS: Attempt(at=at, ms=15000, result=Result.AMBIGUOUS, reason="timeout"),
    }
    last = chance.choice([Result.DELIVERED, Result.DELIVERED, Result.DELIVERED, None])
    made = [attempts[chance.choice([Result.RETRY, Result.AMBIGUOUS])]] * chance.choice([0, 0, 0, 1])
    return DeliveryRecord(
        sink=chance.choice(("recruiters", "my-service", "hr-staging")),
        routes=(chance.choice(("all about applications", "hires", "engineering onsites")),),
        state=DeliveryState.DELIVERED if last else DeliveryState.PENDING,
        next_at=None if last or not made else at,
        attempts=(*made, *([attempts[last]] if last else [])),
    )


def words_of_vendors(fixtures: Sequence[Fixture]) -> frozenset[str]:
    """Values that are no person's: they look like a constant and recur, or more than one vendor has them."""
    counts: Counter[str] = Counter()
    vendors: dict[str, set[str]] = defaultdict(set)
    for fixture in fixtures:
        for text in set(texts_of(_parsed(fixture))):
            counts[text] += 1
            vendors[text].add(fixture.vendor)
    return frozenset(
        text
        for text, count in counts.items()
        if len(vendors[text]) > 1 or (count >= _RECURS and _CONSTANT.fullmatch(text) is not None)
    )


def main(path: Path) -> None:
    chance = random.Random(1)
    fixtures = [fixture for vendor in sorted(by_vendor()) for fixture in fixtures_of(vendor).values()]
    kept = words_of_vendors(fixtures)
    samples = [sample for _ in range(_TIMES) for fixture in fixtures for sample in samples_of(fixture, kept, chance)]
    chance.shuffle(samples)
    dictionary = zstandard.train_dictionary(SIZE, list(samples), level=3)
    path.write_bytes(dictionary.as_bytes())
    smaller = zstandard.ZstdCompressor(level=3, dict_data=dictionary)
    times = sum(map(len, samples)) / sum(len(smaller.compress(sample)) for sample in samples)
    print(f"{len(samples)} samples, which become {times:.1f} times smaller")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
