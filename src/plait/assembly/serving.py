"""The gateway, put together from settings, and what it is given to serve."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from plait.assembly import compose
from plait.assembly.connectors import Connector
from plait.assembly.documents import LoadedFile
from plait.assembly.settings import Settings
from plait.assembly.sources import Configured
from plait.gateway.app import Gateway, GatewaySettings
from plait.gateway.deployment import Broken, Deployment, Loaded
from plait.gateway.http1 import HttpLimits


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
            request_timeout_ms=own.request_timeout,
            in_flight_max=own.in_flight_max,
            json_depth_max=own.json_depth_max,
            cache_bytes_max=own.cache_bytes_max,
            has_docs=own.docs,
            has_metrics=own.metrics,
        ),
        kernel_for=partial(compose.kernel, configured.settings),
        on_close=performer.close,
    )


def connection_limits(settings: Settings) -> HttpLimits:
    """Return what a connection to the gateway may cost."""
    own = settings.gateway
    return HttpLimits(
        head_bytes_max=own.head_bytes_max,
        body_bytes_max=own.body_bytes_max,
        head_timeout_ms=own.head_timeout,
        body_timeout_ms=own.body_timeout,
        idle_timeout_ms=own.idle_timeout,
        write_timeout_ms=own.write_timeout,
        held_bytes_max=own.held_bytes_max,
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
