"""A signed sample, posted to a running router as the vendor would post it, and marked as a test."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from http.client import responses
from typing import Any

from handlers.base import Handler, Sample
from router.assess import TEST_HEADER, make_test_mark
from router.client import Client

_TIMEOUT_SECONDS = 10.0
_ANSWER_KEPT = 4096


@dataclass(frozen=True, slots=True)
class Sent:
    """What the router answered. ``receipt`` is None where it kept nothing."""

    status: int
    answer: dict[str, Any]

    @property
    def accepted(self) -> bool:
        return self.status == HTTPStatus.OK

    @property
    def receipt(self) -> str | None:
        receipt = self.answer.get("receipt")
        return receipt if isinstance(receipt, str) else None

    @property
    def words(self) -> str:
        """The disposition where it was accepted, else what the router said."""
        word = "disposition" if self.accepted else "detail"
        return str(self.answer.get(word) or responses.get(self.status, "it did not say why"))


async def send_sample(client: Client, url: str, handler: Handler, step: Sample, *, deliver: bool) -> Sent:
    """Post one made-up step. ``deliver``: its deliveries go out to the real sinks.

    Raises:
        NoAnswer: nothing answers at ``url``.
    """
    body = handler.sample(step)
    headers = handler.sign(body, step.at)
    headers[TEST_HEADER] = make_test_mark(handler.settings.secrets[0], body, deliver=deliver)
    return await post_body(client, url, body, headers)


async def post_body(client: Client, url: str, body: bytes, headers: dict[str, str]) -> Sent:
    """Post a body as it is."""
    headers = {"content-type": "application/json", **{name.lower(): value for name, value in headers.items()}}
    answer = await client.request("POST", url, body=body, headers=headers, timeout=_TIMEOUT_SECONDS, keep=_ANSWER_KEPT)
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = None
    return Sent(answer.status, said if isinstance(said, dict) else {})
