"""Recruitee's ``GET /candidates``: by offset, with placements, and their jobs and stages beside them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zlib import crc32

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant
from tests.handlers.vendor_api import Answers, Asked

OFFERS = {"11": "Engineer", "12": "Designer"}
_CATEGORIES = {"Applied": "apply", "Phone Screen": "phone_screen", "Onsite": "interview", "Final Round": "evaluation"}


class RecruiteeAccount(Account):
    """Every third application is the second one of the candidate before."""

    vendor = "recruitee"
    reads_everything = True

    def id_of(self, number: int) -> str:
        return f"{999 + number}:12" if number % 3 == 0 else f"{1000 + number}:11"

    def settings(self, url: str) -> dict[str, Any]:
        return {"secret": self.secret(), "api_token": self.secret(), "company_id": 78057, "api_url": url}

    def answer(self, asked: Asked) -> Answers:
        target = urlsplit(asked.target)
        if asked.headers.get("authorization") != f"Bearer {self.key}":
            return self.unauthorised()
        if target.path != "/c/78057/candidates":
            return Answers({"error": ["Not found"]}, 404)
        query = {name: values[0] for name, values in parse_qs(target.query).items()}
        if query.get("sort", "by_date") not in ("by_date", "by_last_message"):
            return Answers({"error": ["Sort is invalid"]}, 422)
        candidates: dict[str, list[Applicant]] = {}
        for one in self.there:
            candidates.setdefault(one.id.partition(":")[0], []).append(one)
        newest_first = sorted(candidates.items(), key=lambda item: item[1][0].created_at, reverse=True)
        offset, limit = int(query.get("offset", "0")), int(query.get("limit", str(len(newest_first))))
        page = newest_first[offset : offset + min(limit, self.per_page)]
        placements = [one for _, ones in page for one in ones]
        return Answers(
            {
                "candidates": [_candidate(id_, ones) for id_, ones in page],
                "generated_at": _time(datetime.now(UTC)),
                "references": [*_offers(placements), *_stages(placements), {"id": 5, "type": "Admin"}],
            }
        )

    def unauthorised(self) -> Answers:
        return Answers({"error": ["Unauthorized"]}, 401)


def stage_of(one: Applicant) -> str:
    return "Hired" if one.outcome is Outcome.HIRED else one.stage


def stage_id(name: str) -> int:
    return crc32(name.encode())


def _candidate(id_: str, ones: Sequence[Applicant]) -> dict[str, Any]:
    first = ones[0]
    return {
        "admin_id": 5,
        "created_at": _time(first.created_at),
        "emails": [first.email],
        "id": int(id_),
        "name": f"{first.first_name} Lovelace",
        "phones": [],
        "placements": [_placement(one) for one in ones],
        "referrer": None,
        "source": "career_site",
        "updated_at": _time(first.created_at),  # a move does not change it
    }


def _placement(one: Applicant) -> dict[str, Any]:
    candidate, _, offer = one.id.partition(":")
    hired = one.outcome is Outcome.HIRED
    placement = {
        "candidate_id": int(candidate),
        "created_at": _time(one.created_at),
        "hired_at": _time(one.decided_at) if hired and one.decided_at else None,
        "hired_in_this_placement": False,
        "id": 50_000 + one.number,
        "offer_id": int(offer),
        "stage_id": stage_id(stage_of(one)),
        "updated_at": _time(one.updated_at),
    }
    if one.outcome is Outcome.DECLINED:
        placement |= {"disqualify_kind": "admin", "disqualify_reason": "Wrong skill set"}
    return placement


def _offers(placements: Sequence[Applicant]) -> list[dict[str, Any]]:
    ids = {one.id.partition(":")[2] for one in placements}
    return [{"id": int(id_), "title": OFFERS[id_], "kind": "job", "type": "Offer"} for id_ in sorted(ids)]


def _stages(placements: Sequence[Applicant]) -> list[dict[str, Any]]:
    names = {stage_of(one) for one in placements}
    return [
        {"category": _CATEGORIES.get(name, "hire"), "id": stage_id(name), "name": name, "type": "Stage"}
        for name in sorted(names)
    ]


def _time(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
