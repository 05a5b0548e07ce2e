import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from router.connection import Servers
from router.embedded import EmbeddedServer
from tests.chaos.harness import MEMORY, Rig, make_rig

ROUNDS = int(os.environ.get("ATS_ROUTER_CHAOS_ROUNDS", "1"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "chaos_round" in metafunc.fixturenames:
        metafunc.parametrize("chaos_round", range(ROUNDS))


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    """With the embedded server."""
    async with make_rig() as rig:
        yield rig
        assert rig.checked, "the test did not get to its end"


@pytest.fixture
def own_server() -> Iterator[EmbeddedServer]:
    """A server that the test has in its hand, as a user's own one."""
    with tempfile.TemporaryDirectory(prefix="ats-") as folder:
        server = EmbeddedServer(Path(folder), MEMORY)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
async def own_rig(own_server: EmbeddedServer) -> AsyncIterator[Rig]:
    async with make_rig(Servers(own_server.url)) as rig:
        yield rig
        assert rig.checked, "the test did not get to its end"
