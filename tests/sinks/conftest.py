from collections.abc import AsyncIterator

import pytest

from router.client import Client

pytest.register_assert_rewrite("tests.sinks.conformance")


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client() as client:
        yield client
