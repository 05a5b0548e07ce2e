"""One request, offline: what would the router make of it? No configuration, no server, an empty application state."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

import handlers
from handlers.base import Disposition, Handler, Normalised, Receipt
from router.assess import assess, dedupe_of, waiting_facts
from router.identity import receipt_id
from router.project import project
from router.records import ApplicationState
from router.schema import Event
from router.secret import Reference

_NOT_GIVEN = "no-secret-was-given"


class Misuse(Exception):
    """What was asked for can't be inspected. The text says why."""


def inspect_request(
    vendor: str, body: bytes, headers: Iterable[tuple[str, str]], secrets: Sequence[str], now: datetime
) -> dict[str, Any]:
    """The verdict and the resulting events, as plain JSON values.

    ``verified`` is true, false, or null where no secret was given; the body is normalised then all the same.

    Raises:
        Misuse: there is no such vendor, or its handler can't be made with these secrets.
    """
    handler = _handler(vendor, secrets)
    receipt = Receipt([(name.lower(), value) for name, value in headers], body, now)
    normalised = assess(handler, receipt) if secrets else handler.read(receipt)
    rejected = normalised.disposition is Disposition.REJECTED
    return {
        "vendor": vendor,
        "verified": not rejected if secrets else None,
        "reason": normalised.reason,
        "disposition": normalised.disposition.value,
        "vendor_event": normalised.vendor_event,
        "events": [event.model_dump(mode="json") for event in _events(handler, receipt, normalised)],
        "soft_drift": list(normalised.soft_drift),
    }


def inspect_line(line: bytes) -> dict[str, Any]:
    """The answer to one line of a batch: `inspect_request`'s, or ``{"error": SENTENCE}``. Never raises."""
    try:
        return _inspect_line(line)
    except Misuse as misuse:
        return {"error": str(misuse)}
    except Exception as error:  # whatever a line holds, the next one gets its answer too
        return {"error": f"this line can't be inspected ({type(error).__name__})"}


def _inspect_line(line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Misuse("this line is not JSON") from error
    if not isinstance(request, dict) or not isinstance(request.get("vendor"), str):
        raise Misuse("a line is a JSON object with at least a vendor and a body or body_base64")
    secrets = [] if request.get("secrets") is None else request["secrets"]
    if not isinstance(secrets, list) or not all(isinstance(secret, str) for secret in secrets):
        raise Misuse("secrets is a list of texts")
    headers = headers_of({} if request.get("headers") is None else request["headers"])
    return inspect_request(request["vendor"], _body(request), headers, secrets, moment(request.get("now")))


def _body(request: Mapping[str, Any]) -> bytes:
    text, encoded = request.get("body"), request.get("body_base64")
    if isinstance(text, str) and encoded is None:
        return text.encode(errors="surrogatepass")
    if isinstance(encoded, str) and text is None:
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise Misuse("body_base64 is not base64") from error
    raise Misuse("a line has either body (a text) or body_base64 (a text)")


def headers_of(written: object) -> list[tuple[str, str]]:
    """Headers from JSON: an object of names with a value or a list of values each.

    Raises:
        Misuse: it is anything else.
    """
    if not isinstance(written, Mapping):
        raise Misuse("headers are a JSON object: names with a value or a list of values each")
    headers = []
    for name, values in written.items():
        for value in values if isinstance(values, list) else [values]:
            if isinstance(value, bool) or not isinstance(value, (str, int, float)):
                raise Misuse(f"the value of the header {name!r} is not a text")
            headers.append((name, str(value)))
    return headers


def moment(unix: object) -> datetime:
    """A time from unix seconds; the present where none is given.

    Raises:
        Misuse: it is no number, or no time that exists.
    """
    if unix is None:
        return datetime.now(UTC)
    if isinstance(unix, bool) or not isinstance(unix, (int, float)):
        raise Misuse("now is a number of unix seconds")
    try:
        return datetime.fromtimestamp(unix, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Misuse("now is a number of unix seconds") from error


def _handler(vendor: str, secrets: Sequence[str]) -> Handler:
    known = handlers.by_vendor()
    if vendor not in known:
        raise Misuse(f"there is no vendor {vendor!r}; known are: {', '.join(sorted(known))}")
    handler = known[vendor]
    references = tuple(Reference(secret) for secret in secrets or [_NOT_GIVEN])
    try:
        return handler(handler.Settings.model_validate({"vendor": vendor, "secret": references}))
    except ValidationError as error:
        raise Misuse(f"the {vendor} handler can't use these secrets: {error.errors()[0]['msg']}") from error


def _events(handler: Handler, receipt: Receipt, normalised: Normalised) -> list[Event]:
    source = handler.vendor
    identifier = receipt_id(source, normalised.account, dedupe_of(normalised, receipt))
    states: dict[str, ApplicationState] = {}
    events = []
    for waiting in waiting_facts(
        normalised, receipt_id=identifier, source=source, vendor=handler.vendor, receipt=receipt, mark=None
    ):
        subject = waiting.fact.subject
        states[subject], told = project(states.get(subject, ApplicationState()), waiting)
        events += told
    return events
