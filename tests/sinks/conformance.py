"""What every sink that speaks HTTP must hold to, whatever its target does. A sink's tests inherit `SinkConformance`."""

import asyncio
import gzip
import time
import tracemalloc
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from router.client import Client
from sinks.base import RESPONSE_KEPT, Delivery, Outcome, Result, Sink
from tests.sinks.target import (
    Behaviour,
    Target,
    answers,
    disconnects,
    endlessly,
    is_silent,
    never_accepts,
    nothing_listens,
    resets,
    says,
    then_closes,
)

_EVENT = (
    '{"id":"e1","type":"ApplicationCreated","source":"greenhouse-eu","vendor":"greenhouse","received_at":'
    '"2026-11-20T09:00:00Z","sequence":1,"vendor_event":"new_candidate_application","application":{"id":"77"},'
    '"candidate":{"name":"Zoë Łuczak"}}'
).encode()
DELIVERY = Delivery("5f0c2f6e8a1b4c3d9e7f60718293a4b5", _EVENT, _EVENT)

AFTER_SENDING = {
    "disconnect": (disconnects, "reset"),
    "reset": (resets, "reset"),
    "no answer": (is_silent, "timeout"),
    "dripping headers": (endlessly(b"HTTP/1.1 200 OK\r\nX-Drip: ", b".", pause=0.01), "timeout"),
    "not HTTP": (says(b"220 mail.example.com ESMTP\r\n"), "garbage"),
    "half an answer": (then_closes(says(b"HTTP/1.1 20")), "reset"),
    "too many headers": (endlessly(b"HTTP/1.1 200 OK\r\n", b"X-Flood: 1\r\n" * 100), "garbage"),
    "an endless header": (endlessly(b"HTTP/1.1 200 OK\r\nX-Flood: ", b"x" * 4096), "garbage"),
}


