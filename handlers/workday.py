"""Workday Recruiting: polled, by the SOAP operation Get_Candidates or by a custom report as a web service (RaaS).

Sources: models and clients of others for Get_Candidates (v42), read in 2026; the columns of a report are its author's,
docs/workday.md has a template. One candidate has many applications; a prospect has none. Both are brought into one
form, the row of a report.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, ClassVar, Self, TypeVar
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from handlers.base import Drift
from handlers.guide import Confidence, Guide, Proof
from handlers.polled import PolledHandler, state_facts
from handlers.reading import Node, whole_name
from handlers.settings import ApiUrl, SourceSettings
from router.schema import (
    OUTCOME_OF_KIND,
    Application,
    Candidate,
    Fact,
    Job,
    Outcome,
    Person,
    RejectionKind,
    RejectionReason,
    Stage,
)
from router.secret import Secret

_WD = "{urn:com.workday/bsvc}"
_REPORT, _SOAP = "Report_Entry", "Job_Applied_To_Data"
_TAGS, _LINKS, _PLACE = "Candidate_Tag_Reference", "Website_Data", "Location_Data"
_YES = frozenset(("1", "true", "yes", "y"))


T = TypeVar("T", Person, Stage, RejectionReason)


Alias = Annotated[str, Field(description="what this column is called in the report")]


class Columns(BaseModel):
    """What the columns of a report are called: their XML aliases in Workday. A report may lack all but the first."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    application_id: Alias = "Job_Application_ID"
    candidate_id: Alias = "Candidate_ID"
    candidate_name: Alias = "Candidate_Name"
    first_name: Alias = "First_Name"
    last_name: Alias = "Last_Name"
    email: Alias = "Email"
    phone: Alias = "Phone"
    requisition_id: Alias = "Job_Requisition_ID"
    requisition_title: Alias = "Job_Requisition_Title"
    applied_at: Alias = "Job_Application_Date"
    stage_id: Alias = "Stage_ID"
    stage: Alias = "Stage"
    disposition_id: Alias = "Disposition_ID"
    disposition: Alias = "Disposition"
    withdrawn: Alias = "Withdrawn"
    changed_at: Alias = "Last_Status_Change"
    source: Alias = "Source"
    referred_by_id: Alias = "Referred_By_ID"
    referred_by: Alias = "Referred_By"


class WorkdaySettings(SourceSettings):
    report_url: ApiUrl | None = Field(None, description="the report's address as a web service, without format=json")
    since_prompt: str | None = Field(None, description="the report's prompt for what changed since, if it has one")
    soap_url: ApiUrl | None = Field(None, description="https://HOST/ccx/service/TENANT/Recruiting/v42.1")
    user: str | None = Field(None, description="an integration system user; for soap_url with @TENANT behind it")
    password: Secret | None = Field(None, description="its password")
    columns: Columns = Field(
        Columns(), description="the XML aliases of a report's columns, where they are your own: docs/workday.md"
    )

    together: ClassVar[Sequence[str]] = ("user", "password")

    @model_validator(mode="after")
    def _is_read_in_one_way(self) -> Self:
        if self.report_url is not None and self.soap_url is not None:
            raise PydanticCustomError("api", "give report_url or soap_url: one of them is read")
        return self


