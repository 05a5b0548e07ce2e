"""What the chaos tests share: real `ats-router` processes, an ATS that posts to them, an endpoint that notes what
arrives, and the one checker of what was promised.
"""

import asyncio
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from redis.asyncio import Redis
from redis.exceptions import RedisError

from handlers.base import Handler, Post, Sample
from router.client import Client, NoAnswer
from router.config import load
from router.connection import ServerProblem, Servers
from router.connection import close as close_redis
from router.durability import Durability
from router.embedded import EmbeddedServer, socket_of
from router.ledger import INTAKE, Ledger, sink_lane
from router.parts import sources_of
from router.schema import EventType
from router.sending import Sent, post
from router.supervisor import PARENT_VARIABLE
from tests.topologies import PASSWORD, free_port

SINK = "endpoint"
SOURCES = ("east", "north", "west")
PROMISED_SECONDS = 15.0
"""After this time at most, work goes on by itself."""

MEMORY = 256 * 1024**2
_CONFIG = f"""
server:
  port: ${{PORT}}
redis:
  $REDIS
sources:
{"".join(f"  {source}: {{vendor: greenhouse, secret: '${{SECRET}}'}}" + chr(10) for source in SOURCES)}
sinks:
  {SINK}: {{type: http, url: '${{ENDPOINT}}'}}
  $SINKS
routes:
  - send_to: [{SINK}, $NAMES]
"""
_LOOK_SECONDS = 0.02
_POST_AGAIN_SECONDS = 0.2
_START_SECONDS = 30.0
_STOP_SECONDS = 20.0
_ARRIVE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """What one webhook says: an application came to a stage. Stages are numbered in the order in which they happen."""

    application: int
    stage: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request that came to the endpoint. ``at`` is on the monotonic clock."""

    step: Step
    key: str
    body: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Figures:
    """``stall`` is the longest time in which an application had something to be delivered and nothing new arrived."""

    acknowledged: int
    duplicates: int
    stall: float


def assert_promises(
    acknowledged: Mapping[Step, float], arrivals: Sequence[Arrival], faults: Collection[float] = ()
) -> Figures:
    """Check that what got a success code arrived: all of it, under one key, in order per application, in time.

    ``acknowledged`` says when each step was, ``faults`` when something was broken: a stall counts from there anew.
    """
    firsts: dict[Step, Arrival] = {}
    newest: dict[int, int] = {}
    problems = []
    for arrival in arrivals:
        step = arrival.step
        first = firsts.setdefault(step, arrival)
        if first is arrival:
            if step.stage < newest.get(step.application, step.stage):
                problems.append(f"out of order: {step} came after stage {newest[step.application]}")
            newest[step.application] = max(step.stage, newest.get(step.application, step.stage))
        elif (arrival.key, arrival.body) != (first.key, first.body):
            problems.append(f"changed: {step} came as {first.key}, and again as {arrival.key} or with other bytes")
    problems += [f"lost: {step} never arrived" for step in acknowledged if step not in firsts]
    of_key: dict[str, Step] = {}
    for step, first in firsts.items():
        if (other := of_key.setdefault(first.key, step)) != step:
            problems.append(f"one key for two: {other} and {step} both came as {first.key}")
    stall, stalled = _longest_stall(acknowledged, firsts, faults)
    if stall > PROMISED_SECONDS:
        problems.append(f"too late: {stall:.1f} s went by before {stalled} arrived")
    more = f"\n... and {len(problems) - 20} more" if len(problems) > 20 else ""
    assert not problems, "\n" + "\n".join(problems[:20]) + more
    return Figures(len(acknowledged), len(arrivals) - len(firsts), stall)


def _longest_stall(
    acknowledged: Mapping[Step, float], firsts: Mapping[Step, Arrival], faults: Collection[float]
) -> tuple[float, Step | None]:
    by_application = defaultdict(list)
    for step, arrival in firsts.items():
        if step in acknowledged:
            by_application[step.application].append(arrival)
    longest, stalled = 0.0, None
    for line in by_application.values():
        before = 0.0
        for arrival in sorted(line, key=lambda arrival: arrival.at):
            waits_since = max(before, acknowledged[arrival.step])
            broken_at = max((fault for fault in faults if fault <= arrival.at), default=0.0)
            if (stall := arrival.at - max(waits_since, broken_at)) > longest:
                longest, stalled = stall, arrival.step
            before = arrival.at
    return longest, stalled


@dataclass(frozen=True, slots=True)
class Place:
    """A further sink that gets everything too; ``settings`` are further ones, as in ``timeout: 1s, rate: 10/s``."""

    type: str
    url: str
    settings: str = ""


class Endpoint:
    """An HTTP endpoint that takes everything. ``seconds`` is how long it takes for it."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.in_flight = 0
        self.seconds = 0.0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/events", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/events"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        at = time.monotonic()
        key = request.headers["idempotency-key"]
        assert request.headers["webhook-id"] == key
        self.note(key, body, at)
        self.in_flight += 1
        await asyncio.sleep(self.seconds)
        self.in_flight -= 1
        return web.json_response({"thanks": True})

    def note(self, key: str, body: bytes, at: float) -> None:
        event = json.loads(body)
        step = Step(int(event["application"]["id"]), int(event["to_stage"]["name"]))
        self.arrivals.append(Arrival(step, key, body, at))


