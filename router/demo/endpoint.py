"""What stands in for the places that events go to: the user's own service, and Slack."""

import time
from http import HTTPStatus

from aiohttp import web


class Endpoint:
    """An HTTP server on one path."""

    def __init__(self, port: int, path: str) -> None:
        self.url = f"http://127.0.0.1:{port}{path}"
        self._port = port
        self._path = path
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post(self._path, self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        raise NotImplementedError


class Service(Endpoint):
    """The user's own: notes what arrives, unless it is ``down``.

    ``arrivals``: when each delivery first arrived, on the monotonic clock; ``received`` counts repeats, too.
    """

    def __init__(self, port: int) -> None:
        super().__init__(port, "/events")
        self.down = False
        self.arrivals: dict[str, float] = {}
        self.received = 0

    async def _take(self, request: web.Request) -> web.Response:
        await request.read()
        if self.down:
            # without Retry-After the waits are random and may grow longer than anyone watches a demo
            return web.Response(status=HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": "1"})
        self.received += 1
        self.arrivals.setdefault(request.headers["idempotency-key"], time.monotonic())
        return web.json_response({"thanks": True})


class SlackStandIn(Endpoint):
    """An incoming webhook of Slack: keeps the messages until they are taken to be shown."""

    def __init__(self, port: int) -> None:
        super().__init__(port, "/services/T0/B0/demo")
        self._messages: list[bytes] = []

    def take(self) -> list[bytes]:
        """The messages since the last time."""
        messages, self._messages = self._messages, []
        return messages

    async def _take(self, request: web.Request) -> web.Response:
        self._messages.append(await request.read())
        return web.Response(text="ok")
