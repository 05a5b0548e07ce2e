"""The Starlette routes that vendors call. A success code goes out only when the ledger has the webhook."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from http import HTTPStatus

from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from handlers.base import Disposition, Normalised, Receipt, Rejected
from router.acceptor import Acceptor
from router.assess import Marked, assess, dedupe_of, intake_items, read_test_mark, waiting_facts
from router.bell import Bell
from router.connection import end
from router.health import Health
from router.identity import receipt_id
from router.ledger import Ledger
from router.parts import Source
from router.problems import problem
from router.records import NewReceipt, ReceiptRecord
from router.source_book import SourceBook

log = logging.getLogger(__name__)

BODY_SECONDS = 30.0
"""For a body to come whole; vendors give up earlier themselves."""

_TOO_LARGE = HTTPStatus(413)  # named differently before and after Python 3.13
_ASK_AGAIN_SECONDS = 30
_ASK_AGAIN_DISABLED_SECONDS = 300


class TooLarge(Exception):
    """The body is over the limit; the rest of it was not read."""


class Receiver:
    """``POST /webhooks/{source}[/{rest}]``, ``/healthz``, ``/readyz``, and ``/backlog`` for what scales workers."""

    def __init__(
        self, sources: Mapping[str, Source], ledger: Ledger, health: Health, bell: Bell, *, max_body: int
    ) -> None:
        self._book = SourceBook(sources, ledger)
        self._health = health
        self._bell = bell
        self._max_body = max_body
        self._acceptor = Acceptor(ledger, bell.ring)

    def use(self, sources: Mapping[str, Source], *, max_body: int) -> None:
        """Go by these from now on; requests that are being read go on as they began."""
        self._book.use(sources)
        self._max_body = max_body

    def app(self) -> Starlette:
        routes = [
            Route("/webhooks/{source}", self._webhook, methods=["POST"]),
            Route("/webhooks/{source}/{rest:path}", self._webhook, methods=["POST"]),
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/backlog", self._backlog),
        ]
        return Starlette(
            routes=routes, lifespan=self._lifespan, exception_handlers={404: _not_found, 405: _not_allowed}
        )

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        await self._book.sync()
        beside = [asyncio.create_task(self._health.watch()), asyncio.create_task(self._book.keep_up())]
        try:
            yield
        finally:
            await end(*beside)
            await self._bell.close()

    async def _healthz(self, _request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def _readyz(self, _request: Request) -> Response:
        problems = self._health.condition.problems
        status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
        return JSONResponse({"ready": not problems, "problems": problems}, status)

    async def _backlog(self, _request: Request) -> Response:
        try:
            return JSONResponse(asdict(await self._health.waiting()))
        except (RedisError, OSError):
            detail = "The Redis server does not answer."
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=_ASK_AGAIN_SECONDS)

    async def _webhook(self, request: Request) -> Response:
        """Answer one webhook, and log one line about it: never the path's rest, the headers or the body."""
        started = time.perf_counter()
        fields: dict[str, object] = {}
        try:
            response = await self._receive(request, fields)
        except Exception as error:  # a fault of ours: the vendor has to send again
            log.exception("a webhook failed")
            fields |= {"verdict": "failed", "reason": type(error).__name__}
            detail = "The router failed to take this webhook; send it again later."
            response = problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail, retry_after=_ASK_AGAIN_SECONDS)
        fields |= {"status": response.status_code, "ms": round((time.perf_counter() - started) * 1000, 1)}
        log.info("webhook", extra=fields)
        return response

    async def _receive(self, request: Request, fields: dict[str, object]) -> Response:
        source = self._book.get(request.path_params["source"])
        if source is None:
            fields["verdict"] = "unknown source"
            return problem(HTTPStatus.NOT_FOUND, "There is no source of this name here; check the URL.")
        fields["source"] = source.name
        if not source.enabled:
            fields["verdict"] = "disabled"
            detail = "This source is switched off for now; send again later."
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=_ASK_AGAIN_DISABLED_SECONDS)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await self._body(request)
        except TimeoutError:
            fields["verdict"] = "too slow"
            return problem(HTTPStatus.REQUEST_TIMEOUT, f"The body did not come in {BODY_SECONDS:.0f} seconds.")
        except TooLarge:
            fields["verdict"] = "too large"
            return problem(_TOO_LARGE, f"The body is larger than {self._max_body} bytes.")
        except ClientDisconnect:
            fields["verdict"] = "hung up"
            return problem(HTTPStatus.BAD_REQUEST, "The connection ended before the body did.")
        fields["bytes"] = len(body)
        receipt = Receipt(
            [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
            body,
            datetime.now(UTC),
            request.path_params.get("rest", ""),
        )
        return await self._answer(source, receipt, fields)

    async def _body(self, request: Request) -> bytes:
        """The exact bytes of the body.

        Raises:
            TooLarge: as soon as it is known, by what is announced or by what came.
        """
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self._max_body:
            raise TooLarge
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._max_body:
                raise TooLarge
        return bytes(body)

    async def _answer(self, source: Source, receipt: Receipt, fields: dict[str, object]) -> Response:
        normalised = assess(source.handler, receipt)
        mark = None
        if normalised.disposition is not Disposition.REJECTED:
            try:
                mark = read_test_mark(source.handler, receipt)
            except Rejected as rejected:
                normalised = Normalised(Disposition.REJECTED, reason=str(rejected))
        fields |= {"verdict": normalised.disposition, "vendor_event": normalised.vendor_event}
        match normalised.disposition:
            case Disposition.REJECTED:
                self._book.count_rejected(source.name)
                fields["reason"] = normalised.reason
                return problem(HTTPStatus.UNAUTHORIZED, f"Refused: {normalised.reason}.")
            case Disposition.PING:
                return JSONResponse({"disposition": Disposition.PING})
            case Disposition.HANDSHAKE if (reply := normalised.reply) is not None:
                return Response(reply.body, reply.status, dict(reply.headers))
        return await self._keep(source, receipt, normalised, mark, fields)

    async def _keep(
        self, source: Source, receipt: Receipt, normalised: Normalised, mark: Marked | None, fields: dict[str, object]
    ) -> Response:
        if (reason := self._health.condition.refuses) is not None:
            fields |= {"verdict": "refused", "reason": reason}
            detail = "The router has no room for new webhooks at the moment; send again later."
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=_ASK_AGAIN_SECONDS)
        new = new_receipt(source, receipt, normalised, mark)
        fields |= {"receipt": new.id, "facts": len(new.facts)}
        try:
            kept = await self._acceptor.accept(new)
        except RedisError as error:
            fields |= {"verdict": "refused", "reason": type(error).__name__}
            detail = "The router can't keep webhooks at the moment; send again later."
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, retry_after=_ASK_AGAIN_SECONDS)
        fields["duplicate"] = not kept
        if kept:
            self._book.count_soft_drift(source.name, normalised.soft_drift)
        if normalised.disposition is Disposition.SIGNAL and kept:
            self._book.ask_to_poll(source.name)
        if normalised.disposition is Disposition.DRIFT and kept:
            log.warning("drift", extra={"source": source.name, "receipt": new.id, "reason": normalised.reason})
        answer = {"receipt": new.id, "disposition": normalised.disposition, "duplicate": not kept}
        return JSONResponse(answer, source.handler.success)


