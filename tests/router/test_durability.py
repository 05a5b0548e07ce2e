"""What a success code promises where the ledger has replicas; that it is kept through failures is in `tests/chaos`."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from redis.exceptions import ConnectionError, ResponseError

from router.connection import Servers
from router.durability import Durability, replicas_of, shortfall
from router.ledger import Ledger
from tests.factories import PARTITION, make_receipt
from tests.topologies import HOST, Server, eventually, free_port

IN_MEMORY = ("--save", "", "--repl-diskless-sync-delay", "0")


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ats-") as folder:
        yield Path(folder)


@pytest.fixture
def primary(folder: Path) -> Iterator[Server]:
    server = Server(folder / "primary", free_port(), *IN_MEMORY)
    eventually(server.answers, "its start")
    yield server
    server.redis.close()
    server.kill()


@pytest.fixture
async def replicated(primary: Server) -> AsyncIterator[Ledger]:
    ledger = Ledger(Servers(primary.url).client(), durability=Durability.REPLICATED)
    yield ledger
    await ledger.close()


async def test_nothing_is_accepted_that_only_the_primary_has_and_the_repeat_is_waited_for_as_well(
    primary: Server, replicated: Ledger, folder: Path
) -> None:
    receipt = make_receipt("1")
    for _ in range(2):
        with pytest.raises(ConnectionError, match="0 replicas have it, 1 have to"):
            await replicated.accept(PARTITION, [receipt])
    replica = Server(folder / "replica", free_port(), *IN_MEMORY, "--replicaof", HOST, str(primary.port))
    try:
        eventually(lambda: replica.ask("INFO", "replication")["master_link_status"] == "up", "its start")
        assert await replicated.accept(PARTITION, [receipt, make_receipt("2")]) == [False, True]
        assert len(replica.ask("KEYS", "*receipt:*")) == 2
    finally:
        replica.redis.close()
        replica.kill()


async def test_all_but_one_replica_have_to_have_it(replicated: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    async def three(redis: object) -> int:
        return 3

    monkeypatch.setattr("router.ledger.replicas_of", three)
    await replicated.count_replicas()
    with pytest.raises(ConnectionError, match="2 have to"):
        await replicated.accept(PARTITION, [make_receipt("1")])


async def test_replicas_are_counted_when_the_ledger_is_opened(
    replicated: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.ledger.replicas_of", AsyncMock(return_value=3))
    await replicated.open()
    with pytest.raises(ConnectionError, match="2 have to"):
        await replicated.accept(PARTITION, [make_receipt("1")])


async def test_a_script_that_the_server_forgot_is_told_again(primary: Server) -> None:
    ledger = Ledger(Servers(primary.url).client(), durability=Durability.REPLICATED)
    ledger._replicas = 0
    for number in range(2):
        primary.ask("SCRIPT FLUSH")
        assert await ledger.accept(PARTITION, [make_receipt(str(number))]) == [True]
    await ledger.close()


async def test_replicas_are_counted_where_there_are_fewest(replicated: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await replicas_of(replicated._redis) == 0

    async def of_three(*_: object) -> list[dict[str, int]]:
        return [{"connected_slaves": count} for count in (2, 1, 3)]

    monkeypatch.setattr("router.durability.on_each_primary", of_three)
    assert await replicas_of(replicated._redis) == 1


@pytest.mark.parametrize(
    ("durability", "settings", "lacks"),
    [
        (Durability.MEMORY, {}, None),
        (Durability.AOF, {}, "appendonly yes"),
        (Durability.AOF, {"appendonly": "yes", "appendfsync": "everysec"}, "appendfsync always"),
        (Durability.AOF, {"appendonly": "yes", "appendfsync": "always"}, None),
        (Durability.REPLICATED, {}, "min-replicas-to-write 1"),
        (Durability.REPLICATED, {"min-replicas-to-write": "1"}, None),
    ],
)
async def test_a_server_that_is_set_up_weaker_is_told(
    primary: Server, durability: Durability, settings: dict[str, str], lacks: str | None
) -> None:
    for name, value in settings.items():
        primary.redis.config_set(name, value)
    ledger = Ledger(Servers(primary.url).client())
    told = await shortfall(ledger._redis, durability)
    await ledger.close()
    assert told is None if lacks is None else told is not None and lacks in told


@pytest.mark.parametrize("shown", [None, {}, {"appendfsync": "always"}])
async def test_a_server_that_hides_its_settings_is_used_all_the_same(
    replicated: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    shown: dict[str, str] | None,
) -> None:
    ask = replicated._redis.execute_command

    async def hides(*command: str, **options: object) -> object:
        if command[0] != "CONFIG GET":
            return await ask(*command, **options)  # type: ignore[no-untyped-call]
        if shown is None:
            raise ResponseError("unknown command 'CONFIG'")
        return shown

    monkeypatch.setattr(replicated._redis, "execute_command", hides)
    await replicated.open()
    assert "less durable than redis.durability says: a server does not let" in caplog.text
