"""The settings of the `hris_staging` sink, checked as far as they can be without a database."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from router.fields import UnknownField, field_at
from router.secret import Reference
from router.templates import Asked
from router.wording import did_you_mean, quoted
from sinks.base import Place, SinkSettings
from sinks.hris.address import POSTGRESQL, SQLITE, Address
from sinks.hris.columns import STAGING_COLUMNS, extra_columns

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}", re.ASCII)


def _database_url(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        if not value.startswith((SQLITE, *POSTGRESQL)) or urlsplit(value).path in ("", "/", "/:memory:"):
            raise ValueError
        password = Address(value).password
    except ValueError:
        raise PydanticCustomError(
            "database_url", "a database is sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE"
        ) from None
    if password and not isinstance(value, Reference):
        raise PydanticCustomError(
            "literal_secret", "a password must not stand in this file: write ${HRIS_DATABASE_URL} for the whole address"
        )
    return str(value)


def _checked_name(name: str) -> str:
    if not _IDENTIFIER.fullmatch(name):
        raise PydanticCustomError(
            "identifier",
            "{name} can't be the name of a table or column: use letters, digits and _, no digit first, at most 63",
            {"name": quoted(name)},
        )
    return name


Name = Annotated[str, AfterValidator(_checked_name)]


def _known_columns(columns: dict[str, str]) -> dict[str, str]:
    for name in columns:
        if name not in STAGING_COLUMNS:
            hint = did_you_mean(name, STAGING_COLUMNS)
            sentence = f"there is no column {quoted(name)} to rename{hint}; new columns stand under extra"
            raise PydanticCustomError("column", "{sentence}", {"sentence": sentence})
    return columns


def _known_fields(extra: dict[str, str]) -> dict[str, str]:
    try:
        extra_columns(extra)
    except UnknownField as unknown:
        raise PydanticCustomError("field", "{sentence}", {"sentence": str(unknown)}) from None
    return extra


class HrisStagingSettings(SinkSettings):
    needed: ClassVar[tuple[str, ...]] = ("application.id", "candidate.id", "merged_into")
    """What rows are found by; without them a deleted candidate could not be taken out."""

    concurrency: int = Field(8, ge=1, le=100, description="Transactions at the same time, per worker.")
    url: Annotated[SecretStr, BeforeValidator(_database_url)] = Field(
        SecretStr("sqlite:///hris_staging.db"),
        description="The database: sqlite:///FILE, from the folder where the router was started, or postgresql://...",
    )
    table: Name = Field("hris_staging", description="One row per application.")
    events_table: Name = Field("hris_staging_events", description="One row per event.")
    columns: Annotated[dict[str, Name], AfterValidator(_known_columns)] = Field(
        {}, description="Other names for columns: ours, then yours."
    )
    extra: Annotated[dict[Name, str], AfterValidator(_known_fields)] = Field(
        {}, description="Columns of your own, and the field of the event that fills each."
    )

    def asks(self) -> Iterator[tuple[Place, Sequence[Asked]]]:
        for name, path in self.extra.items():
            yield ("extra", name), [Asked(field_at(path).path, whole=True)]

    @model_validator(mode="after")
    def _names_are_different(self) -> Self:
        if self.table.lower() == self.events_table.lower():
            raise PydanticCustomError("twice", "table and events_table must be two tables")
        names = [self.columns.get(name, name).lower() for name in STAGING_COLUMNS]
        names += [name.lower() for name in self.extra]
        if twice := next((name for name in names if names.count(name) > 1), None):
            sentence = (
                f"two columns would have the name {quoted(twice)}; give one of them another under columns or extra"
            )
            raise PydanticCustomError("twice", "{sentence}", {"sentence": sentence})
        return self
