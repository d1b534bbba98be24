"""Request headers: checked, and written as the lines that go onto the wire.

Rule 1. Names are tokens; values hold no control character. CR, LF and NUL would let a
value end its header and begin another (request splitting).
Rule 2. What frames the message or manages the connection belongs to the connector.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from plait.connectors.egress import InvalidRequest

_is_token = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_is_value = re.compile(r"[\t -~\xa0-\ud7ff\ue000-\U0010ffff]*").fullmatch

OWN_NAMES = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
# What a redirect to another origin still gets. All else may be a credential: there is
# no telling what a company calls its token header.
HARMLESS_NAMES = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "content-type",
        "idempotency-key",
        "user-agent",
    }
)
NO_NAMES: frozenset[str] = frozenset()

# Checked names and their lower-case spelling. Bounded: names may come from mappings
# that a template gives whole.
_lower: dict[str, str] = {}
_LOWER_COUNT_MAX = 1024


def read_fields(headers: object) -> tuple[str, frozenset[str]]:
    """Return the header lines for `headers`, and the names in lower case.

    Raises:
        InvalidRequest: a name or value may not be sent.

    >>> read_fields({"X-A": "1", "X-B": [2, True], "X-C": None})[0]
    'X-A: 1\\r\\nX-B: 2\\r\\nX-B: true\\r\\n'
    """
    if not isinstance(headers, dict):
        raise InvalidRequest("`headers` is not a mapping")
    lines: list[str] = []
    names: set[str] = set()
    for name, value in headers.items():
        if value is None:
            continue
        names.add(_lower.get(name) or _learn(name))
        if isinstance(value, list):
            lines += [field_line(name, one) for one in value if one is not None]
        else:
            lines.append(field_line(name, value))
    if "host" in names:
        _check_host(lines)
    return "".join(lines), frozenset(names)


def _check_host(lines: list[str]) -> None:
    """Two hosts: a proxy may check the one, and the server behind it serve the other."""
    if sum(line[:5].lower() == "host:" for line in lines) != 1:
        raise InvalidRequest("header 'Host' does not stand exactly once")


def _learn(name: object) -> str:
    """Check `name` once and remember it. Never shown: a template may have made it."""
    if not isinstance(name, str) or not _is_token(name):
        raise InvalidRequest("a header's name holds a character that HTTP does not allow")
    lower = name.lower()
    if lower in OWN_NAMES:
        raise InvalidRequest(f"header '{name}' is set by the connector itself")
    if len(_lower) >= _LOWER_COUNT_MAX:
        _lower.clear()
    _lower[name] = lower
    return lower


def field_line(name: str, value: object) -> str:
    """Return one header line.

    Raises:
        InvalidRequest: the value cannot stand in a header.
    """
    text = value if isinstance(value, str) else scalar_text(value, f"header '{name}'")
    if not _is_value(text):
        raise InvalidRequest(
            f"header '{name}' holds a line break or another control character"
        )
    return f"{name}: {text.strip()}\r\n"


def own_content_type(headers: Mapping[str, object] | None) -> str | None:
    """Return the Content-Type that `headers` has; None if it has none.

    >>> own_content_type({"content-type": "text/csv"}), own_content_type({"X-A": 1})
    ('text/csv', None)
    """
    pairs = (headers or {}).items()
    types = (value for name, value in pairs if name.lower() == "content-type")
    return next((str(value) for value in types if value is not None), None)


def scalar_text(value: object, what: str) -> str:
    """Return a string, number or boolean as text; `what` names it in the error.

    Raises:
        InvalidRequest: `value` is something else.

    >>> [scalar_text(v, "x") for v in ("a", 1, 1.5, True)]
    ['a', '1', '1.5', 'true']
    """
    if isinstance(value, str):
        return value
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise InvalidRequest(f"{what} is neither text nor number nor boolean")
