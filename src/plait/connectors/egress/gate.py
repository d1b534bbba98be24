"""The gate: from a host to the addresses that a connection may be opened to.

Rule. Every connector asks here for each new connection, redirects included, and connects
to an address from the answer; it never hands a name to the operating system itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from plait.connectors.egress.errors import ForbiddenAddress, InvalidRequest
from plait.connectors.egress.host import Host, read_host
from plait.connectors.egress.policy import EgressPolicy
from plait.connectors.egress.resolver import Resolver

Address: TypeAlias = tuple[str, int]

_PORT_MAX = 65_535


class ResolveMap:
    """Hosts that the operator gave an address: `--resolve users=127.0.0.1:8001`.

    Args:
        entries: From `host` or `host:port` to `address`, `address:port` or
            `[address]:port`. The address may be a name, which is looked up.

    Raises:
        ValueError: an entry is not of that form.

    >>> resolve = ResolveMap({"users": "127.0.0.1:8001", "api:443": "[::1]:8443"})
    >>> resolve.find(read_host("users"), 80), resolve.find(read_host("api"), 443)
    (('127.0.0.1', 8001), ('::1', 8443))
    >>> resolve.find(read_host("api"), 80) is None
    True
    """

    def __init__(self, entries: Mapping[str, str]) -> None:
        self._targets: dict[tuple[str, int | None], tuple[str, int | None]] = {}
        for source, target in entries.items():
            self._targets[_read_end(source)] = _read_end(target)

    def find(self, host: Host, port: int) -> Address | None:
        """Return the address and port that stand for `host` and `port`, if any."""
        target = self._targets.get((host.name, port)) or self._targets.get(
            (host.name, None)
        )
        return None if target is None else (target[0], target[1] or port)


def _read_end(text: str) -> tuple[str, int | None]:
    """Read `host`, `host:port`, `[v6]:port` or a bare IPv6 address."""
    if "://" in text:
        raise ValueError(f"'{text}' in the resolve map is a URL; leave its scheme out")
    if text.count(":") > 1 and not text.startswith("["):
        text = f"[{text}]"
    host, colon, port = text, "", ""
    if not text.endswith("]"):
        host, colon, port = text.rpartition(":") if ":" in text else (text, "", "")
    try:
        name = read_host(host).name
    except InvalidRequest as error:
        raise ValueError(f"'{text}' in the resolve map is no host or address") from error
    if not colon:
        return name, None
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= _PORT_MAX):
        raise ValueError(f"'{text}' in the resolve map has no valid port")
    return name, int(port)


class Egress:
    """Turns hosts into addresses that may be connected to.

    Args:
        policy: What hosts out of templates may be.
        resolve: The operator's own addresses for hosts.
        resolver: Looks up all other names.
    """

    def __init__(
        self, policy: EgressPolicy, resolve: ResolveMap, resolver: Resolver | None = None
    ) -> None:
        self._policy = policy
        self._resolve = resolve
        self._resolver = resolver or Resolver()

    async def route(
        self, host: Host, port: int, *, is_trusted: bool
    ) -> tuple[Address, ...]:
        """Return the addresses for `host`, in the order to try; at least one.

        Args:
            is_trusted: True when the operator wrote this host, so no rule applies.

        Raises:
            UnknownHost: the name leads nowhere.
            ForbiddenAddress: one of its addresses is not allowed; all must be, because
                which one is connected to is chance.
        """
        mapped = self._resolve.find(host, port)
        if mapped is not None:
            return await self._look_up(*mapped, is_trusted=True)
        is_free = is_trusted or self._policy.allows_host(host)
        if host.is_odd and not is_free and not self._policy.allow_private:
            raise ForbiddenAddress(host=host.name, reason="it is an address in disguise")
        addresses = await self._look_up(host.name, port, is_trusted=is_free)
        if not is_free:
            self._check(host, addresses)
        return addresses

    async def _look_up(
        self, name: str, port: int, *, is_trusted: bool
    ) -> tuple[Address, ...]:
        if ":" in name or read_host(name).is_address:
            return ((name, port),)
        found = await self._resolver.addresses(name, is_trusted=is_trusted)
        return tuple((address, port) for address in found)

    def _check(self, host: Host, addresses: tuple[Address, ...]) -> None:
        for address, _ in addresses:
            reason = self._policy.why_refused(address)
            if reason is not None:
                raise ForbiddenAddress(host=host.name, reason=f"it leads to {reason}")

    async def close(self) -> None:
        """Forget looked-up names."""
        await self._resolver.close()
