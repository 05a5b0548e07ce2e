"""What a source can be told in the configuration. A handler's own settings extend one of these."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, ClassVar, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from router.client import checked_url
from router.schema import StageKind
from router.secret import Secret
from router.units import OneOrSeveral, Seconds, Timezone


def _checked(url: str) -> str:
    try:
        return checked_url(url)
    except ValueError as error:
        raise PydanticCustomError("url", "{problem}", {"problem": str(error)}) from None


ApiUrl = Annotated[str, AfterValidator(_checked), Field(description="where the vendor's API is")]
"""The address of a vendor's API, as far as its paths have in common."""

PENDING = "pending"
"""What stands for a secret that `connect` is still to fetch."""


def _day(value: object) -> object:
    """
    Raises:
        PydanticCustomError: it is no day.
    """
    try:
        return value if isinstance(value, date) else date.fromisoformat(str(value).strip())
    except ValueError:
        raise PydanticCustomError("day", "a day is written as year, month and day: 2026-11-01") from None


class BackfillSettings(BaseModel):
    """What a source that is new here shall tell of the time before."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    since: Annotated[date, BeforeValidator(_day)] = Field(
        description="applications from this day on, in UTC, are told as new ones: 2026-11-01"
    )

    @property
    def moment(self) -> datetime:
        return datetime(self.since.year, self.since.month, self.since.day, tzinfo=UTC)


class PollSettings(BaseModel):
    """How a source's vendor is polled."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    enabled: bool = Field(True, description="false: the vendor's API is not polled")
    every: Seconds | None = Field(None, ge=10, description="how often; as often as suits the vendor without it")
    everything_every: Seconds = Field(
        86400.0, ge=60, description="how often all applications are read, where the vendor usually tells what changed"
    )
    backfill: BackfillSettings | None = Field(
        None, description="without it, applications that are there at first are known, but not told"
    )


def _poll(value: object) -> object:
    return {"enabled": value} if isinstance(value, bool) else value


class SourceSettings(BaseModel):
    """Settings that every source has."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    vendor: str = Field(description="which ATS it is")
    enabled: bool = Field(True, description="false: webhooks of this account are refused")
    stages: Mapping[StageKind, OneOrSeveral[str]] = Field(
        {}, description="which stages are of which kind: names or ids, * stands for anything"
    )
    timezone: Timezone | None = Field(None, description="where the vendor writes local times, as in Europe/Berlin")
    poll: Annotated[PollSettings, BeforeValidator(_poll, json_schema_input_type=bool | PollSettings)] = Field(
        PollSettings(), description="how the vendor's API is polled, where it has one; false: it is not"
    )

    together: ClassVar[Sequence[str]] = ()
    """Settings of which all have to be given, or none."""

    @model_validator(mode="after")
    def _are_together(self) -> Self:
        given = [getattr(self, name) is not None for name in self.together]
        if any(given) and not all(given):
            words = {"names": " and ".join(self.together)}
            raise PydanticCustomError("api", "{names} go together: give all of them, or none", words)
        return self

    @property
    def zone(self) -> ZoneInfo | None:
        return ZoneInfo(self.timezone) if self.timezone else None

    @property
    def secrets(self) -> tuple[bytes, ...]:
        """Every secret that is valid now, the one to sign with first."""
        return ()


class SecretSettings(SourceSettings):
    """For vendors that send a secret or sign with one. While it is being changed the new and the old one are valid."""

    secret: OneOrSeveral[Secret] = Field(
        min_length=1, description="what the vendor signs with, as ${NAME_OF_AN_ENVIRONMENT_VARIABLE}"
    )

    @field_validator("secret")
    @classmethod
    def _none_is_blank(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(secret.get_secret_value().strip() for secret in secrets):
            raise PydanticCustomError("blank_secret", "a secret is empty, so that anyone could sign with it")
        return secrets

    @property
    def secrets(self) -> tuple[bytes, ...]:
        return tuple(secret.get_secret_value().encode() for secret in self.secret)


class ClientSettings(SourceSettings):
    """For vendors whose API is asked with OAuth 2 client credentials."""

    client_id: str | None = Field(None, description="of API credentials that may read applications, to poll")
    client_secret: Secret | None = Field(None, description="their secret")

    together: ClassVar[Sequence[str]] = ("client_id", "client_secret")


def _none_yet(value: object) -> object:
    if value == PENDING:
        return ()
    if isinstance(value, (list, tuple)) and not value:
        raise PydanticCustomError("no_secret", f"there is no secret in this list; write one, or {PENDING}")
    return value


_OrPending = OneOrSeveral[Secret] | Literal["pending"]


class ConnectSettings(SecretSettings):
    """For vendors where ``ats-router connect`` registers the URL. ``secret: pending`` until the vendor made the secret,
    which the ledger then keeps; only handshakes are answered before."""

    secret: Annotated[OneOrSeveral[Secret], BeforeValidator(_none_yet, json_schema_input_type=_OrPending)] = Field(
        description=f"what the vendor signs with, as ${{NAME_OF_AN_ENVIRONMENT_VARIABLE}}, or {PENDING}"
    )

    def knowing(self, secrets: Sequence[str]) -> Self:
        """The same settings with secrets that the ledger keeps."""
        return self.model_copy(update={"secret": (*self.secret, *map(SecretStr, secrets))})
