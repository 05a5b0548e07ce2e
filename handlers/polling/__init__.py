"""One module per vendor whose applications can be read from its API, next to its handler. A module that defines a
`Polls` is found by being here."""

from functools import cache
from typing import Any

from handlers.polling.base import Polls
from router.plugins import concrete_subclasses


@cache
def by_vendor() -> dict[str, type[Polls[Any]]]:
    """Every adapter by its vendor's name."""
    return {polls.vendor: polls for polls in concrete_subclasses(__name__, Polls)}  # type: ignore[type-abstract]
