"""The two tables of the `hris_staging` sink, for SQLAlchemy."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Index,
    Insert,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from sinks.hris.columns import KEYS, OWN, TOLD, Kind, extra_key


class Moment(TypeDecorator[datetime]):
    """A time in UTC; in SQLite, which has no such type, as ISO 8601 text."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return Text() if dialect.name == "sqlite" else DateTime(timezone=True)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return datetime.fromisoformat(value) if isinstance(value, str) else value


Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
_TYPES: Mapping[Kind, TypeEngine[Any]] = {
    Kind.TEXT: Text(),
    Kind.MOMENT: Moment(),
    Kind.JSON: Json,
    Kind.WHOLE_NUMBER: BigInteger(),
    Kind.YES_OR_NO: Boolean(),
}


def events_table(name: str) -> Table:
    """Every delivered event once. Nothing in it changes, except for what merging and deleting a candidate asks for."""
    return Table(
        name,
        MetaData(),
        Column("idempotency_key", Text(), primary_key=True),
        Column("event_id", Text(), nullable=False),
        Column("type", Text(), nullable=False),
        Column("source", Text(), nullable=False),
        Column("account", Text(), nullable=False),
        Column("application_id", Text()),
        Column("candidate_id", Text()),
        Column("sequence", BigInteger(), nullable=False),
        Column("occurred_at", Moment()),
        Column("received_at", Moment(), nullable=False),
        Column("test", Boolean(), nullable=False),
        Column("event", Json),
        Index(f"{name[:50]}_candidate", "source", "account", "candidate_id"),
    )


def staging_table(name: str, renamed: Mapping[str, str], extra: Iterable[str]) -> Table:
    """One row per application. Statements call the columns by our names, the database by the user's."""

    def column(ours: str, kind: Kind, **more: Any) -> Column[Any]:
        return Column(renamed.get(ours, ours), _TYPES[kind], key=ours, **more)

    return Table(
        name,
        MetaData(),
        *(column(key, Kind.TEXT, nullable=False) for key in KEYS),
        *(column(told.name, told.kind) for told in TOLD),
        *(column(own, kind) for own, kind in OWN.items()),
        *(Column(theirs, Text(), key=extra_key(theirs)) for theirs in extra),
        UniqueConstraint(*KEYS),
        Index(f"{name[:50]}_candidate", "source", "account", "candidate_id"),
    )


class InsertNew(Insert):
    """An insert that leaves alone what is there. SQLAlchemy's own ON CONFLICT is compiled anew at every execution."""

    inherit_cache = True


@compiles(InsertNew)
def _compiled(insert: InsertNew, compiler: SQLCompiler, **options: Any) -> str:
    written: str = compiler.visit_insert(insert, **options)  # type: ignore[no-untyped-call]  # SQLAlchemy has no type
    return f"{written} ON CONFLICT DO NOTHING"
