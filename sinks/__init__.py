"""One module per type of sink. A module that defines a `Sink` is found by being here.

What of a sink is long to load lies in a folder, which is not searched, and is imported when the sink is made.
"""

from functools import cache

from router.plugins import concrete_subclasses
from sinks.base import Sink


@cache
def by_type() -> dict[str, type[Sink]]:
    """Every sink class by its type's name."""
    return {sink.sink_type: sink for sink in concrete_subclasses(__name__, Sink)}  # type: ignore[type-abstract]
