from datetime import UTC, datetime

import pytest

from handlers.base import Disposition, Drift, Handler, Normalised, Post, Receipt, Rejected, Sample
from router.assess import TEST_HEADER, Marked, assess, dedupe_of, make_test_mark, read_test_mark, waiting_facts
from router.schema import EventType
from tests.factories import NOW, make_fact
from tests.router.receiving import OLD_SECRET, SECRET, SOURCES, marked, signed

HANDLER = SOURCES[0].handler
BODY = b'{"action": "ping"}'
OTHER = b'{"action": "pong"}'


class Strange(Handler):
    """Fails as it is told."""

    vendor = "strange"
    title = "Strange"

    def __init__(self, in_verify: Exception | None = None, in_normalise: Exception | None = None) -> None:
        super().__init__(HANDLER.settings)
        self.in_verify = in_verify
        self.in_normalise = in_normalise

    def verify(self, receipt: Receipt) -> None:
        if self.in_verify:
            raise self.in_verify

    def normalise(self, receipt: Receipt) -> Normalised:
        if self.in_normalise:
            raise self.in_normalise
        return Normalised(Disposition.IGNORED)

    def sign(self, body: bytes, at: datetime) -> Post:
        return Post(body)

    def sample(self, step: Sample) -> bytes:
        return b""


def receipt_with(headers: dict[str, str] | list[tuple[str, str]], body: bytes = BODY) -> Receipt:
    given = list(headers.items()) if isinstance(headers, dict) else headers
    return Receipt([(name.lower(), value) for name, value in given], body, datetime.now(UTC))


@pytest.mark.parametrize(
    ("handler", "disposition", "reason"),
    [
        (Strange(), Disposition.IGNORED, None),
        (Strange(Rejected("it is outdated")), Disposition.REJECTED, "it is outdated"),
        (Strange(ValueError("Ada Lovelace")), Disposition.REJECTED, "the signature could not be checked"),
        (Strange(None, Drift("payload.id", "is missing")), Disposition.DRIFT, "payload.id: is missing"),
        (Strange(None, KeyError("Ada Lovelace")), Disposition.DRIFT, "the handler failed with KeyError"),
        (Strange(None, RecursionError()), Disposition.DRIFT, "the handler failed with RecursionError"),
    ],
)
def test_whatever_a_handler_does_there_is_a_verdict_that_quotes_nothing(
    handler: Handler, disposition: Disposition, reason: str | None
) -> None:
    normalised = assess(handler, receipt_with({}))
    assert (normalised.disposition, normalised.reason) == (disposition, reason)


@pytest.mark.parametrize("deliver", [False, True])
@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
def test_a_mark_made_with_a_secret_of_the_source_counts(deliver: bool, secret: str) -> None:
    receipt = receipt_with(marked(BODY, deliver=deliver, secret=secret))
    assert read_test_mark(HANDLER, receipt) == Marked(deliver)


def test_a_request_without_a_mark_is_no_test() -> None:
    assert read_test_mark(HANDLER, receipt_with(signed(BODY))) is None


@pytest.mark.parametrize(
    "marks",
    [
        [""],
        ["record"],
        ["record " + "0" * 64],
        [make_test_mark(b"guessed", BODY, deliver=True)],
        [make_test_mark(SECRET.encode(), OTHER, deliver=True)],
        [make_test_mark(SECRET.encode(), BODY, deliver=False).replace("record", "deliver")],
        [make_test_mark(SECRET.encode(), BODY, deliver=False)] * 2,
        [f"deliver {signed(BODY)['signature'].removeprefix('sha256 ')}"],
        [make_test_mark(SECRET.encode(), BODY, deliver=False) + "\xe9\u20ac\ud800"],
    ],
)
def test_a_mark_of_anyone_else_or_of_another_body_is_refused(marks: list[str]) -> None:
    receipt = receipt_with([*signed(BODY).items(), *((TEST_HEADER, mark) for mark in marks)])
    with pytest.raises(Rejected) as refused:
        read_test_mark(HANDLER, receipt)
    assert SECRET not in str(refused.value)


def test_duplicates_are_known_by_an_id_in_the_signed_bytes_else_by_the_bytes() -> None:
    by_id = Normalised(Disposition.EVENTS, dedupe="17")
    by_bytes = Normalised(Disposition.EVENTS)
    one, other = receipt_with({"greenhouse-event-id": "1"}), receipt_with({"greenhouse-event-id": "2"})
    assert dedupe_of(by_id, one) == dedupe_of(by_id, receipt_with({}, OTHER)) == "17"
    assert dedupe_of(by_bytes, one) == dedupe_of(by_bytes, other)
    assert dedupe_of(by_bytes, one) != dedupe_of(by_bytes, receipt_with({}, OTHER))


def test_facts_are_counted_by_type_and_subject() -> None:
    updated, deleted = EventType.APPLICATION_UPDATED, EventType.APPLICATION_DELETED
    facts = (
        make_fact(updated),
        make_fact(updated, application="2"),
        make_fact(deleted),
        make_fact(updated),
        make_fact(updated),
    )
    waiting = waiting_facts(
        Normalised(Disposition.EVENTS, facts=facts, account="acme"),
        receipt_id="rcp_1",
        source="greenhouse",
        vendor="greenhouse",
        receipt=Receipt([], BODY, NOW),
        mark=None,
    )
    assert [one.ordinal for one in waiting] == [0, 0, 0, 1, 2]
    assert [one.fact for one in waiting] == list(facts)
    assert {(one.account, one.received_at, one.test, one.send_test) for one in waiting} == {("acme", NOW, False, False)}


@pytest.mark.parametrize(
    ("mark", "test", "send_test"),
    [(None, False, False), (Marked(deliver=False), True, False), (Marked(deliver=True), True, True)],
)
def test_a_mark_goes_along_with_every_fact(mark: Marked | None, test: bool, send_test: bool) -> None:
    [waiting] = waiting_facts(
        Normalised(Disposition.EVENTS, facts=(make_fact(EventType.APPLICATION_UPDATED),)),
        receipt_id="rcp_1",
        source="greenhouse",
        vendor="greenhouse",
        receipt=Receipt([], BODY, NOW),
        mark=mark,
    )
    assert (waiting.test, waiting.send_test) == (test, send_test)
