"""Alerts, put together: the documents that were named, in a process that counts.

Imported by the gateway only when there is one.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry

from plait.assembly import compose
from plait.assembly.connectors import Available
from plait.assembly.deploying import LateRecords
from plait.assembly.sources import Configured, SettingsInvalid
from plait.compile import Alert
from plait.document.alert import WINDOW_MS_MAX, Told, WebhookTold
from plait.drivers.clock import now_ms
from plait.drivers.closing import close_all
from plait.drivers.journal import Start
from plait.drivers.outcome import outcome_of
from plait.model.errors import PlaitError
from plait.model.json import JsonObject
from plait.ports.calls import Call, CallReply, Calls
from plait.telemetry.alerts import AlertBoard
from plait.telemetry.samples import Samples, sample_of

logger = logging.getLogger("plait.alerts")

_WEBHOOK_MS_MAX: Final = 10_000

StartWorkflow: TypeAlias = Callable[[str, Start], Awaitable[None]]


class AlertUntold(PlaitError):
    """Who is to hear of an alert could not be reached, or refused it."""

    code = "alert.untold"


def watch_alerts(
    configured: Configured,
    connectors: Iterable[Available] | None,
    registry: CollectorRegistry,
    start: StartWorkflow,
    alerts: Sequence[Alert],
) -> Watching:
    """Return what watches alerts, once it begins. Call it inside the event loop.

    Args:
        registry: What this process counts.
        start: Starts a durable execution of a workflow by its name, once for its key.

    Raises:
        SettingsInvalid: A secret that is to be sent along is not there, or two alerts
            have one name.
    """
    _check(configured, alerts)
    return Watching(configured, connectors, registry, start, alerts)


def _check(configured: Configured, alerts: Sequence[Alert]) -> None:
    names = [alert.name for alert in alerts]
    wrong = [
        f"alert '{name}' stands in two documents"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    for alert in alerts:
        for told in alert.notify:
            secret = told.webhook.authorization if told.webhook is not None else None
            if secret is not None and secret not in configured.secrets:
                wrong.append(f"alert '{alert.name}': there is no secret '{secret}'")
    if wrong:
        raise SettingsInvalid(wrong)


class Watching:
    """Watches alerts."""

    def __init__(
        self,
        configured: Configured,
        connectors: Iterable[Available] | None,
        registry: CollectorRegistry,
        start: StartWorkflow,
        alerts: Sequence[Alert],
    ) -> None:
        settings = configured.settings
        self._configured = configured
        self._start = start
        self._registry = registry
        self._every_s = settings.telemetry.alerts_every / 1000
        # What alerts send is not to wait behind what workflows do.
        self._calls = compose.calls(settings, connectors, configured.secrets)
        self._records = LateRecords(settings.store.url)
        self._samples = Samples(WINDOW_MS_MAX / 1000)
        process = secrets.token_hex(8)
        self._board = AlertBoard(
            alerts, self._records, self._tell, now_ms, process, self._registry
        )
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Watch from now on, if it is not so already."""
        if self._task is None:
            self._sample()
            self._task = asyncio.create_task(self._run())

    def replace(self, alerts: Sequence[Alert]) -> None:
        """Watch these from now on.

        Raises:
            SettingsInvalid: As `watch_alerts`; then those of before are still watched.
        """
        _check(self._configured, alerts)
        self._board.replace(alerts)

    async def close(self) -> None:
        """Watch no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await close_all(self._calls.close, self._records.close)

    def _sample(self) -> None:
        self._samples.add(sample_of(self._registry.collect(), time.monotonic()))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                self._sample()
                await self._board.look(self._samples)
            except Exception:
                logger.exception("alerts were not looked at, and are again")

    async def _tell(self, who: Told, told: JsonObject) -> None:
        if who.webhook is not None:
            await _post(self._calls, self._configured, who.webhook, told)
            return
        assert who.workflow is not None
        key = str(told["id"])
        trigger: JsonObject = {"type": "alert", "alert": told["alert"], "id": key}
        execution = Start(secrets.token_hex(16), told, trigger, f"alert-{key}")
        await self._start(who.workflow, execution)


async def _post(
    calls: Calls, configured: Configured, webhook: WebhookTold, told: JsonObject
) -> None:
    """Send a POST by the operator's egress rules: the URL is the operator's own word.

    Raises:
        AlertUntold: It was not taken.
    """
    headers: dict[str, object] = {"content-type": "application/json"}
    if webhook.authorization is not None:
        headers["authorization"] = configured.secrets[webhook.authorization]
    call = Call(
        kind="http",
        request={"method": "POST", "url": webhook.url, "headers": headers, "body": told},
        host_is_literal=True,
        timeout_ms=_WEBHOOK_MS_MAX,
        idempotency_key=str(told["id"]),
        headers_wanted=(),
        execution_id=str(told["id"]),
        step="notify",
        attempt=1,
    )
    outcome = await outcome_of(calls.start, call)
    if not isinstance(outcome, CallReply):
        raise AlertUntold(f"{outcome.code}: {outcome.message}")
