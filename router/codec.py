"""The one form in which receipts, events and records lie in the ledger: compressed where that pays.

The first byte names the form, so that another one (encrypted, say) can come beside it. Records are short and alike, so
they are compressed with a dictionary of what vendors and we ourselves write again and again (`benchmarks.dictionary`
made it): a few microseconds, and half of what is left without one. A form's dictionary never changes.
"""

import threading
import zlib
from importlib import resources

import zstandard

_PLAIN, _DEFLATED, _WITH_DICTIONARY = b"\x00", b"\x01", b"\x02"
_WORTH_IT = 48
"""Bytes below which compressing gains nothing."""

_DICTIONARY = zstandard.ZstdCompressionDict(resources.files(__package__).joinpath("codec-2.dict").read_bytes())


class _Coders(threading.local):
    """One pair per thread, kept: making them costs more than using them, and two threads can't use one."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(
            level=3, dict_data=_DICTIONARY, write_checksum=False, write_dict_id=False
        ).compress
        self.decompress = zstandard.ZstdDecompressor(dict_data=_DICTIONARY).decompress


_coders = _Coders()


def pack(data: bytes) -> bytes:
    if len(data) >= _WORTH_IT and len(packed := _coders.compress(data)) < len(data):
        return _WITH_DICTIONARY + packed
    return _PLAIN + data


def unpack(blob: bytes) -> bytes:
    """Undo `pack`.

    Raises:
        ValueError: the blob was written in a form that this version does not know.
    """
    form = blob[:1]
    if form == _WITH_DICTIONARY:
        return _coders.decompress(blob[1:])
    if form == _PLAIN:
        return blob[1:]
    if form == _DEFLATED:  # by versions before the dictionary
        return zlib.decompress(blob[1:])
    raise ValueError("this record was written by a newer version of ats-router")
