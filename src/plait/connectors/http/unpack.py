"""Content codings: gzip, deflate, br and zstd, unpacked piece by piece.

Rule. A piece is bounded (about 64 KB; zstd 4 MB) whatever comes in, so that whoever
counts can stop between two pieces.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import brotli  # type: ignore[import-untyped]
import zstandard

PIECE_BYTES_MAX: Final = 65_536
# 4 bytes of zstd can stand for a block of 128 KB, so 128 bytes give at most 4 MB.
_ZSTD_SLICE: Final = 128
# RFC 9659: what a receiver has to support, and need not exceed.
_ZSTD_WINDOW_MAX: Final = 8 * 1024 * 1024
_GZIP_WBITS: Final = 31
_ZLIB_WBITS: Final = 15
_RAW_WBITS: Final = -15
# A zlib stream begins with a byte whose lower half is 8 (RFC 1950); raw deflate does not.
_ZLIB_METHOD: Final = 8


class Corrupt(Exception):
    """The packed bytes are not what their coding says."""


class Unpacker(Protocol):
    """Unpacks one body."""

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what `data` unpacks to, in bounded pieces.

        Raises:
            Corrupt: `data` is no continuation of what came before.
        """
        ...

    @property
    def is_whole(self) -> bool:
        """Whether the packed stream has come to its end."""
        ...


class _Inflate:
    """gzip (also several members in a row), and deflate with or without its wrapper."""

    def __init__(self, wbits: int | None) -> None:
        self._wbits = wbits
        self._stream = zlib.decompressobj(wbits or _ZLIB_WBITS)
        self.is_whole = False

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """See Unpacker."""
        if self._wbits is None and data:
            is_wrapped = data[0] & 0x0F == _ZLIB_METHOD
            self._wbits = _ZLIB_WBITS if is_wrapped else _RAW_WBITS
            self._stream = zlib.decompressobj(self._wbits)
        while data:
            if self.is_whole:
                self._begin_next()
            try:
                piece = self._stream.decompress(data, PIECE_BYTES_MAX)
            except zlib.error as error:
                raise Corrupt from error
            self.is_whole = self._stream.eof
            data = self._stream.unused_data or self._stream.unconsumed_tail
            yield piece

    def _begin_next(self) -> None:
        if self._wbits != _GZIP_WBITS:
            raise Corrupt
        self._stream = zlib.decompressobj(_GZIP_WBITS)
        self.is_whole = False


class _Brotli:
    """br."""

    def __init__(self) -> None:
        self._stream = brotli.Decompressor()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """See Unpacker."""
        if data and self.is_whole:
            raise Corrupt
        piece = self._next_piece(data)
        while piece:
            yield piece
            # `can_accept_more_data` may say yes while output is still held back, so the
            # end is the first empty piece.
            piece = b"" if self.is_whole else self._next_piece(b"")

    def _next_piece(self, data: bytes) -> bytes:
        try:
            return bytes(self._stream.process(data, output_buffer_limit=PIECE_BYTES_MAX))
        except brotli.error as error:
            raise Corrupt from error

    @property
    def is_whole(self) -> bool:
        """See Unpacker."""
        return bool(self._stream.is_finished())


class _Zstd:
    """zstd, also several frames in a row."""

    def __init__(self) -> None:
        self._context = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_MAX)
        self._stream = self._context.decompressobj()

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """See Unpacker."""
        for at in range(0, len(data), _ZSTD_SLICE):
            part = data[at : at + _ZSTD_SLICE]
            while part:
                if self._stream.eof:
                    self._stream = self._context.decompressobj()
                try:
                    piece = self._stream.decompress(part)
                except zstandard.ZstdError as error:
                    raise Corrupt from error
                part = self._stream.unused_data
                yield piece

    @property
    def is_whole(self) -> bool:
        """See Unpacker."""
        return bool(self._stream.eof)


UNPACKERS: Final[dict[bytes, Callable[[], Unpacker]]] = {
    b"gzip": lambda: _Inflate(_GZIP_WBITS),
    b"x-gzip": lambda: _Inflate(_GZIP_WBITS),
    b"deflate": lambda: _Inflate(None),
    b"br": _Brotli,
    b"zstd": _Zstd,
}
