"""What a configuration holds, typed. Sources and sinks bring settings of their own, by vendor and by type."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    InstanceOf,
    PlainValidator,
    RootModel,
    SecretStr,
    SerializeAsAny,
    model_validator,
)
from pydantic_core import PydanticCustomError

from handlers.settings import SourceSettings
from handlers.stages import StageKinds
from router.durability import Durability
from router.edition import Edition
from router.rules import Ruleset, SendTo
from router.schema import StageKind
from router.secret import Reference
from router.units import Bytes, OneOrSeveral, Seconds, Timezone
from sinks.base import SinkSettings


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _public_url(value: object) -> object:
    if isinstance(value, str) and not value.startswith(("https://", "http://")):
        raise PydanticCustomError("public_url", "a public URL begins with https://, as in https://hooks.example.com")
    return value


class Server(_Settings):
    """Where the router listens."""

    host: str = Field("127.0.0.1", description="This machine only; 0.0.0.0 lets other machines in.")
    port: int = Field(8080, ge=1, le=65535, description="The port to listen on.")
    max_body: Bytes = Field(1024**2, ge=1024, le=64 * 1024**2, description="Larger webhooks are refused.")
    public_url: Annotated[str | None, BeforeValidator(_public_url)] = Field(
        None, description="The address under which vendors reach the router, to be shown to people."
    )


_URL_OPTIONS = {"db", "ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"}


def _redis_url(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not value.startswith(("redis://", "rediss://", "unix://")):
        raise PydanticCustomError("redis_url", "a Redis URL begins with redis://, rediss:// or unix://")
    try:
        parts = urlsplit(value)
        _, password = parts.port, parts.password  # a port that is no number is found when it is asked for
    except ValueError:
        raise PydanticCustomError("redis_url", "this is not a URL; write one like redis://localhost:6379/0") from None
    options = dict(parse_qsl(parts.query))
    if not options.keys() <= _URL_OPTIONS:  # which one is not told: it may be what follows a ? in a password
        raise PydanticCustomError(
            "redis_url_option",
            "a Redis URL has no other options than {options}",
            {"options": ", ".join(sorted(_URL_OPTIONS))},
        )
    database = options.get("db", "") if parts.scheme == "unix" else parts.path.removeprefix("/")
    if database and not database.isdecimal():
        raise PydanticCustomError(
            "redis_url", "a database of Redis is a number, as in redis://HOST:6379/0 or unix:///PATH?db=0"
        )
    if password and not isinstance(value, Reference):
        raise PydanticCustomError(
            "literal_secret", "a password must not stand in this file: write redis://:${REDIS_PASSWORD}@HOST instead"
        )
    return str(value)


def _has_host(url: SecretStr) -> SecretStr:
    if not urlsplit(url.get_secret_value()).hostname:
        raise PydanticCustomError("redis_host", "this URL has no host; write one like redis://HOST:6379")
    return url


RedisUrl = Annotated[SecretStr, BeforeValidator(_redis_url)]
HostUrl = Annotated[RedisUrl, AfterValidator(_has_host)]


class Watched(_Settings):
    """A server with replicas, one of which takes over when it fails."""

    url: HostUrl = Field(description="As for one server, with the name that the sentinels watch in place of a host.")
    sentinels: OneOrSeveral[HostUrl] = Field(min_length=1, description="Their addresses: redis://HOST:26379.")


class Spread(_Settings):
    """A Redis or Valkey Cluster."""

    nodes: OneOrSeveral[HostUrl] = Field(min_length=1, description="Some of its nodes: redis://HOST:6379.")
    bell: RedisUrl = Field(
        description="A small server beside the cluster, for what wakes workers; nothing is lost there."
    )


class Redis(_Settings):
    """The ledger's servers. Without ``url``, ``sentinel`` and ``cluster`` the embedded one, with its data in
    ``data_dir``."""

    url: RedisUrl | None = Field(
        None, description="Your own server: redis://HOST:6379/0, rediss:// with TLS, unix:///PATH for a socket."
    )
    sentinel: Watched | None = Field(None, description="Your own servers that sentinels watch, instead of url.")
    cluster: Spread | None = Field(None, description="Your own cluster, instead of url.")
    durability: Durability | None = Field(
        None, description="What a success code promises: memory, aof (on disk) or replicated. See docs/scaling.md."
    )
    data_dir: Path = Field(Path("data"), description="Where the router's own server keeps its data, beside this file.")
    max_memory: Bytes = Field(10**9, ge=16 * 1024**2, description="The embedded server takes no more.")

    @model_validator(mode="after")
    def _is_one_place(self) -> Self:
        places = [name for name in ("url", "sentinel", "cluster") if getattr(self, name) is not None]
        if len(places) > 1:
            raise PydanticCustomError(
                "several_ledgers",
                "{places} say different places for the ledger: keep one",
                {"places": " and ".join(places)},
            )
        if not places and self.durability is Durability.REPLICATED:
            raise PydanticCustomError(
                "no_replicas",
                "the router's own server has no replicas: name servers of yours under sentinel or cluster",
            )
        return self


class Company(_Settings):
    """What holds for the whole file."""

    timezone: Timezone = Field("UTC", description="Where the company is: dates and times in messages are those there.")


class Retention(_Settings):
    """How long things are kept."""

    events: Seconds = Field(30 * 86400.0, gt=0, description="Events, and the webhooks as they came.")
    applications: Seconds = Field(
        365 * 86400.0, gt=0, description="The last known stage of an application, counted from its last change."
    )


def _send_to(value: object) -> SendTo:
    match value:
        case SendTo() | str():
            return value if isinstance(value, SendTo) else SendTo(str(value))
        case dict() if len(value) == 1 and isinstance(overrides := next(iter(value.values())), dict):
            return SendTo(next(iter(value)), overrides)
        case dict() if len(value) > 1:
            sentence = "begin each sink with a dash of its own, and indent its settings for this route below its name"
        case _:
            sentence = "write the name of a sink, or a sink's name with settings for this route indented below it"
    raise PydanticCustomError("send_to", sentence)


Recipient = Annotated[SendTo, PlainValidator(_send_to, json_schema_input_type=str | dict[str, dict[str, Any]])]
"""A sink's name; or the name with settings of that sink for one route only."""


