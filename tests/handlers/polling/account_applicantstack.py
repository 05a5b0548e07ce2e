"""ApplicantStack's lists, 100 rows each and without any filter; moves are notes of the single record."""

from typing import Any
from urllib.parse import urlsplit

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant, page_of
from tests.handlers.vendor_api import Answers, Asked

_TYPES = {Outcome.DECLINED: "Do Not Pursue", Outcome.HIRED: "Hired"}


class ApplicantStackAccount(Account):
    vendor = "applicantstack"
    reads_everything = True
    tells_moves_between = True
    tick = 1.05

    def id_of(self, number: int) -> str:
        return f"a4q81mzt{number:04d}"

    def settings(self, url: str) -> dict[str, Any]:
        return {"secret": self.secret(), "api_token": self.secret(), "api_url": url}

    def answer(self, asked: Asked) -> Answers:
        if asked.headers.get("token") != self.key or not asked.headers.get("publisher"):
            return self.unauthorised()
        match urlsplit(asked.target).path.split("/"):
            case ["", "api", "candidates", number]:
                pages = max(1, -(-len(self.there) // self.per_page))
                rows = [_row(one) for one in page_of(self.there, int(number), self.per_page)]
                return Answers({"Candidates": rows, "NumPages": str(pages), "TotalCount": len(self.there)})
            case ["", "api", "candidate", serial]:
                one = self.find(serial)
                return Answers(_single(one)) if one else Answers(None, 404)
        return Answers(None, 404)

    def failed(self) -> Answers:
        return Answers({"error": "something went wrong"})


def _row(one: Applicant) -> dict[str, Any]:
    return {
        "Candidate Serial": one.id,
        "Job Serial": "a2q81mzt04rw",
        "Job Name": "Night Shift Caregiver",
        "First Name": one.first_name,
        "Last Name": "Marsh",
        "Email": one.email,
        "Phone": "",
        "Source": "Indeed",
        "Disposition": "Not a fit" if one.outcome is Outcome.DECLINED else "",
        "Stage": one.stage,
        "Stage Type": _TYPES.get(one.outcome, ""),
        "Create Date Timestamp": int(one.created_at.timestamp()),
    }


def _single(one: Applicant) -> dict[str, Any]:
    notes = [
        {
            "text": f"Noor Haddad set Stage to {move.to} ",
            "type": "System",
            "timestamp": int(move.at.timestamp()),
        }
        for move in one.moves
    ]
    return {"Method Result": "Success", **_row(one), "Notes": notes, "Files": [], "Questionnaires": []}
