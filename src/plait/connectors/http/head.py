"""A reply's head: its status, and its header fields, looked up when asked for.

Rule. A reply has ten fields and a caller wants two: they stay one run of bytes, and a
look-up is one search for `\\r\\nname:`.
"""

from __future__ import annotations

from collections.abc import Iterable

from plait.connectors.http.media import MediaType, read_media_type
from plait.model.json import JsonValue

# Needles: how a field begins in `Head`.
CONTENT_ENCODING = b"\r\ncontent-encoding:"
CONTENT_LENGTH = b"\r\ncontent-length:"
CONTENT_TYPE = b"\r\ncontent-type:"
LOCATION = b"\r\nlocation:"
RETRY_AFTER = b"\r\nretry-after:"
TRANSFER_ENCODING = b"\r\ntransfer-encoding:"


class Head:
    """Status and fields of one reply.

    Args:
        status: 200 to 599.
        raw: The fields; each begins with CR LF, and CR LF ends the whole.
        lower: `raw` in lower case.
        media: What Content-Type says.
        coding: What Content-Encoding says; None when it is not there.

    >>> head = head_of(200, [(b"ETag", b"x"), (b"Via", b"a"), (b"Via", b"b")])
    >>> head.first(b"\\r\\netag:"), head.text("via"), head.text("nope")
    (b'x', 'a, b', None)
    """

    __slots__ = ("_lower", "_raw", "coding", "media", "status")

    def __init__(
        self, status: int, raw: bytes, lower: bytes, media: MediaType, coding: bytes | None
    ) -> None:
        self.status = status
        self.media = media
        self.coding = coding
        self._raw = raw
        self._lower = lower

    def first(self, needle: bytes) -> bytes | None:
        """Return the value of the first field that begins with `needle`."""
        at = self._lower.find(needle)
        if at < 0:
            return None
        start = at + len(needle)
        return self._raw[start : self._raw.find(b"\r\n", start)].strip()

    def has(self, needle: bytes) -> bool:
        """Return whether a field begins with `needle`."""
        return needle in self._lower

    def text(self, name: str) -> str | None:
        """Return the values of the field `name` (lower-case), joined by a comma."""
        values = [value for known, value in self._fields() if known == name]
        return ", ".join(values) if values else None

    def texts(self, names: Iterable[str]) -> dict[str, JsonValue]:
        """Return the fields `names` that are there; `*` asks for all."""
        found: dict[str, JsonValue] = {}
        wanted = set(names)
        for name, value in self._fields():
            if name in wanted or "*" in wanted:
                found[name] = f"{found[name]}, {value}" if name in found else value
        return found

    def _fields(self) -> list[tuple[str, str]]:
        lines = self._raw.decode("latin-1").split("\r\n")
        parted = (line.partition(":") for line in lines if line)
        return [(name.lower(), value.strip()) for name, _, value in parted]


def head_of(status: int, fields: Iterable[tuple[bytes, bytes]]) -> Head:
    """Return the head with these fields, names and values as they came."""
    lines = (b"\r\n%b: %b" % field for field in fields)
    raw = b"".join(lines) + b"\r\n"
    bare = Head(status, raw, raw.lower(), read_media_type(None), None)
    media, coding = read_media_type(bare.first(CONTENT_TYPE)), bare.first(CONTENT_ENCODING)
    return Head(status, raw, raw.lower(), media, coding)
