"""Manatal: polled. A match, one candidate for one job, is an application.

Source: clients of others of its open API v3 (v1 has the candidate and the job inside a match, v3 their ids) and the
page Matches of developers.manatal.com, read in 2026. Webhooks can be registered there (models, actions and a URL), but
nothing in reach shows what one holds or whether it is signed.
"""

from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from handlers.base import Drift
from handlers.guide import Confidence, Guide, Proof
from handlers.polled import PolledHandler, state_facts
from handlers.reading import Node, whole_name
from handlers.settings import ApiUrl, SourceSettings
from router.schema import OUTCOME_OF_KIND, Application, Candidate, Fact, Job, Outcome, Stage
from router.secret import Secret

_STAGES = ("stage", "job_pipeline_stage", "job_pipeline_stages")


class ManatalSettings(SourceSettings):
    api_key: Secret | None = Field(None, description="the account's token of the open API")
    api_url: ApiUrl = "https://api.manatal.com/open/v3"


class Manatal(PolledHandler):
    vendor = "manatal"
    title = "Manatal"
    Settings = ManatalSettings
    settings: ManatalSettings
    guide = Guide(
        proof=Proof.NONE,
        confidence=Confidence.THIRD_PARTY,
        steps=[],
        events=[],
        verified="nothing: Manatal has webhooks, but nothing in reach shows what they hold; matches are polled",
        missing=[
            "names, addresses and titles: a match of API v3 has the ids of its candidate and its job only",
            "whether every account has hired_at (unverified): `stages:` tells which stage is a hire, by its id or name",
            "who moved a match; its last update stands for the time, unless it was hired or dropped at a known one",
        ],
    )

    def rows(self, answer: Node) -> Sequence[Node]:
        if isinstance(answer.json("results", sometimes=True), list):
            return answer.nodes("results")
        if answer.json("candidate", sometimes=True) is None:
            raise Drift("results", "is missing")
        return [answer]

    def row_facts(self, row: Node) -> tuple[Fact, ...]:
        stage = self._stage(row)
        outcome = _outcome(row, stage)
        hired_at, dropped_at = self._time(row, "hired_at"), self._time(row, "dropped_at")
        updated_at = self._time(row, "updated_at")
        ended_at = {Outcome.HIRED: hired_at, Outcome.DECLINED: dropped_at}.get(outcome or Outcome.PENDING)
        application = Application(
            id=row.need_id("id"),
            outcome=outcome,
            stage=stage,
            created_at=self._time(row, "created_at") or self._time(row, "created_at_editable"),
            updated_at=updated_at,
            hired_at=hired_at,
            rejected_at=dropped_at,
        )
        return state_facts(
            "match", application, candidate=_candidate(row), job=_job(row), changed_at=ended_at or updated_at
        )

    def _stage(self, row: Node) -> Stage | None:
        """``stage``, which Manatal gives up for the stage of the job's pipeline; the page Matches has it without an id,
        and the other one in the plural."""
        told = [node for key in _STAGES if (node := row.node(key, sometimes=True))]
        if not told:
            return None
        node = next((node for node in told if node.id("id", sometimes=True)), told[0])
        name, rank = node.text("name"), node.integer("rank", sometimes=True)
        stage = self.stage_patterns.known(Stage(id=node.id("id", sometimes=True), name=name, index=rank))
        return stage if stage.id or stage.name else None

    def _time(self, row: Node, key: str) -> datetime | None:
        return row.time(key, zone=self.settings.zone, sometimes=True)


def _outcome(row: Node, stage: Stage | None) -> Outcome | None:
    by_stage = OUTCOME_OF_KIND.get(stage.kind) if stage else None
    if row.json("hired_at", sometimes=True) or by_stage is Outcome.HIRED:
        return Outcome.HIRED
    active = row.flag("is_active")
    if row.json("dropped_at", sometimes=True) or active is False:
        return Outcome.DECLINED
    return by_stage or (Outcome.PENDING if active else None)


def _candidate(row: Node) -> Candidate | None:
    if not isinstance(row.json("candidate"), dict):
        id_ = row.id("candidate")
        return Candidate(id=id_) if id_ else None
    node = row.node("candidate")
    first_name, last_name = node.text("first_name", sometimes=True), node.text("last_name", sometimes=True)
    email = node.text("email", sometimes=True)
    return Candidate(
        id=node.id("id"),
        name=node.text("full_name", sometimes=True) or whole_name(first_name, last_name) or None,
        first_name=first_name,
        last_name=last_name,
        emails=[email] if email else [],
    )


def _job(row: Node) -> Job | None:
    if not isinstance(row.json("job"), dict):
        id_ = row.id("job")
        return Job(id=id_) if id_ else None
    node = row.node("job")
    return Job(id=node.id("id"), title=node.text("position_name", sometimes=True) or node.text("name", sometimes=True))
