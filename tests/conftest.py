import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from fcntl import LOCK_EX, LOCK_SH, flock
from pathlib import Path

import pytest
from redis import Redis as BlockingRedis
from redis.asyncio import Redis

from router.connection import client
from router.ledger import Ledger
from tests.postgres import Postgres
from tests.valkey import Valkey

TESTS = Path(__file__).parent


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """While a test runs that is marked `timed`, no other process of the run is in a test."""
    with (TESTS / "conftest.py").open() as machine:
        with (TESTS / "__init__.py").open() as queue:  # else those who share the machine could pass it on for ever
            flock(queue, LOCK_EX)
            flock(machine, LOCK_EX if item.get_closest_marker("timed") else LOCK_SH)
        return (yield)


@pytest.fixture
def own_server() -> Iterator[Valkey]:
    """A running server that a test may stop and start."""
    with tempfile.TemporaryDirectory(prefix="ats") as folder:  # pytest's own folders are too long for a socket
        server = Valkey(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture
async def own_ledger(own_server: Valkey) -> AsyncIterator[Ledger]:
    ledger = Ledger(client(own_server.url))
    yield ledger
    await ledger.close()


@pytest.fixture(scope="session")
def shared_url() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="ats") as folder:
        server = Valkey(Path(folder))
        server.start()
        yield server.url
        server.stop()


@pytest.fixture
def url(shared_url: str) -> str:
    """The URL of an empty server with its first settings."""
    with BlockingRedis.from_url(shared_url) as redis:
        redis.config_set("maxmemory", 0)
        redis.flushall()
    return shared_url


@pytest.fixture
async def redis(url: str) -> AsyncIterator[Redis]:
    async with client(url) as redis:
        yield redis
        await redis.connection_pool.disconnect()


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    ledger = Ledger(client(url))
    await ledger.open()
    yield ledger
    await ledger.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="ats") as folder:  # pytest's own folders are too long for a socket
        server = Postgres(Path(folder))
        server.start()
        yield server
        server.stop()
