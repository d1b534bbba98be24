"""Egress: which hosts and addresses Plait may call, and how their names are resolved.

Rule 1. Resolve once, check every address, connect to a checked address: a name that
answers differently the second time gains nothing.
Rule 2. A host out of a template is checked. A host that the operator wrote (literally in
a document, in the resolve map, on the allow list) is not.
Rule 3. Only the address counts, never how it was spelled; odd spellings are refused.

Not here: connecting, redirects (each connector does its own, through `Egress.route`).
"""

from plait.connectors.egress.errors import (
    ConnectorError,
    ForbiddenAddress,
    InvalidRequest,
    UnknownHost,
)
from plait.connectors.egress.gate import Address, Egress, ResolveMap
from plait.connectors.egress.host import Host, read_host
from plait.connectors.egress.policy import EgressPolicy

__all__ = [
    "Address",
    "ConnectorError",
    "Egress",
    "EgressPolicy",
    "ForbiddenAddress",
    "Host",
    "InvalidRequest",
    "ResolveMap",
    "UnknownHost",
    "read_host",
]
