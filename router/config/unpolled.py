"""Warnings about sources that can't be polled as they are written."""

from collections.abc import Iterator, Mapping

import handlers
from handlers import polling
from handlers.guide import Proof
from handlers.settings import SourceSettings
from router.config.faults import Fault, Path
from router.config.located_yaml import Document
from router.wording import quoted


def unpolled(document: Document, sources: Mapping[str, SourceSettings]) -> Iterator[Fault]:
    """Sources with ``poll`` whose vendor or credentials do not allow it, and sources that nothing ever comes from."""
    adapters = polling.by_vendor()
    for name, settings in sources.items():
        handler = handlers.by_vendor()[settings.vendor](settings)
        adapter = adapters.get(settings.vendor)
        can_be_asked = adapter is not None and adapter(handler).access() is not None
        is_pushed, is_written = handler.guide.proof is not Proof.NONE, "poll" in settings.model_fields_set
        wanted = settings.enabled and settings.poll.enabled
        place, path = f"the source {quoted(name)}", ("sources", name)
        if adapter is None and wanted and (is_written or not is_pushed):
            what = "can't be polled" if is_pushed else "sends no webhooks and can't be polled yet"
            todo = "remove poll" if is_pushed else "nothing will come from it"
            yield _at(document, (*path, "poll") if is_written else path, f"{handler.title} {what}; {todo}")
        elif adapter is not None and wanted and not can_be_asked and (is_written or not is_pushed):
            sentence = f"{place} has no credentials for {handler.title}'s API, so it is not polled"
            yield _at(document, path, f"{sentence}; docs/vendors.md says which settings it needs")
        elif not is_pushed and not wanted and settings.enabled:
            yield _at(document, path, f"{handler.title} sends no webhooks; without polling nothing comes from {place}")


def _at(document: Document, path: Path, sentence: str) -> Fault:
    return Fault(sentence, document.spot(path), path, is_warning=True)
