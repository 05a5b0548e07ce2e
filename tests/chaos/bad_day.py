"""Eight sinks, half of which have a bad day: one hangs, one answers 500, one takes little, one is down."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

from aiohttp import web

from tests.chaos.harness import Endpoint, Place, Rig, make_rig

TAKEN_PER_SECOND = 5
"""What the endpoint that has too much to do still takes."""

TIMEOUT = "1s"


class Mood(StrEnum):
    FINE = "fine"
    HANGS = "hangs"
    FAILS = "fails"
    BUSY = "busy"
    DOWN = "down"


BAD = (Mood.HANGS, Mood.FAILS, Mood.BUSY, Mood.DOWN)


class Moody(Endpoint):
    """An endpoint that has good and bad days. ``arrivals`` is what it took, ``asked`` when anything came."""

    def __init__(self) -> None:
        super().__init__()
        self.mood = Mood.FINE
        self.asked: list[float] = []
        self._released = asyncio.Event()
        self._taken_in_second: tuple[int, int] = (0, 0)

    async def set(self, mood: Mood) -> None:
        self._released.set()
        self._released = asyncio.Event()
        before, self.mood = self.mood, mood
        if before is not Mood.DOWN and mood is Mood.DOWN:
            [site] = self._runner.sites
            await site.stop()
        elif before is Mood.DOWN and mood is not Mood.DOWN:
            port = int(self.url.split(":")[2].split("/")[0])
            await web.TCPSite(self._runner, "127.0.0.1", port).start()

    async def __aexit__(self, *error: object) -> None:
        self._released.set()
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.asked.append(time.monotonic())
        match self.mood:
            case Mood.HANGS:
                await self._released.wait()
                return web.Response(status=503)
            case Mood.DOWN:  # a connection from before
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            case Mood.FAILS:
                return web.Response(status=500)
            case Mood.BUSY if self._has_enough():
                return web.Response(status=429, headers={"Retry-After": "1"})
        return await super()._take(request)

    def _has_enough(self) -> bool:
        second = int(time.monotonic())
        taken = self._taken_in_second[1] if self._taken_in_second[0] == second else 0
        self._taken_in_second = (second, taken + 1)
        return taken >= TAKEN_PER_SECOND


@dataclass(frozen=True, slots=True)
class BadDay:
    """``good`` are always well; the ``moody`` ones go by what they are told. ``rig.endpoint`` is a good one, too."""

    rig: Rig
    good: Sequence[Endpoint]
    moody: Sequence[Moody]

    async def begins(self) -> None:
        for endpoint, mood in zip(self.moody, BAD, strict=True):
            await endpoint.set(mood)

    async def ends(self) -> None:
        for endpoint in self.moody:
            await endpoint.set(Mood.FINE)


@asynccontextmanager
async def make_bad_day() -> AsyncIterator[BadDay]:
    async with AsyncExitStack() as stack:
        good = [await stack.enter_async_context(Endpoint()) for _ in range(3)]
        moody = [await stack.enter_async_context(Moody()) for _ in BAD]
        names = [f"good{n}" for n in range(len(good))] + [mood.value for mood in BAD]
        places = {
            name: Place("http", endpoint.url, f"timeout: {TIMEOUT}")
            for name, endpoint in zip(names, [*good, *moody], strict=True)
        }
        rig = await stack.enter_async_context(make_rig(places=places))
        yield BadDay(rig, [rig.endpoint, *good], moody)
