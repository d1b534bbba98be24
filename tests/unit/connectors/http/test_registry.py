"""The connections of a client, and the end of them all."""

from __future__ import annotations

import asyncio

import pytest

from plait.connectors.http import registry
from plait.connectors.http.registry import Registry


class Undying:
    """A connection whose end nobody ever tells."""

    is_dropped = False

    def drop(self) -> None:
        """Close; but the loop forgets to say so."""
        self.is_dropped = True


async def test_closing_waits_for_no_connection_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "_GONE_S_MAX", 0.01)
    connections, undying = Registry(), Undying()
    connections.add(undying)
    async with asyncio.timeout(5):
        await connections.close()
    assert undying.is_dropped
