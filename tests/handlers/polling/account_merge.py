"""Merge's unified API: pages by cursor, related objects only where they are expanded, no outcome of its own."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant
from tests.handlers.vendor_api import Answers, Asked


class MergeAccount(Account):
    vendor = "merge"

    def settings(self, url: str) -> dict[str, Any]:
        keys = {name: self.secret() for name in ("secret", "api_key", "account_token")}
        return {**keys, "linked_account": "la-1", "api_url": url}

    def answer(self, asked: Asked) -> Answers:
        target, headers = urlsplit(asked.target), asked.headers
        if (headers.get("authorization"), headers.get("x-account-token")) != (f"Bearer {self.key}", self.key):
            return self.unauthorised()
        if target.path != "/applications":
            return Answers({"detail": "Not found."}, 404)
        query = parse_qs(target.query)
        since, begin = query.get("modified_after", [None])[0], int(query.get("cursor", ["0"])[0])
        rows = self.applicants if query.get("include_deleted_data") == ["true"] else self.there
        rows = [one for one in rows if since is None or one.updated_at > datetime.fromisoformat(since)]
        rows, size = [one for one in rows if one.number > begin], min(self.per_page, int(query["page_size"][0]))
        following = str(rows[size - 1].number) if len(rows) > size else None
        expanded = query.get("expand", [""])[0].split(",")
        return Answers({"next": following, "previous": None, "results": [_row(one, expanded) for one in rows[:size]]})

    def hire(self, applicant: Applicant) -> None:
        super().hire(applicant)
        applicant.stage = "Hired"

    def unauthorised(self) -> Answers:
        return Answers({"detail": "Invalid token."}, 401)


def _row(one: Applicant, expanded: list[str]) -> dict[str, Any]:
    stage = {"id": f"s-{one.stage}", "name": one.stage, "stage_order": 1}
    candidate = {"id": f"c{one.number}", "first_name": one.first_name, "last_name": "L", "email_addresses": []}
    job = {"id": "j1", "name": "Engineer"}
    declined = one.outcome is Outcome.DECLINED
    related: dict[str, dict[str, Any]] = {"current_stage": stage, "candidate": candidate, "job": job}
    return {
        "id": one.id,
        "remote_id": f"r{one.id}",
        "created_at": _time(one.created_at),
        "modified_at": _time(one.updated_at),
        "applied_at": _time(one.created_at),
        "rejected_at": _time(one.decided_at) if declined and one.decided_at else None,
        "reject_reason": None,
        "source": None,
        "remote_was_deleted": one.deleted,
        **{name: value if name in expanded else value["id"] for name, value in related.items()},
    }


def _time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
