"""Where the database of the `hris_staging` sink is."""

import asyncio
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

SQLITE = "sqlite:///"
POSTGRESQL = ("postgresql://", "postgres://")


@dataclass(frozen=True)
class Address:
    """Where the database is. ``shown`` is its URL without user, password and options."""

    url: str

    @property
    def shown(self) -> str:
        if self.is_sqlite:
            return self.url
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2] or "".join(parse_qs(parts.query).get("host", [""]))
        return f"postgresql://{host}{parts.path}"

    @property
    def password(self) -> str | None:
        parts = urlsplit(self.url)
        return parts.password or "".join(parse_qs(parts.query).get("password", [])) or None

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith(SQLITE)

    def limit(self, seconds: float) -> asyncio.Timeout:
        """The time limit of a transaction. SQLite can't be interrupted: its waits have their own."""
        return asyncio.timeout(None if self.is_sqlite else seconds)
