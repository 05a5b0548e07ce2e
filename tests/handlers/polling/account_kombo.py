"""Kombo's unified API: pages by cursor, deleted ones only where they are asked for, errors by code."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.handlers.polling.account import Account, Applicant
from tests.handlers.vendor_api import Answers, Asked

INTEGRATION = "greenhouse:8d3f"


class KomboAccount(Account):
    vendor = "kombo"

    def settings(self, url: str) -> dict[str, Any]:
        return {"secret": self.secret(), "api_key": self.secret(), "integration": INTEGRATION, "api_url": url}

    def answer(self, asked: Asked) -> Answers:
        target, headers = urlsplit(asked.target), asked.headers
        if headers.get("authorization") != f"Bearer {self.key}":
            return self.unauthorised()
        if target.path != "/ats/applications" or headers.get("x-integration-id") != INTEGRATION:
            return _error("PLATFORM.INTEGRATION_NOT_FOUND", 404)
        query = parse_qs(target.query)
        since, begin = query.get("updated_after", [None])[0], int(query.get("cursor", ["0"])[0])
        rows = self.applicants if query.get("include_deleted") == ["true"] else self.there
        rows = [one for one in rows if since is None or one.updated_at > datetime.fromisoformat(since)]
        rows, size = [one for one in rows if one.number > begin], min(self.per_page, int(query["page_size"][0]))
        following = str(rows[size - 1].number) if len(rows) > size else None
        return Answers(
            {"status": "success", "data": {"next": following, "results": [_row(one) for one in rows[:size]]}}
        )

    def unauthorised(self) -> Answers:
        return _error("PLATFORM.AUTHENTICATION_INVALID", 401)

    def throttled(self) -> Answers:
        return _error("PLATFORM.RATE_LIMIT_EXCEEDED", 200)

    def failed(self) -> Answers:
        return _error("REMOTE.SERVICE_UNAVAILABLE", 503)


def _error(code: str, status: int) -> Answers:
    told = {"code": code, "title": None, "message": "sorry", "log_url": None}
    return Answers({"status": "error", "error": told}, status, {"retry-after": "0"})


def _row(one: Applicant) -> dict[str, Any]:
    return {
        "id": one.id,
        "remote_id": f"r{one.id}",
        "outcome": one.outcome,
        "current_stage_id": f"s-{one.stage}",
        "current_stage": {"id": f"s-{one.stage}", "name": one.stage, "index": 1},
        "rejection_reason_name": None,
        "rejected_at": None,
        "job_id": "j1",
        "job": {"id": "j1", "name": "Engineer"},
        "candidate_id": f"c{one.number}",
        "candidate": {"id": f"c{one.number}", "first_name": one.first_name, "last_name": "L", "source": None},
        "remote_url": None,
        "changed_at": _time(one.updated_at),
        "remote_deleted_at": _time(one.updated_at) if one.deleted else None,
        "remote_created_at": _time(one.created_at),
        "remote_updated_at": _time(one.updated_at),
    }


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
