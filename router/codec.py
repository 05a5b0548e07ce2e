"""The one form in which receipts, events and records lie in the ledger: compressed where that pays.

The first byte names the form, so that another one (encrypted, say) can come beside it.
"""

import zlib

_PLAIN, _DEFLATED = b"\x00", b"\x01"
_WORTH_IT = 160
"""Bytes below which compressing gains nothing."""


def pack(data: bytes) -> bytes:
    if len(data) < _WORTH_IT:
        return _PLAIN + data
    return _DEFLATED + zlib.compress(data, 3)


def unpack(blob: bytes) -> bytes:
    """Undo `pack`.

    Raises:
        ValueError: the blob was written in a form that this version does not know.
    """
    form = blob[:1]
    if form == _DEFLATED:
        return zlib.decompress(blob[1:])
    if form == _PLAIN:
        return blob[1:]
    raise ValueError("this record was written by a newer version of ats-router")
