"""Clients: from which address a request really came, behind proxies or not.

Rule 1. What a header says of the address counts only if the connection comes from a proxy
        that the operator listed; then from the right, up to the first address that is no
        listed proxy. What stands left of that, its sender made up.
Rule 2. One header is read, the one that the proxies write. They pass on the other as the
        client sent it, who would choose an address with it.
Rule 3. IPv6 is counted by /64: one household has that many addresses to change between.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

X_FORWARDED_FOR: Final = "X-Forwarded-For"
FORWARDED: Final = "Forwarded"

Network: TypeAlias = IPv4Network | IPv6Network

_HOPS_MAX: Final = 32
_IPV6_BITS: Final = 64
_FOR: Final = re.compile(r'(?:^|;)\s*for\s*=\s*(?:"([^"]*)"|([^;,\s]*))', re.IGNORECASE)
_KEPT: Final = 4_096


class Proxies:
    """The proxies that may say whose requests they pass on.

    Args:
        networks: Addresses and CIDR ranges.
        header: The one that they write: X_FORWARDED_FOR, or FORWARDED (RFC 7239).

    Attributes:
        header: Its name, as requests have it.

    Raises:
        ValueError: One is neither.

    >>> proxies = Proxies(["10.0.0.0/8"])
    >>> proxies.client("10.0.0.1", "203.0.113.9, 10.0.0.7")
    '203.0.113.9'
    >>> proxies.client("198.51.100.1", "203.0.113.9")
    '198.51.100.1'
    """

    def __init__(self, networks: Iterable[str] = (), header: str = X_FORWARDED_FOR) -> None:
        self.header = header.lower().encode()
        self._hops = _forwarded_hops if header == FORWARDED else _plain_hops
        self._networks: list[Network] = [ip_network(one) for one in networks]

    def client(self, peer: str, said: str | None) -> str:
        """Return the address of who asks.

        Args:
            peer: The other end of the connection.
            said: Their header, repeated ones joined by commas; None: it is not there.
        """
        if said is None or not self._networks or not self.is_listed(peer):
            return peer
        for hop in reversed(self._hops(said)[-_HOPS_MAX:]):
            address = _address_of(hop)
            if address is None:
                return peer
            peer = address
            if not self.is_listed(address):
                break
        return peer

    def is_listed(self, address: str) -> bool:
        """Tell whether a proxy is at an address."""
        try:
            known = ip_address(address)
        except ValueError:
            return False
        known = getattr(known, "ipv4_mapped", None) or known
        return any(known in network for network in self._networks)


def _forwarded_hops(said: str) -> list[str]:
    found = (_FOR.search(part) for part in said.split(","))
    return [(one[1] or one[2] or "") if one is not None else "" for one in found]


def _plain_hops(said: str) -> list[str]:
    return said.split(",")


def _address_of(hop: str) -> str | None:
    """Return the address that a hop says, without a port; None: it says none.

    >>> _address_of(" [2001:db8::1]:4711"), _address_of("10.0.0.1:80"), _address_of("_x")
    ('2001:db8::1', '10.0.0.1', None)
    """
    text = hop.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return None


@lru_cache(_KEPT)
def counted_as(address: str) -> str:
    """Return what stands for all addresses that one client may have.

    >>> counted_as("10.1.2.3"), counted_as("2001:db8:1:2:3:4:5:6"), counted_as("")
    ('10.1.2.3', '2001:db8:1:2::', '')
    """
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if not isinstance(known, IPv6Address):
        return address
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(IPv6Network((known, _IPV6_BITS), strict=False).network_address)
