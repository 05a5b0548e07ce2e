"""What is particular to Workday: XML that is not to be trusted, many applications of one candidate, own columns."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from handlers.base import Disposition, Drift, Normalised
from handlers.polled import PolledHandler
from handlers.workday import WorkdaySettings
from router.schema import Application, Candidate
from tests.handlers.vendors import fixtures_of, handler_of

SOAP = fixtures_of("workday")["candidates_declined"].body


def told(body: bytes | object, **settings: object) -> Normalised:
    handler = handler_of("workday", **settings)
    assert isinstance(handler, PolledHandler)
    return handler.normalise_rows(body if isinstance(body, bytes) else json.dumps(body).encode())


def application_in(body: bytes | object, **settings: object) -> Application:
    application = told(body, **settings).facts[-1].application
    assert application
    return application


def row(**columns: object) -> dict[str, Any]:
    return {"Report_Entry": [{"Job_Application_ID": "JA-1", **columns}]}


LAUGHS = "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9))


@pytest.mark.parametrize(
    "document",
    [
        f'<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa">{LAUGHS}]><l>&j;</l>',
        '<!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]><l>&x;</l>',
        '<?xml version="1.0"?> <!-- a --> <!DOCTYPE l SYSTEM "http://example.org/l.dtd"><l/>',
        "<!DOCTYPE l><l/>",
    ],
)
def test_a_document_type_is_refused_before_anything_in_it_counts(document: str) -> None:
    with pytest.raises(Drift, match=r"^body: declares a document type$"):
        told(document.encode())


def test_a_document_type_that_is_only_text_is_none() -> None:
    body = SOAP.replace(b"Priya", b"<![CDATA[<!DOCTYPE Priya>]]>")
    candidate = told(body).facts[0].candidate
    assert candidate
    assert candidate.first_name == "<!DOCTYPE Priya>"


@pytest.mark.parametrize(
    "document", [b"<", b"<a>", b"<a>&lt;&nope;</a>", b"<a/><b/>", b"<\xff/>", "<a/>".encode("utf-16")]
)
def test_what_is_no_xml_is_drift(document: bytes) -> None:
    with pytest.raises(Drift, match=r"^body: "):
        told(document)


def test_a_mark_before_the_xml_and_another_name_of_the_encoding_change_nothing() -> None:
    assert told(b"\xef\xbb\xbf" + SOAP) == told(SOAP)
    assert told(SOAP.replace(b'encoding="UTF-8"', b'encoding="ISO-8859-1"')) == told(SOAP)
    assert b'encoding="UTF-8"' in SOAP


def test_a_fault_is_no_empty_page_and_its_text_stays_inside() -> None:
    fault = b"""<SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/"><SOAP-ENV:Body><SOAP-ENV:Fault>
        <faultcode>SOAP-ENV:Client.authenticationError</faultcode><faultstring>invalid username ISU_router</faultstring>
        </SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>"""
    with pytest.raises(Drift, match=r"^Envelope\.Body\.Fault: ") as drift:
        told(fault)
    assert "ISU_router" not in str(drift.value)


@pytest.mark.parametrize(
    ("answer", "path"),
    [
        (b"<html><body>Sign in</body></html>", "Envelope.Body.Get_Candidates_Response"),
        (SOAP.replace(b"urn:com.workday/bsvc", b"urn:other"), "Envelope.Body.Get_Candidates_Response"),
        ({"error": "invalid_grant"}, "Report_Entry"),
        ([], "Report_Entry"),
        ({"Report_Entry": {"Job_Application_ID": "JA-1"}}, "Report_Entry"),
        ({"Report_Entry": [{"Application": "JA-1"}]}, "Report_Entry[].Job_Application_ID"),
        (row(Job_Application_ID=[7]), "Report_Entry[].Job_Application_ID"),
    ],
)
def test_any_other_answer_is_drift(answer: object, path: str) -> None:
    with pytest.raises(Drift) as drift:
        told(answer)
    assert drift.value.path == path


def test_a_prospect_has_no_application() -> None:
    result = told({"Report_Entry": [{"Job_Application_ID": ""}, {"Job_Application_ID": None}]})
    assert (result.disposition, result.facts) == (Disposition.IGNORED, ())


def test_an_application_may_be_named_by_its_reference_only() -> None:
    body = SOAP.replace(b"<wd:Job_Application_ID>JOB_APPLICATION-3-9102</wd:Job_Application_ID>", b"")
    assert body != SOAP
    assert application_in(body).id == "JOB_APPLICATION-3-9102"


def test_a_candidate_may_be_named_in_its_data_only() -> None:
    reference = (
        b'<bsvc:Candidate_Reference><bsvc:ID bsvc:type="Candidate_ID">CAND-2</bsvc:ID></bsvc:Candidate_Reference>'
    )
    name = b"<bsvc:Name_Detail_Data><bsvc:Full_Name>Sami Oksanen</bsvc:Full_Name></bsvc:Name_Detail_Data>"
    inside = b"<bsvc:Name_Data><bsvc:Legal_Name>" + name + b"</bsvc:Legal_Name></bsvc:Name_Data>"
    body = fixtures_of("workday")["candidates_several"].body
    before, after = body.split(reference)
    data = b"<bsvc:Candidate_Data><bsvc:Candidate_ID>CAND-2</bsvc:Candidate_ID>" + inside
    candidate = told(before + after.replace(b"<bsvc:Candidate_Data>", data, 1)).facts[-1].candidate
    assert candidate == Candidate(id="CAND-2", name="Sami Oksanen")


def test_a_candidate_with_one_application_among_several_is_told_whole() -> None:
    ids = [
        fact.application.id
        for fact in told(fixtures_of("workday")["candidates_several"].body).facts
        if fact.application
    ]
    assert ids == ["JA-1", "JA-1", "JA-2", "JA-2", "JA-3", "JA-3"]


@pytest.mark.parametrize("withdrawn", ["1", 1, "true", True, "Yes", "Y"])
def test_withdrawn_is_written_in_many_ways(withdrawn: object) -> None:
    reason = application_in(row(Withdrawn=withdrawn, Stage="Ready for Hire")).rejection_reason
    assert reason
    assert reason.kind == "WITHDRAWN_BY_CANDIDATE"


@pytest.mark.parametrize("withdrawn", ["0", 0, "false", False, "No", "", None])
def test_and_so_is_not_withdrawn(withdrawn: object) -> None:
    assert application_in(row(Withdrawn=withdrawn, Stage="Review")).outcome == "PENDING"


def test_a_disposition_decides_before_the_stage_does() -> None:
    assert application_in(row(Stage_ID="READY_FOR_HIRE")).outcome == "HIRED"
    assert application_in(row(Stage_ID="READY_FOR_HIRE", Disposition="Offer withdrawn")).outcome == "DECLINED"
    assert application_in(row(Disposition_ID="FILLED")).outcome == "DECLINED"
    assert application_in(row(Stage_ID="READY_FOR_HIRE"), stages={}).outcome == "PENDING"
    assert application_in(row()).outcome is None


def test_columns_of_ones_own_are_for_reports_and_leave_soap_as_it_is() -> None:
    columns = {"application_id": "ref", "stage": "Recruiting_Stage", "changed_at": "moved"}
    body = {"Report_Entry": [{"ref": 7, "Recruiting_Stage": "Ready", "moved": "2026-03-02T09:00:00"}]}
    result = told(body, columns=columns, timezone="America/Los_Angeles")
    application = result.facts[-1].application
    assert application
    assert (application.id, application.stage and application.stage.name) == ("7", "Ready")
    assert str(result.facts[-1].occurred_at) == "2026-03-02 17:00:00+00:00"
    assert told(body, columns=columns).soft_drift == ("Report_Entry[].moved",)
    assert told(SOAP, columns=columns).facts == told(SOAP).facts


def test_a_column_that_nobody_knows_is_refused() -> None:
    with pytest.raises(ValidationError, match="stge"):
        WorkdaySettings.model_validate({"vendor": "workday", "columns": {"stge": "Stage"}})


def test_the_template_in_the_documentation_has_every_column() -> None:
    template = (Path(__file__).parents[2] / "docs" / "workday.md").read_text()
    for name, column in WorkdaySettings(vendor="workday").columns:
        assert f"`{name}`" in template
        assert f"`{column}`" in template


def test_nothing_that_no_one_asked_for_is_passed_on() -> None:
    text = "".join(fact.model_dump_json() for fact in told(fixtures_of("workday")["candidates_several"].body).facts)
    for private in ("1990-01-01", "Male", "Do_Not_Hire", "Gender"):
        assert private not in text
