"""Every connection that this process opens, seen by a hook, and names out of a table.

The hook asks nobody's policy: it refuses all connections but those to a few places.
"""

from __future__ import annotations

import socket
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from unittest.mock import patch

_PUBLIC: Final = "93.184.216.34"
NAMES: Final[dict[str, list[str]]] = {
    "localhost": ["127.0.0.1", "::1"],
    "localhost.localdomain": ["127.0.0.1"],
    "ip6-localhost": ["::1"],
    "metadata.google.internal": ["169.254.169.254"],
    "metadata": ["169.254.169.254"],
    "instance-data.ec2.internal": ["fd00:ec2::254"],
    "kubernetes.default.svc": ["10.96.0.1"],
    "intranet.example": ["192.168.0.10"],
    "loop.example": ["127.0.0.1"],
    "mapped.example": ["::ffff:169.254.169.254"],
    "nat64.example": ["64:ff9b::a00:1"],
    "scoped.example": ["fe80::1%2"],
    "both.example": [_PUBLIC, "10.0.0.1"],
    "other.example": ["2606:2800:220:1::1", "::1"],
    "xn--bcher-kva.example": ["172.16.0.9"],
}
# Says the public address first, and then its own machine; again for each question.
REBINDING: Final = "rebind.example"


@dataclass
class Watch:
    """The connections that this process opens while it is watched.

    Attributes:
        allowed: Where they may go.
        opened: How many went there.
        public: How many wanted to go to the one public address.
        forbidden: Where the others wanted to go.
    """

    allowed: set[tuple[str, int]] = field(default_factory=set)
    opened: int = 0
    public: int = 0
    forbidden: list[tuple[str, int]] = field(default_factory=list)

    def see(self, address: tuple[str, int]) -> None:
        """Take one in.

        Raises:
            ConnectionRefusedError: It may not be.
        """
        if address in self.allowed:
            self.opened += 1
            return
        if address[0] == _PUBLIC:
            self.public += 1
        else:
            self.forbidden.append(address)
        raise ConnectionRefusedError(111, "refused by the proof")


_watches: list[Watch] = []


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect" and _watches and isinstance(args[1], tuple):
        _watches[-1].see(args[1][:2])


# Once in the life of a process: an audit hook cannot be taken off.
sys.addaudithook(_hook)


@contextmanager
def watched() -> Iterator[Watch]:
    """Look at every connection, and answer every question for a name."""
    watch, asked = Watch(), Counter[str]()

    def getaddrinfo(host: str, port: Any, *_: Any, **__: Any) -> list[Any]:
        asked[host] += 1
        found = NAMES.get(host, [])
        if host == REBINDING:
            found = [_PUBLIC if asked[host] % 2 else "127.0.0.1"]
        elif host[:1].isdigit() or ":" in host:
            found = [host]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [_answer(one, port or 0) for one in found]

    _watches.append(watch)
    try:
        with patch.object(socket, "getaddrinfo", getaddrinfo):
            yield watch
    finally:
        _watches.remove(watch)


def _answer(address: str, port: int) -> tuple[Any, ...]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    place = (address, port, 0, 0) if ":" in address else (address, port)
    return family, socket.SOCK_STREAM, 6, "", place
