"""The request's settings beside what is sent: `expect`, `decode`, `redirects`, …

Rule. Most steps set none of them: their keys are looked at once, together.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple, cast, get_args

from plait.connectors.egress import InvalidRequest
from plait.connectors.http.expect import read_expect
from plait.connectors.http.spec import (
    BODY_BYTES_CEILING,
    BODY_BYTES_MAX,
    BODY_FIELDS,
    REDIRECT_COUNT_MAX,
    Decode,
    HttpRequest,
    read_server_name,
)
from plait.model.record import record

_PLAIN_KEYS = frozenset({"method", "url", "params", "headers", *BODY_FIELDS})
_KEYS = frozenset(HttpRequest.model_fields)
_DECODES = frozenset(get_args(Decode))


class ClientCertificate:
    """What the client proves who it is with. Compared by its bytes; never shown.

    Args:
        certificate: PEM; the chain's others behind it.
        key: PEM, not encrypted.
        authority: PEM of the authorities to trust instead of the system's.
    """

    __slots__ = ("_digest", "authority", "certificate", "key")

    def __init__(self, certificate: str, key: str, authority: str | None) -> None:
        self.certificate = certificate
        self.key = key
        self.authority = authority
        text = "\0".join((certificate, key, authority or ""))
        self._digest = sha256(text.encode()).digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClientCertificate) and other._digest == self._digest

    def __hash__(self) -> int:
        return hash(self._digest)


class TlsOptions(NamedTuple):
    """How the server has to prove who it is, and the client; also a key for caches."""

    verify: bool = True
    ca_file: str | None = None
    server_name: str | None = None
    client: ClientCertificate | None = None


@record
class Options:
    """What to do with the reply. `expected` is None for 200 to 299."""

    expected: frozenset[int] | None
    decode: Decode
    redirect_count_max: int
    body_bytes_max: int
    tls: TlsOptions | None


def default_options(body_bytes_max: int = BODY_BYTES_MAX) -> Options:
    """Return the options of a request that sets none."""
    return Options(None, "auto", 0, body_bytes_max, None)


def read_options(request: Mapping[str, object], defaults: Options) -> Options:
    """Return the options that `request` sets, the rest from `defaults`.

    Raises:
        InvalidRequest: a key is unknown, or a value is not one of its field's.

    >>> read_options({"url": "http://h", "decode": "text"}, default_options()).decode
    'text'
    """
    if _PLAIN_KEYS.issuperset(request):
        return defaults
    if not _KEYS.issuperset(request):
        raise InvalidRequest("the request has a key that the http connector does not know")
    return Options(
        expected=_expected(request.get("expect")),
        decode=_decode(request.get("decode")),
        redirect_count_max=_count(request, "redirects", 0, REDIRECT_COUNT_MAX),
        body_bytes_max=_count(
            request, "max_bytes", defaults.body_bytes_max, BODY_BYTES_CEILING
        ),
        tls=_tls(request.get("tls")),
    )


def _expected(value: object) -> frozenset[int] | None:
    if value is None:
        return None
    try:
        return read_expect(value)
    except ValueError as error:
        raise InvalidRequest(str(error)) from None


def _decode(value: object) -> Decode:
    if value is None:
        return "auto"
    if not isinstance(value, str) or value not in _DECODES:
        raise InvalidRequest(f"`decode` is not one of {', '.join(get_args(Decode))}")
    return cast("Decode", value)


def _count(request: Mapping[str, object], name: str, default: int, top: int) -> int:
    value = request.get(name)
    if value is None:
        return default
    if type(value) is not int or not 0 <= value <= top:
        raise InvalidRequest(f"`{name}` is not a whole number from 0 to {top}")
    return value


def _tls(value: object) -> TlsOptions | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InvalidRequest("`tls` is not a mapping")
    verify, ca_file, name = (value.get(key) for key in ("verify", "ca_file", "server_name"))
    if verify not in (None, True, False):
        raise InvalidRequest("`tls.verify` is neither true nor false")
    for text in (ca_file, name):
        if text is not None and not isinstance(text, str):
            raise InvalidRequest("`tls.ca_file` and `tls.server_name` are texts")
    name = None if name is None else read_server_name(name)
    client = value.get("client")
    if client is not None and not isinstance(client, ClientCertificate):
        raise InvalidRequest("`tls` has no `client`: name a `credential`")
    return TlsOptions(verify is not False, ca_file, name, client)
