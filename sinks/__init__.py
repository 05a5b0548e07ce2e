"""One module per type of sink. A module that defines a `Sink` is found by being here."""

from functools import cache

from router.plugins import concrete_subclasses
from sinks.base import Sink


@cache
def by_type() -> dict[str, type[Sink]]:
    """Every sink class by its type's name."""
    return {sink.sink_type: sink for sink in concrete_subclasses(__name__, Sink)}  # type: ignore[type-abstract]