class Vendor:
    """An ATS: posts signed webhooks, in order per application, and the same bytes again until they are taken."""

    def __init__(self, client: Client, router_url: str, handler: Handler) -> None:
        self.acknowledged: dict[Step, float] = {}
        self.refusals: Counter[str] = Counter()
        self.longest_wait = 0.0
        """Seconds until a webhook was taken."""
        self._client = client
        self._router_url = router_url
        self._handler = handler

    async def post(self, step: Step) -> None:
        """Return when the router said that it has it."""
        sample = Sample(
            EventType.STAGE_CHANGED,
            str(step.application),
            f"Candidate {step.application}",
            "Engineer",
            datetime.now(UTC),
            stage=str(step.stage),
        )
        signed = self._handler.sign(self._handler.sample(sample), sample.at)
        url = f"{self._router_url}/webhooks/{SOURCES[step.application % len(SOURCES)]}"
        started = time.monotonic()
        while True:
            if await self._taken(url, signed):
                break
            await asyncio.sleep(_POST_AGAIN_SECONDS)
        self.acknowledged[step] = time.monotonic()
        self.longest_wait = max(self.longest_wait, self.acknowledged[step] - started)

    async def _taken(self, url: str, signed: Post) -> bool:
        try:
            sent: Sent = await post(self._client, url, signed)
        except NoAnswer as none:
            self.refusals[none.reason] += 1
            return False
        if not sent.accepted:
            assert sent.status == 503, f"the router answered {sent.status}: {sent.words}"
            self.refusals[str(sent.status)] += 1
            return False
        # a receiver may be killed after the status: then its answer has no body, and is a promise all the same
        assert sent.answer.get("disposition", "events") == "events"
        return True

    @asynccontextmanager
    async def busy(self, *, applications: int, pause: float) -> AsyncIterator[None]:
        """While this is open, each application moves on, with this pause between two of its webhooks."""
        stop = asyncio.Event()

        async def moves(application: int) -> None:
            stage = max([step.stage for step in self.acknowledged if step.application == application], default=0)
            await asyncio.sleep(pause * (application % applications) / applications)
            while not stop.is_set():
                stage += 1
                await self.post(Step(application, stage))
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause)

        async with asyncio.TaskGroup() as tasks:
            for number in range(applications):
                tasks.create_task(moves(number + 1))
            try:
                yield
            finally:
                stop.set()