class Workday(PolledHandler):
    vendor = "workday"
    title = "Workday Recruiting"
    Settings = WorkdaySettings
    guide = Guide(
        proof=Proof.NONE,
        confidence=Confidence.THIRD_PARTY,
        steps=[],
        events=[],
        verified="nothing: Workday pushes nothing that every customer has; Get_Candidates or a report is polled",
        missing=[
            "which stage is a hire: each tenant's own, `stages:` tells it by id (unverified: HIRE, READY_FOR_HIRE)",
            "titles and names where Workday leaves its descriptors out: ids stand alone then",
            "who moved an application, and the step within a stage",
            "prospects: they have no application and are left out",
            "withdrawn is said of the candidate: every application without a disposition counts as DECLINED then",
        ],
    )

    settings: WorkdaySettings

    def parse_answer(self, body: bytes) -> Node:
        if body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] != b"<":
            return super().parse_answer(body)
        columns: dict[str, str] = self.settings.columns.model_dump()
        tree = _tree(body)
        rows: list[object] = [
            {columns.get(name, name): value for name, value in row.items()} for row in _applications(tree)
        ]
        pages = tree.findtext(f".//{_WD}Response_Results/{_WD}Total_Pages") or "1"
        return Node.of({_SOAP: rows, "Total_Pages": int(pages) if pages.isdecimal() else 1})

    def rows(self, answer: Node) -> Sequence[Node]:
        """Rows without an application are of prospects; a report without any has another name for the column."""
        key = _SOAP if isinstance(answer.json(_SOAP, sometimes=True), list) else _REPORT
        if not isinstance(answer.json(key, sometimes=True), list):
            raise Drift(key, "is missing")
        rows, column = answer.nodes(key), self.settings.columns.application_id
        ids = [row.json(column, sometimes=True) for row in rows]
        if rows and ids.count(None) == len(rows):
            raise Drift(f"{key}[].{column}", "is in no row; `columns:` tells what the report calls it")
        return [row for row, id_ in zip(rows, ids, strict=True) if id_ not in (None, "")]

    def row_facts(self, row: Node) -> tuple[Fact, ...]:
        columns, zone = self.settings.columns, self.settings.zone
        stage, reason = self._stage(row), self._rejection(row)
        changed_at = row.time(columns.changed_at, zone=zone, sometimes=True)
        outcome = Outcome.DECLINED if reason else OUTCOME_OF_KIND.get(stage.kind, Outcome.PENDING) if stage else None
        application = Application(
            id=row.need_id(columns.application_id),
            outcome=outcome,
            stage=stage,
            created_at=row.time(columns.applied_at, zone=zone, sometimes=True),
            rejected_at=changed_at if outcome is Outcome.DECLINED else None,
            hired_at=changed_at if outcome is Outcome.HIRED else None,
            rejection_reason=reason,
            source=row.text(columns.source, sometimes=True),
            referrer=_named(Person, row, columns.referred_by_id, columns.referred_by),
        )
        return state_facts(
            "job_application",
            application,
            candidate=self._candidate(row),
            job=self._job(row),
            changed_at=changed_at,
        )

    def _stage(self, row: Node) -> Stage | None:
        stage = _named(Stage, row, self.settings.columns.stage_id, self.settings.columns.stage)
        return self.stage_patterns.known(stage) if stage else None

    def _rejection(self, row: Node) -> RejectionReason | None:
        columns = self.settings.columns
        withdrawn = str(row.json(columns.withdrawn, sometimes=True)).lower() in _YES
        reason = _named(RejectionReason, row, columns.disposition_id, columns.disposition)
        if withdrawn:
            return (reason or RejectionReason()).model_copy(update={"kind": RejectionKind.WITHDRAWN_BY_CANDIDATE})
        return reason

    def _candidate(self, row: Node) -> Candidate:
        columns = self.settings.columns
        first_name, last_name = (
            row.text(columns.first_name, sometimes=True),
            row.text(columns.last_name, sometimes=True),
        )
        email, phone = row.text(columns.email, sometimes=True), row.text(columns.phone, sometimes=True)
        return Candidate(
            id=row.id(columns.candidate_id, sometimes=True),
            name=row.text(columns.candidate_name, sometimes=True) or whole_name(first_name, last_name),
            first_name=first_name,
            last_name=last_name,
            emails=[email] if email else [],
            phones=[phone] if phone else [],
            location=row.text(_PLACE, sometimes=True),
            links=row.texts(_LINKS, sometimes=True),
            tags=row.texts(_TAGS, sometimes=True),
        )

    def _job(self, row: Node) -> Job | None:
        id_ = row.id(self.settings.columns.requisition_id, sometimes=True)
        title = row.text(self.settings.columns.requisition_title, sometimes=True)
        return Job(id=id_, title=title, requisition_id=id_) if id_ or title else None


def _named(kind: type[T], row: Node, id_column: str, name_column: str) -> T | None:
    id_, name = row.id(id_column, sometimes=True), row.text(name_column, sometimes=True)
    return kind(id=id_, name=name) if id_ or name else None


class _Plain(ElementTree.TreeBuilder):
    """Refuses a document type: entities, which may grow without end or name files, are declared nowhere else."""

    def doctype(self, name: str, public: str | None, system: str | None) -> None:
        raise Drift("body", "declares a document type")


