"""Stands in for the user's own service: an HTTP endpoint that notes what arrives, and can be taken away for a while."""

import time

from aiohttp import web


class Endpoint:
    """``arrivals``: when each delivery first arrived, on the monotonic clock; ``received`` counts repeats, too."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/events"
        self.arrivals: dict[str, float] = {}
        self.received = 0
        self._port = port
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/events", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()

    async def stop(self) -> None:
        """From now on connections are refused."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _take(self, request: web.Request) -> web.Response:
        await request.read()
        self.received += 1
        self.arrivals.setdefault(request.headers["idempotency-key"], time.monotonic())
        return web.json_response({"thanks": True})
