"""`ats-router up` as a process of its own, as anyone would run it."""

import asyncio
import os
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from router.client import Client, NoAnswer
from router.supervisor import PARENT_VARIABLE

_START_SECONDS = 20.0
_STOP_SECONDS = 30.0
_LOOK_SECONDS = 0.02
_READY_STATUS = 200


class DemoFailed(Exception):
    """The text says what did not happen."""


@asynccontextmanager
async def router_process(
    config: Path, folder: Path, port: int, environment: Mapping[str, str]
) -> AsyncIterator[Process]:
    """It keeps its data and its log in ``folder``, and ends with this process."""
    command = ["-P", "-m", "router.cli", "up", "--config", str(config), "--data-dir", str(folder)]
    given = {**os.environ, **environment, PARENT_VARIABLE: str(os.getpid())}
    with (folder / "up.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, "--port", str(port), env=given, stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()


async def until_ready(client: Client, port: int, router: Process) -> None:
    give_up = time.monotonic() + _START_SECONDS
    while True:
        if router.returncode is not None:
            raise DemoFailed(f"the router ended with code {router.returncode}")
        try:
            url = f"http://127.0.0.1:{port}/readyz"
            if (await client.request("GET", url, headers={}, timeout=1.0, keep=0)).status == _READY_STATUS:
                return
        except NoAnswer:
            pass
        if time.monotonic() > give_up:
            raise DemoFailed(f"the router was not ready after {_START_SECONDS:.0f} seconds")
        await asyncio.sleep(_LOOK_SECONDS)
