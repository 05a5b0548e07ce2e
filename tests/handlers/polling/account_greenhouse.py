"""Greenhouse's Harvest v3 as far as it is known: client credentials, a filter by last activity, pages by Link."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant
from tests.handlers.vendor_api import Answers, Asked

_STATUSES = {Outcome.PENDING: "active", Outcome.HIRED: "hired", Outcome.DECLINED: "rejected"}


class GreenhouseAccount(Account):
    vendor = "greenhouse"

    def settings(self, url: str) -> dict[str, Any]:
        keys = {"secret": self.secret(), "client_id": "cid", "client_secret": self.secret()}
        return {**keys, "api_url": f"{url}/v3", "token_url": f"{url}/token"}

    def answer(self, asked: Asked) -> Answers:
        target = urlsplit(asked.target)
        if target.path == "/token":
            wanted = {"grant_type": "client_credentials", "client_id": "cid", "client_secret": self.key}
            granted = {"access_token": "t0ken", "expires_in": 3600}
            return Answers(granted) if asked.json == wanted else self.unauthorised()
        if asked.headers.get("authorization") != "Bearer t0ken":
            return self.unauthorised()
        if target.path != "/v3/applications":
            return Answers({"message": "Resource not found"}, 404)
        query = parse_qs(target.query)
        since, begin = query.get("last_activity_at[gte]", [None])[0], int(query.get("cursor", ["0"])[0])
        rows = [one for one in self.there if since is None or one.updated_at >= datetime.fromisoformat(since)]
        rows, size = [one for one in rows if one.number > begin], min(self.per_page, int(query["per_page"][0]))
        headers = {}
        if len(rows) > size:
            more = f"&{quote('last_activity_at[gte]')}={quote(since)}" if since else ""
            address = (
                f"https://harvest.greenhouse.io/v3/applications?per_page={size}&cursor={rows[size - 1].number}{more}"
            )
            headers["link"] = f'<https://harvest.greenhouse.io/v3/x?cursor=0>; rel="prev", <{address}>; rel="next"'
        return Answers([_row(one) for one in rows[:size]], headers=headers)

    def unauthorised(self) -> Answers:
        return Answers({"message": "Invalid Basic Auth credentials"}, 401)

    def throttled(self) -> Answers:
        return Answers({"message": "slow"}, 429, {"x-ratelimit-remaining": "0", "retry-after": "0"})


def _row(one: Applicant) -> dict[str, Any]:
    declined = one.outcome is Outcome.DECLINED
    return {
        "id": int(one.id),
        "candidate_id": one.number,
        "prospect": False,
        "applied_at": _time(one.created_at),
        "rejected_at": _time(one.decided_at) if declined and one.decided_at else None,
        "last_activity_at": _time(one.updated_at),
        "rejection_reason": {"id": 8, "name": "Skills", "type": {"id": 1, "name": "We rejected them"}}
        if declined
        else None,
        "jobs": [{"id": 123, "name": "Engineer"}],
        "status": _STATUSES[one.outcome],
        "current_stage": {"id": len(one.stage), "name": one.stage},
    }


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
