"""The gateway, put together from settings, and what it is given to serve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from plait.assembly import compose
from plait.assembly.connectors import Connector
from plait.assembly.documents import LoadedFile
from plait.assembly.sources import Configured
from plait.gateway.app import Gateway, GatewaySettings
from plait.gateway.deployment import Broken, Deployment, Loaded


def gateway(
    configured: Configured, connectors: Iterable[Connector] | None = None
) -> Gateway:
    """Return a gateway that serves nothing yet (`deploy`). Call it inside the event loop.

    Args:
        connectors: Which calls it can make; None: all installed.
    """
    own = configured.settings.gateway
    performer = compose.calls(configured.settings, connectors)
    return Gateway(
        compose.driver(configured, performer),
        settings=GatewaySettings(
            request_timeout_ms=own.request_timeout, in_flight_max=own.in_flight_max
        ),
        on_close=performer.close,
    )


def deployments(files: Sequence[LoadedFile]) -> list[Loaded]:
    """Return what the gateway takes for each of `files`."""
    return [_deployment(file) for file in files]


def _deployment(file: LoadedFile) -> Loaded:
    compiled = file.compiled
    if compiled is None:
        return Broken(file.name, file.diagnostics)
    span = compiled.document.source.span_of(("endpoint",))
    return Deployment(file.name, compiled.plan, span, compiled.warnings)
