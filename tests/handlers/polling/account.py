"""A made-up account at a vendor, behind a stand-in for its API: applications come, move and go, and the API tells it as
the vendor documents."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from router.schema import Outcome
from router.secret import Reference
from tests.handlers.vendor_api import Answers, Asked

LONG_AGO = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@dataclass
class Move:
    """``before`` is None for the stage that an application began in."""

    at: datetime
    before: str | None
    to: str


@dataclass
class Applicant:
    """One application. ``number`` counts them from 1; ``id`` is what the vendor calls it."""

    number: int
    id: str
    stage: str
    created_at: datetime
    updated_at: datetime
    outcome: Outcome = Outcome.PENDING
    decided_at: datetime | None = None
    deleted: bool = False
    moves: list[Move] = field(default_factory=list)

    @property
    def first_name(self) -> str:
        return f"Ada{self.number}"

    @property
    def email(self) -> str:
        return f"ada{self.number}@example.com"


class Account(ABC):
    """Made by the tests of polling for every vendor; its subclass says how its vendor's API answers."""

    vendor: ClassVar[str]
    way: ClassVar[str] = ""
    """Which of the vendor's APIs it is, where there are several."""

    stages: ClassVar[Sequence[str]] = ("Applied", "Phone Screen", "Onsite", "Final Round")
    """Names of undecided stages; applications begin in the first."""

    tells_moves_between: ClassVar[bool] = False
    """Whether the API has an application's history, so that each move between two passes is told, with its time."""

    tells_deletions: ClassVar[bool] = True
    """Whether it can be seen in the API that an application was deleted, if only because it is not there any more."""

    reads_everything: ClassVar[bool] = False
    """Whether the API has neither a filter nor an order of what changed."""

    tick: ClassVar[float] = 0.01
    """Seconds that have to pass before the API's times differ."""

    key: ClassVar[str] = "key-of-the-api"

    def __init__(self, per_page: int = 3) -> None:
        self.per_page = per_page
        self.applicants: list[Applicant] = []

    # --- what happens in the account --------------------------------------------------------------------------------

    def add(self, *, at: datetime | None = None) -> Applicant:
        """Somebody applies, now or ``at`` an earlier time."""
        at = at or datetime.now(UTC)
        number = len(self.applicants) + 1
        applicant = Applicant(number, self.id_of(number), self.stages[0], at, at)
        applicant.moves.append(Move(at, None, applicant.stage))
        self.applicants.append(applicant)
        return applicant

    def add_old(self, many: int) -> list[Applicant]:
        """Applications of long ago, an hour between them."""
        return [self.add(at=LONG_AGO + timedelta(hours=number)) for number in range(many)]

    def move(self, applicant: Applicant, stage: str) -> None:
        now = datetime.now(UTC)
        applicant.moves.append(Move(now, applicant.stage, stage))
        applicant.stage, applicant.updated_at = stage, now

    def hire(self, applicant: Applicant) -> None:
        self._decide(applicant, Outcome.HIRED)

    def decline(self, applicant: Applicant) -> None:
        self._decide(applicant, Outcome.DECLINED)

    def touch(self, applicant: Applicant) -> None:
        """Something else of it changes, such as a tag that it gets."""
        applicant.updated_at = datetime.now(UTC)

    def delete(self, applicant: Applicant) -> None:
        applicant.deleted, applicant.updated_at = True, datetime.now(UTC)

    def _decide(self, applicant: Applicant, outcome: Outcome) -> None:
        now = datetime.now(UTC)
        applicant.outcome, applicant.decided_at, applicant.updated_at = outcome, now, now

    # --- what the vendor's subclass says ----------------------------------------------------------------------------

    def id_of(self, number: int) -> str:
        """What the vendor calls an application."""
        return str(1000 + number)

    @abstractmethod
    def settings(self, url: str) -> dict[str, Any]:
        """The source's settings as in the file, without ``vendor``; ``url`` is where the stand-in is. Secrets are
        `Reference`."""

    @abstractmethod
    def answer(self, asked: Asked) -> Answers:
        """What the vendor's API answers, as documented: the credentials checked, its filters, its paging (at most
        ``per_page`` rows, however many are asked for), its errors for paths that it has not."""

    def unauthorised(self) -> Answers:
        """The vendor's answer to wrong credentials."""
        return Answers({"error": "unauthorised"}, 401)

    def throttled(self) -> Answers:
        """The vendor's answer to too many calls."""
        return Answers({"error": "too many requests"}, 429, {"retry-after": "0"})

    def failed(self) -> Answers:
        """The vendor's answer when it fails."""
        return Answers({"error": "internal error"}, 500)

    def find(self, identifier: str) -> Applicant | None:
        """The one of this id, unless it was deleted."""
        return next((one for one in self.there if one.id == identifier), None)

    @property
    def there(self) -> list[Applicant]:
        """Applications that were not deleted, in the order in which they came."""
        return [applicant for applicant in self.applicants if not applicant.deleted]

    def secret(self) -> Reference:
        return Reference(self.key)


def page_of(rows: Sequence[Any], number: int, size: int) -> Sequence[Any]:
    """Page ``number``, from 1."""
    return rows[(number - 1) * size : number * size]