class ReviewSettings(_Settings):
    """That a person has to approve what a route sends."""

    reject_after: Seconds | None = Field(None, gt=0, description="without a word after so long it counts as rejected")


def _review(value: object) -> object:
    if isinstance(value, bool):
        return {} if value else None
    if isinstance(value, Mapping):
        return value
    raise PydanticCustomError("review", "write review: true, or below review: how long to wait, as in reject_after: 3d")


ReviewOption = Annotated[
    ReviewSettings | None,
    BeforeValidator(_review, json_schema_input_type=bool | ReviewSettings),
    Field(description="whether a person has to approve each delivery first; with reject_after it ends by itself"),
]


class RouteSettings(_Settings):
    """One rule as it is written: when an event matches, send it to sinks."""

    name: str = Field(min_length=1, max_length=100, description="what is shown with each delivery; your own words")
    when: Mapping[str, Any] = Field({}, description="what an event must have; without it, every event matches")
    unless: Mapping[str, Any] = Field({}, description="what an event must not have: where all of it is so, no match")
    send_to: OneOrSeveral[Recipient] = Field(
        (),
        description="the name of a sink, or a list of names; below a name settings of that sink for this route only;"
        " none with stop",
    )
    stop: bool = Field(False, description="whether the routes below are left out where this one matches")
    enabled: bool = Field(True, description="false: the route is checked, and not used")
    review: ReviewOption = None


class DefaultSettings(_Settings):
    """Where an event goes that no route matched."""

    send_to: OneOrSeveral[Recipient] = Field(min_length=1, description="the name of a sink, or a list of names")
    review: ReviewOption = None


class StagesSettings(RootModel[Mapping[StageKind, OneOrSeveral[str]]]):
    """Which stages are of which kind, for every source: names or ids, * stands for anything."""


class TestSettings(_Settings):
    """One test of the routes: given this, an event goes there."""

    name: str = Field(min_length=1, max_length=100, description="what the test is about, to be shown where it fails")
    payload: Path | None = Field(None, description="a file with a recorded webhook's body, beside this file")
    source: str | None = Field(None, description="the source that the payload or the fields come from")
    event: str | None = Field(None, description="the id of a stored event: evt_...")
    fields: Mapping[str, Any] | None = Field(None, description="what the event has, as under when; the rest is absent")
    send_to: OneOrSeveral[str] = Field(description="exactly the sinks that get it, or [] for none")
    routes: OneOrSeveral[str] | None = Field(None, description="exactly the routes that match")
    message: Mapping[str, OneOrSeveral[Annotated[str, Field(min_length=1)]]] = Field(
        {}, description="sinks, each with texts that its message has"
    )


@dataclass(frozen=True, slots=True)
class Case:
    """A test, and where it stands: the line from 1, and the file, where there are several."""

    settings: TestSettings
    line: int
    file: str | None = None


TOP_LEVEL = ("server", "redis", "timezone", "sources", "stages", "sinks", "routes", "default", "tests", "retention")


class Config(_Settings):
    server: Server
    redis: Redis
    timezone: str
    sources: Mapping[str, SerializeAsAny[SourceSettings]]
    stages: InstanceOf[StageKinds] = Field(exclude=True)
    sinks: Mapping[str, SerializeAsAny[SinkSettings]]
    rules: InstanceOf[Ruleset] = Field(exclude=True)
    retention: Retention
    edition: InstanceOf[Edition] = Field(exclude=True)
    tests: tuple[InstanceOf[Case], ...] = Field((), exclude=True)
