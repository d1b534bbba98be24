"""Requests without key or token: refused, or taken for the operator's own.

Who can connect to a gateway that listens on loopback sits at the machine, and is taken for
its operator. But a browser at that machine also carries out what pages of others say, and a
proxy there carries what the whole network says. So a request counts as local only when

- it came from a loopback address,
- `Host` is a loopback address or a name without a dot: another name may lead here by DNS
  rebinding, which nobody can do with a name that is in no public domain,
- `Origin` and `Sec-Fetch-Site`, where there, say that no other site's page made it,
- no header says that a proxy passed it on, and it is not HTTP/1.0, which programs speak no
  more and nginx does by default (the gateway tells no peer then).

A proxy that passes on requests of HTTP/1.1 and says nothing of it cannot be told from a
program. So programs are no admins, and behind a proxy `security.required` is for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from plait.model.caller import LOCAL, LOCAL_PROGRAM, Caller
from plait.ports.identity import Unauthenticated

# Returns who asks without key or token, or raises Unauthenticated.
Anonymous: TypeAlias = Callable[[Mapping[str, str], str], Caller]

_PASSED_ON: Final = frozenset(
    (
        "forwarded", "via", "cdn-loop", "cf-connecting-ip", "cf-ray", "client-ip",
        "fastly-client-ip", "fly-client-ip", "true-client-ip", "x-client-ip",
        "x-cluster-client-ip", "x-amzn-trace-id", "x-envoy-external-address",
        "x-original-host", "x-originating-ip", "x-real-ip", "x-request-start",
    )
)  # fmt: skip
_PASSED_ON_PREFIXES: Final = ("x-forwarded-", "x-original-forwarded-")
_DOTLESS: Final = re.compile(r"[a-z0-9_-]+")
_SAME_SITE: Final = ("same-origin", "none")


def nobody(_headers: Mapping[str, str], _peer: str) -> Caller:
    """Let nobody in without key or token."""
    raise Unauthenticated(
        "send an API key or a token: `Authorization: Bearer …` or `X-API-Key`"
    )


def anybody(_headers: Mapping[str, str], _peer: str) -> Caller:
    """Take everybody for the operator: a proxy before the gateway checks who asks."""
    return LOCAL


def local_only(headers: Mapping[str, str], peer: str) -> Caller:
    """Let programs of this machine do all but administration, and let in nobody else."""
    if not is_local(headers, peer):
        raise Unauthenticated(
            "without an API key only programs of this machine are answered, that ask for "
            "127.0.0.1 or localhost; send a key: `Authorization: Bearer …`"
        )
    return LOCAL_PROGRAM


def is_local(headers: Mapping[str, str], peer: str) -> bool:
    """Tell whether a request was made at this machine, by nobody's page.

    >>> is_local({"host": "localhost:8080"}, "127.0.0.1")
    True
    >>> is_local({"host": "rebound.example"}, "127.0.0.1")
    False
    """
    if not is_loopback(peer) or any(_tells_a_proxy(name) for name in headers):
        return False
    if headers.get("sec-fetch-site", "none") not in _SAME_SITE:
        return False
    host, origin = headers.get("host"), headers.get("origin")
    name = _name_of(f"//{host}")
    if host is not None and not (is_loopback(name) or _DOTLESS.fullmatch(name)):
        return False
    return origin is None or urlsplit(origin).netloc == host


def _tells_a_proxy(name: str) -> bool:
    return name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)


def is_loopback(name: str) -> bool:
    """Tell whether a name or an address can only be this machine.

    >>> [is_loopback(name) for name in ("127.0.0.2", "::1", "localhost", "10.0.0.1", "")]
    [True, True, True, False, False]
    """
    try:
        address = ip_address(name)
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def chosen(*, is_required: bool, is_open: bool, is_proxied: bool = False) -> Anonymous:
    """Return what becomes of requests without key or token.

    Args:
        is_required: Nobody gets in without.
        is_open: Everybody is the operator: somebody else checks who asks.
        is_proxied: What comes from this machine may be a proxy's, known as one.
    """
    if is_required:
        return nobody
    if is_open:
        return anybody
    return nobody if is_proxied else local_only


def _name_of(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""
