"""Which stages are of which kind, by their names: every company names its stages, and rules shall serve every ATS."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeVar

from router.schema import Stage, StageKind, Told

ToldT = TypeVar("ToldT", bound=Told)

EVERYDAY: Sequence[tuple[StageKind | None, Sequence[str]]] = (
    (None, ("*reject*", "*declin*", "*withdr*", "*no show*", "*no-show*")),  # "Offer declined" is no offer
    (StageKind.APPLIED, ("applied", "new", "inbox", "new applicants", "*application review*", "sourced")),
    (StageKind.ASSESSMENT, ("*assessment*", "*take home*", "*take-home*", "*challenge*", "* test", "*test task*")),
    (StageKind.SCREEN, ("*phone*", "*screen*", "*recruiter call*", "*recruiter chat*", "*first call*")),
    (StageKind.OFFER, ("offer", "offer *", "* offer", "*contract*")),
    (StageKind.INTERVIEW, ("*interview*", "*onsite*", "*on-site*", "*on site*", "*face to face*", "*panel*")),
)
"""What most companies mean by such a name. None means HIRED or REJECTED: that would decide on somebody by a guess."""


class StageKinds:
    """Patterns of stages' names or ids, ``*`` for anything, whatever their case; the first that fits decides, also that
    it is of no kind."""

    def __init__(self, patterns: Iterable[tuple[StageKind | None, Sequence[str]]]) -> None:
        self._patterns = [
            (re.compile("|".join(map(_pattern, names)), re.IGNORECASE | re.DOTALL), kind)
            for kind, names in patterns
            if names
        ]
        self._kind_of = lru_cache(4096)(self._look_up)

    def complete(self, fact: ToldT) -> ToldT:
        """The same fact or event, with the kinds of stages of which nobody said it."""
        if not self._patterns:
            return fact
        changes: dict[str, object] = {}
        for name in ("from_stage", "to_stage"):
            stage: Stage | None = getattr(fact, name)
            if stage is not None and stage.kind is None:
                changes[name] = self.known(stage)
        application = fact.application
        if application is not None and application.stage is not None and application.stage.kind is None:
            changes["application"] = application.model_copy(update={"stage": self.known(application.stage)})
        return fact.model_copy(update=changes) if changes else fact

    def known(self, stage: Stage) -> Stage:
        """The same stage, with its kind if it has none and a pattern fits."""
        if stage.kind is not None:
            return stage
        kind = self._kind_of(stage.name, stage.id)
        return stage.model_copy(update={"kind": kind}) if kind else stage

    def _look_up(self, name: str | None, identifier: str | None) -> StageKind | None:
        for pattern, kind in self._patterns:
            if any(pattern.fullmatch(text.strip()) for text in (name, identifier) if text):
                return kind
        return None


def _pattern(name: str) -> str:
    return ".*".join(map(re.escape, name.strip().split("*")))
