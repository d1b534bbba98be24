"""Telemetry, put together from settings: where lines, spans and numbers go.

Rule. What writes lines takes 0.1 s to import, and what sends spans longer: each is imported
      when it is set up, for no other command pays for it.
"""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TextIO

from prometheus_client import CollectorRegistry

from plait.assembly.sources import Configured, SettingsInvalid
from plait.drivers.redact import redacted_value
from plait.model.json import JsonValue
from plait.model.record import record
from plait.ports.calls import Calls
from plait.ports.observer import Observer, Watch
from plait.telemetry.access import all_of, write_access
from plait.telemetry.execution_log import ExecutionLog
from plait.telemetry.metrics import ExecutionMetrics
from plait.telemetry.observers import heard_by
from plait.telemetry.spans import Draw, Spans, TracedCalls, is_in_part
from plait.telemetry.store_metrics import StoreMetrics

# gRPC's core writes lines of its own to standard error, "Got goaway" for each service that
# is stopped, and has no other way to be asked not to than this, before it is imported.
_GRPC: Final = ("GRPC_VERBOSITY", "NONE")


def begin_logs(configured: Configured, stream: TextIO) -> None:
    """Write what this process logs to `stream`, as the settings say."""
    own = configured.settings.telemetry
    is_json = own.log_format == "json" or (own.log_format == "auto" and not stream.isatty())
    os.environ.setdefault(*_GRPC)
    importlib.import_module("plait.telemetry.logs").configure(
        stream,
        level=own.log_level,
        is_json=is_json,
        redact=partial(_masked, configured),
    )


def warm_up_logs() -> None:
    """Begin to load what the first line needs, beside what the event loop does."""
    logs = importlib.import_module("plait.telemetry.logs")
    asyncio.get_running_loop().run_in_executor(None, logs.warm_up)


def begin_errors(configured: Configured) -> None:
    """Tell Sentry what this process logs as an error, if the settings name a project.

    Raises:
        SettingsInvalid: The secret is not there, is no address, or the package is not.
    """
    own = configured.settings.telemetry
    if not own.sentry:
        return
    address = configured.secrets.get(own.sentry)
    if address is None:
        raise SettingsInvalid([f"telemetry.sentry: there is no secret '{own.sentry}'"])
    try:
        sentry = importlib.import_module("plait.telemetry.sentry")
    except ModuleNotFoundError as error:
        reason = "telemetry.sentry: install it with `pip install plait[sentry]`"
        raise SettingsInvalid([reason]) from error
    try:
        sentry.begin(address, own.service_name, partial(_masked, configured))
    except ValueError as error:
        text = f"telemetry.sentry: the secret '{own.sentry}' is no address (DSN)"
        raise SettingsInvalid([text]) from error


@record
class Telemetry:
    """What hears of a process's requests and executions.

    Attributes:
        watch: Hears of requests; None: nobody does.
        observer: Hears of executions; None: nobody does.
        is_drawn: Tells whether a trace that begins here is; None: each is.
        registry: Where metrics are.
        counts: Those of executions.
        stock: Those of the store.
        close: Sends what is left.
        draw: Takes spans; None: nobody does.
    """

    watch: Watch | None
    observer: Observer | None
    is_drawn: Callable[[str], bool] | None
    registry: CollectorRegistry
    counts: ExecutionMetrics
    stock: StoreMetrics
    close: Callable[[], Awaitable[None]]
    draw: Draw | None

    def traced(self, calls: Calls) -> Calls:
        """Return calls that pass on the spans of their attempts, if there are spans."""
        return calls if self.draw is None else TracedCalls(calls)


def telemetry(configured: Configured) -> Telemetry:
    """Return what hears of this process, as the settings say. Close it when done.

    Call it inside the event loop.

    Raises:
        SettingsInvalid: A secret that is to be sent along is not there.
    """
    own = configured.settings.telemetry
    watches: list[Watch] = []
    registry = CollectorRegistry()
    counts = ExecutionMetrics(registry)
    observers: list[Observer] = [ExecutionLog()]
    if configured.settings.gateway.metrics or own.metrics_endpoint is not None:
        observers.append(counts)
    closes: list[Callable[[], Awaitable[None]]] = []
    draw: Draw | None = None
    if own.access_log:
        watches.append(write_access)
    if own.traces_endpoint is not None:
        sender = _sender(configured, own.traces_endpoint)
        draw = sender.draw
        spans = Spans(draw)
        watches.append(spans.answered)
        observers.append(spans)
        closes.append(sender.close)
    if own.metrics_endpoint is not None:
        closes.append(_push(configured, own.metrics_endpoint, registry).close)

    async def close() -> None:
        await asyncio.gather(*(one() for one in closes))

    return Telemetry(
        all_of(watches),
        heard_by(observers),
        None if own.traces_ratio == 1 else partial(is_in_part, own.traces_ratio),
        registry,
        counts,
        StoreMetrics(registry),
        close,
        draw,
    )


def _sender(configured: Configured, endpoint: str) -> Any:
    own = configured.settings.telemetry
    headers = _headers(configured, "traces_authorization")
    otlp = importlib.import_module("plait.telemetry.otlp")
    return otlp.Sender(endpoint, own.service_name, headers)


def _push(configured: Configured, endpoint: str, registry: CollectorRegistry) -> Any:
    own = configured.settings.telemetry
    headers = _headers(configured, "metrics_authorization")
    every_s = own.metrics_every / 1000
    pushing = importlib.import_module("plait.assembly.pushing")
    return pushing.Push(registry, endpoint, own.service_name, headers, every_s=every_s)


def _headers(configured: Configured, key: str) -> dict[str, str]:
    """Return what is sent along, as the setting `telemetry.KEY` names it."""
    name: str = getattr(configured.settings.telemetry, key)
    if not name:
        return {}
    secret = configured.secrets.get(name)
    if secret is None:
        raise SettingsInvalid([f"telemetry.{key}: there is no secret '{name}'"])
    return {"Authorization": secret}


def _masked(configured: Configured, text: str) -> str:
    masked: JsonValue = redacted_value(text, configured.secrets)
    return str(masked)
