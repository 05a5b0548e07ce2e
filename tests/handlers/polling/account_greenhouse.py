"""Greenhouse's Harvest v3: client credentials, lists of ids the newest first, cursors that take nothing beside them."""

import base64
import json
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant
from tests.handlers.vendor_api import Answers, Asked

_STATUSES = {Outcome.PENDING: "in_process", Outcome.HIRED: "hired", Outcome.DECLINED: "rejected"}
_FILTERS = {"per_page", "last_activity_at"}


def stage_id(name: str) -> int:
    """Of the stage in the job's plan, as webhooks tell it too."""
    return 1109787 + len(name)


class GreenhouseAccount(Account):
    vendor = "greenhouse"

    def settings(self, url: str) -> dict[str, Any]:
        keys = {"secret": self.secret(), "client_id": "cid", "client_secret": self.secret(), "user_id": 4107}
        return {**keys, "api_url": f"{url}/v3", "token_url": f"{url}/token"}

    def answer(self, asked: Asked) -> Answers:
        target = urlsplit(asked.target)
        if target.path == "/token":
            return self._token(asked)
        if asked.headers.get("authorization") != "Bearer t0ken":
            return self.unauthorised()
        query = dict(parse_qsl(target.query))
        match target.path:
            case "/v3/applications":
                return self._list(query)
            case "/v3/candidates" if set(query) == {"ids"}:
                return Answers([_candidate(one) for one in self.there if str(one.number) in query["ids"].split(",")])
            case "/v3/jobs" if set(query) == {"ids"}:
                return Answers([_JOB] if str(_JOB["id"]) in query["ids"].split(",") else [])
        return Answers({"message": "Resource not found"}, 404)

    def _token(self, asked: Asked) -> Answers:
        client = base64.b64encode(f"cid:{self.key}".encode()).decode()
        wanted = {"grant_type": "client_credentials", "sub": "4107"}
        if (asked.headers.get("authorization"), asked.json) != (f"Basic {client}", wanted):
            return Answers({"error": "invalid_client"}, 401)
        return Answers({"token_type": "Bearer", "access_token": "t0ken", "expires_at": "2126-01-01T00:00:00.000Z"})

    def _list(self, query: dict[str, str]) -> Answers:
        if "cursor" in query:
            if set(query) != {"cursor"}:
                return _invalid("When passing a cursor, do not include other query params.")
            query = json.loads(base64.urlsafe_b64decode(query["cursor"]))
        elif not set(query) <= _FILTERS or not 1 <= int(query.get("per_page", "100")) <= 500:
            return _invalid("Invalid query params")
        word, _, since = query.get("last_activity_at", "gte|2000-01-01T00:00:00Z").partition("|")
        if word != "gte":
            return _invalid("Invalid query params: last_activity_at")
        rows = [one for one in self.there if one.updated_at >= datetime.fromisoformat(since)]
        below, size = int(query.get("below", "1000000")), min(self.per_page, int(query.get("per_page", "100")))
        rows = sorted((one for one in rows if one.number < below), key=lambda one: -one.number)
        headers = {}
        if len(rows) > size:
            following = json.dumps({**query, "below": str(rows[size - 1].number)})
            cursor = base64.urlsafe_b64encode(following.encode()).decode()
            headers["link"] = f'<https://harvest.greenhouse.io/v3/applications?cursor={cursor}>; rel="next"'
        return Answers([_row(one) for one in rows[:size]], headers=headers)

    def unauthorised(self) -> Answers:
        return Answers({"message": "Invalid or expired access token"}, 401)

    def throttled(self) -> Answers:
        return Answers({"message": "slow"}, 429, {"x-ratelimit-remaining": "0", "retry-after": "0"})


def _invalid(error: str) -> Answers:
    return Answers({"message": "Validation error", "errors": [error]}, 422)


_JOB = {"id": 512033, "name": "Engineer", "requisition_id": "ENG-204", "status": "open", "office_ids": [31]}


def _row(one: Applicant) -> dict[str, Any]:
    """The stage is null once it is decided."""
    undecided = one.outcome is Outcome.PENDING
    return {
        "id": int(one.id),
        "candidate_id": one.number,
        "job_id": 512033,
        "job_post_id": None,
        "source_id": 2,
        "recruiter_id": 4107,
        "stage_id": 900000 + len(one.moves),
        "job_interview_stage_id": stage_id(one.stage) if undecided else None,
        "stage_name": one.stage if undecided else None,
        "status": _STATUSES[one.outcome],
        "needs_decision": False,
        "prospect": False,
        "rejected_at": _time(one.decided_at) if one.outcome is Outcome.DECLINED and one.decided_at else None,
        "rejection_reason_id": 14 if one.outcome is Outcome.DECLINED else None,
        "created_at": _time(one.created_at),
        "updated_at": _time(one.updated_at),
        "last_activity_at": _time(one.updated_at),
        "custom_fields": {},
        "answers": [],
        "prospective_job_ids": [],
    }


def _candidate(one: Applicant) -> dict[str, Any]:
    return {
        "id": one.number,
        "first_name": one.first_name,
        "last_name": "Lovelace",
        "preferred_name": None,
        "company": None,
        "title": "Engineer",
        "private": False,
        "phone_numbers": [],
        "email_addresses": [{"value": one.email, "type": "personal"}],
        "tags": ["made up"],
        "custom_fields": {},
    }


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
