"""A listening socket's end: nobody new begins, whoever has begun is let in.

A socket that is closed resets the connections that the kernel has made for it and nobody
has accepted yet. However quickly one accepts all and closes, under load some arrive in
between (2 of 20 runs with a dozen clients). Linux can be told to drop the first packet of
each new connection; its client tries again a second later, and is refused then.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from contextlib import suppress
from typing import Final

# Linux, <asm-generic/socket.h>; Python 3.11 does not name it.
_SO_ATTACH_FILTER: Final = 26
# Classic BPF on a segment's header: load byte 13, the flags; if SYN is among them take
# nothing of the segment, else all.
_DROP_SYN: Final = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),
        (0x45, 0, 1, 0x02),
        (0x06, 0, 0, 0),
        (0x06, 0, 0, 0xFFFFFFFF),
    )
)


def begin_no_more(listening: socket.socket) -> bool:
    """Let no new connection begin at `listening`; return whether the system can do that.

    Those that have begun may still be accepted.
    """
    if sys.platform != "linux":
        return False
    program = ctypes.create_string_buffer(_DROP_SYN, len(_DROP_SYN))
    count = len(_DROP_SYN) // struct.calcsize("HBBI")
    told = struct.pack("HP", count, ctypes.addressof(program))
    with suppress(OSError):
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, told)
        return True
    return False
