"""One request, offline: what would the router make of it? No server, an empty application state."""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

import handlers
from handlers.base import Disposition, Drift, Handler, Normalised, Receipt
from handlers.guide import Proof
from handlers.polled import ReadsRows
from handlers.settings import SecretSettings
from handlers.stages import StageKinds
from router.assess import assess, dedupe_of, waiting_facts
from router.identity import receipt_id
from router.project import project
from router.records import ApplicationState
from router.schema import Event
from router.secret import Reference
from router.wording import did_you_mean, listed

_NOT_GIVEN = "no-secret-was-given"
_NO_STAGES = StageKinds(())


class Misuse(Exception):
    """What was asked for can't be inspected. The text says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """A recorded webhook, or an answer of a polled vendor's API. ``rest`` follows the source's name in the path."""

    body: bytes
    headers: Sequence[tuple[str, str]] = ()
    rest: str = ""
    now: datetime | None = None


def handler_for(vendor: str, secrets: Sequence[str], settings: Mapping[str, Any] | None = None) -> Handler:
    """A handler without a configuration; ``settings`` are those of a source, as in the file.

    Raises:
        Misuse: there is no such vendor, or its handler can't be made with these secrets and settings.
    """
    known = handlers.by_vendor()
    if vendor not in known:
        hint = did_you_mean(vendor, known) or f"; known are: {listed(sorted(known), 'and')}"
        raise Misuse(f"there is no vendor {vendor!r}{hint}")
    handler = known[vendor]
    given: dict[str, Any] = {**(settings or {}), "vendor": vendor}
    if issubclass(handler.Settings, SecretSettings):
        given["secret"] = tuple(map(Reference, secrets or [_NOT_GIVEN]))
    try:
        return handler(handler.Settings.model_validate(given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise Misuse(f"the {vendor} handler can't use these settings: {where}: {first['msg']}") from error


def inspect_request(handler: Handler, request: Request, *, verify: bool) -> dict[str, Any]:
    """The verdict and the resulting events, as plain JSON values.

    ``verified`` is true, false, or null where nothing was verified; the body is normalised then all the same, also one
    that is an answer of the vendor's API.
    """
    headers = [(name.lower(), value) for name, value in request.headers]
    receipt = Receipt(headers, request.body, request.now or datetime.now(UTC), request.rest)
    verify = verify and handler.guide.proof is not Proof.NONE
    normalised = assess(handler, receipt) if verify else read_body(handler, receipt)
    rejected = normalised.disposition is Disposition.REJECTED
    return {
        "vendor": handler.vendor,
        "verified": not rejected if verify else None,
        "reason": normalised.reason,
        "disposition": normalised.disposition.value,
        "vendor_event": normalised.vendor_event,
        "events": [event.model_dump(mode="json") for event in events_told(handler, receipt, normalised)],
        "soft_drift": list(normalised.soft_drift),
    }


def read_body(handler: Handler, receipt: Receipt) -> Normalised:
    """What a body says, unverified; also one that is an answer of the vendor's API."""
    normalised = handler.read(receipt)
    if normalised.disposition is Disposition.DRIFT and isinstance(handler, ReadsRows):
        with suppress(Drift):
            return handler.with_kinds(handler.normalise_rows(receipt.body))
    return normalised


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
    settings = {} if request.get("settings") is None else request["settings"]
    rest = "" if request.get("rest") is None else request["rest"]
    if not isinstance(settings, dict) or not isinstance(rest, str):
        raise Misuse("settings are a JSON object, rest (what follows the source's name in the path) is a text")
    headers = headers_of({} if request.get("headers") is None else request["headers"])
    handler = handler_for(request["vendor"], secrets, settings)
    recorded = Request(_body(request), headers, rest, moment(request.get("now")))
    return inspect_request(handler, recorded, verify=bool(secrets))


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


def events_told(
    handler: Handler, receipt: Receipt, normalised: Normalised, *, source: str = "", stages: StageKinds = _NO_STAGES
) -> list[Event]:
    """The events that a receipt becomes with an empty state. ``source`` is the vendor's name where none is given."""
    source = source or handler.vendor
    identifier = receipt_id(source, normalised.account, dedupe_of(normalised, receipt))
    states: dict[str, ApplicationState] = {}
    events = []
    for waiting in waiting_facts(
        normalised, receipt_id=identifier, source=source, vendor=handler.vendor, receipt=receipt, mark=None
    ):
        waiting = waiting.model_copy(update={"fact": stages.complete(waiting.fact)})
        subject = waiting.fact.subject
        states[subject], told = project(states.get(subject, ApplicationState()), waiting)
        events += told
    return events
