"""Workday: a report as a web service, whole or by a prompt for what changed, or the SOAP operation Get_Candidates with
``Updated_From``, whose pages all name the moment at which the first one was asked for.

Sources: models and clients of others for Get_Candidates (v42), read in 2026. A fault comes with the status 500.
"""

from datetime import datetime
from xml.sax.saxutils import escape

from handlers.enriching import Access, Api, Refused, Unavailable, basic
from handlers.polling.base import SELDOM, Page, Pass, Polls, in_utc
from handlers.workday import Workday

PER_PAGE = 500
_ENVELOPE = """<?xml version="1.0" encoding="UTF-8"?>
<env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/" xmlns:wd="urn:com.workday/bsvc">
<env:Header><wsse:Security env:mustUnderstand="1"
xmlns:wsse="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"><wsse:UsernameToken>
<wsse:Username>{user}</wsse:Username><wsse:Password
Type="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#PasswordText"
>{password}</wsse:Password></wsse:UsernameToken></wsse:Security></env:Header>
<env:Body><wd:Get_Candidates_Request>{criteria}<wd:Response_Filter>
<wd:As_Of_Entry_DateTime>{until}</wd:As_Of_Entry_DateTime><wd:Page>{page}</wd:Page><wd:Count>{count}</wd:Count>
</wd:Response_Filter><wd:Response_Group><wd:Include_Reference>true</wd:Include_Reference>
<wd:Exclude_All_Attachments>true</wd:Exclude_All_Attachments></wd:Response_Group>
</wd:Get_Candidates_Request></env:Body></env:Envelope>"""
_CHANGED = """<wd:Request_Criteria><wd:Transaction_Log_Criteria_Data><wd:Transaction_Date_Range_Data>
<wd:Updated_From>{since}</wd:Updated_From><wd:Updated_Through>{until}</wd:Updated_Through>
</wd:Transaction_Date_Range_Data></wd:Transaction_Log_Criteria_Data></wd:Request_Criteria>"""
_SLOW = 100.0


class WorkdayPolls(Polls[Workday]):
    vendor = "workday"
    cost = "1 for a report, which can't be had in pages; by Get_Candidates 1, and 100 once a day"
    usual = SELDOM
    complete = True

    def access(self) -> Access | None:
        settings = self.handler.settings
        url = settings.report_url or settings.soap_url
        if url is None or settings.user is None or settings.password is None:
            return None
        # SOAP has the credentials in its envelope
        credentials = basic(settings.user, settings.password.get_secret_value())
        headers = {"authorization": credentials} if settings.report_url else {}
        return Access(url, headers, per_second=1.0, at_once=1, timeout=_SLOW)

    async def page(self, asked: Pass, cursor: str | None, api: Api) -> Page:
        if self.handler.settings.report_url is None:
            return await self._candidates(asked, int(cursor or 1), api)
        params = {"format": "json"}
        if self.handler.settings.since_prompt is not None and asked.since is not None:
            params[self.handler.settings.since_prompt] = in_utc(asked.since)
        return Page(self.handler.rows(await api.get("", params)))

    async def _candidates(self, asked: Pass, number: int, api: Api) -> Page:
        settings = self.handler.settings
        assert settings.user is not None
        assert settings.password is not None
        until = in_utc(asked.until)
        body = _ENVELOPE.format(
            user=escape(settings.user),
            password=escape(settings.password.get_secret_value()),
            criteria=_criteria(asked.since, until),
            until=until,
            page=number,
            count=PER_PAGE,
        )
        headers = {"content-type": "text/xml; charset=utf-8", "accept": "text/xml"}
        answer = await api.raw("POST", "", body.encode(), headers)
        _check(answer)
        read = self.handler.parse_answer(answer)
        pages = read.integer("Total_Pages") or 1
        return Page(self.handler.rows(read), str(number + 1) if number < pages else None)


def _criteria(since: datetime | None, until: str) -> str:
    return "" if since is None else _CHANGED.format(since=in_utc(since), until=until)


def _check(answer: bytes) -> None:
    """
    Raises:
        ApiProblem: it is a fault.
    """
    if b"Fault>" not in answer:
        return
    if b"authenticationError" in answer:
        raise Refused("Workday refuses the credentials")
    what = "the request" if b"validationError" in answer else "to answer"
    raise Unavailable(f"Workday says by a SOAP fault that it failed: {what}")
