import io
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.logs import NOISY, Formatter
from tests.router.operating import CONFIG, Router
from tests.router.receiving import Running, running


@pytest.fixture(scope="session")
def shared_receiver(shared_url: str) -> Iterator[Running]:
    with running(shared_url) as receiver:
        yield receiver


@pytest.fixture
def receiver(shared_receiver: Running, url: str) -> Running:
    """A receiver that runs, on an empty ledger that is well."""
    shared_receiver.look()
    return shared_receiver


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What the long-running commands would have logged."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Formatter())
    root, *noisy = [logging.getLogger(name) for name in (None, *NOISY)]
    levels = [logger.level for logger in (root, *noisy)]
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    for logger in noisy:
        logger.setLevel(logging.WARNING)
    yield stream
    for logger, level in zip((root, *noisy), levels, strict=True):
        logger.setLevel(level)
    root.removeHandler(handler)


@pytest.fixture
def router(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Router:
    monkeypatch.setenv("GREENHOUSE_SECRET", "s3cr3t")
    config = tmp_path / "config.yaml"
    config.write_text(CONFIG.format(place=f"redis: {{url: '{url}'}}"))
    return Router(config, url)
