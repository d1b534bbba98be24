"""Records: what all stores say about them, whatever they keep them in.

Not here: the port (plait.ports.records).
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Final

from plait.ports.records import (
    KEY_BYTES_MAX,
    KIND_BYTES_MAX,
    TENANT_BYTES_MAX,
    VALUE_BYTES_MAX,
    Change,
    Record,
    RecordRefused,
)

_BYTES_MAX: Final = {
    "kind": KIND_BYTES_MAX,
    "tenant": TENANT_BYTES_MAX,
    "key": KEY_BYTES_MAX,
}
_LAST: Final = "\U0010ffff"
_BEFORE_SURROGATES, _AFTER_SURROGATES = "\ud7ff", "\ue000"


def check(changes: Sequence[Change]) -> None:
    """See whether every store can keep these.

    Raises:
        RecordRefused: One it cannot.
    """
    for one in changes:
        for part, byte_count_max in _BYTES_MAX.items():
            _check_text(one.kind, part, getattr(one, part), byte_count_max)
        if one.value is not None and len(one.value) > VALUE_BYTES_MAX:
            reason = f"has {len(one.value)} bytes; {VALUE_BYTES_MAX} are allowed"
            raise RecordRefused(_shown(one.kind), "value", reason)


def _check_text(kind: str, part: str, text: str, byte_count_max: int) -> None:
    if "\0" in text or not is_text(text):
        raise RecordRefused(_shown(kind), part, "holds U+0000 or half a surrogate pair")
    byte_count = len(text.encode())
    if byte_count > byte_count_max:
        reason = f"has {byte_count} bytes; {byte_count_max} are allowed"
        raise RecordRefused(_shown(kind), part, reason)
    if not text and part != "tenant":
        raise RecordRefused(_shown(kind), part, "is empty")


def is_text(*texts: str) -> bool:
    """Say whether texts are such that UTF-8 holds them; no record has another name.

    >>> is_text("Zoë"), is_text("half a pair: \\ud83d")
    (True, False)
    """
    try:
        for text in texts:
            text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _shown(kind: str) -> str:
    return kind.encode("ascii", "replace").decode()[:KIND_BYTES_MAX] or "record"


def end_of(prefix: str) -> str | None:
    """Return the first text behind all that begin with `prefix`; None: there is none.

    In the order of code points, which is that of UTF-8's bytes.

    >>> end_of("run/"), end_of("a\\U0010ffff"), end_of("")
    ('run0', 'b', None)
    """
    begun = prefix.rstrip(_LAST)
    if not begun:
        return None
    is_at_gap = begun[-1] == _BEFORE_SURROGATES
    return begun[:-1] + (_AFTER_SURROGATES if is_at_gap else chr(ord(begun[-1]) + 1))


def checksum(record: Record) -> int:
    """Return a number that is another one when anything of the record is, by damage.

    >>> checksum(Record("key", "default", "k1", b"{}", 1, 0))
    1436105196
    """
    names = [one.encode() for one in (record.kind, record.tenant, record.key)]
    numbers = (*map(len, names), record.version, record.at_ms)
    head = "|".join(map(str, numbers)).encode()
    return zlib.crc32(record.value, zlib.crc32(b"".join((head, *names))))
