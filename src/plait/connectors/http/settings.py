"""Settings of the `http` connector, all with defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from plait.connectors.http.spec import BODY_BYTES_MAX
from plait.model.record import record

RATIO_MAX: Final = 100


@record
class HttpSettings:
    """How the client behaves.

    Attributes:
        resolve: From `host` or `host:port` to `address[:port]`, asked before DNS; such
            hosts count as the operator's own.
        allow_private: Open private addresses to hosts out of templates.
        allow: Hosts, `*.suffix`, addresses and CIDR ranges to open to them.
        connection_count_max: Connections to one origin; further calls wait.
        idle_ms_max: How long a connection is kept unused; closed within half of it.
        connect_timeout_ms: For looking up a name, and again for connecting, TLS included;
            a call's own limit cuts both.
        body_bytes_max: The largest body, unpacked, unless a request says otherwise.
        ratio_max: The largest unpacked body, in multiples of its packed size.
        name_ttl_ms: How long a looked-up address is kept.
    """

    resolve: Mapping[str, str] = field(default_factory=dict)
    allow_private: bool = False
    allow: tuple[str, ...] = ()
    connection_count_max: int = 128
    idle_ms_max: int = 15_000
    connect_timeout_ms: int = 5_000
    body_bytes_max: int = BODY_BYTES_MAX
    ratio_max: int = RATIO_MAX
    name_ttl_ms: int = 5_000
