"""The generic handler: every way in which a vendor may show where a webhook is from, and whole vendors described."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from handlers.base import Disposition, Handler, Post, Receipt, Rejected, Sample
from handlers.generic import Generic
from router.cli import app
from router.config import Config, load
from router.parts import sources_of
from router.schema import EventType
from router.secret import Reference
from tests.handlers.vendors import FIXTURES, NOW, Fixture, arrived, fixtures_of, handler_of, receipt

SECRET, OLD = "k-ey 1", "k-ey 0"
BODY = b'{"event": "e", "id": 7, "at": 1780317000}'
TIME = "1780317000"
DOCUMENT = Path(__file__).parents[2] / "docs" / "generic.md"
SINKS = "\nsinks: {sink: {type: http, url: '${URL}'}}\nroutes: [{send_to: sink}]\n"
DESCRIBED = ("greenhouse", "ashby", "workable")
DIFFERENCES = {
    "greenhouse": {
        "vendor_event_id",  # in a header that is not signed
        "custom_fields",  # named as people see them: an expression can't take the key of an object
        "start_date",  # 12/31/2026
        "recruiters",  # names that the body tells elsewhere
        "coordinators",
    },
    "ashby": {
        "vendor_version",  # as far as to the microsecond
        "to_stage",  # of a snapshot, which has it as the application's
        "interviewers",  # one in two interviews is there twice
    },
    "workable": {"vendor_version"},
}


def handler(secret: object = (SECRET,), **settings: Any) -> Generic:
    secrets = [Reference(text) for text in secret] if isinstance(secret, tuple) else secret
    given = {"vendor": "generic", "secret": secrets, "event": "event", "events": {"e": "ApplicationDeleted"}}
    return Generic(Generic.Settings.model_validate({**given, "fields": {"application.id": "id"}, **settings}))


def signing(secret: object = (SECRET,), **signature: Any) -> Generic:
    return handler(secret, signature={"header": "X-Signature", **signature})


def digest(signed: bytes, algorithm: str = "sha256", secret: str = SECRET) -> bytes:
    return hmac.new(secret.encode(), signed, getattr(hashlib, algorithm)).digest()


def accepts(verifier: Handler, *headers: tuple[str, str], body: bytes = BODY, rest: str = "") -> bool:
    try:
        verifier.verify(receipt(body, [(name.lower(), value) for name, value in headers], rest))
    except Rejected as rejected:
        return SECRET in str(rejected)
    return True


def refused(**settings: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        handler(**settings)
    return "; ".join(str(error["msg"]) for error in caught.value.errors())


class TestSignature:
    @pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
    @pytest.mark.parametrize("encoding", ["hex", "base64", "base64url"])
    @pytest.mark.parametrize("prefix", ["", "sha256=", "v0 "])
    def test_every_make(self, algorithm: str, encoding: str, prefix: str) -> None:
        raw = digest(BODY, algorithm)
        encoded = {"base64": base64.standard_b64encode(raw), "base64url": base64.urlsafe_b64encode(raw)}
        written = raw.hex() if encoding == "hex" else encoded[encoding].decode()
        verifier = signing(algorithm=algorithm, encoding=encoding, prefix=prefix)
        assert accepts(verifier, ("X-Signature", prefix + written))
        assert not accepts(verifier, ("X-Signature", f"x{prefix}{written}"))
        assert not accepts(verifier, ("X-Signature", prefix + written), body=BODY + b" ")
        assert not accepts(signing((OLD,), algorithm=algorithm, encoding=encoding, prefix=prefix),
                           ("X-Signature", prefix + written))  # fmt: skip
        assert verifier.sign(BODY, NOW).headers == {"x-signature": prefix + written}

    def test_small_letters_only_and_one_header(self) -> None:
        text = digest(BODY).hex()
        verifier = signing()
        assert accepts(verifier, ("X-Signature", text))
        for headers in (
            [("X-Signature", text.upper())],
            [("X-Signature", text), ("X-Signature", text)],
            [("X-Signature", f"{text},{text}")],
            [("X-Signature", "")],
            [],
        ):
            assert not accepts(verifier, *headers)

    def test_both_secrets_sign_while_one_replaces_the_other(self) -> None:
        verifier = signing((SECRET, OLD))
        assert accepts(verifier, ("X-Signature", digest(BODY).hex()))
        assert accepts(verifier, ("X-Signature", digest(BODY, secret=OLD).hex()))

    @pytest.mark.parametrize(
        ("unit", "timestamp", "late"),
        [
            ("s", TIME, "1780316399"),
            ("ms", "1780317000999", "1780316399999"),
            ("iso", "2026-06-01T12:30:00Z", "2026-06-01T12:19:59Z"),
            ("iso", "2026-06-01T14:30:00+02:00", "2026-06-01T14:40:01+02:00"),
            ("iso", "2026-06-01T14:30:00", "2026-06-01T12:30:00"),
        ],
    )
    def test_a_timestamp_of_its_own(self, unit: str, timestamp: str, late: str) -> None:
        where = {"header": "X-Time", "unit": unit, "tolerance": "10m"}
        verifier = handler(
            signature={"header": "X-Signature", "signed": "{timestamp}.{body}", "timestamp": where},
            timezone="Europe/Berlin",
        )
        for text, good in ((timestamp, True), (late, False)):
            signature = digest(text.encode() + b"." + BODY).hex()
            assert accepts(verifier, ("X-Signature", signature), ("X-Time", text)) is good
            assert not accepts(verifier, ("X-Signature", signature))
            assert not accepts(verifier, ("X-Signature", digest(BODY).hex()), ("X-Time", text))
        assert accepts(verifier, *verifier.sign(BODY, NOW).headers.items())
        assert not accepts(verifier, *verifier.sign(BODY, NOW - timedelta(minutes=11)).headers.items())
        assert not accepts(verifier, *verifier.sign(BODY, NOW + timedelta(minutes=11)).headers.items())

    @pytest.mark.parametrize("text", ["", " ", "now", "-1", "1e9", "٣", "1780317000.5", f" {TIME}", f"{TIME} "])
    def test_a_timestamp_that_is_none(self, text: str) -> None:
        for unit in ("s", "ms", "iso"):
            verifier = signing(signed="{timestamp}.{body}", timestamp={"header": "X-Time", "unit": unit})
            signature = digest(text.encode() + b"." + BODY).hex()
            assert not accepts(verifier, ("X-Signature", signature), ("X-Time", text))

    def test_parts_like_those_of_stripe(self) -> None:
        verifier = handler(
            signature={
                "header": "Stripe-Signature",
                "separator": ",",
                "prefix": "v1=",
                "signed": "{timestamp}.{body}",
                "timestamp": {"part": "t="},
            }
        )
        good = digest(TIME.encode() + b"." + BODY).hex()
        wrong = digest(b"x").hex()
        for value, expected in {
            f"t={TIME},v1={good}": True,
            f"t={TIME},v1={good},v0={wrong}": True,
            f"v1={wrong}, v1={good}, t={TIME}": True,
            f"t={TIME},v1=garbage,v1={good}": True,
            f"t={TIME},v0={good}": False,
            f"t={TIME},v1={wrong}": False,
            f"t={TIME}": False,
            f"v1={good}": False,
            f"t={TIME},t={TIME},v1={good}": False,
            f"t=,v1={good}": False,
            f"t={TIME};v1={good}": False,
            "": False,
        }.items():
            assert accepts(verifier, ("Stripe-Signature", value)) is expected, value
        assert verifier.sign(BODY, NOW).headers == {"stripe-signature": f"t={TIME},v1={good}"}

    def test_headers_in_what_is_signed_like_those_of_smartrecruiters(self, documented: Mapping[str, Handler]) -> None:
        described = documented["like-smartrecruiters"]
        body = b'{"job_id": "j"}'
        headers = [("event-id", "7c0e"), ("event-name", "application.created"), ("event-version", "v201910"),
                   ("smartrecruiters-timestamp", TIME)]  # fmt: skip
        signed = TIME.encode() + b"." + body + b".7c0e.application.created.v201910."  # no link: its dot stays
        good, other = (digest(signed, secret=secret).hex() for secret in ("acme-example-secret", OLD))
        for value, expected in {f"v1={other};v1={good}": True, f"v1={good}": True, f"v1={other}": False}.items():
            assert accepts(described, *headers, ("smartrecruiters-signature", value), body=body) is expected
        signature = ("smartrecruiters-signature", f"v1={good}")
        for changed in (("event-name", "application.deleted"), ("event-id", "7c0f"), ("link", "<https://x.example>")):
            kept = [header for header in headers if header[0] != changed[0]]
            assert not accepts(described, *kept, changed, signature, body=body)
        assert not accepts(described, *headers, ("event-name", "x"), signature, body=body)
        assert not accepts(described, *headers, ("link", "a"), ("link", "b"), signature, body=body)
        assert described.success == 202
        assert described.kept_headers == {"event-name", "event-id"}

    def test_fixed_text(self) -> None:
        verifier = signing(signed="POST ü{body}}")
        assert accepts(verifier, ("X-Signature", digest("POST ü".encode() + BODY + b"}").hex()))

    @pytest.mark.parametrize(
        ("signed", "problem"),
        [
            ("", "the body has to be signed; write {body}, once, where it stands"),
            ("{timestamp}", "the body has to be signed; write {body}, once, where it stands"),
            ("{body}{body}", "the body has to be signed; write {body}, once, where it stands"),
            ("{BODY}", "there is no {BODY}; there are {body}, {timestamp} and {header:NAME}"),
            ("{header}{body}", "there is no {header}; there are {body}, {timestamp} and {header:NAME}"),
            ("{header:}{body}", "this is no name of a header, which is like X-Event-Type"),
            ("{header: a}{body}", "this is no name of a header, which is like X-Event-Type"),
        ],
    )
    def test_what_is_signed_has_the_body_once_and_names_that_exist(self, signed: str, problem: str) -> None:
        assert refused(signature={"header": "X-S", "signed": signed}) == problem

    def test_a_header_that_is_too_long_to_hold_signatures_is_refused(self) -> None:
        verifier = signing(separator=",")
        good = digest(BODY).hex()
        assert accepts(verifier, ("X-Signature", f"{good}{',x' * 2000}"))
        assert not accepts(verifier, ("X-Signature", f"{good}{',x' * 2100}"))

    @pytest.mark.parametrize(
        ("timestamp", "body", "good"),
        [
            ({"body": "at"}, BODY, True),
            ({"body": "meta[0].at"}, b'{"meta": [{"at": "1780317000"}]}', True),
            ({"body": "items[0].at", "unit": "iso"}, b'[{"at": "2026-06-01T12:30:00Z"}]', True),
            ({"body": "at"}, b'{"at": 1780310000}', False),
            ({"body": "at"}, b'{"at": null}', False),
            ({"body": "at"}, b'{"at": true}', False),
            ({"body": "at"}, b'{"at": 1780317000.5}', False),
            ({"body": "at"}, b'{"at": 1' + b"0" * 4000 + b"}", False),
            ({"body": "at"}, b'{"at": -1}', False),
            ({"body": "sum(at)"}, b'{"at": "x"}', False),
            ({"body": "at"}, b"{", False),
            ({"body": "at"}, b"", False),
        ],
    )
    def test_a_timestamp_in_the_body(self, timestamp: Mapping[str, str], body: bytes, good: bool) -> None:
        verifier = signing(timestamp=timestamp)
        assert accepts(verifier, ("X-Signature", digest(body).hex()), body=body) is good

    @pytest.mark.parametrize(
        ("timestamp", "found"),
        [({"body": "a.at"}, 1780317000), ({"body": "at", "unit": "iso"}, "2026-06-01T12:30:00Z")],
    )
    def test_a_sample_is_signed_at_the_time_that_its_body_tells(self, timestamp: Any, found: object) -> None:
        verifier = signing(timestamp=timestamp)
        post = verifier.sign(b'{"event": "e"}', NOW)
        verifier.verify(arrived(post))
        assert f": {json.dumps(found)}" in post.body.decode()
        for untouched in (b"[1]", b"{", b'{"a": 7}') if "unit" not in timestamp else (b"[1]", b"{"):
            assert verifier.sign(untouched, NOW).body == untouched

    def test_a_time_in_a_place_that_is_no_path_stays_as_it_is(self) -> None:
        assert signing(timestamp={"body": "max([at])"}).sign(BODY, NOW).body == BODY


class TestSecretItself:
    PLACES: tuple[tuple[Any, str, str], ...] = (
        ("bearer", "authorization", f"Bearer {SECRET}"),
        ("basic", "authorization", f"Basic {base64.b64encode(f'ats-router:{SECRET}'.encode()).decode()}"),
        ({"header": "X-Token"}, "x-token", SECRET),
        ({"header": "Authorization", "prefix": "Token "}, "authorization", f"Token {SECRET}"),
    )

    @pytest.mark.parametrize(("place", "name", "value"), PLACES)
    def test_in_a_header(self, place: object, name: str, value: str) -> None:
        verifier = handler(secret_in=place)
        assert accepts(verifier, (name, value))
        assert verifier.sign(BODY, NOW) == Post(BODY, {name: value})
        assert not verifier.secret_in_path
        for bad in ("", " ", value[:-1], value + "x", value.swapcase(), f" {value}", f"{value} ", f"{value}, {value}",
                    value.split(" ")[0] + " ", SECRET + "x", "é" * 9, "Basic é", "Basic Zg=="):  # fmt: skip
            assert not accepts(verifier, (name, bad)), bad
        assert not accepts(verifier, (name, value), (name, value))
        assert not accepts(verifier, (name, "x" + value[1:]))
        assert not accepts(verifier, ("x-other", value), rest=SECRET)
        assert not accepts(handler((OLD,), secret_in=place), (name, value))
        assert accepts(handler((OLD, SECRET), secret_in=place), (name, value))

    def test_schemes_have_no_case_and_users_no_meaning(self) -> None:
        assert accepts(handler(secret_in="bearer"), ("Authorization", f"bearer {SECRET}"))
        for user in ("", "anybody"):
            value = base64.b64encode(f"{user}:{SECRET}".encode()).decode()
            assert accepts(handler(secret_in="basic"), ("Authorization", f"basic {value}"))
        for given in (SECRET, f"{SECRET}:", f"a:{SECRET}:"):
            value = base64.b64encode(given.encode()).decode()
            assert not accepts(handler(secret_in="basic"), ("Authorization", f"Basic {value}"))

    def test_in_the_path(self) -> None:
        verifier = handler(secret_in="path")
        assert verifier.secret_in_path
        assert verifier.sign(BODY, NOW) == Post(BODY, {}, rest=SECRET)
        assert accepts(verifier, rest=SECRET)
        for bad in ("", SECRET[:-1], f"{SECRET}/", f"/{SECRET}", SECRET.swapcase(), "é"):
            assert not accepts(verifier, rest=bad)

    def test_there_is_always_a_secret_and_one_way_of_showing_it(self) -> None:
        problem = "say how its webhooks show where they are from: with signature: or with secret_in:, not both"
        assert refused() == refused(secret_in="path", signature={"header": "X"}) == problem
        for secret in ([], ["", "x"], None, "${S}"):
            assert refused(secret=secret, secret_in="path")


class TestSameWebhook:
    """What duplicates are recognised by."""

    @staticmethod
    def dedupe_of(of: Generic, body: object, *headers: tuple[str, str]) -> str | None:
        return of.normalise(receipt(json.dumps(body).encode(), headers)).dedupe

    def test_is_told_by_its_id_and_event(self) -> None:
        by_id = handler(secret_in="path", dedupe="meta.id")
        assert self.dedupe_of(by_id, {"event": "e", "id": 1, "meta": {"id": 5}}) == "e:5"
        assert self.dedupe_of(by_id, {"event": "x", "meta": {"id": "5"}}) == "x:5"
        odds: list[object] = [None, "", [], True]
        for odd in odds:
            assert self.dedupe_of(by_id, {"event": "e", "id": 1, "meta": {"id": odd}}) is None
        assert self.dedupe_of(handler(secret_in="path"), {"event": "e", "id": 1}) is None

    def test_is_told_by_a_signed_header(self) -> None:
        signature = {"header": "X-Signature", "signed": "{body}{header:X-Id}"}
        by_header = handler(signature=signature, dedupe={"header": "x-ID"})
        assert self.dedupe_of(by_header, {"event": "e", "id": 1}, ("x-id", "5")) == "e:5"
        assert by_header.sign(BODY, NOW).headers["x-id"] == hashlib.sha256(BODY).hexdigest()[:32]
        by_header.verify(arrived(by_header.sign(BODY, NOW)))

    def test_an_event_in_a_header_counts_only_where_nobody_else_can_write_it(self) -> None:
        body = {"id": 1}
        whole = hashlib.sha256(json.dumps(body).encode()).hexdigest()
        header = {"header": "X-Event"}
        trusted = handler(secret_in="bearer", event=header)
        assert self.dedupe_of(trusted, body, ("x-event", "e")) == f"e:{whole}"
        signed = handler(signature={"header": "X-S", "signed": "{header:X-Event}.{body}"}, event=header, dedupe="id")
        assert self.dedupe_of(signed, body, ("x-event", "e")) == "e:1"
        unsigned = handler(signature={"header": "X-S"}, event=header)
        assert self.dedupe_of(unsigned, body, ("x-event", "e")) is None
        unsigned = handler(signature={"header": "X-S"}, event=header, dedupe="id")
        assert self.dedupe_of(unsigned, body, ("x-event", "e")) == "1"

    def test_headers_that_say_something_are_kept_and_those_that_prove_it_are_not(self) -> None:
        assert handler(secret_in="bearer", event={"header": "X-Event"}).kept_headers == {"x-event"}
        assert handler(secret_in="bearer").kept_headers == frozenset()
        problem = "this header holds the secret or the signature"
        assert refused(secret_in="bearer", event={"header": "Authorization"}) == problem
        assert refused(signature={"header": "X-S"}, dedupe={"header": "x-s"}) == problem
        problem = "the signature does not cover this header; write {header:NAME} in signed: as well"
        assert refused(signature={"header": "X-S"}, dedupe={"header": "X-Id"}) == problem


def test_an_event_in_a_header() -> None:
    by_header = handler(
        secret_in="bearer", event={"header": "X-Event"}, events={"a": "ping", "E": "ApplicationDeleted"}
    )
    told = by_header.normalise(receipt(b'{"id": 7}', [("x-event", "e")]))
    assert (told.disposition, told.vendor_event, told.facts[0].subject) == ("events", "e", "a:7")
    for pairs in ([], [("x-event", "e"), ("x-event", "e")], [("x-event", "")]):
        assert by_header.read(receipt(b'{"id": 7}', pairs)).disposition is Disposition.DRIFT
    for body, event in ((b"{}", "a"), (b"[]", "a"), (b"{", "a"), (b'{"event_of_this_sample": "E"}', "E")):
        assert by_header.sign(body, NOW).headers["x-event"] == event
    assert handler(secret_in="path", event={"header": "X"}, events={}).sign(b"{}", NOW).headers == {"x": "sample"}


def config_of(source: str, folder: Path, secret: str = "acme-example-secret") -> Config:
    file = folder / "config.yaml"
    file.write_text(f"{source}{SINKS}")
    names = ("SECRET", "ACME_SECRET")
    environment = dict.fromkeys(names, secret) | {"HIRING_TOOL_SECRET": "whsec_c2VjcmV0", "URL": "https://example.com"}
    return load(file, environment)


def blocks(kind: str, text: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def example(name: str, kind: str = "json") -> str:
    """What stands in the document after the mark ``<!-- example: NAME -->``."""
    text = DOCUMENT.read_text()
    return blocks(kind, text[text.index(f"<!-- example: {name} -->") :])[0]


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Handler]:
    """The sources that the document shows, by their names."""
    configs = [config_of(block, tmp_path_factory.mktemp("config")) for block in blocks("yaml", DOCUMENT.read_text())]
    return {name: source.handler for config in configs for name, source in sources_of(config).items()}


class TestDocument:
    def test_the_example_becomes_the_event_that_it_says(self, documented: Mapping[str, Handler]) -> None:
        described = documented["acme"]
        headers = [(name.lower(), value) for name, value in json.loads(example("headers")).items()]
        sent = receipt(example("body").rstrip("\n").encode(), headers)
        described.verify(sent)
        told = described.read(sent)
        assert [json.loads(fact.model_dump_json(exclude_defaults=True)) for fact in told.facts] == [
            json.loads(example("fact"))
        ]
        assert (told.soft_drift, told.dedupe) == ((), "candidate.moved:evt_51")

    def test_the_commands_are_run_as_they_stand_there(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ACME_SECRET", "acme-example-secret")
        monkeypatch.setenv("URL", "https://example.com")
        monkeypatch.chdir(tmp_path)
        (tmp_path / "config.yaml").write_text(example("config", "yaml") + SINKS)
        (tmp_path / "body.json").write_text(example("body").rstrip("\n"))
        (tmp_path / "headers.json").write_text(example("headers"))
        answers = []
        for line in blocks("sh", DOCUMENT.read_text())[0].splitlines():
            command, *arguments = line.split()
            assert command == "ats-router"
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 0, result.output
            answers.append(result.output)
        assert "is good" in answers[0]
        assert '"type": "StageChanged"' in answers[1]
        assert "genuine" in answers[2]
        assert "genuine" not in answers[1]

    def test_every_source_in_it_is_a_good_one(self, documented: Mapping[str, Handler]) -> None:
        assert documented.keys() == {
            *("acme", "like-stripe", "like-smartrecruiters", "like-shopify", "batches", "hiring-tool")
        }
        step = Sample(EventType.STAGE_CHANGED, "9", "Ada Quill", "Chef", NOW, "Trial day")
        for name in ("acme", "batches", "hiring-tool"):
            sent = arrived(documented[name].sign(documented[name].sample(step), NOW))
            documented[name].verify(sent)
            (fact,) = documented[name].normalise(sent).facts
            assert fact.to_stage
            assert fact.to_stage.name == "Trial day"


def described_cases() -> Iterator[Any]:
    for vendor in DESCRIBED:
        for name, fixture in fixtures_of(vendor).items():
            if not fixture.polled:
                yield pytest.param(fixture, id=f"{vendor}-{name}")


@pytest.mark.parametrize("fixture", list(described_cases()))
def test_a_vendor_that_has_a_handler_can_be_described_as_well(fixture: Fixture, tmp_path: Path) -> None:
    """The same webhooks become the same facts, but for the differences that are named above."""
    described_as = (FIXTURES / "generic" / f"like_{fixture.vendor}.yaml").read_text()
    source = "sources:\n  it:\n" + "".join(f"    {line}\n" for line in described_as.splitlines())
    described = sources_of(config_of(source, tmp_path, "the secret"))["it"].handler
    own = handler_of(fixture.vendor, secret=["the secret"])
    post = own.sign(fixture.body, NOW)
    sent = Receipt(tuple(post.headers.items()), post.body, NOW, post.rest)
    described.verify(sent)
    ours, theirs = described.read(sent), own.read(sent)
    assert (ours.disposition, ours.vendor_event) == (theirs.disposition, theirs.vendor_event)
    assert [_alike(fact, fixture.vendor) for fact in ours.facts] == [
        _alike(fact, fixture.vendor) for fact in theirs.facts
    ]


def _alike(fact: Any, vendor: str) -> object:
    def kept(value: object) -> object:
        if isinstance(value, dict):
            inner = {key: kept(item) for key, item in value.items() if key not in DIFFERENCES[vendor]}
            return {key: item for key, item in inner.items() if item != {}}
        return value

    return kept(json.loads(fact.model_dump_json(exclude_defaults=True)))
