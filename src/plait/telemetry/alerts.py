"""Alerts: looked at again and again; told when they fire, and when that is over.

| state | what holds | who hears |
|---|---|---|
| `inactive` | not its condition | nobody |
| `pending` | its condition, for less long than `for` | nobody |
| `firing` | its condition, for that long | `notify`, once each |
| `resolved` | not any more; then it is `inactive` | `notify`, once each |

Rule 1. Its state is kept in the store before anybody is told, and who was told after: after
        a crash in between somebody may be told twice, under the same id, and nobody never.
Rule 2. A process that has just begun has seen too little to say that something is over: it
        says so when it has looked for a whole window.
Rule 3. A store that does not answer keeps nobody from hearing, of just that for one.
Rule 4. Of several processes on one store, each of which sees its own requests only, the one
        that finds an alert's condition first has that alert until it is over: it fires
        it, tells of it and ends it. After `_GONE_MS` without a sign of life, it has not.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson
from prometheus_client import CollectorRegistry, Gauge

from plait.compile import Alert
from plait.document.alert import Told
from plait.expression import ExpressionError
from plait.model.caller import DEFAULT_TENANT
from plait.model.errors import PlaitError
from plait.model.json import JsonObject
from plait.model.record import record
from plait.ports.journal import StoreUnavailable
from plait.ports.records import Change, Conflict, Records
from plait.telemetry.samples import Samples

logger = logging.getLogger("plait.alerts")

KIND: Final = "alert"
INACTIVE: Final = "inactive"
PENDING: Final = "pending"
FIRING: Final = "firing"
RESOLVED: Final = "resolved"
_SHOWN: Final = (INACTIVE, PENDING, FIRING)
_FORMAT: Final = 1
_SIGN_MS: Final = 60_000
_GONE_MS: Final = 3 * _SIGN_MS


@record
class State:
    """How an alert stands.

    Attributes:
        since_ms: Since when, milliseconds since the Unix epoch.
        by: The process that has it.
        seen_ms: When that gave its latest sign of life.
        told: Which of its `notify` have heard of that.
        values: What its condition read when it fired.
    """

    name: str = INACTIVE
    since_ms: int = 0
    by: str = ""
    seen_ms: int = 0
    told: tuple[int, ...] = ()
    values: Mapping[str, Any] | None = None


# Tells one of an alert's `notify`; raises PlaitError when it could not.
Tell = Callable[[Told, JsonObject], Awaitable[None]]


class AlertBoard:
    """Watches alerts.

    Args:
        tell: Tells who is to hear.
        process: Names this process among all that share the store.
        now_ms: Milliseconds since the Unix epoch.
    """

    def __init__(
        self,
        alerts: Sequence[Alert],
        records: Records,
        tell: Tell,
        now_ms: Callable[[], int],
        process: str,
        registry: CollectorRegistry | None = None,
    ) -> None:
        self._process = process
        self._alerts = alerts
        self._records = records
        self._tell = tell
        self._now_ms = now_ms
        self._states: dict[str, tuple[State, int]] = {}
        self._gauge: Gauge | None = None
        if registry is not None:
            self._gauge = Gauge(
                "plait_alerts",
                "1 for the state in which an alert is: inactive, pending, firing.",
                ("alert", "state"),
                registry=registry,
            )

    def state_of(self, name: str) -> State:
        """Return how an alert stands."""
        return self._states.get(name, (State(), 0))[0]

    def replace(self, alerts: Sequence[Alert]) -> None:
        """Watch these from now on. What is known of those that stay, stays; nobody hears
        of one that is gone, and the store keeps how it stood.
        """
        names = {alert.name for alert in alerts}
        gone = {alert.name for alert in self._alerts} - names
        self._alerts = alerts
        for name in gone:
            self._states.pop(name, None)
            if self._gauge is not None:
                for state in _SHOWN:
                    self._gauge.remove(name, state)

    async def look(self, samples: Samples) -> None:
        """Look at all alerts once, and tell whoever is to hear and has not."""
        for alert in self._alerts:
            if alert not in self._alerts:  # it was replaced while others were told
                continue
            try:
                await self._look(alert, samples)
            except Conflict:
                self._states.pop(alert.name, None)  # another process was first
            except PlaitError as error:
                fields = {"alert": alert.name, "code": error.code}
                text = "alert %s cannot be looked at: %s"
                logger.warning(text, alert.name, error, extra=fields)
            if alert in self._alerts:
                self._show(alert.name)

    async def _look(self, alert: Alert, samples: Samples) -> None:
        values = samples.words(alert.window_ms / 1000, alert.workflow)
        try:
            holds = alert.when.render_bool(values)
        except ExpressionError as error:
            fields = {"alert": alert.name, "code": error.code}
            logger.warning("alert %s: %s", alert.name, error, extra=fields)
            return
        state, version = await self._known(alert.name)
        if state.name != INACTIVE and state.by != self._process:
            if self._now_ms() - state.seen_ms <= _GONE_MS and not _is_over(alert, state):
                return
            state = replace(state, by=self._process, seen_ms=self._now_ms())
            version = await self._keep(alert.name, state, version)
        is_sure = samples.reach_s() * 1000 >= alert.window_ms
        following = self._next(alert, state, values, holds=holds, is_sure=is_sure)
        if following is not state:
            version = await self._keep(alert.name, following, version)
        if following.name != state.name:
            _log(alert, following)
        if following.name in (FIRING, RESOLVED):
            await self._tell_all(alert, following, version)

    def _next(
        self,
        alert: Alert,
        state: State,
        values: Mapping[str, Any],
        *,
        holds: bool,
        is_sure: bool,
    ) -> State:
        """Return how an alert stands from now on; the same object: as before."""
        now_ms = self._now_ms()
        if state.name in (INACTIVE, RESOLVED) and holds:
            state = self._state(PENDING)
        if state.name == PENDING and not holds:
            return self._state(INACTIVE)
        if state.name == PENDING and now_ms - state.since_ms >= alert.for_ms:
            return replace(self._state(FIRING), values=values)
        if state.name == FIRING and not holds and is_sure:
            return replace(self._state(RESOLVED), values=values)
        if state.name in (PENDING, FIRING) and now_ms - state.seen_ms >= _SIGN_MS:
            return replace(state, seen_ms=now_ms)
        return state

    def _state(self, name: str) -> State:
        now_ms = self._now_ms()
        return State(name, now_ms, self._process, now_ms)

    async def _tell_all(self, alert: Alert, state: State, version: int) -> None:
        told: JsonObject = {
            "id": f"{alert.name}-{state.name}-{state.since_ms}",
            "alert": alert.name,
            "state": state.name,
            "since_ms": state.since_ms,
            "description": alert.description,
            "workflow": alert.workflow,
            "values": dict(state.values or {}),
        }
        for number, who in enumerate(alert.notify):
            if number in state.told:
                continue
            try:
                await self._tell(who, told)
            except PlaitError as error:
                fields = {"alert": alert.name, "code": error.code}
                text = "alert %s was not told to notify[%d], and is again: %s"
                logger.warning(text, alert.name, number, error, extra=fields)
                continue
            state = replace(state, told=(*state.told, number))
            version = await self._keep(alert.name, state, version)

    async def _known(self, name: str) -> tuple[State, int]:
        known = self._states.get(name)
        if known is None or known[0].by not in ("", self._process):
            try:
                kept = await self._records.get(KIND, DEFAULT_TENANT, name)
            except StoreUnavailable:
                return State(), 0
            known = (State(), 0) if kept is None else (_read(kept.value), kept.version)
            self._states[name] = known
        return known

    async def _keep(self, name: str, state: State, version: int) -> int:
        """Keep a state in the store, where nobody has changed it since."""
        value = orjson.dumps(
            {
                "v": _FORMAT,
                "state": state.name,
                "since_ms": state.since_ms,
                "by": state.by,
                "seen_ms": state.seen_ms,
                "told": state.told,
                "values": state.values,
            }
        )
        change = Change(KIND, DEFAULT_TENANT, name, value, version)
        try:
            (version,) = await self._records.change([change], self._now_ms())
        except StoreUnavailable as error:
            text = "the state of alert %s is not kept: %s"
            logger.warning(text, name, error, extra={"alert": name})
        self._states[name] = state, version
        return version

    def _show(self, name: str) -> None:
        if self._gauge is not None:
            now = self.state_of(name).name
            for state in _SHOWN:
                is_it = now == state or (now == RESOLVED and state == INACTIVE)
                self._gauge.labels(name, state).set(is_it)


def _read(value: bytes) -> State:
    told = orjson.loads(value)
    since_ms, seen_ms = told["since_ms"], told["seen_ms"]
    who = tuple(told["told"])
    return State(told["state"], since_ms, told["by"], seen_ms, who, told["values"])


def _is_over(alert: Alert, state: State) -> bool:
    """Tell whether nothing is left to do about a firing: any process may begin the next."""
    return state.name == RESOLVED and len(state.told) >= len(alert.notify)


def _log(alert: Alert, state: State) -> None:
    fields = {"alert": alert.name, "status": state.name}
    if alert.workflow is not None:
        fields["workflow"] = alert.workflow
    level = logging.WARNING if state.name == FIRING else logging.INFO
    if state.name in (FIRING, RESOLVED):
        logger.log(level, "alert %s is %s", alert.name, state.name, extra=fields)
