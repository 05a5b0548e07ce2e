"""Homerun: polled, no webhook is known. A list has the stage only with ``include[]=stage``, and no time of a change.

Source: Homerun's OpenAPI document of its public API v2 (2023), a copy in github.com/konfig-sdks/openapi-examples,
read in 2026.
"""

from collections.abc import Sequence
from datetime import UTC

from pydantic import Field

from handlers.base import Drift
from handlers.guide import Confidence, Guide, Proof
from handlers.polled import PolledHandler, state_facts
from handlers.reading import Node, is_not_asked_for
from handlers.settings import ApiUrl, SourceSettings
from router.schema import OUTCOME_OF_KIND, Application, Candidate, CustomFields, Fact, Job, Outcome, Stage
from router.secret import Secret

_LINKS = ("linkedin", "github", "website")


class HomerunSettings(SourceSettings):
    api_key: Secret | None = Field(None, description="an API key with the scope job-applications:read")
    api_url: ApiUrl = "https://api.homerun.co/v2"


class Homerun(PolledHandler):
    vendor = "homerun"
    title = "Homerun"
    Settings = HomerunSettings
    settings: HomerunSettings
    guide = Guide(
        proof=Proof.NONE,
        confidence=Confidence.OFFICIAL,
        steps=[],
        events=[],
        verified="nothing: no webhook is known, applications are polled",
        missing=[
            "recorded answers of the API: the reading follows a copy of Homerun's own description of it",
            "when an application was moved or disqualified, and by whom; only a hire has a time",
            "reasons of a disqualification; names of stages are each job's own, and whether ids are told is unverified",
        ],
    )

    def rows(self, answer: Node) -> Sequence[Node]:
        data = answer.json("data", sometimes=True)
        if isinstance(data, dict):
            return [answer.node("data")]
        if isinstance(data, list):
            return answer.nodes("data")
        raise Drift("data", "is missing")

    def row_facts(self, row: Node) -> tuple[Fact, ...]:
        told = row.node("stage", sometimes=True)
        id_, name = told.id("id", sometimes=True), told.text("name")
        stage = self.stage_patterns.known(Stage(id=id_, name=name)) if id_ or name else None
        hired_at = row.time("hired_at", zone=UTC)
        application = Application(
            id=row.need_id("id"),
            outcome=_outcome(row, stage),
            stage=stage,
            created_at=row.time("created_at", zone=UTC),
            hired_at=hired_at,
            source=", ".join(row.texts_of("sources", "name", sometimes=True)) or None,
            url=row.text("homerun_url", sometimes=True) or row.text("url", sometimes=True),
            custom_fields=_custom_fields(row),
        )
        return state_facts(
            "job-application", application, candidate=_candidate(row), job=_job(row), changed_at=hired_at
        )


def _outcome(row: Node, stage: Stage | None) -> Outcome | None:
    if row.json("hired_at", sometimes=True):
        return Outcome.HIRED
    disqualified = row.flag("disqualified")
    if disqualified:
        return Outcome.DECLINED
    by_stage = OUTCOME_OF_KIND.get(stage.kind) if stage else None
    return by_stage or (None if disqualified is None else Outcome.PENDING)


def _custom_fields(row: Node) -> CustomFields:
    fields = row.json("custom_data", sometimes=True)
    named = fields.items() if isinstance(fields, dict) else ()
    return {name: value for name, value in named if not is_not_asked_for(name)}


def _candidate(row: Node) -> Candidate | None:
    """Birth date, photo and pronouns stay where they are."""
    node = row.node("personal_info")
    if not node:
        return None
    first_name, last_name, email = node.text("first_name"), node.text("last_name"), node.text("email")
    phone, place = node.text("phone_number", sometimes=True), (node.text("city"), node.text("country"))
    return Candidate(
        name=_joined(" ", first_name, last_name),
        first_name=first_name,
        last_name=last_name,
        emails=[email] if email else [],
        phones=[phone] if phone else [],
        location=_joined(", ", *place),
        links=[link for key in _LINKS if (link := row.text(key, sometimes=True))],
    )


def _job(row: Node) -> Job | None:
    """The vacancy itself is there with ``include[]=vacancy`` only. An application may belong to none."""
    id_, vacancy = row.id("vacancy_id"), row.node("vacancy", sometimes=True)
    if not id_ and not vacancy:
        return None
    department = vacancy.node("department", sometimes=True).text("name")
    return Job(
        id=id_ or vacancy.id("id"),
        title=vacancy.text("title"),
        status=vacancy.text("status"),
        departments=[department] if department else [],
        location=vacancy.node("location", sometimes=True).text("name"),
        url=vacancy.text("job_url", sometimes=True),
    )


def _joined(mark: str, *parts: str | None) -> str | None:
    return mark.join(part for part in parts if part) or None
