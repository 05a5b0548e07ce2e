"""What a route wants otherwise of a sink, checked like the settings of the sink itself."""

from collections.abc import Iterator

from pydantic import ValidationError

from router.config.faults import Fault, Path
from router.config.located_yaml import Document
from router.config.plain_words import plain_faults
from router.rules import SendTo
from router.wording import did_you_mean, listed, quoted
from sinks.base import SinkSettings


def in_overrides(document: Document, to: SendTo, settings: SinkSettings, path: Path) -> Iterator[Fault]:
    """The settings below a sink's name, which stands at ``path`` of a route."""
    path = document.known_part(path)
    may, place = settings.overridable, f"the sink {quoted(to.sink)}"
    if wrong := [key for key in to.overrides if key not in may]:
        instead = f"what a route can change of it is {listed(may, 'and')}" if may else "of this one nothing can"
        for key in wrong:
            hint = did_you_mean(key, may) or f"; {instead}"
            sentence = f"{quoted(key)} of {place} can't be changed by a route{hint}"
            yield Fault(sentence, document.keys.get((*path, key)), (*path, key))
        return
    try:
        settings.overridden(to.overrides)
    except ValidationError as failure:
        yield from plain_faults(document, path, place, type(settings), failure)
