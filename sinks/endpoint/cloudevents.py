"""CloudEvents 1.0 over HTTP, structured and binary.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md
"""

from collections.abc import Mapping
from enum import StrEnum

from pydantic_core import from_json, to_json

from router.schema import Event


class BodyFormat(StrEnum):
    """`EVENT`: the body alone. `STRUCTURED`: within a CloudEvent. `BINARY`: the body alone, the rest in headers."""

    EVENT = "event"
    STRUCTURED = "cloudevents"
    BINARY = "cloudevents-binary"


def attributes(event: Event) -> dict[str, str]:
    """The context attributes. Source and id name the event; the delivery's key is in the headers as always."""
    found = {
        "specversion": "1.0",
        "id": event.id,
        "source": f"/ats-router/{event.source}",
        "type": f"ats-router.{event.type}",
        "time": (event.occurred_at or event.received_at).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
    }
    return found | ({"subject": event.application.id} if event.application else {})


def structured(event: Event, body: bytes) -> bytes:
    return to_json({**attributes(event), "data": from_json(body)}, inf_nan_mode="null")


def headers(event: Event) -> dict[str, str]:
    """The attributes as headers; the type of the data is the `content-type` there."""
    named = {f"ce-{name}": _encoded(value) for name, value in attributes(event).items() if name != "datacontenttype"}
    return named | {"content-type": "application/json"}


def content_type(body_format: BodyFormat) -> Mapping[str, str]:
    kind = "application/cloudevents+json" if body_format is BodyFormat.STRUCTURED else "application/json"
    return {"content-type": kind}


def _encoded(value: str) -> str:
    """Percent-encoded (section 3.1.3.2 of the binding): all but printable ASCII without space, quote and percent."""
    return "".join(
        char if "!" <= char <= "~" and char not in '"%' else "".join(f"%{byte:02X}" for byte in _utf8(char))
        for char in value
    )


def _utf8(char: str) -> bytes:
    return char.encode(errors="replace")
