"""Hosts as URLs write them: names and IP addresses, brought to one spelling.

Rule 1. One host, one spelling: lower case, no trailing dot, IDNA as `xn--`.
Rule 2. What C libraries read as an address but nobody writes as one (`0x7f.1`,
`2130706433`, `127.1`, full-width digits) is `is_odd`; the egress policy refuses it.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from plait.connectors.egress.errors import InvalidRequest
from plait.model.record import record

# Underscores: container networks name hosts with them (`user_service`).
_NAME = re.compile(r"(?:[A-Za-z0-9_-]{1,63}\.)*[A-Za-z0-9_-]{1,63}")
# The last label decides whether resolvers try to read the whole as an IPv4 address.
_NUMERIC_END = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)")
_HOST_LENGTH_MAX = 253
# Letters on which IDNA 2003 and 2008 disagree: two hosts, depending on who reads.
_IDNA_DEVIANT = re.compile("[\u00df\u03c2\u200c\u200d]")


@record
class Host:
    """A host. `name` is its one spelling, an IPv6 address without brackets.

    Attributes:
        name: `users`, `api.example.com`, `10.0.0.1`, `::1`.
        is_address: True when `name` is an IP address.
        is_odd: True when it was an address in disguise.
    """

    name: str
    is_address: bool = False
    is_odd: bool = False

    @property
    def in_url(self) -> str:
        """The spelling that stands in URLs and in the Host header."""
        return f"[{self.name}]" if ":" in self.name else self.name


def read_host(text: str) -> Host:
    """Return the host that `text`, the host part of a URL, names.

    Raises:
        InvalidRequest: it is no host, or different readers would read it differently.

    >>> read_host("Users.Example."), read_host("0x7f.1").is_odd
    (Host(name='users.example', is_address=False, is_odd=False), True)
    >>> read_host("[::1]").in_url
    '[::1]'
    """
    if text.startswith("["):
        return _read_v6(text)
    if not text.isascii():
        plain = _read_ascii(_to_ascii(text))
        is_odd = plain.is_odd or plain.is_address
        return Host(plain.name, is_address=plain.is_address, is_odd=is_odd)
    return _read_ascii(text)


def _read_v6(text: str) -> Host:
    try:
        address = IPv6Address(text[1:-1] if text.endswith("]") else "")
    except AddressValueError:
        raise InvalidRequest("the URL's host is no valid IPv6 address") from None
    if address.scope_id is not None:
        raise InvalidRequest("the URL's IPv6 address has a scope; leave it out")
    return Host(str(address), is_address=True)


def _to_ascii(text: str) -> str:
    if _IDNA_DEVIANT.search(text):
        raise InvalidRequest(
            "the URL's host is read differently by different readers; write it as xn--…"
        )
    try:
        return text.encode("idna").decode("ascii")
    except UnicodeError:
        raise InvalidRequest("the URL's host is not a valid name") from None


def _read_ascii(text: str) -> Host:
    has_final_dot = text.endswith(".")
    name = text[:-1].lower() if has_final_dot else text.lower()
    if len(name) > _HOST_LENGTH_MAX or not _NAME.fullmatch(name):
        raise InvalidRequest("the URL's host is not a valid name" if name else "no host")
    if not _NUMERIC_END.fullmatch(name):
        return Host(name)
    try:
        canonical = str(IPv4Address(name))
    except AddressValueError:
        return Host(name, is_odd=True)
    return Host(canonical, is_address=True, is_odd=has_final_dot)
