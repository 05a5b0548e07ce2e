"""What can be set of the Slack sink, and what is told of settings that are not right, or hardly meant."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from router.client import checked_url
from router.fields import is_field
from router.secret import Secret
from router.templates import Asked, BadTemplate, Target, Template, compiled, is_template
from sinks.base import Place, SinkSettings, located
from sinks.slack_text import CHANNEL, CHANNEL_ID, MEMBER_ID, MRKDWN

_TOKEN = re.compile(r"xox[bp]-[A-Za-z0-9-]+")
_CHANNEL_NAME = re.compile(r"[\w-]{1,80}")
_PAGE_OF_SLACK = re.compile(r"https?://(?!hooks\.)([\w-]+\.)*slack\.com(/|$)", re.IGNORECASE)


def _checked_token(token: SecretStr) -> SecretStr:
    if not _TOKEN.fullmatch(token.get_secret_value()):
        raise PydanticCustomError(
            "slack_token",
            "this is not the token of a bot: it begins with xoxb- and stands in your Slack app under OAuth &"
            " Permissions",
        )
    return token


def _checked_webhook_url(url: SecretStr) -> SecretStr:
    if _PAGE_OF_SLACK.match(url.get_secret_value()):
        raise PydanticCustomError(
            "slack_webhook_url",
            "this is a page of Slack, not an incoming webhook: the URL of one begins with"
            " https://hooks.slack.com/services/ and stands in your Slack app under Incoming Webhooks",
        )
    _checked_api_url(url.get_secret_value())
    return url


def _checked_api_url(url: str) -> str:
    try:
        return checked_url(url)
    except ValueError as error:
        raise PydanticCustomError("url", "{problem}", {"problem": str(error)}) from None


def one_spelling(channel: str) -> str:
    """``#hiring`` and ``hiring`` are one channel, and so one target."""
    name = channel.strip().removeprefix("#")
    if linked := _LINK_TO_CHANNEL.search(name):
        raise PydanticCustomError("slack_channel", "of a link only the id is written: {id}", {"id": linked[1]})
    if CHANNEL_ID.fullmatch(name):
        return name
    if not _CHANNEL_NAME.fullmatch(name) or name != name.lower():
        raise PydanticCustomError("slack_channel", _CHANNELS)
    return f"#{name}"


_EXAMPLE, _MENTION = "ann@example.com: U012AB3CD", "{{ recruiter | mention }}"
_AT_FIELD = re.compile(r"(?<!\w)@\s*\{\{")
_AT_NAME = re.compile(r"(?<![\w<])@([A-Za-z][\w.-]*\w)")
_EVERYBODY = ("here", "channel", "everyone")
_NOT_IN_BRACES = re.compile(r"\[\[ *[a-z_.]+ *\]\]|%[a-z_.]+%|<[a-z_.]+>")
_LINK_TO_CHANNEL = re.compile(r"slack\.com/\S*/([CG][A-Z0-9]{8,})")
_CHANNELS = "write the channel's name in small letters, such as hiring or team-berlin, or its id, such as C0123456789"


def _checked_channel(channel: str) -> str:
    if not is_template(channel):
        return one_spelling(channel)
    fixed = "".join(_compiled(channel.strip(), CHANNEL).fixed).removeprefix("#")
    if fixed and (not _CHANNEL_NAME.fullmatch(fixed) or fixed != fixed.lower()):
        raise PydanticCustomError("slack_channel", _CHANNELS)
    return channel.strip()


def _checked_template(text: str) -> str:
    _compiled(text, MRKDWN)
    return text


def _checked_people(people: Mapping[str, str]) -> Mapping[str, str]:
    """Addresses are compared without case, as everything is that routes look for."""
    problems: list[tuple[Place, str]] = []
    found: dict[str, str] = {}
    for name, identifier in people.items():
        address = name.strip().casefold()
        if not _ADDRESS.fullmatch(address):
            problems.append(((name,), "write the e-mail address that the ATS has, as in ann@example.com: U012AB3CD"))
        elif not MEMBER_ID.fullmatch(identifier):
            problems.append(((name,), _MEMBERS))
        elif address in found:
            problems.append(((name,), "this address stands here twice; remove one of the two"))
        found[address] = identifier
    if problems:
        raise located(problems)
    return found


