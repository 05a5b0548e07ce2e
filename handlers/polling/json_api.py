"""Lists of JSON:API (jsonapi.org, 1.1): what rows are related to stands beside them, once each."""

from collections.abc import Sequence

from handlers.polling.base import listed
from handlers.reading import Node


def documents(answer: Node, related: Sequence[str]) -> list[Node]:
    """Each row of a list as the API answers about a single one: with what it has under the names ``related``.

    Raises:
        Drift: there is no list.
    """
    included = {_named(item): item.raw for item in answer.nodes("included", sometimes=True)}
    rows = []
    for data in listed(answer, "data"):
        relationships = data.node("relationships", sometimes=True)
        names = [_named(relationships.node(name).node("data", sometimes=True)) for name in related]
        rows.append(Node.of({"data": data.raw, "included": [included[name] for name in names if name in included]}))
    return rows


def _named(item: Node) -> tuple[str | None, str | None]:
    return item.text("type"), item.id("id")
