"""What is known of every vendor, for people: the table and the sections of docs/vendors.md."""

from collections.abc import Iterator, Sequence

import handlers
from handlers import polling
from handlers.base import Handler
from handlers.connecting import Connects
from handlers.enriching import Enriches
from handlers.guide import Proof
from handlers.settings import SourceSettings
from router.units import like

COLUMNS = ("Vendor", "`vendor:`", "Arrives by", "Shown by", "URL registered", "API adds", "Sure by")


def rows() -> list[tuple[str, ...]]:
    """A row of `COLUMNS` per vendor, by title."""
    return [_row(handler) for handler in _by_title()]


def markdown() -> str:
    """docs/vendors.md."""
    head = [_line(COLUMNS), _line(["---"] * len(COLUMNS))]
    table = [_line([f"[{row[0]}](#{row[1]})", f"`{row[1]}`", *row[2:]]) for row in rows()]
    sections = [line for handler in _by_title() for line in _section(handler)]
    return "\n".join([_INTRODUCTION, *head, *table, "", *sections])


_INTRODUCTION = """# Vendors

Made by `ats-router vendors --markdown`; every line comes from the vendor's module in `handlers/`.

- **Arrives by**: *webhook* is sent to the source's URL; *polling* means that the vendor's API is asked, see
  [polling.md](polling.md). `ats-router inspect` reads what that API answers, too.
- **Shown by**: what proves that a webhook came from the vendor. Where the body itself is not covered, somebody who saw
  one webhook could send another: configure the vendor's API as well, so that what was fetched decides.
- **URL registered**: by hand as described, or by `ats-router connect SOURCE`.
- **API adds**: webhooks with bare ids are completed where the source has credentials for the vendor's API.
- **Sure by**: where the facts come from. *unverified* means that documents were incomplete: try it with
  `ats-router inspect` on a webhook of your own first.
"""


def _by_title() -> list[type[Handler]]:
    return sorted(handlers.by_vendor().values(), key=lambda handler: handler.title.casefold())


def _row(handler: type[Handler]) -> tuple[str, ...]:
    pushes, guide = handler.guide.proof is not Proof.NONE, handler.guide
    ways = (["webhook"] if pushes else []) + (["polling"] if handler.vendor in polling.by_vendor() else [])
    registered = "`connect`" if issubclass(handler, Connects) else "by hand" if pushes else "-"
    adds = "yes" if issubclass(handler, Enriches) else "-"
    return (
        handler.title,
        handler.vendor,
        ", ".join(ways),
        str(guide.proof) if pushes else "-",
        registered,
        adds,
        str(guide.confidence),
    )


def _section(handler: type[Handler]) -> Iterator[str]:
    guide = handler.guide
    yield f'<a id="{handler.vendor}"></a>\n\n## {handler.title}\n'
    if guide.steps:
        yield "Register the URL:\n"
        yield from (f"{number}. {_sentence(step)}" for number, step in enumerate(guide.steps, 1))
        yield ""
    if guide.events:
        yield f"Events: {', '.join(f'`{event}`' for event in guide.events)}.\n"
    yield f"Verified: {_sentence(guide.verified)}\n"
    if guide.missing:
        yield "Missing or open:\n"
        yield from (f"- {_sentence(item)}" for item in guide.missing)
        yield ""
    if polls := polling.by_vendor().get(handler.vendor):
        often = f"every {like(polls.usual, '1s')}"
        yield f"Polled {often}, unless `poll:` says otherwise. Calls for 50,000 applications: {polls.cost}.\n"
    if guide.enrichment:
        yield f"With credentials for the API: {_sentence(guide.enrichment)}\n"
    if settings := list(_settings(handler.Settings)):
        yield "Settings besides those of every source:\n"
        yield from settings
        yield ""


def _settings(settings: type[SourceSettings]) -> Iterator[str]:
    for name, field in settings.model_fields.items():
        if name not in SourceSettings.model_fields:
            needed = "needed" if field.is_required() else "optional"
            yield f"- `{field.alias or name}` ({needed})" + (f": {field.description}" if field.description else "")


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", ":")) else f"{text}."


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
