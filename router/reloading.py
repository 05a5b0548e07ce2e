"""A changed configuration goes live while the process runs: a good one as a whole, of a bad one nothing.

Every receiver and every worker watches the file, or the files of the folder, for itself. The system tells of most
changes at once; where it does not, as with folders that are mounted into a container, they are seen by looking.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from redis.exceptions import RedisError
from watchfiles import Change, awatch

from router.config import Config, ConfigError, ConfigErrors
from router.config.folder import files_of
from router.connection import end
from router.hangup import Hangup
from router.ledger import Ledger
from router.parts import Origin
from router.records import ConfigState

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
SETTLED_SECONDS = 0.1
"""Files that do not change for so long are not in the middle of being written."""

_LATEST_MS = 1000
_Signature = tuple[tuple[str, int, int, int], ...]


class Reloader:
    """Hands each good change to ``use``. ``config`` is what the process started with.

    ``notes_rules``: this process routes, so it logs in the ledger since when it goes by which rules.
    """

    def __init__(
        self, origin: Origin, config: Config, ledger: Ledger, use: Callable[[Config], None], *, notes_rules: bool
    ) -> None:
        self._origin = origin
        self._config = config
        self._ledger = ledger
        self._use = use
        self._notes_rules = notes_rules
        self._process = uuid4().hex
        self._wake = asyncio.Event()
        self._asked = False
        self._seen: _Signature | None = None  # so that a change between the start and the first look is not missed
        self._refused: Sequence[ConfigError] = ()
        self._state: ConfigState | None = None
        self._is_told = False
        self._rules_noted = not notes_rules

    async def run(self) -> None:
        """Watch until cancelled. SIGHUP makes it read the configuration again, changed or not."""
        hangup = Hangup()
        if hangup.is_wanted:
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._on_hangup, hangup)
        watching = asyncio.create_task(self._watch())
        try:
            while True:
                self._wake.clear()
                try:
                    await self._look()
                except Exception:  # whatever it is, what runs must go on
                    log.exception("the changed configuration can't be used; the one before stays")
                await self._tell()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await self._wake.wait()
        finally:
            await end(watching)

    def _on_hangup(self, hangup: Hangup) -> None:
        if hangup.terminal_is_gone():
            os.kill(os.getpid(), signal.SIGTERM)
        self._asked = True
        self._wake.set()

    # --- notice -------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Be told of changes at once, where the system does that."""
        path = self._origin.path.absolute()
        folder = path if path.is_dir() else path.parent

        def is_ours(_change: Change, changed: str) -> bool:
            name = Path(changed).name
            return name == path.name or name.endswith((".yaml", ".yml")) or name.startswith("..")  # a mounted ConfigMap

        try:
            settled = round(SETTLED_SECONDS * 1000)
            async for _ in awatch(
                folder,
                watch_filter=is_ours,
                debounce=_LATEST_MS,
                step=settled,
                rust_timeout=_LATEST_MS,
                recursive=False,
            ):
                self._wake.set()
        except (OSError, RuntimeError) as error:
            log.info("changes of the configuration are seen by looking only (%s)", type(error).__name__)

    async def _look(self) -> None:
        seen = _signature(self._origin.path)
        if seen == self._seen and not self._asked:
            return
        while True:
            await asyncio.sleep(SETTLED_SECONDS)
            later = _signature(self._origin.path)
            if later == seen:
                break
            seen = later
        self._seen, self._asked = seen, False
        try:
            config = await asyncio.to_thread(self._origin.load)
        except ConfigErrors as wrong:
            self._refuse(wrong.errors)
        else:
            await self._take(config)

    # --- decide -------------------------------------------------------------------------------------------------

    def _refuse(self, errors: Sequence[ConfigError]) -> None:
        since = self._state.since if self._state and self._state.errors else datetime.now(UTC)
        self._show(ConfigState(path=self._path, since=since, errors=len(errors)))
        if errors == self._refused:
            return
        self._refused = errors
        for error in errors:
            fields = {"file": error.file, "line": error.line, "column": error.column, "reason": error.sentence}
            log.error("the changed configuration is not in use; the one before stays", extra=fields)

    async def _take(self, config: Config) -> None:
        was_refused, self._refused = bool(self._refused), ()
        restart = tuple(_restart_for(self._config, config))
        if restart:
            if self._state is None or self._state.restart != restart:
                log.warning("these settings are used after a restart only", extra={"settings": restart})
            self._show(ConfigState(path=self._path, since=datetime.now(UTC), restart=restart))
        else:
            self._show(None)
        config = _as_started(self._config, config)
        changed = _changed(self._config, config)
        if config.edition != self._config.edition:
            self._rules_noted = not self._notes_rules
            await self._note_rules(config)  # before any event goes by them
        self._use(config)  # also where nothing seems to have changed: a file that it names may hold something else
        self._config = config
        if changed:
            log.info("the changed configuration is in use", extra={"changed": changed, "rules": config.edition.hash})
        elif was_refused:
            log.info("the configuration is again as it is in use")

    # --- tell ---------------------------------------------------------------------------------------------------

    @property
    def _path(self) -> str:
        return str(self._origin.path.absolute())

    def _show(self, state: ConfigState | None) -> None:
        if state and self._state and (state.errors, state.restart) == (self._state.errors, self._state.restart):
            return
        self._state = state
        self._is_told = False

    async def _tell(self) -> None:
        """Let the ledger know; what it can't take now it is told the next time."""
        await self._note_rules(self._config)
        with suppress(RedisError, OSError):
            if self._state is not None:
                await self._ledger.show_config(self._process, self._state)
            elif not self._is_told:
                await self._ledger.forget_config(self._process)
            self._is_told = True

    async def _note_rules(self, config: Config) -> None:
        if not self._rules_noted:
            with suppress(RedisError, OSError):
                await self._ledger.note_rules(config.edition)
                self._rules_noted = True


def _signature(path: Path) -> _Signature:
    """Changes with every change of the files, also with `touch`."""
    try:
        stats = [(str(file), file.stat()) for file in files_of(path)]
    except OSError:
        return ()
    return tuple((name, stat.st_mtime_ns, stat.st_size, stat.st_ino) for name, stat in stats)


def _restart_for(started: Config, config: Config) -> Iterable[str]:
    """The settings that changed and can't be used while the process runs."""
    for name in ("host", "port"):
        if getattr(started.server, name) != getattr(config.server, name):
            yield f"server.{name}"
    for name in type(started.redis).model_fields:
        if getattr(started.redis, name) != getattr(config.redis, name):
            yield f"redis.{name}"


def _as_started(started: Config, config: Config) -> Config:
    """``config`` with those settings as they were at the start."""
    server = config.server.model_copy(update={"host": started.server.host, "port": started.server.port})
    return config.model_copy(update={"server": server, "redis": started.redis})


def _changed(before: Config, now: Config) -> list[str]:
    """The parts of the configuration that differ."""
    parts = [
        part for part in ("server", "sources", "sinks", "retention") if getattr(before, part) != getattr(now, part)
    ]
    return parts if before.edition == now.edition else ["rules", *parts]
