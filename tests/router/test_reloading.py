"""How a process notices that its configuration changed, and what it takes of it."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from router import reloading
from router.config import Config, ConfigErrors, load
from router.config.partly import without_rules
from router.connection import client, end
from router.edition import Edition
from router.ledger import Ledger
from router.parts import Origin
from router.records import ConfigState
from router.reloading import Reloader
from tests.factories import until
from tests.valkey import Valkey

GOOD = """
server: {port: 8080}
sources: {greenhouse: {vendor: greenhouse, secret: {file: secret}}}
sinks:
  out: {type: http, url: "https://example.com/"}
routes:
  - {name: all, send_to: out}
"""
MORE = f"{GOOD}  - {{name: more, send_to: out}}\n"
BROKEN = GOOD.replace("send_to: out", "send_to: outt")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("a secret")
    path = tmp_path / "config.yaml"
    path.write_text(GOOD)
    return path


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloading, "SETTLED_SECONDS", 0.02)


class Used:
    """A process that reloads. ``configs``: what it went by, one after the other."""

    def __init__(self, path: Path, ledger: Ledger, *, port: int | None = None, notes_rules: bool = True) -> None:
        self.configs: list[Config] = []
        self.ledger = ledger
        origin = Origin(path, port=port)
        self.failing = False
        self.on_use: Callable[[Config], None] = lambda _: None
        self.reloader = Reloader(origin, origin.load(), ledger, self.use, notes_rules=notes_rules)

    def use(self, config: Config) -> None:
        if self.failing:
            raise ZeroDivisionError
        self.on_use(config)
        self.configs.append(config)

    @property
    def routes(self) -> list[str]:
        return [route.name for route in self.configs[-1].rules.routes] if self.configs else []

    async def states(self) -> list[tuple[int, tuple[str, ...]]]:
        return [(state.errors, state.restart) for state in await self.ledger.config_states()]


def write(path: Path, text: str) -> None:
    path.write_text(text)


@asynccontextmanager
async def reloads(used: Used) -> AsyncIterator[Used]:
    running = asyncio.create_task(used.reloader.run())
    try:
        await until(lambda: bool(used.configs))  # its first look
        yield used
        assert not running.done()
    finally:
        await end(running)
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)


async def eventually_states(used: Used, wanted: Sequence[tuple[int, tuple[str, ...]]]) -> None:
    async with asyncio.timeout(5):
        while await used.states() != list(wanted):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_change_is_used_as_a_whole_and_logged(config: Path, ledger: Ledger) -> None:
    async with reloads(Used(config, ledger)) as used:
        await asyncio.sleep(0.05)
        assert [change.hash for change in await ledger.rules_log()] == [load(config).edition.hash]
        write(config, MORE)
        await until(lambda: used.routes == ["all", "more"])
        assert (await ledger.rules_log())[0].hash == load(config).edition.hash
        assert await used.states() == []


async def test_rules_are_logged_before_any_event_goes_by_them(
    config: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []

    async def note(edition: Edition) -> bool:
        logged.append(edition.hash)
        return True

    monkeypatch.setattr(ledger, "note_rules", note)
    async with reloads(Used(config, ledger)) as used:
        used.on_use = lambda changed: seen.append(changed.edition.hash in logged)
        seen: list[bool] = []
        write(config, MORE)
        await until(lambda: used.routes == ["all", "more"])
        assert seen == [True]
        await asyncio.sleep(0.1)
        assert len(logged) == 2


async def test_a_receiver_does_not_log_rules(config: Path, ledger: Ledger) -> None:
    async with reloads(Used(config, ledger, notes_rules=False)) as used:
        write(config, MORE)
        await until(lambda: used.routes == ["all", "more"])
    assert await ledger.rules_log() == []


async def test_a_file_that_is_replaced_is_noticed(config: Path, ledger: Ledger) -> None:
    async with reloads(Used(config, ledger)) as used:
        for text, routes in ((MORE, ["all", "more"]), (GOOD, ["all"]), (MORE, ["all", "more"])):
            new = config.with_suffix(".tmp")
            new.write_text(text)
            new.replace(config)
            await until(lambda routes=routes: used.routes == routes)  # type: ignore[misc]


async def test_files_of_a_folder_come_change_and_go(tmp_path: Path, ledger: Ledger) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "secret").write_text("a secret")
    (folder / "a.yaml").write_text(GOOD)
    async with reloads(Used(folder, ledger)) as used:
        (folder / "b.yaml").write_text("routes: [{name: b, send_to: out}]")
        await until(lambda: used.routes == ["all", "b"])
        (folder / "b.yaml").write_text("routes: [{name: c, send_to: out}]")
        await until(lambda: used.routes == ["all", "c"])
        (folder / "b.yaml").unlink()
        await until(lambda: used.routes == ["all"])


async def test_a_mounted_folder_whose_link_changes_is_noticed(tmp_path: Path, ledger: Ledger) -> None:
    """As Kubernetes updates a ConfigMap: the files are links through ..data, which is what changes."""
    for version, text in (("..1", GOOD), ("..2", MORE)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "config.yaml").write_text(text)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "config.yaml").symlink_to("..data/config.yaml")
    (tmp_path / "secret").write_text("a secret")
    async with reloads(Used(tmp_path / "config.yaml", ledger)) as used:
        (tmp_path / "..new").symlink_to("..2")
        (tmp_path / "..new").replace(tmp_path / "..data")
        await until(lambda: used.routes == ["all", "more"])


async def test_what_the_system_does_not_tell_is_seen_by_looking(
    config: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing_to_watch_with(*_: object, **__: object) -> None:
        raise OSError("no inotify here")

    monkeypatch.setattr(reloading, "awatch", nothing_to_watch_with)
    monkeypatch.setattr(reloading, "LOOK_SECONDS", 0.1)
    async with reloads(Used(config, ledger)) as used:
        write(config, MORE)
        await until(lambda: used.routes == ["all", "more"])


async def test_the_system_tells_sooner_than_the_next_look(
    config: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloading, "LOOK_SECONDS", 60.0)
    async with reloads(Used(config, ledger)) as used:
        await asyncio.sleep(0.3)  # until it watches
        write(config, MORE)
        await until(lambda: used.routes == ["all", "more"])


async def test_a_change_between_the_start_and_the_first_look_is_not_missed(config: Path, ledger: Ledger) -> None:
    used = Used(config, ledger)
    write(config, MORE)
    async with reloads(used):
        assert used.routes == ["all", "more"]


async def test_of_a_bad_change_nothing_is_used_and_each_error_is_logged_once(
    config: Path, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    def told() -> list[str]:
        return [str(vars(record)["reason"]) for record in caplog.records if "reason" in vars(record)]

    async with reloads(Used(config, ledger)) as used:
        before = len(used.configs)
        write(config, f"{BROKEN}serverr: 1\n")
        await eventually_states(used, [(2, ())])
        [first] = await ledger.config_states()
        assert first.path == str(config)
        write(config, f"{BROKEN}serverr: 1\n")
        await asyncio.sleep(0.4)
        assert [text.partition(";")[0] for text in told()] == [
            'there is no sink "outt"',
            'unknown key "serverr" in the top level',
        ]
        write(config, BROKEN)
        await eventually_states(used, [(1, ())])
        assert (await ledger.config_states())[0].since == first.since  # it is not in use all the while
        assert len(told()) == 3
        assert len(used.configs) == before
        write(config, GOOD)
        await eventually_states(used, [])
        assert used.routes == ["all"]


async def test_what_one_process_cleared_another_one_still_says_for_itself(config: Path, ledger: Ledger) -> None:
    good, other = Used(config, ledger), config.with_name("other.yaml")
    write(other, GOOD)
    async with reloads(good), reloads(Used(other, ledger)) as bad:
        write(other, BROKEN)
        await eventually_states(bad, [(1, ())])
        write(config, MORE)
        await until(lambda: good.routes == ["all", "more"])
        await asyncio.sleep(0.3)
        assert [state.path for state in await ledger.config_states()] == [str(other)]


async def test_what_needs_a_restart_is_told_and_the_rest_is_used(config: Path, ledger: Ledger) -> None:
    async with reloads(Used(config, ledger)) as used:
        write(config, MORE.replace("8080", "9090") + "redis: {max_memory: 2GB, data_dir: elsewhere}\n")
        await until(lambda: used.routes == ["all", "more"])
        assert used.configs[-1].server.port == 8080
        assert used.configs[-1].redis == used.configs[0].redis
        await eventually_states(used, [(0, ("server.port", "redis.data_dir", "redis.max_memory"))])
        write(config, MORE)
        await eventually_states(used, [])


async def test_what_the_command_line_says_still_counts(config: Path, ledger: Ledger) -> None:
    async with reloads(Used(config, ledger, port=7070)) as used:
        write(config, MORE.replace("8080", "9090"))
        await until(lambda: used.routes == ["all", "more"])
        assert used.configs[-1].server.port == 7070
        assert await used.states() == []


async def test_a_hangup_makes_it_read_also_what_the_file_names(config: Path, ledger: Ledger) -> None:
    async with reloads(Used(config, ledger)) as used:
        (config.parent / "secret").write_text("another secret")
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: len(used.configs) == 2)
        assert used.configs[0].sources != used.configs[1].sources


async def test_what_can_not_be_used_stops_nothing(
    config: Path, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    async with reloads(Used(config, ledger)) as used:
        used.failing = True
        write(config, MORE)
        await until(lambda: "the changed configuration can't be used" in caplog.text)
        used.failing = False
        write(config, GOOD)
        await until(lambda: used.routes == ["all"])


async def test_without_the_server_a_change_is_used_and_told_when_it_is_back(
    config: Path, own_server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reloading, "LOOK_SECONDS", 0.1)
    ledger = Ledger(client(own_server.url))
    async with reloads(Used(config, ledger)) as used:
        own_server.stop()
        write(config, MORE)
        await until(lambda: used.routes == ["all", "more"])
        own_server.start()
        async with asyncio.timeout(10):
            while not await ledger.rules_log():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (await ledger.rules_log())[0].hash == used.configs[-1].edition.hash
    await ledger.close()


# --- where the ledger of a configuration is that is wrong -------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "data_dir"),
    [
        ("redis: {data_dir: there}\nsinks: {x: {type: nothing}}\n", "there"),
        ("redis:\n  data_dir: there\nsinks: {\nroutes:\n", "there"),
        ("redis:\n  data_dir: there\nsinks:\n  a: [\n", "there"),
        ("redis:\n  data_dir: there\nroutes:\n\t- x\n", "there"),
        ("redis:\n  data_dir: [\n", "data"),
        ("sinks: {\nredis: {data_dir: there}\n", "data"),
        ("redis: {data_dirr: there}\n", "data"),
        ("- 1\n", "data"),
        ("", "data"),
        ("[", "data"),
    ],
)
def test_the_ledger_of_a_wrong_configuration_is_found_as_far_as_can_be(
    tmp_path: Path, text: str, data_dir: str
) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(text)
    with pytest.raises(ConfigErrors):
        load(config)
    assert without_rules(config).redis.data_dir == tmp_path / data_dir
    assert Origin(config, data_dir=Path("/told")).without_rules().redis.data_dir == Path("/told")


def test_the_ledger_of_a_wrong_folder_is_found_in_any_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("sinks: {")
    (tmp_path / "b.yaml").write_text("redis: {url: '${URL}'}")
    redis = without_rules(tmp_path, {"URL": "redis://there"}).redis
    assert redis.url is not None
    assert redis.url.get_secret_value() == "redis://there"
    assert without_rules(tmp_path / "nowhere").redis.data_dir == tmp_path / "data"


def test_a_state_tells_no_more_than_numbers_and_names() -> None:
    assert set(ConfigState.model_fields) == {"path", "since", "errors", "restart"}
