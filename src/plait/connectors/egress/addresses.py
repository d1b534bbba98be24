"""Address ranges that a call out of a template may not reach, and why.

Rule 1. IPv4: listed ranges are refused. IPv6: only global unicast (2000::/3) is open, and
listed ranges in it are refused.
Rule 2. An IPv6 form that carries an IPv4 address is judged by that address where hosts
really use the form (mapped, NAT64), and refused where they do not (6to4, Teredo, …).
Rule 3. Own tables: `ipaddress.is_global` changes its mind between Python versions.

Sources: the IANA special-purpose registries (RFC 6890), RFC 6052, RFC 4291, RFC 5214.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

METADATA = "a metadata service"

_V4 = (
    ("169.254.169.254/32", METADATA),
    ("168.63.129.16/32", METADATA),
    ("100.100.100.200/32", METADATA),
    ("0.0.0.0/8", "an unspecified address"),
    ("10.0.0.0/8", "a private address"),
    ("100.64.0.0/10", "a carrier's shared address"),
    ("127.0.0.0/8", "a loopback address"),
    ("169.254.0.0/16", "a link-local address"),
    ("172.16.0.0/12", "a private address"),
    ("192.0.0.0/24", "a reserved address"),
    ("192.0.2.0/24", "a documentation address"),
    ("192.31.196.0/24", "a reserved address"),
    ("192.52.193.0/24", "a reserved address"),
    ("192.88.99.0/24", "a relay address"),
    ("192.168.0.0/16", "a private address"),
    ("192.175.48.0/24", "a reserved address"),
    ("198.18.0.0/15", "a benchmarking address"),
    ("198.51.100.0/24", "a documentation address"),
    ("203.0.113.0/24", "a documentation address"),
    ("224.0.0.0/4", "a multicast address"),
    ("240.0.0.0/4", "a reserved address"),
)
_V6 = (
    ("fd00:ec2::/32", METADATA),
    ("::/128", "an unspecified address"),
    ("::1/128", "a loopback address"),
    ("fc00::/7", "a private address"),
    ("fe80::/10", "a link-local address"),
    ("fec0::/10", "a private address"),
    ("ff00::/8", "a multicast address"),
    ("2001::/23", "a reserved address"),
    ("2001:db8::/32", "a documentation address"),
    ("2002::/16", "a relay address"),
    ("3fff::/20", "a documentation address"),
)
_V4_RANGES = tuple((IPv4Network(text), reason) for text, reason in _V4)
_V6_RANGES = tuple((IPv6Network(text), reason) for text, reason in _V6)
_V6_GLOBAL = IPv6Network("2000::/3")
_CARRIERS = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
# ISATAP: the lower half is 0000:5efe or 0200:5efe, then an IPv4 address.
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)


def why_forbidden(address: str) -> str | None:
    """Return why `address` is not public, or None if it is.

    Args:
        address: Canonical text of an IPv4 or IPv6 address; a scope (`%eth0`) is ignored.

    Raises:
        ValueError: `address` is no IP address.

    >>> why_forbidden("10.1.2.3"), why_forbidden("::ffff:127.0.0.1")
    ('a private address', 'a loopback address')
    >>> why_forbidden("93.184.216.34") is why_forbidden("2606:2800:220:1::1") is None
    True
    """
    parsed = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv4Address):
        return _why_forbidden_v4(parsed)
    return _why_forbidden_v6(parsed)


def _why_forbidden_v4(address: IPv4Address) -> str | None:
    return next((why for network, why in _V4_RANGES if address in network), None)


def _why_forbidden_v6(address: IPv6Address) -> str | None:
    if any(address in network for network in _CARRIERS):
        return _why_forbidden_v4(IPv4Address(int(address) & 0xFFFF_FFFF))
    for network, why in _V6_RANGES:
        if address in network:
            return why
    if address not in _V6_GLOBAL:
        return "a reserved address"
    if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
        return "a relay address"
    return None
