"""All plug-ins that are installed: for people, who want to know what is there and works."""

from __future__ import annotations

from typing import Any

from plait.assembly.connectors import Brought, brought_connectors
from plait.assembly.plugins import Plugin, installed
from plait.model.errors import PlaitError
from plait.ports.plugins import CONNECTORS, PORTS


def every_plugin() -> list[Plugin[Any]]:
    """Return what installed packages bring, group by group; nothing is imported."""
    found: list[Plugin[Any]] = [*brought_connectors().values()]
    for group in PORTS:
        if group != CONNECTORS:
            found.extend(installed(group).values())
    return found


def trouble_of(plugin: Plugin[Any]) -> dict[str, str] | None:
    """Return the code and the message that say why it cannot be used; None: it can."""
    try:
        if plugin.group == CONNECTORS:
            _ = Brought(plugin).step
        else:
            plugin.load()
    except PlaitError as error:
        return {"code": error.code, "message": str(error)}
    return None
