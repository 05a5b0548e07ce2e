"""One module per ATS vendor. A module that defines a `Handler` is found by being here."""

from functools import cache

from handlers.base import Handler
from router.plugins import concrete_subclasses


@cache
def by_vendor() -> dict[str, type[Handler]]:
    """Every handler by its vendor's name."""
    return {handler.vendor: handler for handler in concrete_subclasses(__name__, Handler)}  # type: ignore[type-abstract]