class SinkConformance:
    sink: ClassVar[type[Sink]]
    success: ClassVar[bytes] = b"{}"
    broken: ClassVar[Result] = Result.RETRY
    """What a status from 500 on means; ambiguous where the target has no idempotency key."""

    def settings(self, url: str) -> dict[str, Any]:
        """The settings of a sink whose requests go to this URL."""
        return {"url": url}

    def make(self, client: Client, url: str, timeout: str = "10s") -> Sink:
        settings = {"type": self.sink.sink_type, "timeout": timeout, **self.settings(url)}
        return self.sink(self.sink.Settings.model_validate(settings), client)

    async def attempt(self, sink: Sink) -> Outcome:
        return await sink.attempt(replace(DELIVERY, body=sink.render(DELIVERY)))

    async def outcome(self, client: Client, target: Target, timeout: str = "10s") -> Outcome:
        return await self.attempt(self.make(client, target.url, timeout))

    async def test_success(self, client: Client) -> None:
        async with Target(answers(200, self.success)) as target:
            outcome = await self.outcome(client, target)
        assert (outcome.result, outcome.reason, outcome.code) == (Result.DELIVERED, "ok", 200)
        assert outcome.response == self.success.decode()
        assert len(target.seen) == 1

    @pytest.mark.parametrize(("behaviour", "reason"), AFTER_SENDING.values(), ids=AFTER_SENDING)
    async def test_no_answer_after_sending_is_ambiguous(
        self, client: Client, behaviour: Behaviour, reason: str
    ) -> None:
        async with Target(behaviour) as target:
            outcome = await self.outcome(client, target, "1s" if reason == "timeout" else "10s")
            assert outcome == Outcome(Result.AMBIGUOUS, reason)
            assert len(target.seen) == 1

    async def test_refused(self, client: Client) -> None:
        with nothing_listens() as port:
            outcome = await self.attempt(self.make(client, f"http://127.0.0.1:{port}/"))
        assert outcome == Outcome(Result.RETRY, "refused")

    async def test_unknown_name(self, client: Client) -> None:
        outcome = await self.attempt(self.make(client, "http://no-such-host.invalid/", "20s"))
        assert outcome == Outcome(Result.RETRY, "dns")

    async def test_time_out_before_sending(self, client: Client) -> None:
        with never_accepts() as port:
            outcome = await self.attempt(self.make(client, f"http://127.0.0.1:{port}/", "300ms"))
        assert outcome == Outcome(Result.RETRY, "connect_timeout")

    async def test_tls_to_a_server_without(self, client: Client) -> None:
        async with Target(answers()) as target:
            outcome = await self.attempt(self.make(client, target.url.replace("http:", "https:")))
        assert outcome == Outcome(Result.RETRY, "tls")
        assert not target.seen

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_redirects_are_not_followed(self, client: Client, status: int) -> None:
        async with Target(answers(status, location="/elsewhere")) as target:
            outcome = await self.outcome(client, target)
        assert (outcome.result, outcome.reason, outcome.code) == (Result.PERMANENT, "redirect", status)
        assert len(target.seen) == 1

    @pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
    async def test_overloaded_or_broken_target(self, client: Client, status: int) -> None:
        async with Target(answers(status, b"later", retry_after="7")) as target:
            outcome = await self.outcome(client, target)
        assert outcome == Outcome(
            self.broken if status >= 500 else Result.RETRY, f"http_{status}", status, "later", 7.0
        )

    async def test_huge_error_page(self, client: Client) -> None:
        head = b"HTTP/1.1 500 Oh\r\nContent-Length: 99999999999\r\n\r\n"
        async with Target(endlessly(head, b"x" * 65536)) as target:
            tracemalloc.start()
            outcome = await self.outcome(client, target)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert (outcome.result, outcome.response) == (self.broken, "x" * RESPONSE_KEPT)
        assert peak < 4_000_000

    async def test_gzip_bomb(self, client: Client) -> None:
        bomb = gzip.compress(bytes(50_000_000))
        async with Target(answers(503, bomb, content_encoding="gzip")) as target:
            tracemalloc.start()
            outcome = await self.outcome(client, target)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert outcome.reason == "http_503"
        assert len(outcome.response) <= RESPONSE_KEPT
        assert peak < 4_000_000

    async def test_dripping_body_ends_with_the_time_limit(self, client: Client) -> None:
        """The status came, so the outcome is known."""
        drip = endlessly(b"HTTP/1.1 503 Oh\r\nContent-Length: 100000\r\n\r\n", b".", pause=0.05)
        async with Target(drip) as target:
            start = time.monotonic()
            outcome = await self.outcome(client, target, "400ms")
        assert 0.3 < time.monotonic() - start < 2
        assert (outcome.result, outcome.reason) == (self.broken, "http_503")
        assert set(outcome.response) == {"."}

    async def test_rubbish_in_the_body_and_the_reason_phrase(self, client: Client) -> None:
        async with Target(says(b"HTTP/1.1 500 Gr\xfc\xdfe\r\nContent-Length: 3\r\n\r\na\xff\x00")) as target:
            outcome = await self.outcome(client, target)
        assert (outcome.result, outcome.response) == (self.broken, "a�\x00")

    async def test_cookies_are_not_kept(self, client: Client) -> None:
        async with Target(answers(200, self.success, set_cookie="a=b; Path=/")) as target:
            sink = self.make(client, target.url.replace("127.0.0.1", "localhost"))
            await self.attempt(sink)
            await self.attempt(sink)
        assert [request.header("cookie") for request in target.seen] == [None, None]

    async def test_64_attempts_at_once(self, client: Client) -> None:
        arrived = asyncio.Barrier(64)

        async def answers_when_all_are_there(writer: asyncio.StreamWriter) -> None:
            await arrived.wait()
            await answers(200, self.success)(writer)

        async with Target(answers_when_all_are_there) as target:
            sink = self.make(client, target.url)
            outcomes = await asyncio.gather(*(self.attempt(sink) for _ in range(64)))
        assert {outcome.result for outcome in outcomes} == {Result.DELIVERED}
        assert target.connections == 64

    async def test_cancelling_an_attempt_leaves_the_sink_usable(self, client: Client) -> None:
        async with Target(is_silent, answers(200, self.success)) as target:
            sink = self.make(client, target.url)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(self.attempt(sink), 0.2)
            assert (await self.attempt(sink)).result is Result.DELIVERED

    @pytest.mark.parametrize("status", [401, 403, 404, 410])
    async def test_a_target_that_refuses_us_is_not_this_deliverys_fault(self, client: Client, status: int) -> None:
        async with Target(answers(status, b"")) as target:
            outcome = await self.outcome(client, target)
        assert (outcome.result, outcome.only_here) == (Result.REFUSED, False)

    async def test_two_workers_at_once_and_one_after_a_crash_send_the_same(self, client: Client) -> None:
        """What was rendered is kept; nothing else of the first attempt is known to those that follow."""
        async with Target(*[answers(200, self.success)] * 3) as target, Client() as other, Client() as later:
            sinks = [self.make(one, target.url) for one in (client, other)]
            delivery = replace(DELIVERY, body=sinks[0].render(DELIVERY))
            outcomes = await asyncio.gather(*(sink.attempt(delivery) for sink in sinks))
            outcomes.append(await self.make(later, target.url).attempt(delivery))
        assert {outcome.result for outcome in outcomes} == {Result.DELIVERED}
        assert len({request.body for request in target.seen}) == 1
        assert len({request.header("idempotency-key") for request in target.seen}) == 1
