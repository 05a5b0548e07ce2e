"""Values as people write them in the configuration: ``15s``, ``3d``, ``1MiB``, one thing where several may stand."""

import re
from collections.abc import Sequence
from datetime import UTC, tzinfo
from typing import Annotated, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

T = TypeVar("T")

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"b": 1, "kb": 1000, "kib": 1024, "mb": 1000**2, "mib": 1024**2, "gb": 1000**3, "gib": 1024**3}
_SPELT = {"b": "B", "kb": "kB", "kib": "KiB", "mb": "MB", "mib": "MiB", "gb": "GB", "gib": "GiB"}
_WRITTEN = r"^\s*[0-9]{1,12}(\.[0-9]{1,6})?\s*(%s)\s*$"
_QUANTITY = re.compile(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s*([a-zA-Z]+)\s*", re.ASCII)


def _scaled(value: object, units: dict[str, float] | dict[str, int], error: PydanticCustomError) -> float:
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None or (unit := match[2].lower()) not in units:
        raise error
    return float(match[1]) * units[unit]


def like(number: float, written: object) -> str:
    """``number`` seconds or bytes in the kind of unit that ``written`` has; a bare number where it has none."""
    match = _QUANTITY.fullmatch(written) if isinstance(written, str) else None
    unit = match[2].lower() if match else ""
    units: dict[str, float] | dict[str, int] = _SECONDS if unit in _SECONDS else _BYTES if unit in _BYTES else {}
    fitting = [(factor, name) for name, factor in units.items() if number >= factor and number % factor == 0]
    factor, name = max(fitting, default=(1, ""))
    return f"{number / factor:g}{_SPELT.get(name, name)}"


def _seconds(value: object) -> float:
    """A number alone has no unit, so it is refused: ``30`` may be meant as seconds, minutes or days."""
    return _scaled(
        value, _SECONDS, PydanticCustomError("duration", "a duration is a number and a unit: 500ms, 15s, 10m, 2h, 30d")
    )


def _bytes(value: object) -> int:
    return int(_scaled(value, _BYTES, PydanticCustomError("size", "a size is a number and a unit: 64KiB, 1MiB, 2GB")))


def _written(units: dict[str, float] | dict[str, int]) -> object:
    """How such a quantity stands in the file, for editors."""
    of_any_case = "|".join("".join(f"[{char}{char.upper()}]" for char in unit) for unit in units)
    return Annotated[str, Field(pattern=_WRITTEN % of_any_case)]


Seconds = Annotated[float, BeforeValidator(_seconds, json_schema_input_type=_written(_SECONDS))]
"""A duration; written ``15s`` in YAML, a float of seconds in code."""

_RATE = re.compile(r"\s*(\d{1,9}(?:\.\d{1,6})?)\s*/\s*([smhSMH])\s*", re.ASCII)


def _rate(value: object) -> float:
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None or (per_second := float(match[1]) / _SECONDS[match[2].lower()]) == 0:
        raise PydanticCustomError("rate", "a rate is a number, a slash and a unit of time: 10/s, 100/m, 2000/h")
    return per_second


Rate = Annotated[
    float,
    BeforeValidator(
        _rate, json_schema_input_type=Annotated[str, Field(pattern=r"^\s*[0-9]{1,9}(\.[0-9]{1,6})?\s*/\s*[smhSMH]\s*$")]
    ),
]
"""How often; written ``10/s`` or ``100/m`` in YAML, a float per second in code."""

Bytes = Annotated[int, BeforeValidator(_bytes, json_schema_input_type=_written(_BYTES))]
"""A size; written ``1MiB`` in YAML, an int of bytes in code."""


def _known_zone(name: str) -> str:
    try:
        zone_of(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise PydanticCustomError("timezone", "there is no such time zone; write one like Europe/Berlin") from None
    return name


def zone_of(name: str) -> tzinfo:
    """The time zone of a checked name. UTC is there also where the system has no zones."""
    return UTC if name == "UTC" else ZoneInfo(name)


Timezone = Annotated[str, AfterValidator(_known_zone)]
"""A time zone as in ``Europe/Berlin``."""


def _several(value: object) -> object:
    return value if isinstance(value, (list, tuple)) else (value,)


class _OneToo:
    """Tells editors of the one value; an input type of `BeforeValidator` would not follow ``T``."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        several = handler(schema)
        return {"anyOf": [several["items"], several]} if "items" in several else several


OneOrSeveral = Annotated[tuple[T, ...], BeforeValidator(_several), _OneToo()]
"""One value or a list of them in YAML, always a tuple in code."""


def as_written(value: object, metadata: Sequence[object]) -> str:
    """A default as people would write it; ``metadata`` is that of its field."""
    if value is None or value == () or value == {}:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and any(getattr(one, "func", None) is _seconds for one in metadata):
        return like(value, "1s")
    return str(value) if isinstance(value, (str, int, float)) else "as described"
