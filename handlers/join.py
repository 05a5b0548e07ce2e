"""JOIN (join.com): polled, no webhook is known. Only clients of others describe an application of API v2.

Where an application says in which stage it is, and whether it was rejected, could not be established: the source's
``stage_path`` names the field. Source: help.join.com/join-api and public clients, read in 2026.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from handlers.base import Drift
from handlers.guide import Confidence, Guide, Proof
from handlers.polled import PolledHandler, state_facts
from handlers.reading import Node, whole_name
from handlers.settings import ApiUrl, SourceSettings
from router.schema import OUTCOME_OF_KIND, Application, Candidate, Fact, Job, Outcome, Stage
from router.secret import Secret


def _is_path(path: str) -> str:
    if not all(part.strip() == part != "" for part in path.split(".")):
        raise PydanticCustomError("path", "a path is the names of fields with dots between them, as in status.name")
    return path


class JoinSettings(SourceSettings):
    api_token: Secret | None = Field(None, description="from the user settings, API Credentials")
    api_url: ApiUrl = "https://api.join.com/v2"
    stage_path: Annotated[str, AfterValidator(_is_path)] | None = Field(
        None,
        description="where an application has its stage, as in status or stage.name (unverified: JOIN's name of it)",
    )


class Join(PolledHandler):
    vendor = "join"
    title = "JOIN"
    Settings = JoinSettings
    guide = Guide(
        proof=Proof.NONE,
        confidence=Confidence.UNVERIFIED,
        steps=[],
        events=[],
        verified="nothing: no webhook is known, applications are polled",
        missing=[
            "the field with the stage: without `stage_path` only ApplicationCreated is told",
            "hired and rejected: which stages they are is told by `stages:`, with kinds HIRED and REJECTED",
            "when and by whom an application was moved",
        ],
    )

    settings: JoinSettings

    def rows(self, answer: Node) -> Sequence[Node]:
        """A bare list in most clients, one under ``data`` in another."""
        for key in ("items", "data"):
            if isinstance(answer.json(key, sometimes=True), list):
                return answer.nodes(key)
        if answer.json("error", sometimes=True) is not None:
            raise Drift("error", "is what JOIN answered instead of applications")
        answer.need_node("candidate")
        return [answer]

    def row_facts(self, row: Node) -> tuple[Fact, ...]:
        stage = self._stage(row)
        application = Application(
            id=row.need_id("id"),
            outcome=OUTCOME_OF_KIND.get(stage.kind, Outcome.PENDING) if stage else None,
            stage=stage,
            created_at=row.time("createdAt", zone=self.settings.zone),
            source=row.node("source", sometimes=True).text("product", sometimes=True),
        )
        facts = state_facts("application", application, candidate=_candidate(row.node("candidate")), job=_job(row))
        return facts if self.settings.stage_path else facts[:1]

    def _stage(self, row: Node) -> Stage | None:
        if self.settings.stage_path is None:
            return None
        *parents, key = self.settings.stage_path.split(".")
        for parent in parents:
            row = row.node(parent)
        value = row.json(key)
        if isinstance(value, dict):
            node = row.node(key)
            stage = Stage(id=node.id("id", sometimes=True), name=node.text("name", sometimes=True))
        else:
            stage = Stage(name=value) if isinstance(value, str) else Stage(id=row.id(key))
        return self.stage_patterns.known(stage) if stage.id or stage.name else None


def _candidate(node: Node) -> Candidate | None:
    if not node:
        return None
    first_name, last_name, email = node.text("firstName"), node.text("lastName"), node.text("email")
    return Candidate(
        id=node.id("id"),
        name=whole_name(first_name, last_name),
        first_name=first_name,
        last_name=last_name,
        emails=[email] if email else [],
        links=node.texts_of("professionalLinks", "url", sometimes=True),
    )


def _job(row: Node) -> Job | None:
    node = row.node("job")
    return Job(id=node.id("id", sometimes=True), title=node.text("title")) if node else None
