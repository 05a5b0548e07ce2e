"""What the design promises of the code's shape, read from the code itself."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import handlers
import router
import sinks
from handlers.base import Handler
from handlers.polling.base import Polls
from router.plugins import concrete_subclasses
from sinks.base import Sink

ROOT = Path(router.__file__).parent.parent
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in (router, handlers, sinks)
    for path in Path(str(package.__file__)).parent.rglob("*.py")
}
GROUND = {
    "router",
    *(f"router.{name}" for name in ("schema", "secret", "units", "client", "transport", "access_token")),
    *(f"router.{name}" for name in ("plugins", "fields", "wording", "allowed", "synonyms")),
    *(f"router.templates{name}" for name in ("", ".compiled", ".filters", ".language", ".mistakes")),
}
"""What handlers and sinks may use of the router. It stands on nothing else of ours."""

CLIENTS_OF_REDIS = {
    f"router.{name}"
    for name in (
        "ledger",
        "ledger_gates",
        "ledger_mending",
        "ledger_polls",
        "ledger_reading",
        "ledger_rules",
        "ledger_sources",
        "connection",
        "durability",
        "bell",
        "embedded",
    )
}
VENDORS = {cls.__module__ for cls in concrete_subclasses("handlers", Handler)}  # type: ignore[type-abstract]
ADAPTERS = {cls.__module__ for cls in concrete_subclasses("handlers.polling", Polls)}  # type: ignore[type-abstract]
TARGETS = {cls.__module__ for cls in concrete_subclasses("sinks", Sink)}  # type: ignore[type-abstract]

modules = pytest.mark.parametrize("module", sorted(FILES))
plugins = pytest.mark.parametrize("module", sorted(name for name in FILES if not name.startswith("router")))


def imports(module: str) -> set[str]:
    """The modules that a module imports, wherever in it; also those that are imported as a name of their package."""
    found = set()
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module is not None
            submodules = {f"{node.module}.{alias.name}" for alias in node.names} & FILES.keys()
            found |= submodules or {node.module}
    return found


def of_package(names: set[str], package: str) -> set[str]:
    return {name for name in names if name == package or name.startswith(f"{package}.")}


def functions(module: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(FILES[module].read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("module", sorted(GROUND))
def test_the_ground_stands_on_nothing_else(module: str) -> None:
    ours = {name for package in ("router", "handlers", "sinks") for name in of_package(imports(module), package)}
    assert ours <= GROUND


@plugins
def test_handlers_and_sinks_know_the_ground_and_their_own_package_only(module: str) -> None:
    used = imports(module)
    assert of_package(used, "router") <= GROUND
    assert not of_package(used, "sinks" if module.startswith("handlers") else "handlers")


@plugins
def test_handlers_and_sinks_never_touch_redis(module: str) -> None:
    assert not of_package(imports(module), "redis")
    assert not of_package(imports(module), "arq")


@modules
def test_nobody_imports_a_single_handler_or_sink(module: str) -> None:
    """They are found; the router knows their interfaces only, and they do not know each other. An adapter of polling
    knows its own vendor's handler."""
    own = {module.replace("handlers.polling.", "handlers.")} if module.startswith("handlers.polling.") else set()
    assert not imports(module) & (VENDORS | TARGETS | ADAPTERS) - own


def test_there_are_handlers_and_sinks_to_look_at() -> None:
    assert VENDORS
    assert TARGETS


def test_commands_load_nothing_that_only_servers_and_workers_need() -> None:
    """It takes longer to load than the ledger to answer."""
    code = "import sys, router.cli, sinks; sinks.by_type(); print(*sys.modules)"
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert loaded.isdisjoint({"aiohttp", "aiosqlite", "arq", "asyncpg", "sqlalchemy", "starlette", "uvicorn"})


@modules
def test_few_modules_speak_to_redis(module: str) -> None:
    spoken = of_package(imports(module), "redis") - {"redis.exceptions"}
    assert not spoken or module in CLIENTS_OF_REDIS


@modules
def test_keys_are_named_in_the_ledger_only(module: str) -> None:
    if module not in ("router.ledger", "router.ledger_keys", "router.ledger_sources", "router.ledger_polls"):
        assert "ats:{" not in FILES[module].read_text()


@modules
def test_a_file_has_at_most_400_lines(module: str) -> None:
    assert len(FILES[module].read_text().splitlines()) <= 400


@modules
def test_a_function_has_at_most_60_lines(module: str) -> None:
    long = [node.name for node in functions(module) if (node.end_lineno or 0) - node.lineno >= 60]
    assert long == []