def new_receipt(source: Source, receipt: Receipt, normalised: Normalised, mark: Marked | None) -> NewReceipt:
    """What the ledger shall keep of a verified request."""
    handler = source.handler
    identifier = receipt_id(source.name, normalised.account, dedupe_of(normalised, receipt))
    facts = waiting_facts(
        normalised, receipt_id=identifier, source=source.name, vendor=handler.vendor, receipt=receipt, mark=mark
    )
    record = ReceiptRecord(
        source=source.name,
        vendor=handler.vendor,
        account=normalised.account,
        received_at=receipt.received_at,
        disposition=normalised.disposition,
        vendor_event=normalised.vendor_event,
        reason=normalised.reason,
        soft_drift=normalised.soft_drift,
        headers=tuple((name, value) for name, value in receipt.headers if name in handler.kept_headers),
        test=mark is not None,
    )
    return NewReceipt(identifier, record, receipt.body, intake_items(facts))


async def _not_found(_request: Request, _error: Exception) -> Response:
    return problem(HTTPStatus.NOT_FOUND, "There is nothing here; webhooks go to /webhooks/SOURCE.")


async def _not_allowed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    allow = (error.headers or {})["Allow"]
    response = problem(HTTPStatus.METHOD_NOT_ALLOWED, f"This address takes {allow} only.")
    response.headers["Allow"] = allow
    return response
