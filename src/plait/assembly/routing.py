"""Calls of many kinds behind one port: each goes to the connector of its kind."""

from __future__ import annotations

from collections.abc import Mapping

from plait.model.failure import Failure
from plait.ports.calls import Call, CallHandle, Calls, Done, lacks_of


class CallsByKind:
    """Performs calls through the connector that each call's kind names.

    Args:
        connectors: Calls by step type.
    """

    def __init__(self, connectors: Mapping[str, Calls]) -> None:
        self._connectors = dict(connectors)
        self._lacks = {kind: lacks_of(calls) for kind, calls in connectors.items()}

    def start(self, call: Call, done: Done) -> CallHandle:
        """Begin `call`, as plait.ports.calls.Calls says."""
        connector = self._connectors.get(call.kind)
        if connector is None:
            text = f"no connector for '{call.kind}' steps is installed"
            done(Failure("connector.missing", text, sent=False))
            return _Nothing()
        return connector.start(call, done)

    def lacks(self, call: Call) -> bool:
        """Tell whether a call is left to other processes; see plait.ports.calls.Lacks."""
        lacks = self._lacks.get(call.kind)
        return lacks is not None and lacks(call)

    async def close(self) -> None:
        """Close every connector, even when one of them fails to."""
        errors: list[Exception] = []
        for connector in self._connectors.values():
            try:
                await connector.close()
            except Exception as error:
                errors.append(error)
        if errors:
            raise ExceptionGroup("connectors did not close", errors)


class _Nothing:
    """The handle of a call that never began."""

    def cancel(self) -> None:
        """Nothing is under way."""
