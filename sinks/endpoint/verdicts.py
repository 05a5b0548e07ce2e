"""What the answer of an HTTP endpoint means, in general and for platforms that mean something else by it."""

from enum import StrEnum

from router.client import Answer
from sinks.base import Result

_TRY_AGAIN = {408, 409, 425, 429}
_REFUSES_US = {401, 403, 404, 405, 407, 410}


class Preset(StrEnum):
    """Automation platforms with answers and limits of their own."""

    N8N = "n8n"
    MAKE = "make"
    ZAPIER = "zapier"


RATES = {Preset.MAKE: "25/s", Preset.ZAPIER: "10/s"}
"""Make takes 300 in 10 seconds, Zapier about 30 in one; less leaves room for other senders."""


def verdict(answer: Answer, preset: Preset | None) -> tuple[Result, str]:
    """What an answer means for a POST with an idempotency key (RFC 9110, 15; Standard Webhooks).

    409 is the key's first request still running. Every 5xx is about the server, which people mend or deploy anew, so
    501 and 505 are tried again too; what is above 599 counts as 5xx (RFC 9110, 15). What says that we may not, or that
    nothing is there, is no word about this delivery: the URL is the same for all.
    """
    status = answer.status
    if preset is not None and (particular := _of_platform(answer, preset)) is not None:
        return particular
    if 200 <= status < 300:
        return Result.DELIVERED, "ok"
    if 300 <= status < 400:
        return Result.PERMANENT, "redirect"
    if status >= 500 or status in _TRY_AGAIN:
        return Result.RETRY, f"http_{status}"
    return Result.REFUSED if status in _REFUSES_US else Result.PERMANENT, f"http_{status}"


def _of_platform(answer: Answer, preset: Preset) -> tuple[Result, str] | None:
    """n8n answers 404 where a workflow is switched off, Make 400 where its queue is full; Zapier takes what comes also
    where nothing will be done with it."""
    match preset, answer.status:
        case Preset.N8N, 404:
            return Result.REFUSED, "workflow_inactive"
        case Preset.MAKE, 400 if "queue" in answer.text.lower():
            return Result.RETRY, "queue_full"
        case Preset.MAKE, 410:
            return Result.REFUSED, "webhook_inactive"
        case Preset.ZAPIER, status if 200 <= status < 300:
            return Result.DELIVERED, "ok_unproven"
    return None
