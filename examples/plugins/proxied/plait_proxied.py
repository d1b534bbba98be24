"""A proxy in front has found out who asks, and says so in `X-Forwarded-User`.

    [security]
    strategies = ["proxied"]

    [authentication.proxied]
    proxies = ["10.0.0.0/8"]            # only these are believed
    role = "operator"                   # of all of them; default viewer
    tenant = "default"                  # the default

Whoever else sends the header is refused: the proxy has to remove it from what it is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from plait.model.caller import DEFAULT_TENANT, ROLES, Caller
from plait.ports.plugins import PluginContext
from plait.ports.strategy import AuthenticationStrategy, Unauthenticated

HEADER = "x-forwarded-user"
_KNOWN = ("proxies", "role", "tenant")
_NAME = re.compile(r"[\w.@+-]{1,128}", re.ASCII)


class Proxied:
    """Believes proxies.

    Args:
        networks: Where they are.
    """

    def __init__(
        self,
        networks: Sequence[IPv4Network | IPv6Network],
        *,
        role: str = "viewer",
        tenant: str = DEFAULT_TENANT,
    ) -> None:
        self._networks = networks
        self._role = role
        self._tenant = tenant

    async def authenticate(self, headers: Mapping[str, str], peer: str) -> Caller | None:
        """See plait.ports.strategy.Strategy."""
        name = headers.get(HEADER)
        if name is None:
            return None
        if not self.believes(peer) or not _NAME.fullmatch(name):
            raise Unauthenticated("this header counts for nothing here", is_invalid=True)
        return Caller(f"user:{name}", tenant=self._tenant, role=self._role)

    def believes(self, peer: str) -> bool:
        """Tell whether an address is that of a proxy."""
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._networks)

    async def close(self) -> None:
        """Nothing is open."""


def _proxied(context: PluginContext) -> Proxied:
    told: dict[str, Any] = {**context.options}
    unknown = set(told) - set(_KNOWN)
    if unknown:
        known = f"known: {', '.join(_KNOWN)}"
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}; {known}")
    proxies = told.pop("proxies", None)
    if not isinstance(proxies, list) or not proxies:
        raise ValueError("`proxies` lists the addresses that are believed")
    if told.get("role", "viewer") not in ROLES:
        raise ValueError(f"`role` is one of {', '.join(ROLES)}")
    return Proxied([ip_network(one) for one in proxies], **told)


STRATEGY = AuthenticationStrategy(port=1, make=_proxied, headers=(HEADER,))
