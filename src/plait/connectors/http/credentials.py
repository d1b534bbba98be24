"""Credentials in requests: what each type adds to the request of an `http` step.

Rule 1. What a step says itself is not overwritten: a request with its own header, or
        parameter, of the same name is refused.
Rule 2. Query parameters and headers do not follow a redirect to another origin, and
        neither does a certificate (connector, request).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any, Final

from plait.connectors.http.options import ClientCertificate
from plait.ports.credentials import Credential, CredentialUnusable

AUTHORIZATION: Final = "Authorization"


def with_credential(
    request: Mapping[str, object], credential: Credential
) -> dict[str, object]:
    """Return a rendered request that shows `credential`.

    Raises:
        CredentialUnusable: Its type is not for HTTP, or the request has in it already what
            it would add.

    >>> shop = Credential("default", "shop", "bearer", (), (), {"token": "t"})
    >>> with_credential({"url": "https://h"}, shop)["headers"]
    {'Authorization': 'Bearer t'}
    """
    given = credential.fields
    match credential.type:
        case "basic":
            pair = f"{given['username']}:{given['password']}".encode()
            text = f"Basic {b64encode(pair).decode()}"
            return _with(request, "headers", AUTHORIZATION, text, credential)
        case "bearer" | "oauth2":  # the latter's access token
            text = f"Bearer {given['token']}"
            return _with(request, "headers", AUTHORIZATION, text, credential)
        case "api_key":
            where = "headers" if given["in"] == "header" else "params"
            text = given.get("prefix", "") + given["value"]
            return _with(request, where, given["name"], text, credential)
        case "mtls":
            return _with_certificate(request, credential)
        case _:
            reason = f"type '{credential.type}' is not for http steps"
            raise CredentialUnusable(credential.name, reason)


def _with(
    request: Mapping[str, object],
    where: str,
    name: str,
    text: str,
    credential: Credential,
) -> dict[str, object]:
    own: Any = request.get(where) or {}
    if not isinstance(own, dict):
        raise CredentialUnusable(credential.name, f"`{where}` is not a mapping")
    taken = {str(one).lower() for one, value in own.items() if value is not None}
    if name.lower() in taken:
        reason = f"the request has `{name}` in its `{where}` already"
        raise CredentialUnusable(credential.name, reason)
    # A name that the step gives as null is written in another way perhaps.
    rest = {one: value for one, value in own.items() if value is not None}
    return {**request, where: {**rest, name: text}}


def _with_certificate(
    request: Mapping[str, object], credential: Credential
) -> dict[str, object]:
    given, own = credential.fields, request.get("tls") or {}
    if not isinstance(own, dict):
        raise CredentialUnusable(credential.name, "`tls` is not a mapping")
    shown = ClientCertificate(given["certificate"], given["key"], given.get("authority"))
    return {**request, "tls": {**own, "client": shown}}
