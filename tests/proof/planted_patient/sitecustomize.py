"""A bug planted in a real gateway: each letter of a header gives it all its time again.

Python imports this before anything else in a process that finds it on its path.
"""

from __future__ import annotations

from plait.gateway.http1 import Connection

_data_received = Connection.data_received


def _patient(self: Connection, data: bytes) -> None:
    _data_received(self, data)
    self._wait_ms(self._limits.head_timeout_ms)


Connection.data_received = _patient  # type: ignore[method-assign]  # the plant
