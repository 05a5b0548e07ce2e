"""Workday: a report in JSON, and Get_Candidates with its pages, its window and its faults."""

import base64
import re
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from router.schema import Outcome
from tests.handlers.polling.account import Account, Applicant, page_of
from tests.handlers.vendor_api import Answers, Asked

_FAULT = b"""<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body><SOAP-ENV:Fault>
<faultcode>SOAP-ENV:%s</faultcode><faultstring>no</faultstring></SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>"""
_ANSWER = """<?xml version='1.0' encoding='UTF-8'?>
<env:Envelope xmlns:env="http://schemas.xmlsoap.org/soap/envelope/"><env:Body>
<wd:Get_Candidates_Response xmlns:wd="urn:com.workday/bsvc"><wd:Response_Results>
<wd:Total_Results>{total}</wd:Total_Results>
<wd:Total_Pages>{pages}</wd:Total_Pages><wd:Page>{page}</wd:Page></wd:Response_Results><wd:Response_Data>{rows}
</wd:Response_Data></wd:Get_Candidates_Response></env:Body></env:Envelope>"""
_CANDIDATE = """<wd:Candidate><wd:Candidate_Reference>
<wd:ID wd:type="Candidate_ID">c{number}</wd:ID></wd:Candidate_Reference>
<wd:Candidate_Data><wd:Name_Data><wd:Legal_Name><wd:Name_Detail_Data><wd:First_Name>{first_name}</wd:First_Name>
</wd:Name_Detail_Data></wd:Legal_Name></wd:Name_Data><wd:Job_Application_Data><wd:Job_Applied_To_Data>
<wd:Job_Application_ID>{id}</wd:Job_Application_ID>
<wd:Job_Requisition_Reference><wd:ID wd:type="Job_Requisition_ID">R1</wd:ID></wd:Job_Requisition_Reference>
<wd:Job_Application_Date>{created_at}</wd:Job_Application_Date>
<wd:Stage_Reference wd:Descriptor="{stage}"><wd:ID wd:type="Recruiting_Stage_ID">{stage_id}</wd:ID></wd:Stage_Reference>
{disposition}<wd:Status_Timestamp>{updated_at}</wd:Status_Timestamp></wd:Job_Applied_To_Data></wd:Job_Application_Data>
</wd:Candidate_Data></wd:Candidate>"""
_DISPOSITION = (
    '<wd:Disposition_Reference wd:Descriptor="No"><wd:ID wd:type="D_ID">NO</wd:ID></wd:Disposition_Reference>'
)
_STAGES = {"stages": {"HIRED": ["Hire"]}}


class WorkdayAccount(Account):
    vendor = "workday"

    def hire(self, applicant: Applicant) -> None:
        super().hire(applicant)
        applicant.stage = "Hire"


class WorkdayReport(WorkdayAccount):
    way = "report"

    def settings(self, url: str) -> dict[str, Any]:
        more = {"user": "isu", "password": self.secret(), "since_prompt": "Changed_From"}
        return {"report_url": f"{url}/ccx/service/customreport2/acme/isu/applications", **more, **_STAGES}

    def answer(self, asked: Asked) -> Answers:
        target = urlsplit(asked.target)
        if asked.headers.get("authorization") != f"Basic {base64.b64encode(f'isu:{self.key}'.encode()).decode()}":
            return Answers(b"<html>", 401)
        query = parse_qs(target.query)
        if not target.path.endswith("/applications") or query.get("format") != ["json"]:
            return Answers(b"<html>", 404)
        since = query.get("Changed_From", [None])[0]
        rows = [one for one in self.there if since is None or one.updated_at >= datetime.fromisoformat(since)]
        return Answers({"Report_Entry": [_entry(one) for one in rows]})


class WorkdaySoap(WorkdayAccount):
    way = "soap"

    def settings(self, url: str) -> dict[str, Any]:
        more = {"user": "isu@acme", "password": self.secret()}
        return {"soap_url": f"{url}/ccx/service/acme/Recruiting/v42.1", **more, **_STAGES}

    def answer(self, asked: Asked) -> Answers:
        said = asked.text
        if f">{self.key}</wsse:Password>" not in said or ">isu@acme<" not in said:
            return self.unauthorised()
        since, until = _of(said, "Updated_From"), _of(said, "Updated_Through")
        if since and until != _of(said, "As_Of_Entry_DateTime"):
            return Answers(_FAULT % b"Client.validationError", 500)
        rows = [one for one in self.there if not since or one.updated_at >= datetime.fromisoformat(since)]
        number, size = int(_of(said, "Page") or 1), min(self.per_page, int(_of(said, "Count") or 100))
        found = "".join(_candidate(one) for one in page_of(rows, number, size))
        pages = max(1, -(-len(rows) // size))
        return Answers(_ANSWER.format(total=len(rows), pages=pages, page=number, rows=found).encode())

    def unauthorised(self) -> Answers:
        return Answers(_FAULT % b"Client.authenticationError", 500)

    def failed(self) -> Answers:
        return Answers(_FAULT % b"Server.processingError", 500)


def _of(said: str, name: str) -> str | None:
    found = re.search(f"<wd:{name}>([^<]*)<", said)
    return found[1] if found else None


def _entry(one: Applicant) -> dict[str, Any]:
    return {
        "Job_Application_ID": one.id,
        "Candidate_ID": f"c{one.number}",
        "First_Name": one.first_name,
        "Job_Requisition_ID": "R1",
        "Job_Application_Date": one.created_at.isoformat(),
        "Stage_ID": one.stage.upper().replace(" ", "_"),
        "Stage": one.stage,
        "Disposition": "No" if one.outcome is Outcome.DECLINED else "",
        "Last_Status_Change": one.updated_at.isoformat(),
    }


def _candidate(one: Applicant) -> str:
    return _CANDIDATE.format(
        number=one.number,
        first_name=one.first_name,
        id=one.id,
        created_at=one.created_at.isoformat(),
        updated_at=one.updated_at.isoformat(),
        stage=one.stage,
        stage_id=one.stage.upper().replace(" ", "_"),
        disposition=_DISPOSITION if one.outcome is Outcome.DECLINED else "",
    )
