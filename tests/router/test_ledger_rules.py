"""The log of the rules, and what processes say of configurations that they do not use."""

import asyncio
import itertools
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from redis.asyncio import Redis

from router import ledger_rules
from router.connection import client
from router.edition import Edition, edition_of
from router.ledger import Ledger
from router.ledger_keys import CONFIG, EDITIONS
from router.records import ConfigState

NOW = datetime.now(UTC)


def edition(*names: str) -> Edition:
    return edition_of({"routes": [{"name": name, "send_to": "x"} for name in names], "sinks": {"x": {"type": "http"}}})


async def test_rules_are_logged_with_what_changed_the_newest_first(ledger: Ledger) -> None:
    first, second = edition("a"), edition("a", "b")
    assert await ledger.rules_log() == []
    assert await ledger.note_rules(first)
    assert await ledger.note_rules(second)
    assert await ledger.note_rules(first)  # somebody took it back
    newest, middle, oldest = await ledger.rules_log()
    assert (newest.hash, newest.changes) == (first.hash, ("routes removed: b",))
    assert (middle.hash, middle.changes) == (second.hash, ("routes added: b",))
    assert (oldest.hash, oldest.changes) == (first.hash, ("the first rules: 1 route",))
    assert abs(newest.at - datetime.now(UTC)) < timedelta(minutes=1)
    assert await ledger.rules_log(1) == [newest]
    assert await ledger.edition(second.hash) == second
    assert await ledger.edition("nothing") is None


async def test_the_same_rules_are_logged_once_however_many_workers_start(ledger: Ledger, url: str) -> None:
    others = [Ledger(client(url)) for _ in range(5)]
    noted = await asyncio.gather(*(one.note_rules(edition("a")) for one in others for _ in range(3)))
    assert sorted(noted) == [False] * 14 + [True]
    assert len(await ledger.rules_log()) == 1
    for other in others:
        await other.close()


async def test_different_rules_at_once_are_all_logged_each_against_the_one_before(ledger: Ledger) -> None:
    await asyncio.gather(*(ledger.note_rules(edition(name)) for name in "abcdef"))
    changes = await ledger.rules_log()
    assert sorted(change.hash for change in changes) == sorted(edition(name).hash for name in "abcdef")
    for change, before in itertools.pairwise(changes):
        [was] = (await ledger.edition(before.hash)).routes  # type: ignore[union-attr]
        assert f"routes removed: {was}" in change.changes


async def test_old_rules_are_forgotten_with_their_texts_unless_they_are_used_again(
    ledger: Ledger, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_rules, "LOG_KEPT", 3)
    for name in "abcda":
        await ledger.note_rules(edition(name))
    changes = await ledger.rules_log()
    assert [change.hash for change in changes] == [edition(name).hash for name in "adc"]
    assert await cast("Awaitable[int]", redis.hlen(EDITIONS)) == 3
    assert await ledger.edition(edition("a").hash)
    assert not await ledger.edition(edition("b").hash)


def state(errors: int = 0, restart: tuple[str, ...] = (), ago: float = 0.0) -> ConfigState:
    return ConfigState(path="/c.yaml", since=NOW - timedelta(seconds=ago), errors=errors, restart=restart)


async def test_what_several_processes_say_is_told_once_since_the_first(ledger: Ledger) -> None:
    await ledger.show_config("receiver", state(errors=2))
    await ledger.show_config("worker", state(errors=2, ago=5))
    await ledger.show_config("other", state(restart=("server.port",)))
    assert await ledger.config_states() == [state(errors=2, ago=5), state(restart=("server.port",))]


async def test_it_is_told_until_the_last_of_them_uses_it(ledger: Ledger) -> None:
    for process in ("receiver", "worker"):
        await ledger.show_config(process, state(errors=2))
    await ledger.forget_config("receiver")
    await ledger.forget_config("a third one")
    assert await ledger.config_states() == [state(errors=2)]
    await ledger.forget_config("worker")
    assert await ledger.config_states() == []


async def test_a_process_that_is_gone_is_not_believed_for_long(
    ledger: Ledger, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ledger.show_config("killed", state(errors=2))
    await ledger.show_config("alive", state(restart=("server.port",)))
    assert 0 < await redis.ttl(CONFIG) <= 60
    monkeypatch.setattr(ledger_rules, "SILENT_SECONDS", -1.0)
    assert await ledger.config_states() == []