class Program:
    """A running `ats-router` command. Its log, and that of its children, is read as it grows."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self.pid = process.pid
        self._log = log
        self._read = 0
        self._lines: list[dict[str, Any]] = []

    def log(self) -> list[dict[str, Any]]:
        with self._log.open("rb") as file:
            file.seek(self._read)
            for line in file:
                if line.endswith(b"\n"):
                    self._read += len(line)
                    with suppress(ValueError):  # such as a warning of the interpreter
                        self._lines.append(json.loads(line))
        return self._lines

    def said(self, text: str) -> list[str]:
        """The messages that hold this text."""
        return [line["message"] for line in self.log() if text in line.get("message", "")]

    def children(self, name: str) -> list[int]:
        """The pids of all that `up` ever started under this name."""
        return [int(pid) for text in self.said(f"{name} started") for pid in re.findall(r"\(pid (\d+)\)", text)]


def written(servers: Servers) -> str:
    """As under ``redis`` in a configuration."""
    place = f"url: '{servers.url}'"
    if servers.sentinels:
        place = f"sentinel: {{url: '{servers.url}', sentinels: {list(servers.sentinels)}}}"
    elif servers.nodes:
        place = f"cluster: {{nodes: {list(servers.nodes)}, bell: '{servers.bell}'}}"
    return place.replace(PASSWORD, "${PASSWORD}")


class Rig:
    """An installation in a folder of its own, with an ATS before it and an endpoint behind it."""

    def __init__(
        self,
        folder: Path,
        endpoint: Endpoint,
        client: Client,
        servers: Servers | None,
        places: Mapping[str, Place],
        durability: Durability | None,
    ) -> None:
        self.folder = folder
        self.endpoint = endpoint
        self.faults: list[float] = []
        self.checked = False
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.client = client
        self._servers = servers
        self.config = folder / "config.yaml"
        redis = f"data_dir: {folder}/data" if servers is None else written(servers)
        if durability is not None:
            redis += f"\n  durability: {durability}"
        further = "\n  ".join(
            f"{sink}: {{type: {place.type}, url: '${{URL_OF_{sink}}}', {place.settings}}}"
            for sink, place in places.items()
        )
        config = _CONFIG.replace("$REDIS", redis).replace("$SINKS", further).replace("$NAMES", ", ".join(places))
        self.config.write_text(config)
        given = {"PORT": str(port), "SECRET": secrets.token_hex(16), "ENDPOINT": endpoint.url, "PASSWORD": PASSWORD}
        given |= {f"URL_OF_{sink}": place.url for sink, place in places.items()}
        self.environment = {**os.environ, **given}
        self._lanes = (INTAKE, *map(sink_lane, (SINK, *places)))
        self._programs: list[Program] = []
        self._paused: set[int] = set()
        self.vendor = Vendor(client, self.url, sources_of(load(self.config, given))[SOURCES[0]].handler)

    # --- processes ----------------------------------------------------------------------------------------------

    def start(self, command: str) -> Program:
        """Start `up`, or one `serve` or `work`, which end with this process."""
        log = self.folder / f"{command}-{len(self._programs)}.log"
        parent = {} if command == "up" else {PARENT_VARIABLE: str(os.getpid())}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "router.cli", command, "--config", str(self.config)],
                env=self.environment | parent,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        program = Program(process, log)
        self._programs.append(program)
        return program

    async def ready(self) -> None:
        give_up = time.monotonic() + _START_SECONDS
        while not await self._is_ready():
            assert time.monotonic() < give_up, f"the router is not ready: see {self.folder}"
            await asyncio.sleep(_LOOK_SECONDS)

    async def _is_ready(self) -> bool:
        try:
            return (await self.client.request("GET", f"{self.url}/readyz", headers={}, timeout=1, keep=0)).status == 200
        except NoAnswer:
            return False

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[Redis]:
        """A connection to the server that keeps the ledger; one that is just starting again, or still loads what it
        kept, is waited for."""
        redis = await self._answering()
        try:
            yield redis
        finally:
            await close_redis(redis)

    async def _answering(self) -> Redis:
        give_up = time.monotonic() + PROMISED_SECONDS
        while True:
            try:
                redis = (self._servers or Servers(socket_of(self.folder / "data"))).client()
                try:
                    await redis.ping()
                except RedisError:
                    await close_redis(redis)
                    raise
                return redis
            except (ServerProblem, RedisError):
                assert time.monotonic() < give_up, "the server is not back"
            await asyncio.sleep(_LOOK_SECONDS)

    async def server_pid(self) -> int:
        """Of the server that answers; one that is just starting again is waited for."""
        async with self.redis() as redis:
            return int((await redis.info("server"))["process_id"])

    def kill(self, pid: int) -> None:
        self.faults.append(time.monotonic())
        os.kill(pid, signal.SIGKILL)

    def pause(self, pid: int) -> None:
        self.faults.append(time.monotonic())
        self._paused.add(pid)
        os.kill(pid, signal.SIGSTOP)

    def resume(self, pid: int) -> None:
        os.kill(pid, signal.SIGCONT)
        self._paused.discard(pid)

    def end(self) -> None:
        """End everything that was started here, however the test went."""
        for pid in self._paused:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        for program in self._programs:
            program.process.terminate()
        give_up = time.monotonic() + _STOP_SECONDS
        for program in self._programs:
            with suppress(subprocess.TimeoutExpired):
                program.process.wait(max(0.0, give_up - time.monotonic()))
            program.process.kill()
            program.process.wait()
            for pid in program.children(""):
                if str(self.config) in _ps(pid, "command"):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
        if self._servers is None:
            with suppress(ServerProblem):
                socket_of(self.folder / "data")  # nothing answers, where `up` could end it
                left = EmbeddedServer(self.folder / "data", MEMORY)
                left.start()
                left.stop()

    # --- the end of a test --------------------------------------------------------------------------------------

    async def check(self, title: str) -> Figures:
        """Wait until everything arrived and nothing is under way any more, and check what was promised."""
        arrived: set[Step] = set()
        read = 0

        def all_arrived() -> bool:
            nonlocal read
            arrived.update(arrival.step for arrival in self.endpoint.arrivals[read:])
            read = len(self.endpoint.arrivals)
            return self.vendor.acknowledged.keys() <= arrived

        try:
            await eventually(all_arrived, _ARRIVE_SECONDS)
        except TimeoutError:
            pass  # the checker says what is missing
        else:
            await self._nothing_waits()
        figures = assert_promises(self.vendor.acknowledged, self.endpoint.arrivals, self.faults)
        refusals = ", ".join(f"{count} x {what}" for what, count in self.vendor.refusals.items()) or "none"
        sys.stdout.write(
            f"\n{title}: {figures.acknowledged} acknowledged and arrived, {figures.duplicates} duplicates,"
            f" longest stall {figures.stall:.1f} s; refusals: {refusals};"
            f" longest until taken {self.vendor.longest_wait:.1f} s\n"
        )
        assert self.vendor.longest_wait <= PROMISED_SECONDS, "a webhook was refused for too long"
        self.checked = True
        return figures

    async def _nothing_waits(self) -> None:
        give_up = time.monotonic() + PROMISED_SECONDS
        async with self.redis() as redis:
            ledger = Ledger(redis)
            for lane in self._lanes:
                while waiting := (await ledger.backlog(lane)).subjects:
                    assert time.monotonic() < give_up, f"all arrived, yet {waiting} subjects wait in {lane}"
                    await asyncio.sleep(_LOOK_SECONDS)


@asynccontextmanager
async def make_rig(
    servers: Servers | None = None, places: Mapping[str, Place] | None = None, durability: Durability | None = None
) -> AsyncIterator[Rig]:
    """Without servers the embedded one is used, which only `up` starts. After an error in here the folder stays."""
    folder = Path(tempfile.mkdtemp(prefix="ats-"))  # pytest's own folders are too long for a socket
    async with AsyncExitStack() as stack:
        endpoint = await stack.enter_async_context(Endpoint())
        http = await stack.enter_async_context(Client())
        rig = Rig(folder, endpoint, http, servers, places or {}, durability)
        try:
            yield rig
        except BaseException as failed:
            failed.add_note(f"the logs are in {folder}")
            raise
        else:
            stack.callback(shutil.rmtree, folder)
        finally:
            rig.end()


async def eventually(condition: Callable[[], object], seconds: float = PROMISED_SECONDS) -> None:
    give_up = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > give_up:
            raise TimeoutError(f"it did not happen in {seconds:.0f} seconds")
        await asyncio.sleep(_LOOK_SECONDS)


def has_ended(pid: int) -> bool:
    """Gone, or only not yet waited for by whoever inherited it."""
    return _ps(pid, "stat").strip()[:1] in ("", "Z")


def _ps(pid: int, what: str) -> str:
    command = ["ps", "-ww", "-o", f"{what}=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
