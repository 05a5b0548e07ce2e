"""ApplicantStack: ``GET /api/candidates/{page}`` and, for onboarding, ``/o/api/hires/{page}``, without any filter.

Source: help.applicantstack.com, API guide, and clients of others, read in 2026. Hires have serials of their own and are
applications of their own; an account without onboarding has none.
"""

from collections.abc import Sequence

from handlers.applicantstack import ApplicantStack, moves_of
from handlers.enriching import Api, NotThere, Unavailable
from handlers.polling.base import SELDOM, Move, Page, Pass, Polls, listed, with_history
from handlers.reading import Node
from router.schema import Fact, Person, Stage

PER_PAGE = 100
"""Not asked for: it is always so many."""

_CANDIDATES, _HIRES = "/api/candidates", "/o/api/hires"


class ApplicantStackPolls(Polls[ApplicantStack]):
    vendor = "applicantstack"
    cost = "500 and those of hires, one a second, as ApplicantStack has no filter; 1 for each one that changed"
    usual = SELDOM
    shifting = True
    complete = True

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        path, _, page = (cursor or f"{_CANDIDATES} 1").partition(" ")
        number = int(page)
        try:
            answer = await api.get(f"{path}/{number}")
        except NotThere:
            if path == _HIRES and number == 1:
                return Page(())
            raise
        _check(answer)
        if number < int(answer.id("NumPages") or 1):  # a number, or the same as a text
            after: str | None = f"{path} {number + 1}"
        else:
            after = f"{_HIRES} 1" if path == _CANDIDATES else None
        return Page(listed(answer, "Candidates" if path == _CANDIDATES else "Hires"), after)

    async def details(self, row: Node, facts: Sequence[Fact], api: Api) -> Sequence[Fact]:
        """The notes of a candidate's own record tell the stage before, and who moved it."""
        application = facts[-1].application
        if application is None or facts[-1].vendor_event != "candidate":
            return facts
        answer = await api.get(f"/api/candidate/{application.id}")
        _check(answer)
        moves = [
            Move(Stage(name=move.before), Stage(name=move.stage), move.at, Person(name=move.actor))
            for move in moves_of(answer)
            if move.before
        ]
        return with_history(self.handler.row_facts(answer), moves)


def _check(answer: Node) -> None:
    """
    Raises:
        Unavailable: it is an error, whatever the status of the response.
    """
    if answer.json("error", sometimes=True) is not None:
        raise Unavailable("the vendor's API says that it failed, with a success code")