def _tree(body: bytes) -> Element:
    parser = ElementTree.XMLParser(target=_Plain())  # noqa: S314 a document type is refused
    try:
        parser.feed(body.decode())
        root: Element = parser.close()
    except UnicodeDecodeError:
        raise Drift("body", "is not UTF-8") from None
    except ElementTree.ParseError:
        raise Drift("body", "is not XML") from None
    if root.find(".//{*}Fault") is not None:
        raise Drift("Envelope.Body.Fault", "is what Workday answered")
    response = f"{_WD}Get_Candidates_Response"
    if root.tag != response and root.find(f".//{response}") is None:
        raise Drift("Envelope.Body.Get_Candidates_Response", "is missing")
    return root


def _applications(root: Element) -> Iterator[dict[str, object]]:
    """A row per application, its keys the names of `Columns`."""
    for candidate in root.iterfind(f".//{_WD}Response_Data/{_WD}Candidate"):
        data = candidate.find(f"{_WD}Candidate_Data")
        if data is None:
            continue
        about = _about(candidate, data)
        for application in data.iterfind(f"{_WD}Job_Application_Data"):
            for applied in application.iterfind(f"{_WD}Job_Applied_To_Data"):
                yield about | _applied(application, applied)


def _about(candidate: Element, data: Element) -> dict[str, object]:
    name, contact = _inside(data, "Name_Data", "Legal_Name", "Name_Detail_Data"), _inside(data, "Contact_Data")
    first_name, last_name = _text(name, "First_Name"), _text(name, "Last_Name")
    tags = map(_reference, data.iterfind(f"{_WD}{_TAGS}"))
    links = [] if contact is None else [_text(site, "URL_Address") for site in contact.iterfind(f"{_WD}{_LINKS}")]
    return {
        "candidate_id": _reference(_inside(candidate, "Candidate_Reference"))[0] or _text(data, "Candidate_ID"),
        "candidate_name": None if first_name or last_name else _text(name, "Full_Name"),
        "first_name": first_name,
        "last_name": last_name,
        "email": _text(contact, "Email_Address"),
        "phone": _text(contact, "Phone_Number"),
        "withdrawn": _text(_inside(data, "Status_Data"), "Withdrawn"),
        _PLACE: _text(_inside(contact, _PLACE), "City"),
        _LINKS: [link for link in links if link],
        _TAGS: [name or id_ for id_, name in tags if name or id_],
    }


def _applied(application: Element, applied: Element) -> dict[str, object]:
    requisition, title = _reference(_inside(applied, "Job_Requisition_Reference"))
    stage_id, stage = _reference(_inside(applied, "Stage_Reference"))
    disposition_id, disposition = _reference(_inside(applied, "Disposition_Reference"))
    source_id, source = _reference(_inside(applied, "Source_Reference"))
    worker_id, worker = _reference(_inside(applied, "Referred_By_Worker_Reference"))
    id_, _ = _reference(_inside(application, "Job_Application_Reference"))
    return {
        "application_id": _text(applied, "Job_Application_ID") or id_,
        "requisition_id": requisition,
        "requisition_title": title,
        "applied_at": _text(applied, "Job_Application_Date"),
        "stage_id": stage_id,
        "stage": stage,
        "disposition_id": disposition_id,
        "disposition": disposition,
        "changed_at": _text(applied, "Status_Timestamp"),
        "source": source or source_id,
        "referred_by_id": worker_id,
        "referred_by": worker,
    }


def _inside(element: Element | None, *names: str) -> Element | None:
    for name in names:
        element = element.find(f"{_WD}{name}") if element is not None else None
    return element


def _text(element: Element | None, name: str) -> str | None:
    return _stripped(element.findtext(f"{_WD}{name}")) if element is not None else None


def _stripped(text: str | None) -> str | None:
    return (text or "").strip() or None


def _reference(element: Element | None) -> tuple[str | None, str | None]:
    """Its id, Workday's own WID only where there is no other, and what people call it, which is often left out."""
    if element is None:
        return None, None
    ids = {item.get(f"{_WD}type"): text for item in element.iterfind(f"{_WD}ID") if (text := _stripped(item.text))}
    wid = ids.pop("WID", None)
    return next(iter(ids.values()), wid), element.get(f"{_WD}Descriptor")
