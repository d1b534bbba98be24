"""Collecting a reply's body: unpacked while it arrives, never more than allowed.

Rule 1. The cap counts unpacked bytes, and is looked at before the next piece is made: a
bomb costs one piece of memory, not its size.
Rule 2. One content coding, not a stack of them: nobody needs two, and each multiplies
what a bomb can do.

Not here: what the bytes mean (content), how the message is framed (readers).
"""

from __future__ import annotations

from typing import Final, Protocol

from plait.connectors.http.errors import TooLarge, Undecodable
from plait.connectors.http.unpack import UNPACKERS, Corrupt, Unpacker
from plait.model.record import record

# Below this an unusual ratio is only a repetitive reply, not a bomb.
RATIO_BYTES_MIN: Final = 1024 * 1024
# What no coding can make smaller grows by less than a 64th, and by its own head.
_PACKED_SLACK_BYTES: Final = 4096


@record
class BodyLimits:
    """How large a body may be: `bytes_max` unpacked, `ratio_max` times its packed size."""

    bytes_max: int
    ratio_max: int

    @property
    def packed_bytes_max(self) -> int:
        """How large it may be while packed: what cannot be packed grows a little."""
        return self.bytes_max + self.bytes_max // 64 + _PACKED_SLACK_BYTES


class Body(Protocol):
    """Receives a body in pieces."""

    def feed(self, data: bytes) -> None:
        """Take the next piece.

        Raises:
            TooLarge: over the limits.
            Undecodable: not in the coding that the head named.
        """
        ...

    def take(self) -> bytes:
        """Return the whole body.

        Raises:
            Undecodable: the packed stream is cut off.
        """
        ...

    def so_far(self) -> bytes:
        """Return what has come, whole or not."""
        ...


class PlainBody:
    """A body without content coding."""

    def __init__(self, host: str, limits: BodyLimits) -> None:
        self._host = host
        self._limits = limits
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """See Body."""
        self._size += len(data)
        if self._size > self._limits.bytes_max:
            raise too_large(self._host, self._limits)
        self._pieces.append(data)

    def take(self) -> bytes:
        """See Body."""
        return b"".join(self._pieces)

    so_far = take


class PackedBody:
    """A body in a content coding, unpacked as it comes."""

    def __init__(self, host: str, limits: BodyLimits, unpacker: Unpacker) -> None:
        self._host = host
        self._limits = limits
        self._unpacker = unpacker
        self._pieces: list[bytes] = []
        self._size = 0
        self._size_packed = 0

    def feed(self, data: bytes) -> None:
        """See Body."""
        self._size_packed += len(data)
        self._check_packed()
        try:
            for piece in self._unpacker.pieces(data):
                self._size += len(piece)
                self._check()
                self._pieces.append(piece)
        except Corrupt:
            reason = "it is not in the content encoding that it names"
            raise Undecodable(host=self._host, reason=reason) from None

    def _check_packed(self) -> None:
        """A stream may go on for ever without yielding a byte: empty gzip members do."""
        if self._size_packed > self._limits.packed_bytes_max:
            raise too_large(self._host, self._limits)

    def _check(self) -> None:
        if self._size > self._limits.bytes_max:
            raise too_large(self._host, self._limits)
        ratio_max = self._limits.ratio_max
        if self._size > max(RATIO_BYTES_MIN, ratio_max * self._size_packed):
            raise TooLarge(
                host=self._host,
                reason=f"it unpacks to more than {ratio_max} times its size",
                bytes_max=self._limits.bytes_max,
            )

    def take(self) -> bytes:
        """See Body."""
        if self._size_packed and not self._unpacker.is_whole:
            raise Undecodable(host=self._host, reason="its packed stream is cut off")
        return self.so_far()

    def so_far(self) -> bytes:
        """See Body."""
        return b"".join(self._pieces)


def too_large(host: str, limits: BodyLimits) -> TooLarge:
    """Return the error for a body above the cap."""
    reason = f"it has more than {limits.bytes_max} bytes"
    return TooLarge(host=host, reason=reason, bytes_max=limits.bytes_max)


def open_body(host: str, coding: bytes | None, limits: BodyLimits) -> Body:
    """Return a collector for a body in the content coding `coding`.

    Raises:
        Undecodable: the coding is unknown, or a stack of several.
    """
    name = coding.lower() if coding else b"identity"
    if name == b"identity":
        return PlainBody(host, limits)
    unpacker = UNPACKERS.get(name)
    if unpacker is None:
        reason = "it stacks content encodings" if b"," in name else "unknown encoding"
        raise Undecodable(host=host, reason=reason)
    return PackedBody(host, limits, unpacker())
