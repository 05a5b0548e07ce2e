"""Any vendor that nobody wrote a handler for: its signature, events and fields are described in the configuration.

How, step by step: docs/generic.md. What the description of events and fields holds: `handlers.mapping`; of signatures
and secrets: `handlers.proofs`.
"""

from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from handlers.base import Post, Receipt
from handlers.expressions import find
from handlers.guide import Confidence, Guide, Proof
from handlers.made_up import event_of
from handlers.mapped import MappedHandler, getter_at
from handlers.mapping import InHeader, MappingSettings, Problem, Where, raise_faults
from handlers.proofs import Place, SecretHeader, SecretPlace, SecretProof, Signature, SignatureProof
from handlers.reading import Node
from handlers.settings import SourceSettings


class GenericSettings(MappingSettings):
    """A source that the configuration describes."""

    signature: Signature | None = Field(None, description="how the vendor signs")
    secret_in: SecretPlace | None = Field(
        None, description="where the vendor sends the secret itself: path, bearer, basic or {header: NAME}"
    )
    dedupe: Where | None = Field(
        None,
        description="where an id is that stays the same when an event is sent again: an expression or {header: NAME}",
    )
    success: int = Field(200, ge=200, le=299, description="the status that the vendor takes for success")

    @model_validator(mode="after")
    def _is_proven(self) -> Self:
        if (self.signature is None) is (self.secret_in is None):
            problem = "say how its webhooks show where they are from: with signature: or with secret_in:, not both"
            raise PydanticCustomError("proof", problem)
        raise_faults("GenericSettings", self._header_faults())
        return self

    def _header_faults(self) -> Iterator[Problem]:
        for key, where in (("event", self.event), ("dedupe", self.dedupe)):
            if isinstance(where, InHeader) and where.header == self.secret_header:
                yield (key, "header"), "this header holds the secret or the signature"
            elif isinstance(where, InHeader) and key == "dedupe" and not self.trusts(where.header):
                yield (
                    (key, "header"),
                    "the signature does not cover this header; write {header:NAME} in signed: as well",
                )

    @property
    def secret_header(self) -> str | None:
        if self.signature is not None:
            return self.signature.header
        if isinstance(self.secret_in, SecretHeader):
            return self.secret_in.header
        return None if self.secret_in is Place.PATH else "authorization"

    def trusts(self, header: str) -> bool:
        """Whether nobody but the vendor can have written this header."""
        return self.signature is None or self.signature.covers(header)


class Generic(MappedHandler):
    vendor = "generic"
    title = "Any vendor, described in YAML"
    Settings = GenericSettings
    guide = Guide(
        proof=Proof.BODY,
        confidence=Confidence.UNVERIFIED,
        steps=[
            "Find the vendor's page about webhooks and one whole request, with its headers",
            "say how it is signed (signature:) or where it holds the secret (secret_in:), as docs/generic.md shows",
            'say where the event\'s name and each field are. Of the body {"event": "moved", "application": {"id": 7,'
            ' "stage": {"title": "Offer"}}} that is event: event, events: {moved: StageChanged}, and fields:'
            " {application.id: application.id, to_stage.name: application.stage.title}",
            "try it with the request that you found: ats-router inspect --config FILE --source NAME --body BODY",
            "enter the source's URL at the vendor; where the secret is sent in the path, it is the URL's last part",
        ],
        events=["those that your events: names; any other is ignored by its name"],
        verified="the signature over the body as you describe it; or the secret itself, which covers no body",
        missing=["whatever your description leaves out", "names behind bare ids: the vendor's API is never asked"],
    )
    settings: GenericSettings

    def __init__(self, settings: SourceSettings) -> None:
        super().__init__(settings)
        mine = self.settings
        self.secret_in_path = mine.secret_in is Place.PATH
        kept = frozenset(where.header for where in (mine.event, mine.dedupe) if isinstance(where, InHeader))
        self.kept_headers, self.success = kept, mine.success
        self._dedupe = getter_at(mine.dedupe)
        if mine.signature is not None:
            self._proof: SignatureProof | SecretProof = SignatureProof(mine.signature, mine.secrets, mine.zone)
        else:
            assert mine.secret_in is not None
            self._proof = SecretProof(mine.secret_in, mine.secrets)

    def verify(self, receipt: Receipt) -> None:
        self._proof.check(receipt)

    def sign(self, body: bytes, at: datetime) -> Post:
        headers = {}
        if isinstance(self.settings.event, InHeader):
            headers[self.settings.event.header] = event_of(body) or next(iter(self.settings.events), "sample")
        if isinstance(self.settings.dedupe, InHeader):
            headers[self.settings.dedupe.header] = sha256(body).hexdigest()[:32]
        return self._proof.make(body, headers, at)

    def dedupe(self, receipt: Receipt, scope: object, vendor_event: str) -> str | None:
        event, where = self.settings.event, self.settings.dedupe
        if isinstance(where, InHeader):
            identifier = receipt.header(where.header)
        else:
            identifier = Node.of({"dedupe": find(self._dedupe, scope)}).id("dedupe")
        if isinstance(event, InHeader):
            if not self.settings.trusts(event.header):
                return identifier
            identifier = identifier or sha256(receipt.body).hexdigest()
        return f"{vendor_event}:{identifier}" if identifier else None
