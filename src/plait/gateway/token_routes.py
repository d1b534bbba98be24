"""`/api/v1/auth/token` and `/revoke`: OAuth 2's two routes, which take forms.

A page of another site can send a form unasked; it gains nothing, for the form holds all
that counts, and no cookie says who sends it.

Not here: what is given for what (plait.security.desk).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

import orjson

from plait.gateway.access import client_of
from plait.gateway.clients import Proxies, counted_as
from plait.gateway.layers import Exchange, Handler
from plait.gateway.message import Reply, Request, as_bytes, header_texts, json_reply
from plait.gateway.refusal import Malformed, Refused, UnsupportedMediaType
from plait.model.errors import PlaitError
from plait.model.json import JsonObject
from plait.ports.identity import RateExceeded
from plait.ports.status import details_of, status_of

TOKEN_PATH: Final = "/api/v1/auth/token"
REVOKE_PATH: Final = "/api/v1/auth/revoke"

_FORM: Final = b"application/x-www-form-urlencoded"
_JSON: Final = b"application/json"
_BODY_BYTES_MAX: Final = 16_384
_FIELDS_MAX: Final = 20
GRANTS: Final = ("password", "client_credentials", "refresh_token")
_TEXT: Final = {"type": "string"}
_NEVER_KEPT: Final = (b"cache-control", b"no-store")


class GivesTokens(Protocol):
    """Whoever gives tokens (plait.security.desk)."""

    async def give_token(
        self, form: Mapping[str, str], headers: Mapping[str, str], client: str
    ) -> JsonObject:
        """Return what is given for what a form shows, or raise a PlaitError."""
        ...

    async def revoke_token(self, token: str) -> None:
        """End the session of a refresh token."""
        ...


class NoToken(Refused):
    """No token is given for what was shown."""

    def __init__(self, error: PlaitError) -> None:
        headers = error.headers if isinstance(error, RateExceeded) else ()
        super().__init__(str(error), details_of(error), headers=as_bytes(headers))
        self.code = error.code  # type: ignore[misc]
        self.status = status_of(error).http  # type: ignore[misc]


def token_handlers(tokens: GivesTokens, proxies: Proxies) -> dict[str, Handler]:
    """Return what answers a POST, by path."""

    async def give(exchange: Exchange) -> Reply:
        request = exchange.request
        client = counted_as(client_of(proxies, request))
        try:
            given = await tokens.give_token(
                form_of(request), header_texts(request.headers), client
            )
        except PlaitError as error:
            if isinstance(error, Refused) or error.code.startswith("store."):
                raise
            raise NoToken(error) from None
        return _told(given)

    async def revoke(exchange: Exchange) -> Reply:
        await tokens.revoke_token(form_of(exchange.request).get("token", ""))
        return _told({})

    return {TOKEN_PATH: give, REVOKE_PATH: revoke}


def form_of(request: Request) -> dict[str, str]:
    """Return the fields of a form, or of the JSON object that stands for one.

    Raises:
        UnsupportedMediaType: It is neither.
        Malformed: It cannot be read, or a field stands twice.
    """
    kind = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if kind not in (_FORM, _JSON):
        raise UnsupportedMediaType("send a form: application/x-www-form-urlencoded")
    if len(request.body) > _BODY_BYTES_MAX:
        raise Malformed(f"a form has at most {_BODY_BYTES_MAX} bytes here")
    fields = _fields(request.body) if kind == _FORM else _members(request.body)
    if len({name for name, _ in fields}) != len(fields):
        raise Malformed("a field stands twice in the form")
    return dict(fields)


def _fields(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            body.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_FIELDS_MAX,
        )
    except ValueError:
        raise Malformed("the form cannot be read") from None


def _members(body: bytes) -> list[tuple[str, str]]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Malformed("the body is not JSON") from None
    if not isinstance(told, dict) or not all(isinstance(one, str) for one in told.values()):
        raise Malformed("the body is a JSON object of texts")
    return list(told.items())


def _told(told: JsonObject) -> Reply:
    reply = json_reply(200, told)
    reply.headers.append(_NEVER_KEPT)
    return reply


def token_paths() -> dict[str, Any]:
    """Return the paths of these routes, as FastAPI would describe them."""
    shown = ("username", "password", "client_secret", "refresh_token")
    asked = {
        "type": "object",
        "required": ["grant_type"],
        "properties": {"grant_type": {"enum": [*GRANTS]}, **dict.fromkeys(shown, _TEXT)},
    }
    given = {
        "type": "object",
        "required": ["access_token", "token_type", "expires_in"],
        "properties": {
            "access_token": _TEXT,
            "token_type": {"const": "Bearer"},
            "expires_in": {"type": "integer"},
            "refresh_token": _TEXT,
        },
    }
    revoked = {"type": "object", "properties": {"token": _TEXT}}
    give = _operation("give_token", "Give a token.", asked, given)
    revoke = _operation("revoke_token", "End a session.", revoked, {"type": "object"})
    return {TOKEN_PATH: {"post": give}, REVOKE_PATH: {"post": revoke}}


def _operation(
    name: str, summary: str, asked: dict[str, Any], given: dict[str, Any]
) -> dict[str, Any]:
    told = {"description": "Done.", "content": {_JSON.decode(): {"schema": given}}}
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["system"],
        "requestBody": {"required": True, "content": {_FORM.decode(): {"schema": asked}}},
        "responses": {"200": told},
    }
