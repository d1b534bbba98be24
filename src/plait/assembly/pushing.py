"""Metrics pushed to an OpenTelemetry collector, every so often and once more at the end.

Rule. They are read on the loop, as for a scrape, because what tells of connections and
      policies is the loop's own; they are translated and sent in a thread.

Not here: how (plait.telemetry.otlp_metrics, which is imported at the first push).
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client import Metric as Family

from plait.gateway.threads import in_thread

logger = logging.getLogger("plait.telemetry")

_CLOSE_S_MAX: Final = 3.0


class Push:
    """Pushes what a registry says. Make it inside the event loop; close it when done.

    Args:
        endpoint: Where to: `http://collector:4318/v1/metrics`.
        service: What this process is called there.
        headers: What is sent along.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        endpoint: str,
        service: str,
        headers: Mapping[str, str],
        *,
        every_s: float,
    ) -> None:
        self._registry = registry
        self._make = partial(_sender, endpoint, service, headers)
        self._every_s = every_s
        self._sender: Any = None
        self._is_over = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        while not self._is_over.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._is_over.wait()
            try:
                families, at_s = [*self._registry.collect()], time.time()
                await in_thread(partial(self._send, families, at_s))
            except Exception:
                logger.exception("metrics were not pushed, and are again")

    def _send(self, families: list[Family], at_s: float) -> None:
        if self._sender is None:
            self._sender = self._make()
        self._sender.send(families, at_s)

    async def close(self) -> None:
        """Push once more, and end; a collector that does not answer keeps nobody."""
        self._is_over.set()
        await asyncio.wait((self._task,), timeout=_CLOSE_S_MAX)
        self._task.cancel()
        if self._sender is not None:
            self._sender.close()


def _sender(endpoint: str, service: str, headers: Mapping[str, str]) -> Any:
    otlp = importlib.import_module("plait.telemetry.otlp_metrics")
    return otlp.MetricsSender(endpoint, service, headers)
