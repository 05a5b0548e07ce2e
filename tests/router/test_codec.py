import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.codec import pack, unpack


@given(st.binary(max_size=400) | st.binary(max_size=20).map(lambda data: data * 100))
def test_what_was_packed_comes_back(data: bytes) -> None:
    assert unpack(pack(data)) == data


def test_text_gets_much_smaller_and_short_data_hardly_larger() -> None:
    assert len(pack(b'{"application": {"id": 1}}' * 100)) < 200
    assert len(pack(b"short")) == 6


@pytest.mark.parametrize("blob", [b"", b"\x02encrypted", b'{"a": 1}'])
def test_a_form_of_a_newer_version_is_told(blob: bytes) -> None:
    with pytest.raises(ValueError, match="newer version"):
        unpack(blob)


@pytest.mark.parametrize("blob", [b"\x00abc", b"\x01x\x9cKLJ\x06\x00\x02M\x01'"])
def test_what_earlier_versions_stored_can_be_read(blob: bytes) -> None:
    assert unpack(blob) == b"abc"
