"""What does polling an account of 50,000 applications cost?

`python -m benchmarks.polling` polls a stand-in for Kombo's API, which runs as a process of its own, over HTTP: for the
first contact, after 20 of them changed, and all of it again. It prints calls, seconds, the memory that this process
takes at most, and what the server keeps per application. Exit code 1: more than 150 bytes per application or 150 MB.
"""

import argparse
import asyncio
import multiprocessing
import platform
import resource
import sys
import tempfile
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path

from handlers.kombo import Kombo, KomboSettings
from handlers.polling.kombo import PER_PAGE, KomboPolls
from router.client import Client
from router.connection import client
from router.embedded import EmbeddedServer
from router.ledger import INTAKE, Ledger
from router.parts import Source
from router.polling import Polling
from router.secret import Reference
from router.vendor_api import VendorApi
from tests.handlers.polling.account_kombo import INTEGRATION, KomboAccount
from tests.handlers.vendor_api import stand_in

MOST_BYTES, MOST_MEMORY = 150, 150 * 1024**2
CHANGED = 20
_JOBS = 200


class _Complete(KomboPolls):
    """As most vendors are read: what is in the list no more is looked for among all that was seen."""

    complete = True


class _Account(KomboAccount):
    """With ids as long as Kombo's, and with stages of its own for each of 200 jobs."""

    def id_of(self, number: int) -> str:
        return str(uuid.UUID(int=number * 7919))


def _serve(many: int, pipe: Connection) -> None:
    """The vendor: a process of its own, so that its memory is not counted."""

    async def serve() -> None:
        account = _Account(PER_PAGE)
        for number in range(many):
            one = account.add(at=datetime.now(UTC) - timedelta(days=30, seconds=number))
            one.stage = f"{account.stages[number % 4]} {number % _JOBS}"
        async with stand_in(account.answer) as vendor:
            pipe.send(vendor.url)
            while True:
                asked = await asyncio.to_thread(pipe.recv)
                if asked == "end":
                    return
                if asked == "change":
                    for one in account.applicants[:: many // CHANGED][:CHANGED]:
                        account.move(one, f"{account.stages[2]} 7")
                pipe.send(len(vendor.asked))

    asyncio.run(serve())


async def _measure(many: int, url: str, pipe: Connection, ledger_url: str) -> tuple[float, int]:
    redis = client(ledger_url)
    ledger = Ledger(redis)
    await ledger.open()
    secret = Reference("key-of-the-api")
    settings = {"vendor": "kombo", "secret": [secret], "api_key": secret, "integration": INTEGRATION, "api_url": url}
    handler = Kombo(KomboSettings.model_validate(settings))
    polls = _Complete(handler)
    access = polls.access()
    assert access is not None
    before = (await redis.info("memory"))["used_memory"]
    asked = 0
    async with Client() as http:
        quick = replace(access, per_second=1e6)
        polling = Polling(Source("account", handler, True), polls, VendorApi(http, quick), ledger)
        for name in ("first contact", f"{CHANGED} changed", "all again"):
            began, cpu = time.perf_counter(), time.process_time()
            await polling.run()
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
            pipe.send("count")
            calls = await asyncio.to_thread(pipe.recv)
            state = await ledger.read_poll("account")
            assert state.last is not None
            if name != "first contact":
                await ledger.keep_poll("account", state.model_copy(update={"everything_at": 0.0}))
            found = f"{state.last.rows:6} rows, {state.last.changed:3} changed"
            print(f"  {name:14} {calls - asked:4} calls, {found}, {seconds:6.2f} s ({cpu:.2f} s CPU)")
            asked = calls
            if name == "first contact":
                kept = ((await redis.info("memory"))["used_memory"] - before) / many
                pipe.send("change")
                await asyncio.to_thread(pipe.recv)
    waiting = (await ledger.backlog(INTAKE)).subjects
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(f"  kept: {kept:.0f} bytes per application; memory at most {memory / 1024**2:.0f} MB; {waiting} to be routed")
    await ledger.close()
    return kept, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--applications", type=int, default=50_000)
    many = parser.parse_args().applications
    ours, theirs = multiprocessing.Pipe()
    vendor = multiprocessing.get_context("spawn").Process(target=_serve, args=(many, theirs), daemon=True)
    vendor.start()
    url = ours.recv()
    print(f"{many} applications of {_JOBS} jobs, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder), 4 * 1024**3)
        server.start()
        try:
            kept, memory = asyncio.run(_measure(many, url, ours, server.url))
        finally:
            ours.send("end")
            server.stop()
            vendor.join(10)
    sys.exit(kept > MOST_BYTES or memory > MOST_MEMORY)


if __name__ == "__main__":
    main()
