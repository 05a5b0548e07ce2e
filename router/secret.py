"""Secrets: values that come from outside the configuration file and never print."""

from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_core import PydanticCustomError


class Reference(str):
    """Text that the configuration took from an environment variable or a file, not from the YAML itself."""


def _must_be_reference(value: object) -> object:
    if isinstance(value, (Reference, SecretStr)):
        return str(value) if isinstance(value, Reference) else value
    raise PydanticCustomError(
        "literal_secret",
        "a secret must not stand in this file: write ${NAME_OF_AN_ENVIRONMENT_VARIABLE} or {file: PATH} instead of it",
    )


_Written = Annotated[str, Field(pattern=r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", json_schema_extra={"format": "password"})]

Secret = Annotated[SecretStr, BeforeValidator(_must_be_reference, json_schema_input_type=_Written)]
"""A secret in the settings of a source or a sink. Its repr and str are asterisks; ``get_secret_value()`` reveals it."""
