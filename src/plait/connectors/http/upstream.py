"""To whom a request goes: what policies are shared by."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from plait.connectors.egress import InvalidRequest
from plait.connectors.http.url import read_url

_PREFIXES_KEPT: Final = 1_024


def upstream_of(request: Mapping[str, object]) -> str:
    """Return scheme, host and port of a rendered request; empty: it cannot be sent.

    >>> upstream_of({"url": "HTTP://Orders/api?x=1"})
    'http://orders:80'
    """
    url = request.get("url")
    if not isinstance(url, str):
        return ""
    slash = url.find("/", len("https://"))
    return _origin(url if slash < 0 else url[:slash])


@lru_cache(_PREFIXES_KEPT)
def _origin(url: str) -> str:
    try:
        read = read_url(url)
    except InvalidRequest:
        return ""
    return f"{read.scheme}://{read.host.in_url}:{read.port}"
