"""Access tokens that live for an hour or so: asked for with what lives longer (RFC 6749, sections 4.4 and 6)."""

import asyncio
import time
from http import HTTPStatus
from urllib.parse import urlencode

from handlers.base import Drift
from handlers.enriching import Grant, Refused, Unavailable
from handlers.reading import Node
from router.client import Client, NoAnswer

_CALL_SECONDS = 10.0
_LARGEST_ANSWER = 64 * 1024
_RENEW_BEFORE = 60.0
_USUAL_LIFE = 3600


class AccessToken:
    """The one token of a source in this process; asked for when it is needed and about to end, or was refused."""

    def __init__(self, client: Client, grant: Grant) -> None:
        self._client = client
        self._grant = grant
        self._one_at_a_time = asyncio.Lock()
        self._token = ""
        self._until = 0.0

    async def header(self) -> str:
        """The value of `Authorization`.

        Raises:
            ApiProblem: no token is given.
        """
        async with self._one_at_a_time:
            if not self._token or self._until < time.monotonic():
                await self._ask()
            return f"{self._grant.scheme} {self._token}"

    def forget(self, header: str) -> None:
        """The vendor does not take this one any more, although it should."""
        if header == f"{self._grant.scheme} {self._token}":
            self._token = ""

    async def _ask(self) -> None:
        try:
            answer = await self._client.request(
                "POST",
                self._grant.url,
                body=urlencode(self._grant.form).encode(),
                headers={"content-type": "application/x-www-form-urlencoded", "accept": "application/json"},
                timeout=_CALL_SECONDS,
                keep=_LARGEST_ANSWER,
            )
        except NoAnswer as error:
            raise Unavailable(f"no access token: no answer ({error.reason})") from None
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise Unavailable(f"no access token ({answer.status})", answer.retry_after)
        try:
            given = Node.parse(answer.body)
        except Drift:
            raise Unavailable("no access token: the answer is not JSON") from None
        token = given.text("access_token")
        if token is None:  # some vendors tell it with the status 200
            raise Refused(f"no access token is given for these credentials ({answer.status})")
        self._token = token
        self._until = time.monotonic() + (given.integer("expires_in") or _USUAL_LIFE) - _RENEW_BEFORE
