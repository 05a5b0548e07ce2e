import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.codec import pack, unpack
from tests.handlers.vendors import fixtures_of

GREENHOUSE = fixtures_of("greenhouse")["stage_changed"]


@given(st.binary(max_size=400) | st.binary(max_size=20).map(lambda data: data * 100))
def test_what_was_packed_comes_back(data: bytes) -> None:
    assert unpack(pack(data)) == data


def test_text_gets_much_smaller_and_short_data_hardly_larger() -> None:
    assert len(pack(b'{"application": {"id": 1}}' * 100)) < 200
    assert len(pack(b"short")) == 6


@pytest.mark.parametrize("blob", [b"", b"\x03encrypted", b'{"a": 1}'])
def test_a_form_of_a_newer_version_is_told(blob: bytes) -> None:
    with pytest.raises(ValueError, match="newer version"):
        unpack(blob)


@pytest.mark.parametrize(
    ("blob", "data"),
    [
        (b"\x00abc", b"abc"),
        (b"\x01x\x9cKLJ\x06\x00\x02M\x01'", b"abc"),
        (
            b"\x02(\xb5/\xfd D\x9d\x00\x00\x08}\x05|\x00\x1f\x92b\xd8\x8e\xabT\x13\xbe\xb2\x11M\xba\x05",
            b'{"source":"greenhouse","vendor":"greenhouse","disposition":"events"}',
        ),
    ],
)
def test_what_earlier_versions_stored_can_be_read(blob: bytes, data: bytes) -> None:
    assert unpack(blob) == data


def test_what_is_stored_of_a_webhook_takes_less_than_a_third() -> None:
    """Also of what the dictionary's samples do not hold: the names, ids and addresses are others."""
    record = b'{"sink":"hr","routes":["hires"],"state":"delivered","attempts":[{"at":"2026-11-26T18:57:08Z","ms":1'
    assert len(pack(record)) < len(record) / 1.5
    body = GREENHOUSE.body.replace(b"Nordlicht", b"Ostseewind").replace(b"5100001", b"6234567")
    assert len(pack(json.dumps(json.loads(body)).encode())) < len(body) / 3


def test_threads_do_not_share_what_only_one_can_use() -> None:
    bodies = [fixture.body for fixture in fixtures_of("greenhouse").values()] * 40
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda body: unpack(pack(body)), bodies)) == bodies
