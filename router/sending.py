"""A signed sample, posted to a running router as the vendor would post it, and marked as a test."""

import json
from dataclasses import dataclass, replace
from http import HTTPStatus
from http.client import responses
from typing import Any
from urllib.parse import quote

from handlers.base import Handler, Post, Sample
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
    return await post(client, url, marked(handler, handler.sign(handler.sample(step), step.at), deliver=deliver))


def marked(handler: Handler, signed: Post, *, deliver: bool) -> Post:
    """A signed request, marked as a test of ours."""
    mark = make_test_mark(handler.settings.secrets[0], signed.body, deliver=deliver)
    return replace(signed, headers={**signed.headers, TEST_HEADER: mark})


async def post(client: Client, url: str, request: Post) -> Sent:
    """Post a request as it is to a source's URL."""
    headers = {"content-type": "application/json", **{name.lower(): value for name, value in request.headers.items()}}
    to = f"{url}/{quote(request.rest)}" if request.rest else url
    answer = await client.request(
        "POST", to, body=request.body, headers=headers, timeout=_TIMEOUT_SECONDS, keep=_ANSWER_KEPT
    )
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = None
    return Sent(answer.status, said if isinstance(said, dict) else {})
