"""What tests of commands share: a configuration and a ledger, and somebody who types."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from typer.testing import CliRunner, Result

from handlers.base import Disposition
from router.cli import app
from router.connection import client
from router.identity import receipt_id
from router.ledger import Ledger
from router.records import NewReceipt
from tests.factories import PARTITION, SOURCE, make_record

T = TypeVar("T")
CONFIG = """
{place}
sources:
  greenhouse:
    vendor: greenhouse
    secret: ${{GREENHOUSE_SECRET}}
sinks:
  my-service:
    type: http
    url: https://example.com/hook
routes:
  - send_to: my-service
"""


class Router:
    """A configuration and a ledger; `run` is what somebody types."""

    def __init__(self, config: Path, url: str) -> None:
        self.config = config
        self._url = url

    def run(self, line: str, *, answer: str | None = None) -> Result:
        return CliRunner().invoke(app, [*line.split(), "--config", str(self.config)], input=answer)

    def told(self, line: str) -> str:
        result = self.run(line)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, line: str) -> Any:
        return json.loads(self.told(f"{line} --json"))

    def on_ledger(self, work: Callable[[Ledger], Awaitable[T]]) -> T:
        async def opened() -> T:
            ledger = Ledger(client(self._url))
            await ledger.open()
            try:
                return await work(ledger)
            finally:
                await ledger.close()

        return asyncio.run(opened())


def drift_of(body: bytes, dedupe: str = "odd") -> NewReceipt:
    record = make_record(Disposition.DRIFT).model_copy(update={"reason": "payload.application: is missing"})
    return NewReceipt(receipt_id(SOURCE, None, dedupe), record, body, [])


def keep(router: Router, *receipts: NewReceipt) -> None:
    router.on_ledger(lambda ledger: ledger.accept(PARTITION, receipts))
