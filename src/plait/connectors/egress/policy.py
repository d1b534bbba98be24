"""The egress policy: what a host out of a template may be.

Rule. Refusing is the default; the operator opens hosts by name, address or range.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from plait.connectors.egress.addresses import METADATA, why_forbidden
from plait.connectors.egress.errors import InvalidRequest
from plait.connectors.egress.host import Host, read_host


class EgressPolicy:
    """Decides whether a host that a template gave may be called.

    Args:
        allow_private: True opens every address (`PLAIT_EGRESS_ALLOW_PRIVATE=true`) but
            metadata services: they hand out credentials, and are opened by name only.
        allow: Host names, `*.suffix` for all hosts below one, IP addresses, CIDR ranges.

    Raises:
        ValueError: an entry of `allow` is none of these.

    >>> policy = EgressPolicy(allow=["billing", "*.corp.example", "10.1.0.0/16"])
    >>> policy.why_refused("10.1.2.3"), policy.why_refused("10.2.2.3")
    (None, 'a private address')
    >>> [policy.allows_host(read_host(h)) for h in ("billing", "a.corp.example", "b")]
    [True, True, False]
    """

    def __init__(self, *, allow_private: bool = False, allow: Sequence[str] = ()) -> None:
        self.allow_private = allow_private
        self._names: set[str] = set()
        self._suffixes: list[str] = []
        self._ranges: list[IPv4Network | IPv6Network] = []
        for entry in allow:
            self._add(entry.strip())

    def _add(self, entry: str) -> None:
        try:
            self._ranges.append(ip_network(entry, strict=False))
        except ValueError:
            self._add_name(entry)

    def _add_name(self, entry: str) -> None:
        is_suffix = entry.startswith("*.")
        try:
            name = read_host(entry[2:] if is_suffix else entry).name
        except InvalidRequest as error:
            raise ValueError(
                f"'{entry}' on the egress allow list is no host, *.suffix, address or range"
            ) from error
        if is_suffix:
            self._suffixes.append("." + name)
        else:
            self._names.add(name)

    def allows_host(self, host: Host) -> bool:
        """Return whether `host` is open by its name, whatever its addresses are."""
        if host.name in self._names:
            return True
        return any(host.name.endswith(suffix) for suffix in self._suffixes)

    def why_refused(self, address: str) -> str | None:
        """Return why the IP address `address` may not be called, or None if it may."""
        reason = why_forbidden(address)
        if reason is None or (self.allow_private and reason != METADATA):
            return None
        parsed = ip_address(address.partition("%")[0])
        return None if any(parsed in network for network in self._ranges) else reason
