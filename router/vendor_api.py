"""A vendor's API as handlers use it: one per source and process, with the manners that vendors ask for.

Calls keep to the vendor's rate, together with all others that use the same credentials; after a 429 or 503 nothing is
asked before the vendor's time is over; after a 401 or 403 one call is let through every half minute, until the
credentials work again.
"""

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from urllib.parse import quote, urlencode, urlsplit

from redis.exceptions import RedisError

from handlers.base import Drift
from handlers.enriching import Access, Login, NotThere, Refused, Session, Unavailable
from handlers.reading import Node
from router.access_token import AccessToken, NoToken
from router.client import Answer, Client, NoAnswer

REFUSED_PAUSE = 30.0
UNAVAILABLE_PAUSE = 5.0
LONGEST_PAUSE = 600.0
_LARGEST_ANSWER = 16 * 1024**2
_CACHED_ANSWERS = 1000
_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?', re.IGNORECASE)
_THROTTLED = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


Turn = Callable[[str, float], Awaitable[float]]
"""Reserves a call of a budget whose calls are so many seconds apart: in how many seconds it may begin."""


class VendorApi:
    """Satisfies `handlers.enriching.Api`. ``turn``: what shares the vendor's rate out to all that have the same
    credentials; without it the calls of this object alone keep to it."""

    def __init__(self, client: Client, access: Access, turn: Turn | None = None) -> None:
        self._client = client
        self._access = access
        self._turn = turn
        grant = (access.grant.form, access.grant.authorization) if access.grant else {}
        secrets = [*sorted(access.headers.items()), grant, access.user]
        self._budget = hashlib.sha256(repr((access.base, secrets)).encode()).hexdigest()[:16]
        self._token = AccessToken(client, access.grant) if access.grant else None
        self._session: Session | None = None
        self._logging_in = asyncio.Lock()
        self._at_once = asyncio.Semaphore(access.at_once)
        self._next_call = 0.0
        self._paused_until = 0.0
        self._pause_problem: Refused | Unavailable | None = None
        self._cache: dict[str, tuple[float, Node]] = {}

    async def get(self, path: str, params: Mapping[str, str] | None = None, *, cache: float = 0.0) -> Node:
        """See `handlers.enriching.Api.get`."""
        target = f"{path}?{urlencode(params)}" if params else path
        if cache and (known := self._cache.get(target)) and known[0] > time.monotonic():
            return known[1]
        answer = await self._call("GET", target)
        if cache:
            self._remember(target, answer, cache)
        return answer

    async def send(self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> Node:
        """See `handlers.enriching.Api.send`."""
        return await self._call(method, path, body, headers)

    async def linked(self, path: str, params: Mapping[str, str] | None = None) -> tuple[Node, str | None]:
        """See `handlers.enriching.Api.linked`."""
        answer = await self._answer("GET", f"{path}?{urlencode(params)}" if params else path, b"", {})
        following = _NEXT.search(answer.headers.get("link", ""))
        return self._read(answer), urlsplit(following[1]).query if following else None

    async def raw(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> bytes:
        """See `handlers.enriching.Api.raw`."""
        answer = await self._answer(method, path, content, headers)
        if answer.status != HTTPStatus.INTERNAL_SERVER_ERROR:
            self._check(answer)
        return answer.body

    @property
    def busy(self) -> bool:
        """Whether a call would have to wait for another one, or for a pause to end."""
        return self._at_once.locked() or self.pause > 0

    @property
    def pause(self) -> float:
        """Seconds until the vendor may be asked again."""
        return max(0.0, self._paused_until - time.monotonic())

    def _remember(self, target: str, answer: Node, seconds: float) -> None:
        if len(self._cache) >= _CACHED_ANSWERS:
            now = time.monotonic()
            fresh = {key: entry for key, entry in self._cache.items() if entry[0] > now}
            self._cache = fresh if len(fresh) < _CACHED_ANSWERS else {}
        self._cache[target] = (time.monotonic() + seconds, answer)

    async def _call(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> Node:
        content = b"" if body is None else json.dumps(body).encode()
        given = {"content-type": "application/json", **(headers or {})} if content else headers or {}
        return self._read(await self._answer(method, path, content, given))

    async def _answer(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        if ".." in path.partition("?")[0].split("/"):  # an id out of a body must not lead elsewhere
            raise NotThere("this is no path of the vendor's API")
        if self.pause and self._pause_problem is not None:
            raise self._pause_problem
        async with self._at_once:
            await self._in_turn()
            return await self._authorised(method, path, content, headers)

    async def _authorised(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        """With a token or session that ends, a refusal may mean that it was taken back early: then with a new one,
        once."""
        if self._access.login is not None:
            return await self._in_session(self._access.login, method, path, content, headers)
        if self._token is None:
            return await self._request(method, path, content, headers)
        for _ in range(2):
            try:
                authorization = await self._token.header()
            except NoToken as none:
                if none.refused:
                    raise self._paused(Refused(str(none)), REFUSED_PAUSE) from None
                raise self._paused(Unavailable(str(none)), none.wait) from None
            answer = await self._request(method, path, content, {**headers, "authorization": authorization})
            if answer.status != HTTPStatus.UNAUTHORIZED:
                break
            self._token.forget(authorization)
        return answer

    async def _in_session(
        self, login: Login, method: str, path: str, content: bytes, headers: Mapping[str, str]
    ) -> Answer:
        for _ in range(2):
            async with self._logging_in:
                if self._session is None:
                    self._session = await self._logged_in(login)
                session = self._session
            answer = await self._request(method, path, content, {**session.headers, **headers}, session.base)
            if answer.status != HTTPStatus.UNAUTHORIZED:
                break
            if self._session is session:
                self._session = None
        return answer

    async def _logged_in(self, login: Login) -> Session:
        try:
            return await login(self._client)
        except Refused as refused:
            raise self._paused(refused, REFUSED_PAUSE) from None
        except NoAnswer as error:
            raise self._paused(Unavailable(f"the vendor's log-in did not answer ({error.reason})"), None) from None

    async def _in_turn(self) -> None:
        """Space calls out, so that no second has more of them than the vendor allows."""
        if self._turn is not None:
            try:
                await asyncio.sleep(await self._turn(self._budget, 1 / self._access.per_second))
                return
            except (RedisError, OSError):
                pass  # better alone than not at all
        now = time.monotonic()
        self._next_call = max(now, self._next_call) + 1 / self._access.per_second
        await asyncio.sleep(self._next_call - now - 1 / self._access.per_second)

    async def _request(
        self, method: str, path: str, content: bytes, headers: Mapping[str, str], base: str | None = None
    ) -> Answer:
        sent = {"accept": "application/json", **self._access.headers, **headers}
        try:
            return await self._client.request(
                method,
                (base or self._access.base).rstrip("/") + quote(path, safe="/?&=%:,+[]@!$'()*;~"),
                body=content,
                headers=sent,
                timeout=self._access.timeout,
                keep=_LARGEST_ANSWER,
            )
        except NoAnswer as error:
            raise self._paused(Unavailable(f"the vendor's API did not answer ({error.reason})"), None) from None

    def _check(self, answer: Answer) -> None:
        status = answer.status
        if status in _REFUSED:
            raise self._paused(Refused(f"the vendor's API refuses the credentials ({status})"), REFUSED_PAUSE)
        if status in _THROTTLED:
            raise self._paused(Unavailable(f"the vendor's API asks to wait ({status})"), _asked_wait(answer))
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT):
            raise Unavailable(f"the vendor's API failed ({status})")
        if not 200 <= status < 300:
            raise NotThere(f"the vendor's API answered {status}")
        self._pause_problem = None
        if (wait := _used_up(answer)) is not None:
            self._paused(Unavailable("the vendor's limit is used up for now"), wait)

    def _read(self, answer: Answer) -> Node:
        self._check(answer)
        if not answer.body.strip():
            return Node.of({})
        try:
            return Node.parse(answer.body, several=True)
        except Drift:
            raise Unavailable("the vendor's API answered something else than JSON") from None

    def _paused(self, problem: Refused | Unavailable, wait: float | None) -> Refused | Unavailable:
        pause = min(LONGEST_PAUSE, UNAVAILABLE_PAUSE if wait is None else wait)
        self._paused_until = time.monotonic() + pause
        self._pause_problem = problem
        if isinstance(problem, Unavailable):
            problem.wait = pause
        return problem


def _used_up(answer: Answer) -> float | None:
    """Seconds until the vendor's limit is fresh, where this call was the last that it allows for now."""
    remaining = (answer.headers.get(name) for name in ("x-ratelimit-remaining", "x-rate-limit-remaining"))
    return _asked_wait(answer) if "0" in remaining else None


def _asked_wait(answer: Answer) -> float | None:
    """`Retry-After`, else the reset header that most vendors send: in seconds from now, or as unix time."""
    if (seconds := answer.retry_after) is not None:
        return seconds
    for name in ("x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset"):
        text = answer.headers.get(name, "")
        if text.isascii() and text.replace(".", "", 1).isdecimal():
            reset = float(text)
            return reset if reset < 1e9 else max(0.0, reset - time.time())
    return None
