"""The sources as a receiver knows them: with the secrets that `connect` fetched, and with counts of what is not kept.

Both go through the ledger every other second, not with each request; so does that a webhook asks for a poll.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping

from redis.exceptions import RedisError

from handlers.settings import ConnectSettings
from router.ledger import Ledger
from router.parts import Source, kept_secrets, knowing

SYNC_SECONDS = 2.0
_MOST_PATHS = 1000
"""Different paths of soft drift that are counted between two looks: a hostile body must not fill the memory."""


class SourceBook:
    def __init__(self, sources: Mapping[str, Source], ledger: Ledger) -> None:
        self._ledger = ledger
        self._secrets: dict[str, tuple[str, ...]] = {}
        self.use(sources)
        self._rejected: Counter[str] = Counter()
        self._soft_drift: Counter[tuple[str, str]] = Counter()
        self._to_poll: set[str] = set()

    def use(self, sources: Mapping[str, Source]) -> None:
        """Know these from now on; secrets that were learnt stay known."""
        self._configured = sources
        self._sources = {name: knowing(source, self._secrets.get(name, ())) for name, source in sources.items()}

    def get(self, name: str) -> Source | None:
        return self._sources.get(name)

    def count_rejected(self, source: str) -> None:
        self._rejected[source] += 1

    def count_soft_drift(self, source: str, paths: Iterable[str]) -> None:
        for path in paths:
            if len(self._soft_drift) < _MOST_PATHS or (source, path) in self._soft_drift:
                self._soft_drift[source, path] += 1

    def ask_to_poll(self, source: str) -> None:
        """A webhook said that something changed, not what. Should this get lost, the schedule polls too."""
        self._to_poll.add(source)

    async def keep_up(self) -> None:
        """Sync until cancelled, and once more then."""
        try:
            while True:
                await self.sync()
                await asyncio.sleep(SYNC_SECONDS)
        finally:
            await self.sync()

    async def sync(self) -> None:
        """Learn secrets, hand in counts. What the server can't take now is handed in the next time."""
        try:
            if any(isinstance(source.handler.settings, ConnectSettings) for source in self._configured.values()):
                self._learn({name: kept_secrets(hooks) for name, hooks in (await self._ledger.hooks()).items()})
            if self._rejected or self._soft_drift:
                await self._hand_in()
            for source in list(self._to_poll):
                await self._ledger.ask_to_poll(source)
                self._to_poll.discard(source)
        except (RedisError, OSError):
            pass  # health says so

    async def _hand_in(self) -> None:
        rejected, self._rejected = self._rejected, Counter()
        soft_drift, self._soft_drift = self._soft_drift, Counter()
        try:
            await self._ledger.add_counts(rejected, soft_drift)
        except (RedisError, OSError):
            self._rejected += rejected
            self._soft_drift += soft_drift
            raise

    def _learn(self, secrets: Mapping[str, tuple[str, ...]]) -> None:
        for name, source in self._configured.items():
            known, settings = secrets.get(name, ()), source.handler.settings
            if known != self._secrets.get(name, ()) and isinstance(settings, ConnectSettings):
                self._sources[name] = knowing(source, known)
                self._secrets[name] = known
