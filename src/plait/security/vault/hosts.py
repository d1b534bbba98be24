"""Hosts: which origins a credential may be shown to.

| entry | origins |
|---|---|
| `api.example.com` | `https://api.example.com`, port 443 |
| `api.example.com:8443` | `https://api.example.com:8443` |
| `http://orders:8080` | that one, unencrypted |
| `*.example.com` | every host below `example.com`, over https |

For `database` and `smtp` an entry is `host` or `host:port`, and says nothing of a scheme.
"""

from __future__ import annotations

import re
from typing import Final

from plait.ports.credentials import Credential, CredentialForbidden, CredentialInvalid

_ENTRY: Final = re.compile(
    r"(?:(https?)://)?(\*\.)?((?:[a-z0-9_](?:[a-z0-9_-]{0,62})\.)*[a-z0-9_][a-z0-9_-]{0,62}"
    r"|\[[0-9a-f:.]+\])(?::(\d{1,5}))?",
    re.ASCII,
)
_PORTS: Final = {"http": 80, "https": 443}
_PORT_MAX: Final = 65_535
HOSTS_MAX: Final = 50


def read_hosts(given: object) -> tuple[str, ...]:
    """Return entries as they are kept: origins in small letters, ports always there.

    Raises:
        CredentialInvalid: One of them is none.

    >>> read_hosts(["API.example.com", "http://orders:8080", "*.example.com"])
    ('https://api.example.com:443', 'http://orders:8080', 'https://*.example.com:443')
    """
    if not isinstance(given, list | tuple) or not 0 < len(given) <= HOSTS_MAX:
        raise CredentialInvalid(f"`hosts` is a list of 1 to {HOSTS_MAX} hosts")
    return tuple(dict.fromkeys(map(_entry, given)))


def _entry(given: object) -> str:
    found = _ENTRY.fullmatch(given.lower()) if isinstance(given, str) else None
    if found is None:
        raise CredentialInvalid(
            "a host is `api.example.com`, `*.example.com`, `host:port`, or an origin such "
            "as `http://orders:8080`; no path"
        )
    scheme, star, name, port = found[1] or "https", found[2] or "", found[3], found[4]
    number = int(port) if port else _PORTS[scheme]
    if not 0 < number <= _PORT_MAX:
        raise CredentialInvalid(f"'{given}': there is no such port")
    if star and ("." not in name or name.startswith("[")):
        raise CredentialInvalid(f"'{given}' would be a whole top-level domain")
    return f"{scheme}://{star}{name}:{number}"


def is_for(hosts: tuple[str, ...], origin: str) -> bool:
    """Tell whether one of `hosts` is `origin`: scheme, host and port.

    >>> is_for(("https://*.example.com:443",), "https://a.b.example.com:443")
    True
    >>> is_for(("https://*.example.com:443",), "https://example.com.evil:443")
    False
    """
    if origin in hosts:
        return True
    scheme, _, rest = origin.partition("://")
    return any(
        one.startswith(f"{scheme}://*.") and rest.endswith(one.partition("*")[2])
        for one in hosts
    )


def check_use(credential: Credential, workflow: str, origin: str) -> None:
    """Raise CredentialForbidden unless a workflow may show a credential to an origin."""
    if credential.workflows and workflow not in credential.workflows:
        raise CredentialForbidden(credential.name, f"is not for workflow '{workflow}'")
    if not is_for(credential.hosts, origin):
        raise CredentialForbidden(
            credential.name,
            f"is not for {origin}: its hosts are {', '.join(credential.hosts)}",
        )
