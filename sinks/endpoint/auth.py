"""How a target knows that a request is ours: bearer, basic, OAuth 2 client credentials, client certificates."""

import base64
import ssl
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from router.access_token import AccessToken, Grant
from router.client import Client, Tls, checked_url
from router.secret import Secret


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def checked(url: str) -> str:
    try:
        return checked_url(url)
    except ValueError as error:
        raise PydanticCustomError("url", "{problem}", {"problem": str(error)}) from None


def _one_line(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text or not text.isascii() or not text.isprintable() or text != text.strip():
        raise PydanticCustomError(
            "credential", "a credential is one line of ASCII with no spaces around it: look at the variable"
        )
    return secret


Credential = Annotated[Secret, AfterValidator(_one_line)]


class Basic(_Settings):
    """RFC 7617."""

    user: str = Field(min_length=1, pattern="^[^:]+$", description="The user's name.")
    password: Secret = Field(description="The password, as ${NAME_OF_AN_ENVIRONMENT_VARIABLE}.")


class OAuth(_Settings):
    """OAuth 2 client credentials (RFC 6749, section 4.4)."""

    token_url: Annotated[str, AfterValidator(checked)] = Field(description="Where access tokens are asked for.")
    client_id: str = Field(min_length=1, description="Who asks.")
    client_secret: Secret = Field(description="The client's secret, as ${NAME_OF_AN_ENVIRONMENT_VARIABLE}.")
    scope: str | None = Field(None, description="What is asked for, where the server wants it said.")

    @property
    def grant(self) -> Grant:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.client_id,
            "client_secret": self.client_secret.get_secret_value(),
        }
        return Grant(self.token_url, form | ({"scope": self.scope} if self.scope else {}))


class Auth(_Settings):
    """One of three ways to fill the header `Authorization`."""

    bearer: Credential | None = Field(None, description="A token that lasts, as ${NAME_OF_AN_ENVIRONMENT_VARIABLE}.")
    basic: Basic | None = Field(None, description="A user and a password.")
    oauth: OAuth | None = Field(None, description="A token that ends, asked for with a client's id and secret.")

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if sum(way is not None for way in (self.bearer, self.basic, self.oauth)) != 1:
            raise PydanticCustomError("auth", "write one of bearer, basic and oauth below auth")
        return self


class ClientCertificate(_Settings):
    """TLS with a certificate of ours (mTLS), or against an authority of the company's own. Paths of PEM files."""

    certificate: Path | None = Field(None, description="A PEM file with our certificate, and perhaps its key.")
    key: Path | None = Field(None, description="A PEM file with the key, if it is not in that of the certificate.")
    ca: Path | None = Field(None, description="A PEM file with the authorities that the target's certificate is from.")

    @model_validator(mode="after")
    def _can_be_loaded(self) -> Self:
        if self.certificate is None and (self.key is not None or self.ca is None):
            raise PydanticCustomError("tls", "write certificate (a PEM file), perhaps with key; or ca, or both")
        for name in ("certificate", "key", "ca"):
            path: Path | None = getattr(self, name)
            if path is not None and not path.is_file():
                raise PydanticCustomError("tls", "{name}: there is no file {path}", {"name": name, "path": str(path)})
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if self.ca is not None:
                context.load_verify_locations(self.ca)
        except (ssl.SSLError, OSError):
            raise PydanticCustomError("tls", "ca: this is no PEM file with certificates of authorities") from None
        try:
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key, password="")
        except (ssl.SSLError, OSError):
            words = "certificate: it can't be used with this key: both are PEM files, and the key has no password"
            raise PydanticCustomError("tls", words) from None
        return self

    @property
    def tls(self) -> Tls:
        return Tls(self.certificate, self.key, self.ca)


class Authorization:
    """Gives the header of each request."""

    def __init__(self, auth: Auth | None, client: Client) -> None:
        self._fixed = _fixed(auth) if auth is not None else None
        self._token = AccessToken(client, auth.oauth.grant) if auth is not None and auth.oauth is not None else None

    async def header(self) -> dict[str, str]:
        """
        Raises:
            NoToken: no access token is given.
        """
        value = self._fixed if self._token is None else await self._token.header()
        return {} if value is None else {"authorization": value}

    def is_renewed(self, sent: dict[str, str]) -> bool:
        """The target refused this one; whether another one can be had."""
        if self._token is None:
            return False
        self._token.forget(sent["authorization"])
        return True


def _fixed(auth: Auth) -> str | None:
    if auth.bearer is not None:
        return f"Bearer {auth.bearer.get_secret_value()}"
    if auth.basic is not None:
        pair = f"{auth.basic.user}:{auth.basic.password.get_secret_value()}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"
    return None
