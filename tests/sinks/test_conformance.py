import importlib

import pytest

import sinks
from tests.sinks.conformance import SinkConformance
from tests.sinks.database import DatabaseConformance

SUITES = (SinkConformance, DatabaseConformance)


@pytest.mark.parametrize("sink_type", sinks.by_type())
def test_every_sink_is_held_to_the_conformance_tests(sink_type: str) -> None:
    module = importlib.import_module(f"tests.sinks.test_{sink_type}")
    suites = [member for member in vars(module).values() if isinstance(member, type)]
    assert any(issubclass(suite, SUITES) and suite not in SUITES for suite in suites)
