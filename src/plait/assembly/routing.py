"""Calls of many kinds behind one port: each goes to the connector of its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from plait.drivers.closing import close_all
from plait.model.errors import PlaitError
from plait.model.failure import Failure
from plait.ports.calls import Call, CallHandle, Calls, Done, lacks_of


class CallsByKind:
    """Performs calls through the connector that each call's kind names.

    Args:
        connectors: Calls by step type.
        late: What makes the calls of a type when the first of them comes. Where it raises
            a PlaitError, they all fail with that.
    """

    def __init__(
        self,
        connectors: Mapping[str, Calls],
        late: Mapping[str, Callable[[], Calls]] | None = None,
    ) -> None:
        self._connectors = dict(connectors)
        self._late = dict(late or {})
        self._lacks = {kind: lacks_of(calls) for kind, calls in connectors.items()}

    def start(self, call: Call, done: Done) -> CallHandle:
        """Begin `call`, as plait.ports.calls.Calls says."""
        connector = self._connectors.get(call.kind)
        if connector is None:
            connector = self._made(call.kind)
        if connector is None:
            text = f"no connector for '{call.kind}' steps is installed"
            done(Failure("connector.missing", text, sent=False))
            return _Nothing()
        return connector.start(call, done)

    def _made(self, kind: str) -> Calls | None:
        """Make the calls of a type that has had none."""
        make = self._late.pop(kind, None)
        if make is None:
            return None
        try:
            made = make()
        except PlaitError as error:
            made = _Failing(error)
        self._connectors[kind] = made
        self._lacks[kind] = lacks_of(made)
        return made

    def lacks(self, call: Call) -> bool:
        """Tell whether a call is left to other processes; see plait.ports.calls.Lacks."""
        if call.kind in self._late:
            self._made(call.kind)
        lacks = self._lacks.get(call.kind)
        return lacks is not None and lacks(call)

    async def close(self) -> None:
        """Close every connector, even when one of them fails to."""
        await close_all(*(one.close for one in self._connectors.values()))


class _Failing:
    """In place of a connector that cannot be made."""

    def __init__(self, error: PlaitError) -> None:
        self._failure = Failure(error.code, str(error), advice=error.advice, sent=False)

    def start(self, call: Call, done: Done) -> CallHandle:
        done(self._failure)
        return _Nothing()

    async def close(self) -> None:
        """Nothing is open."""


class _Nothing:
    """The handle of a call that never began."""

    def cancel(self) -> None:
        """Nothing is under way."""
