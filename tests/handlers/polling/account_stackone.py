"""StackOne's unified API: pages by `next`, a history of changes per application."""

import base64
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant
from tests.handlers.vendor_api import Answers, Asked

_STATUSES = {Outcome.PENDING: "active", Outcome.HIRED: "hired", Outcome.DECLINED: "rejected"}


class StackOneAccount(Account):
    vendor = "stackone"

    def settings(self, url: str) -> dict[str, Any]:
        return {"secret": self.secret(), "api_key": self.secret(), "account": "acc-1", "api_url": url}

    def answer(self, asked: Asked) -> Answers:
        target, headers = urlsplit(asked.target), asked.headers
        if headers.get("authorization") != f"Basic {base64.b64encode(f'{self.key}:'.encode()).decode()}":
            return self.unauthorised()
        if headers.get("x-account-id") != "acc-1":
            return Answers({"statusCode": 404, "message": "Not Found"}, 404)
        match target.path.split("/"):
            case ["", "unified", "ats", "applications"]:
                return self._list(parse_qs(target.query))
            case ["", "unified", "ats", "applications", id_, "changes"] if one := self.find(id_):
                return Answers({"next": None, "data": [_change(one)]})
        return Answers({"statusCode": 404, "message": "Not Found"}, 404)

    def _list(self, query: dict[str, list[str]]) -> Answers:
        since, begin = query.get("filter[updated_after]", [None])[0], int(query.get("next", ["0"])[0])
        rows = [one for one in self.there if since is None or one.updated_at > datetime.fromisoformat(since)]
        rows, size = [one for one in rows if one.number > begin], min(self.per_page, int(query["page_size"][0]))
        following = str(rows[size - 1].number) if len(rows) > size else None
        return Answers({"next": following, "data": [_row(one) for one in rows[:size]]})

    def unauthorised(self) -> Answers:
        return Answers({"statusCode": 401, "message": "Unauthorized"}, 401)


def _row(one: Applicant) -> dict[str, Any]:
    return {
        "id": one.id,
        "remote_id": f"r{one.id}",
        "candidate_id": f"c{one.number}",
        "candidate": {"name": one.first_name, "email": one.email},
        "job_id": "j1",
        "application_stage": {"id": f"s-{one.stage}", "name": one.stage, "order": 1},
        "application_status": {"value": _STATUSES[one.outcome], "source_value": None},
        "created_at": one.created_at.isoformat(),
        "updated_at": one.updated_at.isoformat(),
        "rejected_at": one.decided_at.isoformat() if one.decided_at and one.outcome is Outcome.DECLINED else None,
    }


def _change(one: Applicant) -> dict[str, Any]:
    return {
        "id": "1",
        "change_type": {"value": "interview_stage", "source_value": "stage"},
        "created_at": one.updated_at.isoformat(),
        "effective_at": one.updated_at.isoformat(),
        "actor": {"id": "u1", "name": "Noor Haddad", "email": "noor@example.com"},
    }
