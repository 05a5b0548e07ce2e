"""A worker that polls is killed for good, again and again, while applications move: all is told, nothing twice."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

from router.ledger import INTAKE, Ledger
from router.schema import Event, EventType
from tests.handlers.polling.account import Account, Applicant
from tests.handlers.polling.account_kombo import INTEGRATION, KomboAccount
from tests.handlers.vendor_api import stand_in

KILLS = 3
APPLICATIONS = 9
CONFIG = """
redis: {{url: '{redis}'}}
sources:
  account:
    vendor: kombo
    secret: ${{KEY}}
    api_key: ${{KEY}}
    integration: '{integration}'
    api_url: {url}
    poll: {{every: 10s}}
sinks:
  here: {{type: http, url: 'https://example.com/hook', enabled: false}}
routes:
  - name: everything
    send_to: here
"""


async def test_a_poller_that_is_killed_misses_nothing_and_repeats_nothing(
    ledger: Ledger, url: str, tmp_path: Path
) -> None:
    account = KomboAccount()
    account.add_old(APPLICATIONS)
    async with stand_in(account.answer) as vendor:
        config = tmp_path / "config.yaml"
        config.write_text(CONFIG.format(redis=url, integration=INTEGRATION, url=vendor.url))
        worker = work(config)
        try:
            await until(lambda: knows_all(ledger))
            for number in range(KILLS):
                moving = account.applicants[number % APPLICATIONS]
                account.move(moving, account.stages[1 + number % 3])
                new = account.add()
                asked = len(vendor.asked)
                await ledger.ask_to_poll("account")
                await until(partial(more_than, vendor.asked, asked + 1))
                await asyncio.sleep(random.random() / 2)  # anywhere in a page
                worker.send_signal(signal.SIGKILL)
                worker.wait()
                worker = work(config)
                account.hire(new)
            await ledger.ask_to_poll("account")
            await until(lambda: all_told(ledger, account))
        finally:
            worker.kill()
            worker.wait()
    told = await events(ledger)
    for one in account.applicants:
        assert_told_once(one, [event for event in told if event.application and event.application.id == one.id])


def assert_told_once(one: Applicant, told: list[Event]) -> None:
    """What polling can't see, as it happened between two passes, need not be there; what is there leads to the end."""
    told.sort(key=lambda event: event.sequence)
    moves = [event for event in told if event.type is EventType.STAGE_CHANGED and event.to_stage]
    for before, after in pairwise(moves):
        assert after.from_stage
        assert after.from_stage.same_as(before.to_stage)
        assert not after.from_stage.same_as(after.to_stage)
    is_new = one.number > APPLICATIONS
    assert sum(event.type is EventType.APPLICATION_CREATED for event in told) == is_new
    assert sum(event.type is EventType.OUTCOME_CHANGED for event in told) == is_new


def work(config: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "router.cli", "work", "--config", str(config)]
    return subprocess.Popen(command, env={**os.environ, "KEY": KomboAccount.key}, stderr=subprocess.DEVNULL)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 nobody is told
            await asyncio.sleep(0.05)


async def more_than(asked: Sequence[object], many: int) -> bool:
    return len(asked) > many


async def knows_all(ledger: Ledger) -> bool:
    return (await ledger.read_poll("account")).knows_all


async def events(ledger: Ledger) -> list[Event]:
    listed = await ledger.listed([f"events:account {one}" for one in EventType], 10_000)
    stored = await ledger.read_events([entry.id for entry in listed])
    return [Event.model_validate_json(one.body) for one in stored.values() if one is not None]


async def all_told(ledger: Ledger, account: Account) -> bool:
    """Whether the last event of each that changed says how it is now."""
    if (await ledger.backlog(INTAKE)).subjects:
        return False
    latest = {one.application.id: one for one in sorted(await events(ledger), key=_sequence) if one.application}
    changed = [one for one in account.applicants if len(one.moves) > 1 or one.number > APPLICATIONS]
    return all(
        (told := latest.get(one.id)) is not None
        and told.application is not None
        and told.application.outcome is one.outcome
        and told.application.stage is not None
        and told.application.stage.name == one.stage
        for one in changed
    )


def _sequence(event: Event) -> int:
    return event.sequence
