"""What is particular to Standard Webhooks: ids, several signatures, two kinds of headers, secrets in base64."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError
from standardwebhooks.webhooks import Webhook

from handlers.base import Disposition, Rejected, Sample
from handlers.standard_webhooks import StandardWebhooks
from router.schema import EventType
from router.secret import Reference
from tests.handlers.vendors import NOW, arrived, receipt

RAW = bytes(range(200, 232))
SECRET = "whsec_" + base64.b64encode(RAW).decode()
OTHER = "whsec_" + base64.b64encode(b"another key of 24 bytes.").decode()
BODY = b'{"type": "gone", "timestamp": "2026-06-01T12:30:00Z", "data": {"id": 7}}'
TIME = "1780317000"


def handler(*secrets: str, **settings: Any) -> StandardWebhooks:
    given = {"vendor": "standard_webhooks", "secret": [Reference(secret) for secret in secrets or (SECRET,)]}
    mapping = {"events": {"gone": "ApplicationDeleted"}, "fields": {"application.id": "data.id"}}
    return StandardWebhooks(StandardWebhooks.Settings.model_validate({**given, **mapping, **settings}))


def signature(raw: bytes = RAW, identifier: str = "msg_1", timestamp: str = TIME, body: bytes = BODY) -> str:
    signed = f"{identifier}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(raw, signed, hashlib.sha256).digest()).decode()


def headers(value: str | None = None, prefix: str = "webhook-", timestamp: str = TIME) -> dict[str, str]:
    value = signature(timestamp=timestamp) if value is None else value
    return {f"{prefix}id": "msg_1", f"{prefix}timestamp": timestamp, f"{prefix}signature": value}


def accepts(sent: Mapping[str, str], verifier: StandardWebhooks | None = None, body: bytes = BODY) -> bool:
    try:
        (verifier or handler()).verify(receipt(body, sent))
    except Rejected as rejected:
        return SECRET[6:] in str(rejected)
    return True


def test_the_example_of_the_specification() -> None:
    """Its secret, id, time and body; the signature was computed with openssl."""
    body = b'{"test": 2432232314}'
    sent = headers("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", timestamp="1614265330")
    sent["webhook-id"] = "msg_p5jXN8AQM9LWM0D4loKWxJek"
    verifier = handler("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    verifier.verify(replace(receipt(body, sent), received_at=datetime.fromtimestamp(1614265330, UTC)))


def test_the_library_takes_what_we_sign_and_we_take_what_it_signs() -> None:
    now = datetime.now(UTC)
    post = handler().sign(BODY, now)
    assert Webhook(SECRET).verify(post.body, dict(post.headers)) == json.loads(BODY)
    assert accepts(headers(Webhook(SECRET).sign("msg_1", NOW, BODY.decode())))


@pytest.mark.parametrize("prefix", ["webhook-", "svix-"])
def test_both_kinds_of_headers(prefix: str) -> None:
    sent = headers(prefix=prefix)
    assert accepts(sent)
    assert accepts(sent, body=BODY + b" ") is False
    for name in sent:
        assert not accepts({key: value for key, value in sent.items() if key != name})
        assert not accepts({**sent, name: sent[name] + "1"})
        assert not accepts({**sent, name: ""})


def test_a_message_without_an_id_is_refused() -> None:
    sent = headers(signature(identifier=""))
    assert not accepts({**sent, "webhook-id": ""})


def test_headers_of_both_kinds_at_once_are_refused() -> None:
    """Else a second, unsigned id would make a webhook that was overheard a new one."""
    for other in headers(prefix="svix-").items():
        assert not accepts({**headers(), **dict([other])})
    assert not accepts({**headers(prefix="svix-"), "webhook-id": "msg_2"})


def test_one_right_signature_of_several_is_enough() -> None:
    good, wrong = signature(), signature(b"x")
    ed25519 = "v1a," + base64.b64encode(bytes(64)).decode()
    for value, expected in {
        f"{wrong} {good}": True,
        f"{good} {wrong}": True,
        f"{ed25519} v2,x {good}": True,
        f"v1,x v1, v1 {good}": True,
        good.rstrip("="): True,
        wrong: False,
        ed25519: False,
        good.replace("v1,", "v1a,"): False,
        good.replace("v1,", "v1="): False,
        good.replace("v1,", ""): False,
        good.replace("v1,", "v1,v1,"): False,
        f"{good},{good}": False,
        f"{wrong}  {good}": False,
        f"{good}\n": False,
        f"{good} {' '.join([wrong] * 31)}": True,
        f"{good} {' '.join([wrong] * 32)}": False,
    }.items():
        assert accepts(headers(value)) is expected, value


@pytest.mark.parametrize(("seconds", "tolerance", "good"), [(300, "5m", True), (301, "5m", False), (301, "6m", True)])
def test_a_message_is_neither_old_nor_from_the_future(seconds: int, tolerance: str, good: bool) -> None:
    for moment in (NOW - timedelta(seconds=seconds), NOW + timedelta(seconds=seconds)):
        timestamp = str(int(moment.timestamp()))
        assert accepts(headers(timestamp=timestamp), handler(tolerance=tolerance)) is good
    assert accepts(headers(timestamp=timestamp)) is (seconds <= 300)


@pytest.mark.parametrize("timestamp", ["1780317000.0", "+1780317000", " 1780317000", "٣", "1e9", "", "now"])
def test_a_time_that_is_no_whole_number_is_refused(timestamp: str) -> None:
    assert not accepts(headers(timestamp=timestamp))


def test_secrets_may_lack_prefix_and_padding_or_be_of_the_other_alphabet() -> None:
    encoded = SECRET.removeprefix("whsec_")
    for written in (encoded, encoded.rstrip("="), SECRET.rstrip("="), f" {SECRET}\n"):
        assert accepts(headers(), handler(written))
    assert accepts(headers(), handler("whsec_" + base64.urlsafe_b64encode(RAW).decode()))
    assert accepts(headers(), handler(OTHER, SECRET))
    assert not accepts(headers(), handler(OTHER))


@pytest.mark.parametrize("secret", ["whsec_", "hunter2!", "abcde", "whsec_é", "whsk_c2VjcmV0", "whpk1_c2VjcmV0"])
def test_a_secret_that_is_no_base64_is_a_fault_of_the_settings(secret: str) -> None:
    for secrets in ([secret], [SECRET, secret]):
        with pytest.raises(ValidationError) as caught:
            handler(*secrets)
        (error,) = caught.value.errors()
        assert error["loc"] == ("secret",)
        assert error["msg"] == "this is not what a sender shows, which is whsec_ and base64"
        assert secret == "whsec_" or secret not in str(caught.value)


def test_the_id_is_the_same_when_it_is_sent_again() -> None:
    again = receipt(BODY, headers(timestamp="1780317060"))
    first = receipt(BODY, headers())
    for told in map(handler().normalise, (first, again)):
        assert told.dedupe == "msg_1"
        assert [fact.vendor_event_id for fact in told.facts] == ["msg_1"]
    kept = [pair for pair in headers(prefix="svix-").items() if pair[0] in handler().kept_headers]
    assert handler().normalise(receipt(BODY, kept)).dedupe == "msg_1"
    bare = handler().normalise(receipt(BODY))
    assert (bare.dedupe, bare.facts[0].vendor_event_id) == (None, None)


def test_an_id_of_the_event_itself_may_be_told_instead() -> None:
    fields = {"application.id": "data.id", "vendor_event_id": "data.id"}
    assert handler(fields=fields).normalise(receipt(BODY, headers())).facts[0].vendor_event_id == "7"


def test_the_time_is_the_one_of_the_standard_unless_another_is_told() -> None:
    assert handler().normalise(receipt(BODY)).facts[0].occurred_at == NOW
    other = handler(fields={"application.id": "data.id", "occurred_at": "data.at"})
    body = json.dumps({**json.loads(BODY), "data": {"id": 7, "at": 1780316000}}).encode()
    assert other.normalise(receipt(body)).facts[0].occurred_at == datetime.fromtimestamp(1780316000, UTC)
    several = handler(each="data", event="body.type", fields={"application.id": "item.id"})
    assert several.normalise(receipt(BODY)).facts[0].occurred_at == NOW


def test_without_a_description_every_event_is_ignored_and_the_reason_says_what_to_do() -> None:
    told = handler(events={}, fields={}).normalise(receipt(BODY, headers()))
    assert (told.disposition, told.vendor_event) == (Disposition.IGNORED, "gone")
    assert told.reason == "nothing is configured; say under events: of this source what each event becomes"
    with pytest.raises(ValueError, match="nothing under events: and fields: of this source makes a sample of StageCh"):
        handler(events={}, fields={}).sample(Sample(EventType.STAGE_CHANGED, "1", "A B", "C", NOW, "D"))


def test_the_events_name_may_be_elsewhere() -> None:
    assert handler(event="data.kind").normalise(receipt(b'{"data": {"kind": "x"}}')).vendor_event == "x"
    with pytest.raises(ValidationError):
        handler(event={"header": "x-event"})


def test_what_is_sent_is_verified() -> None:
    post = handler(SECRET, OTHER).sign(BODY, NOW)
    handler().verify(arrived(post))
    assert list(post.headers) == ["webhook-id", "webhook-timestamp", "webhook-signature"]