_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_MEMBERS = (
    "this is no member id of Slack: one begins with U or W, such as U012AB3CD, and stands in the person's profile in"
    " Slack, under the three dots"
)


def _compiled(text: str, target: Target) -> Template:
    try:
        return compiled(text, target)
    except BadTemplate as bad:
        raise PydanticCustomError("template", "{sentence}", {"sentence": str(bad)}) from None


class SlackSettings(SinkSettings):
    overridable: ClassVar[tuple[str, ...]] = ("channel", "template")
    token: Annotated[Secret, AfterValidator(_checked_token)] | None = Field(
        None, description="The token of a bot, as ${NAME_OF_AN_ENVIRONMENT_VARIABLE}. It begins with xoxb-."
    )
    channel: Annotated[str, AfterValidator(_checked_channel)] | None = Field(
        None, description="The channel that the bot posts to: its name or its id. Fields of the event may stand in it."
    )
    template: Annotated[str, AfterValidator(_checked_template)] | None = Field(
        None, min_length=1, description="The message in your words, with fields of the event; instead of ours."
    )
    people: Annotated[Mapping[str, str], AfterValidator(_checked_people)] = Field(
        {},
        description="Whom a template can mention: e-mail addresses, as the ATS has them, and the members' ids in"
        " Slack, such as U012AB3CD.",
    )
    webhook_url: Annotated[Secret, AfterValidator(_checked_webhook_url)] | None = Field(
        None,
        description="Instead of token and channel: the URL of an incoming webhook, which has its channel built in.",
    )
    api_url: Annotated[str, AfterValidator(_checked_api_url)] = Field(
        "https://slack.com/api", description="Where Slack's Web API is. Other than this for GovSlack."
    )

    on_ambiguous: Literal["retry", "give_up"] = Field(
        "retry",
        description="What may have been posted, where that can't be found out: retry posts it again, perhaps twice;"
        " give_up leaves it to you, as unknown.",
    )

    def asks(self) -> Iterator[tuple[Place, Sequence[Asked]]]:
        if self.channel is not None:
            yield ("channel",), compiled(self.channel, CHANNEL).asked
        if self.template is not None:
            yield ("template",), compiled(self.template, MRKDWN).asked

    def advice(self) -> Iterator[tuple[Place, str]]:
        if self.template is None:
            return
        template = compiled(self.template, MRKDWN)
        if template.mentions and not self.people:
            yield ("template",), "nobody can be mentioned: write people: into the sink, and below it " + _EXAMPLE
        if _AT_FIELD.search(self.template):
            yield ("template",), f"a @ before a field mentions nobody; write {_MENTION}, and {_EXAMPLE} below people:"
        for text in template.fixed:
            for found in _AT_NAME.finditer(text):
                how = f"<!{found[1]}>" if found[1] in _EVERYBODY else "<@U012AB3CD>, with the member id of the person"
                yield ("template",), f"{found[0]} mentions nobody; write {how}"
            for found in _NOT_IN_BRACES.finditer(text):
                if is_field(name := found[0].strip("[]<>% ")):
                    yield ("template",), f"{found[0]} is sent as it stands here; a field is written {{{{ {name} }}}}"

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if self.webhook_url is not None and (self.token is not None or self.channel is not None):
            problem = "webhook_url stands for itself: remove it, or remove token and channel"
        elif self.webhook_url is None and self.token is None and self.channel is None:
            problem = "add token and channel (a bot), or webhook_url (an incoming webhook)"
        elif self.webhook_url is None and self.channel is None:
            problem = "channel is missing beside token: add the name of the channel to post to"
        elif self.webhook_url is None and self.token is None:
            problem = "token is missing beside channel: add the bot's token, as ${NAME_OF_AN_ENVIRONMENT_VARIABLE}"
        else:
            return self
        raise PydanticCustomError("slack_way_in", "{problem}", {"problem": problem})
