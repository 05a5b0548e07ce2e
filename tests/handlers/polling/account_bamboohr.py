"""BambooHR's applicant tracking: numbered pages sorted as asked, who and when in the single application only."""

import base64
from typing import Any
from urllib.parse import parse_qs, urlsplit

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant, page_of
from tests.handlers.vendor_api import Answers, Asked

_STATUSES = {"Applied": 1, "Phone Screen": 3, "Onsite": 6, "Final Round": 31}
_ENDED = {Outcome.HIRED: (15, "Hired"), Outcome.DECLINED: (10, "Not a Fit")}


class BambooHRAccount(Account):
    vendor = "bamboohr"

    def settings(self, url: str) -> dict[str, Any]:
        return {"api_key": self.secret(), "api_url": url}

    def answer(self, asked: Asked) -> Answers:
        target = urlsplit(asked.target)
        if asked.headers.get("authorization") != f"Basic {base64.b64encode(f'{self.key}:x'.encode()).decode()}":
            return self.unauthorised()
        if asked.headers.get("accept") != "application/json":
            return Answers(b"<applications/>")
        match target.path.split("/"):
            case ["", "applicant_tracking", "applications"]:
                return self._list(parse_qs(target.query))
            case ["", "applicant_tracking", "applications", id_]:
                one = self.find(id_)
                return Answers(_single(one)) if one else Answers(None, 404)
        return Answers(None, 404)

    def _list(self, query: dict[str, list[str]]) -> Answers:
        rows = self.there
        if query.get("sortBy") == ["last_updated"]:
            rows = sorted(rows, key=lambda one: one.updated_at, reverse=query.get("sortOrder") == ["DESC"])
        if query.get("applicationStatus") != ["ALL"]:
            rows = [one for one in rows if one.outcome is Outcome.PENDING]
        number = int(query.get("page", ["1"])[0])
        is_last = len(rows) <= number * self.per_page
        following = None if is_last else f"https://acme.bamboohr.com/api/v1/x?page={number + 1}"
        found = [_row(one) for one in page_of(rows, number, self.per_page)]
        return Answers({"paginationComplete": is_last, "nextPageUrl": following, "applications": found})

    def unauthorised(self) -> Answers:
        return Answers(None, 401)

    def throttled(self) -> Answers:
        return Answers(None, 503, {"retry-after": "0"})


def _row(one: Applicant) -> dict[str, Any]:
    status, label = _ENDED.get(one.outcome, (_STATUSES[one.stage], one.stage))
    return {
        "id": int(one.id),
        "appliedDate": f"{one.created_at:%Y-%m-%dT%H:%M:%S+00:00}",
        "status": {"id": status, "label": label},
        "rating": None,
        "applicant": {"id": one.number, "firstName": one.first_name, "lastName": "Okafor", "email": one.email},
        "job": {"id": 58, "title": {"id": None, "label": "Engineer"}},
    }


def _single(one: Applicant) -> dict[str, Any]:
    row = _row(one)
    row["status"]["dateChanged"] = f"{one.updated_at:%Y-%m-%dT%H:%M:%S+00:00}"
    row["status"]["changedByUser"] = {"id": 5, "firstName": "Noor", "lastName": "Haddad"}
    return row
