"""From a rendered request to bytes: the part that runs for every call.

Rule 1. Nothing is sent before everything is checked.
Rule 2. No model runs here: pydantic checked the document, this checks what templates
rendered, with one look per field that is there.

Not here: which connection the bytes go to (pool), reading replies (reply).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, get_args

from plait.connectors.egress import InvalidRequest
from plait.connectors.http.bodies import BODILESS_METHODS, encode_body
from plait.connectors.http.fields import (
    HARMLESS_NAMES,
    NO_NAMES,
    field_line,
    own_content_type,
    read_fields,
)
from plait.connectors.http.pairs import encode_pairs
from plait.connectors.http.spec import BODY_FIELDS, Method
from plait.model.record import record

USER_AGENT: Final = "plait/0.1"
_DEFAULT_FIELDS: Final = {
    "user-agent": f"User-Agent: {USER_AGENT}\r\n",
    "accept": "Accept: application/json, */*;q=0.5\r\n",
    "accept-encoding": "Accept-Encoding: gzip, deflate, br, zstd\r\n",
}
_DEFAULTED = frozenset({"host", *_DEFAULT_FIELDS})
_METHODS: Final[frozenset[str]] = frozenset(get_args(Method))
_BODY_FIELDS = frozenset(BODY_FIELDS)
# Servers wait for a body, or answer 411, when these come without a length.
_EXPECT_BODY = frozenset({"POST", "PUT", "PATCH", "QUERY"})
# Repeating these changes nothing (RFC 9110, 9.2.2).
IDEMPOTENT: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "QUERY"})


@record
class Outgoing:
    """A checked request, still without its target.

    Attributes:
        fields: The header lines beside the connector's own.
        names: Their names, lower-case.
        body: None when there is none, which is not the same as an empty one.
    """

    method: str
    fields: str
    names: frozenset[str]
    body: bytes | None

    def to_bytes(self, target: str, default_head: str, authority: str) -> bytes:
        """Return the whole message.

        Args:
            target: Path and query.
            default_head: `default_head(authority)`, kept ready by the caller.
            authority: Value of the Host header.
        """
        if not _DEFAULTED.isdisjoint(self.names):
            default_head = _default_head_without(self.names, authority)
        head = f"{self.method} {target} HTTP/1.1\r\n{default_head}{self.fields}"
        body = self.body
        if body is not None:
            return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        if self.method in _EXPECT_BODY:
            return f"{head}Content-Length: 0\r\n\r\n".encode()
        return f"{head}\r\n".encode()


def default_head(authority: str) -> str:
    """Return the header lines that every request to `authority` begins with."""
    return f"Host: {authority}\r\n" + "".join(_DEFAULT_FIELDS.values())


def _default_head_without(names: frozenset[str], authority: str) -> str:
    host = "" if "host" in names else f"Host: {authority}\r\n"
    lines = (line for name, line in _DEFAULT_FIELDS.items() if name not in names)
    return host + "".join(lines)


def read_outgoing(
    request: Mapping[str, object],
    idempotency_key: str | None,
    trace: Sequence[tuple[str, str]],
) -> Outgoing:
    """Return `request`, checked, with its body encoded.

    Raises:
        InvalidRequest: something in it may not be sent.

    >>> out = read_outgoing({"url": "http://h", "headers": {"X-A": "1"}}, None, ())
    >>> out.to_bytes("/p", "Host: h\\r\\n", "h")
    b'GET /p HTTP/1.1\\r\\nHost: h\\r\\nX-A: 1\\r\\n\\r\\n'
    """
    method = _read_method(request.get("method", "GET"))
    headers = request.get("headers")
    fields, names = read_fields(headers) if headers is not None else ("", NO_NAMES)
    if idempotency_key is not None and "idempotency-key" not in names:
        fields += field_line("Idempotency-Key", idempotency_key)
    for name, value in trace:
        if name.lower() not in names:
            fields += field_line(name, value)
    if _BODY_FIELDS.isdisjoint(request):
        return Outgoing(method, fields, names, None)
    return _with_body(Outgoing(method, fields, names, None), request, headers)


def _read_method(value: object) -> str:
    if value is None:
        return "GET"
    if isinstance(value, str):
        if value in _METHODS:
            return value
        if value.upper() in _METHODS:
            return value.upper()
    raise InvalidRequest(f"the method is not one of {', '.join(get_args(Method))}")


def _with_body(bare: Outgoing, request: Mapping[str, object], headers: object) -> Outgoing:
    assert headers is None or isinstance(headers, dict)  # read_fields checked it
    own_type = own_content_type(headers) if "content-type" in bare.names else None
    encoded = encode_body(request, own_type)
    if encoded is None:
        return bare
    if bare.method in BODILESS_METHODS:
        raise InvalidRequest(f"{bare.method} takes no body")
    body, content_type = encoded
    fields = bare.fields
    if own_type is None:
        fields += f"Content-Type: {content_type}\r\n"
    return Outgoing(bare.method, fields, bare.names, body)


def add_params(target: str, params: object) -> str:
    """Return `target` with the query parameters `params` added.

    >>> add_params("/a?b=1", {"c": 2}), add_params("/a", {})
    ('/a?b=1&c=2', '/a')
    """
    query = encode_pairs(params, "params")
    if not query:
        return target
    return f"{target}{'&' if '?' in target else '?'}{query}"


def for_redirect(outgoing: Outgoing, status: int, *, is_same_origin: bool) -> Outgoing:
    """Return what follows a redirect answered with `status`.

    303 turns everything but HEAD into GET without a body; 301 and 302 do so for POST,
    as browsers do; 307 and 308 repeat method and body. Another origin gets only harmless
    headers: the rest may hold credentials.
    """
    method, body = outgoing.method, outgoing.body
    dropped = set[str]()
    if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
        method, body = "GET", None
        dropped = {"content-type"}
    kept: dict[str, None] = {}
    lines: list[str] = []
    # Not `splitlines`: U+2028 may stand in a value, and is no end of a line here.
    for line in outgoing.fields.split("\r\n")[:-1]:
        name = line.partition(":")[0].lower()
        if name not in dropped and (is_same_origin or name in HARMLESS_NAMES):
            lines.append(f"{line}\r\n")
            kept[name] = None
    return Outgoing(method, "".join(lines), frozenset(kept), body)
