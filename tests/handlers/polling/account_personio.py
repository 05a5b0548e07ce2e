"""Personio's recruiting API v2: a token by client credentials, pages by cursor, moves newest first, local times."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant
from tests.handlers.vendor_api import Answers, Asked

ZONE = "Europe/Berlin"
_OWN = {Outcome.HIRED: "accepted", Outcome.DECLINED: "rejected"}
"""Types of Personio's own stages, which have neither id nor name."""


class PersonioAccount(Account):
    vendor = "personio"
    tells_moves_between = True

    def settings(self, url: str) -> dict[str, Any]:
        return {"client_id": "papi", "client_secret": self.secret(), "api_url": url}

    def answer(self, asked: Asked) -> Answers:
        target = urlsplit(asked.target)
        if target.path == "/v2/auth/token":
            wanted = {"grant_type": "client_credentials", "client_id": "papi", "client_secret": self.key}
            granted = {"access_token": "t0ken", "expires_in": 3600}
            return Answers(granted) if asked.json == wanted else self.unauthorised()
        if asked.headers.get("authorization") != "Bearer t0ken":
            return self.unauthorised()
        match target.path.split("/"):
            case ["", "v2", "recruiting", "applications"]:
                return self._list(parse_qs(target.query))
            case ["", "v2", "recruiting", "applications", id_, "stage-transitions"]:
                one = self.find(id_)
                return Answers({"_data": _moves(one)}) if one else Answers({}, 404)
        return Answers({}, 404)

    def _list(self, query: dict[str, list[str]]) -> Answers:
        since = query.get("updated_at.gt", [None])[0]
        rows = [one for one in self.there if since is None or one.updated_at > datetime.fromisoformat(since)]
        begin, size = int(query.get("cursor", ["0"])[0]), min(self.per_page, int(query.get("limit", ["100"])[0]))
        rows = [one for one in rows if one.number > begin]
        links = {}
        if len(rows) > size:
            more = f"&updated_at.gt={since}" if since else ""
            links["next"] = {"href": f"https://api.personio.de/v2/x?limit={size}&cursor={rows[size - 1].number}{more}"}
        return Answers({"_data": [_row(one) for one in rows[:size]], "_meta": {"links": links}})


def _row(one: Applicant) -> dict[str, Any]:
    return {
        "id": one.id,
        "candidate": {"id": f"c{one.number}", "first_name": one.first_name, "last_name": "L", "email": one.email},
        "job": {"id": "1", "name": "Engineer", "department": {"id": "7", "name": "Engineering"}},
        "current_stage": _stage(one, one.stage),
        "channel": {"id": "12", "name": "LinkedIn"},
        "is_anonymized": False,
        "created_at": _time(one.created_at),
        "updated_at": _time(one.updated_at),
    }


def _stage(one: Applicant, name: str) -> dict[str, Any]:
    if one.outcome in _OWN and name == one.stage:
        return {"id": None, "kind": "system", "name": None, "type": _OWN[one.outcome]}
    return {"id": f"s-{name}", "kind": "custom", "name": name, "type": "custom"}


def _moves(one: Applicant) -> list[dict[str, Any]]:
    moves = [{"entered_at": _time(move.at), "stage": _stage(one, move.to)} for move in one.moves]
    if one.outcome in _OWN and one.decided_at is not None:
        moves[-1]["stage"] = {"id": f"s-{one.stage}", "kind": "custom", "name": one.stage, "type": "custom"}
        moves.append({"entered_at": _time(one.decided_at), "stage": _stage(one, one.stage)})
    return moves[::-1]


def _time(at: datetime) -> dict[str, str]:
    return {"date-time": at.astimezone(ZoneInfo(ZONE)).replace(tzinfo=None).isoformat(), "timezone": ZONE}
