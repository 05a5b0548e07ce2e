"""SmartRecruiters' ``GET /candidates``: the status on one job only, tokens of pages, and an application's history."""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from router.schema import Outcome
from tests.handlers.polling.account import LONG_AGO, Account, Applicant
from tests.handlers.vendor_api import Answers, Asked

_STATUSES = {
    "NEW": ("NEW", None),
    "Phone Screen": ("IN_REVIEW", "Phone Screen"),
    "Onsite": ("INTERVIEW", "Onsite"),
    "OFFERED": ("OFFERED", None),
}
_DECIDED = {Outcome.HIRED: "HIRED", Outcome.DECLINED: "REJECTED"}
_REASON = {"id": "reason-1", "label": "Lacks experience"}


class SmartRecruitersAccount(Account):
    """Every third application is the second one of the candidate before."""

    vendor = "smartrecruiters"
    stages: ClassVar[Sequence[str]] = tuple(_STATUSES)
    tells_moves_between = True

    def id_of(self, number: int) -> str:
        return f"candidate-{number - 1}:job-2" if number % 3 == 0 else f"candidate-{number}:job-1"

    def settings(self, url: str) -> dict[str, Any]:
        return {"secret": "pending", "api_key": self.secret(), "api_url": url}

    def answer(self, asked: Asked) -> Answers:
        target = urlsplit(asked.target)
        if asked.headers.get("x-smarttoken") != self.key:
            return self.unauthorised()
        match target.path.strip("/").split("/"):
            case ["candidates"]:
                return self._candidates({name: values[0] for name, values in parse_qs(target.query).items()})
            case ["jobs", job]:
                return Answers(
                    {"id": job, "title": job.title(), "refNumber": f"R-{job}", "department": {"label": "IT"}}
                )
            case ["candidates", id_] if id_ in (candidates := self._by_candidate()):
                return Answers({**_candidate(id_, candidates[id_]), "phoneNumber": "+44 20 7946 0018", "web": {}})
            case ["candidates", candidate, "jobs", job, *rest]:
                known = next((one for one in self.there if one.id == f"{candidate}:{job}"), None)
                if known is not None and rest == ["status", "history"]:
                    content = _history(known)
                    return Answers({"totalFound": len(content), "content": content})
                if known is not None and not rest:
                    reason = _REASON if known.outcome is Outcome.DECLINED else None
                    return Answers({**_status(known), "source": "LinkedIn", "reasonOfRejection": reason})
        return Answers({"code": "NOT_FOUND", "message": "Resource not found"}, 404)

    def unauthorised(self) -> Answers:
        return Answers({"code": "UNAUTHORIZED", "message": "Invalid credentials"}, 401)

    def _by_candidate(self) -> dict[str, list[Applicant]]:
        candidates: dict[str, list[Applicant]] = {}
        for one in self.there:
            candidates.setdefault(one.id.partition(":")[0], []).append(one)
        return candidates

    def _candidates(self, query: dict[str, str]) -> Answers:
        limit = int(query.get("limit", "10"))
        if limit > 100:
            return Answers({"code": "BAD_REQUEST", "message": "limit must not be greater than 100"}, 400)
        rows = [_candidate(id_, ones) for id_, ones in self._by_candidate().items()]
        if (after := query.get("updatedAfter")) is not None:
            since = datetime.strptime(after, "%Y-%m-%dT%H:%M:%S.%f%z")
            rows = [row for row in rows if datetime.fromisoformat(row["updatedOn"]) > since]
        offset, size = int(b64decode(query["pageId"])) if "pageId" in query else 0, min(limit, self.per_page)
        page = {"limit": limit, "offset": offset, "totalFound": len(rows), "content": rows[offset : offset + size]}
        if offset + size < len(rows):
            page["nextPageId"] = b64encode(f"{offset + size:020d}".encode()).decode()
        return Answers(page)


def _candidate(id_: str, applicants: Sequence[Applicant]) -> dict[str, Any]:
    first, *others = applicants
    return {
        "id": id_,
        "internal": False,
        "firstName": first.first_name,
        "lastName": "Lovelace",
        "email": first.email,
        "createdOn": _time(LONG_AGO),
        "updatedOn": _time(max(one.updated_at for one in applicants)),
        "tags": [],
        "primaryAssignment": {"job": _job(first), **_status(first)},
        "secondaryAssignments": [{"job": _job(other)} for other in others],
        "actions": {},
    }


def _job(one: Applicant) -> dict[str, Any]:
    job = one.id.partition(":")[2]
    return {"id": job, "title": job.title(), "actions": {}}


def _status(one: Applicant) -> dict[str, Any]:
    status, step = (_DECIDED[one.outcome], None) if one.outcome in _DECIDED else _STATUSES[one.stage]
    return {"status": status, "subStatus": step}


def _history(one: Applicant) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for move in one.moves:
        status, step = _STATUSES[move.to]
        entries.append({"changedOn": _time(move.at), "status": status, "subStatus": step, "actions": {}})
    if one.decided_at is not None:
        entries.append({"changedOn": _time(one.decided_at), **_status(one), "actions": {}})
    return entries[::-1]


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
