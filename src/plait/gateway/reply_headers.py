"""`endpoint.headers`: the headers that a document adds to its replies.

Rule. A value is checked before it is sent: no line breaks, no NUL, Latin-1 at most. It may
      hold what an upstream or a caller said.
Rule. Each header stands for itself: of a failed execution those that can be rendered are
      sent, of a completed one all but those that speak of an error there is none of.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Final

import orjson

from plait.expression import ExpressionError, Names, Template
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonValue

# They frame the reply or belong to the connection; the gateway sets them.
RESERVED: Final = frozenset(
    b"age connection content-encoding content-length date keep-alive plait-cache "
    b"plait-completed plait-execution-id server-timing te trailer transfer-encoding "
    b"upgrade x-request-id".split()
)
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_VALUE_LENGTH_MAX = 4096
# Names of what the caller said.
_TOLD: Final = ("input", "trigger")


class InvalidHeader(Exception):
    """A rendered header cannot be sent. The text says which and why.

    Attributes:
        by_caller: The header holds nothing but what the caller said.
    """

    by_caller: bool = False

    def as_failure(self) -> Failure:
        """Return it as what the execution failed of."""
        advice = Advice.FIX_REQUEST if self.by_caller else Advice.REPORT
        return Failure("reply.invalid_header", str(self), advice=advice)


class ReplyHeaders:
    """The headers of one endpoint, ready to be rendered."""

    def __init__(self, headers: Template | None) -> None:
        entries = headers.entries() if headers is not None else {}
        self._entries = tuple(entries.items())

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._entries)

    def of_completed(self, names: Names) -> list[tuple[bytes, bytes]]:
        """Return the headers of a completed execution.

        Raises:
            ExpressionError: One of them has no value, and does not speak of `error`.
            InvalidHeader: One of them cannot be sent.
        """
        found: list[tuple[bytes, bytes]] = []
        for name, template in self._entries:
            try:
                found += render_headers({name: template.render(names)})
            except ExpressionError:
                if not reads_error(template):
                    raise
            except InvalidHeader as error:
                error.by_caller = _echoes_caller(template)
                raise
        return found

    def of_failed(self, names: Names) -> list[tuple[bytes, bytes]]:
        """Return the headers of a failed execution: they may read what was never answered.

        The failure at hand is what the caller needs to hear, not one of its consequences.
        """
        found: list[tuple[bytes, bytes]] = []
        for name, template in self._entries:
            with suppress(ExpressionError, InvalidHeader):
                found += render_headers({name: template.render(names)})
        return [header for header in found if header[0] != b"content-type"]


def reads_error(template: Template) -> bool:
    """Tell whether `template` speaks of `error`, which is null where nothing failed."""
    return any(read[0] == "error" for read in template.reads)


def _echoes_caller(template: Template) -> bool:
    return bool(template.reads) and all(read[0] in _TOLD for read in template.reads)


def header_problem(name: str) -> str:
    """Return what is wrong with a header's name, or an empty text.

    >>> header_problem("X-Source"), header_problem("Content-Length")
    ('', "'Content-Length' is set by the gateway itself")
    """
    key = name.lower().encode()
    if key in RESERVED:
        return f"'{name}' is set by the gateway itself"
    return "" if is_header_name(name) else f"'{name}' is no header name"


def is_json_type(media_type: str) -> bool:
    """Tell whether a body of this type is JSON.

    >>> is_json_type("application/HAL+json; charset=utf-8"), is_json_type("text/csv")
    (True, False)
    """
    subtype = media_type.partition(";")[0].strip().lower().rpartition("/")[2]
    return subtype == "json" or subtype.endswith("+json")


def is_header_name(name: str) -> bool:
    """Tell whether a header can be called so."""
    return _NAME.fullmatch(name.encode()) is not None


def render_headers(rendered: JsonValue) -> list[tuple[bytes, bytes]]:
    """Return the headers that a rendered `endpoint.headers` asks for.

    A null leaves its header out, a list repeats it, numbers and booleans are written as in
    JSON.

    Raises:
        InvalidHeader: A value cannot stand in a header.

    >>> render_headers({"X-Total": 3, "Link": None, "Set-Cookie": ["a=1", "b=2"]})
    [(b'x-total', b'3'), (b'set-cookie', b'a=1'), (b'set-cookie', b'b=2')]
    """
    assert isinstance(rendered, dict)
    found: list[tuple[bytes, bytes]] = []
    for name, value in rendered.items():
        key = name.lower().encode()
        if key in RESERVED or not is_header_name(name):
            continue
        items = value if isinstance(value, list) else [value]
        found.extend((key, _value(name, item)) for item in items if item is not None)
    return found


def _value(name: str, value: JsonValue) -> bytes:
    if isinstance(value, (dict, list)):
        raise InvalidHeader(f"header '{name}' must be a text, number or boolean")
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    text = text.strip()
    if len(text) > _VALUE_LENGTH_MAX:
        raise InvalidHeader(f"header '{name}' is longer than {_VALUE_LENGTH_MAX} bytes")
    if not _VALUE.fullmatch(text):
        raise InvalidHeader(f"header '{name}' has a character that no header may have")
    return text.encode("latin-1")
