"""Access tokens that live for an hour or so: asked for with what lives longer (RFC 6749, sections 4.4 and 6)."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlencode

from pydantic_core import from_json

from router.client import Client, NoAnswer

_CALL_SECONDS = 10.0
_LARGEST_ANSWER = 64 * 1024
_RENEW_BEFORE = 60.0
_USUAL_LIFE = 3600.0


@dataclass(frozen=True, slots=True)
class Grant:
    """OAuth 2: where an access token that soon ends is asked for, with which fields of a form, and how it is shown.
    ``authorization``: who asks, where the form does not say it (RFC 6749, section 2.3.1)."""

    url: str
    form: Mapping[str, str] = field(repr=False)
    scheme: str = "Bearer"
    authorization: str | None = field(default=None, repr=False)


class NoToken(Exception):
    """None is given. ``refused``: these credentials are not accepted; else it may be had later, in ``wait`` seconds
    where the server says so."""

    def __init__(self, words: str, *, refused: bool = False, wait: float | None = None) -> None:
        super().__init__(words)
        self.refused = refused
        self.wait = wait


class AccessToken:
    """The one token of a source or sink in this process; asked for when it is about to end, or was refused."""

    def __init__(self, client: Client, grant: Grant) -> None:
        self._client = client
        self._grant = grant
        self._one_at_a_time = asyncio.Lock()
        self._token = ""
        self._until = 0.0

    async def header(self) -> str:
        """The value of `Authorization`.

        Raises:
            NoToken: none is given.
        """
        async with self._one_at_a_time:
            if not self._token or self._until < time.monotonic():
                await self._ask()
            return f"{self._grant.scheme} {self._token}"

    def forget(self, header: str) -> None:
        """This one is not taken any more, although it should."""
        if header == f"{self._grant.scheme} {self._token}":
            self._token = ""

    async def _ask(self) -> None:
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        if self._grant.authorization is not None:
            headers["authorization"] = self._grant.authorization
        try:
            answer = await self._client.request(
                "POST",
                self._grant.url,
                body=urlencode(self._grant.form).encode(),
                headers=headers,
                timeout=_CALL_SECONDS,
                keep=_LARGEST_ANSWER,
            )
        except NoAnswer as error:
            raise NoToken(f"no access token: no answer ({error.reason})") from None
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise NoToken(f"no access token ({answer.status})", wait=answer.retry_after)
        try:
            given = from_json(answer.body)
        except ValueError:
            raise NoToken("no access token: the answer is not JSON") from None
        token = given.get("access_token") if isinstance(given, dict) else None
        if not isinstance(token, str) or not token:  # some servers tell it with the status 200
            raise NoToken(f"no access token is given for these credentials ({answer.status})", refused=True)
        life = given.get("expires_in")
        self._token = token
        self._until = time.monotonic() + _seconds(life) - _RENEW_BEFORE


def _seconds(life: object) -> float:
    """Some servers write the number as a text."""
    try:
        return float(life) if isinstance(life, (int, float, str)) else _USUAL_LIFE
    except ValueError:
        return _USUAL_LIFE
