"""Bullhorn: submissions are queried by the time of their last change, their moves are in JobSubmissionHistory.

Sources: bullhorn.github.io (Getting Started with REST, OAuth) and github.com/bullhorn/rest-api-docs, read in 2026. A
session is logged in with an API user's password, as a refresh token is good for one use only. The event queue is left
alone: what is read of it is gone from there. A query may list fewer rows than it is asked for (issue 6 of
github.com/jonathanraftery/bullhorn-rest-client: 200 where many fields are), so that only a page without rows is the
last. That deleted submissions are still found is unverified; what is in no query any more counts as deleted.
"""

from collections.abc import Sequence
from http import HTTPStatus
from itertools import pairwise
from urllib.parse import parse_qs, urlencode, urlsplit

from handlers.bullhorn import Bullhorn
from handlers.enriching import Access, Api, Refused, Session, Unavailable
from handlers.polling.base import Move, Page, Pass, Polls, listed, with_history
from handlers.reading import Node
from router.client import Answer, Client
from router.schema import Fact, Person, Stage

PER_PAGE = 500
_FIELDS = (
    "id,status,dateAdded,dateLastModified,source,isDeleted,candidate(id,firstName,lastName,email,mobile),"
    "jobOrder(id,title)"
)
_MILLISECONDS = 0.001
_SECONDS, _LARGEST = 10.0, 64 * 1024


class BullhornPolls(Polls[Bullhorn]):
    vendor = "bullhorn"
    cost = "2, and 1 for the moves of each one that changed; 101 to 251 once a day; 3 for each session"
    shifting = True
    complete = True

    def access(self) -> Access | None:
        settings = self.handler.settings
        if settings.client_id is None or settings.user is None:
            return None
        return Access(settings.api_url, {}, per_second=2.0, at_once=1, login=self._login, user=settings.user)

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        start = int(cursor or 0)
        since = round(asked.since.timestamp() * 1000) if asked.since is not None else 0
        where = {"where": f"dateLastModified>{since}", "orderBy": "dateLastModified,id"}
        params = {"fields": _FIELDS, "start": str(start), "count": str(PER_PAGE)}
        answer = await api.get("/query/JobSubmission", {**where, **params})
        rows = listed(answer, "data")
        return Page(rows, str(start + len(rows)) if rows else None)

    async def details(self, row: Node, facts: Sequence[Fact], api: Api) -> Sequence[Fact]:
        where = {"where": f"jobSubmission.id={row.need_id('id')}", "orderBy": "dateAdded,id", "count": str(PER_PAGE)}
        answer = await api.get(
            "/query/JobSubmissionHistory", {**where, "fields": "id,status,dateAdded,modifyingUser(id)"}
        )
        entries = [(status, entry) for entry in listed(answer, "data") if (status := entry.text("status"))]
        patterns = self.handler.stage_patterns
        moves = [
            Move(
                patterns.known(Stage(name=before)),
                patterns.known(Stage(name=after)),
                entry.epoch("dateAdded", unit=_MILLISECONDS),
                Person(id=user) if (user := entry.node("modifyingUser", sometimes=True).id("id")) else None,
            )
            for (before, _), (after, entry) in pairwise(entries)
            if before != after
        ]
        return with_history(facts, moves)

    async def _login(self, client: Client) -> Session:
        """A code for the API user, a token for the code, a session for the token."""
        settings = self.handler.settings
        assert settings.client_id is not None
        assert settings.client_secret is not None
        assert settings.password is not None
        auth = settings.auth_url.rstrip("/")
        asked = {
            "client_id": settings.client_id,
            "response_type": "code",
            "action": "Login",
            "username": settings.user or "",
            "password": settings.password.get_secret_value(),
        }
        answer = await _ask(client, f"{auth}/authorize", asked)
        code = parse_qs(urlsplit(answer.headers.get("location", "")).query).get("code", [""])[0]
        if not code:
            raise Refused("Bullhorn does not let this API user in")
        secret = settings.client_secret.get_secret_value()
        asked = {
            "grant_type": "authorization_code",
            "code": code,
            "client_id": settings.client_id,
            "client_secret": secret,
        }
        token = _node(await _ask(client, f"{auth}/token", asked)).text("access_token")
        if token is None:
            raise Refused("Bullhorn gives no access token for this key")
        url = f"{settings.api_url.rstrip('/')}/login"
        session = _node(await _ask(client, url, {"version": "*", "access_token": token}))
        return Session(session.need_text("restUrl"), {"bhresttoken": session.need_text("BhRestToken")})


async def _ask(client: Client, url: str, form: dict[str, str]) -> Answer:
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
    body = urlencode(form).encode()
    answer = await client.request("POST", url, body=body, headers=headers, timeout=_SECONDS, keep=_LARGEST)
    if answer.status == HTTPStatus.TEMPORARY_REDIRECT:
        there = urlsplit(answer.headers.get("location", "")).hostname or "another one"
        raise Refused(f"this user is in another data centre of Bullhorn, {there}: name it in auth_url and api_url")
    if answer.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.BAD_REQUEST):
        raise Refused(f"Bullhorn refuses to log in ({answer.status})")
    if answer.status >= HTTPStatus.BAD_REQUEST:
        raise Unavailable(f"Bullhorn's log-in failed ({answer.status})", answer.retry_after)
    return answer


def _node(answer: Answer) -> Node:
    return Node.parse(answer.body)
