"""Plug-ins of installed packages: found by their entry points, loaded when they are used.

Rule 1. To find is to read what packages say of themselves; nothing of them is imported.
Rule 2. What cannot be used is refused by name, with the package that brings it, when it is
        asked for; nobody else is disturbed by it.

Not here: what a plug-in is (plait.ports.plugins), which settings name them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final, Generic, TypeVar

from plait.model.diagnostic import did_you_mean
from plait.model.json import JsonObject
from plait.ports.cache_backend import CacheBackend, CachePlugin
from plait.ports.connector import Connector
from plait.ports.middleware import Layer, Middleware
from plait.ports.plugins import (
    AUTHENTICATION,
    CACHES,
    CONNECTORS,
    MIDDLEWARE,
    PORTS,
    RAISED_BY_OTHERS,
    PluginClash,
    PluginContext,
    PluginMissing,
    PluginOfOtherPort,
    PluginOptionsInvalid,
    PluginUnusable,
)
from plait.ports.strategy import AuthenticationStrategy, Strategy

T = TypeVar("T")

# What the object is that an entry point of each group names.
_SHAPES: Final[Mapping[str, type[Any]]] = {
    CONNECTORS: Connector,
    MIDDLEWARE: Middleware,
    AUTHENTICATION: AuthenticationStrategy,
    CACHES: CachePlugin,
}
# What each makes.
_MADE: Final[Mapping[str, type[Any]]] = {
    MIDDLEWARE: Layer,
    AUTHENTICATION: Strategy,
    CACHES: CacheBackend,
}


class Plugin(Generic[T]):
    """What a package brings under one name.

    Args:
        entries: The entry points of that name; more than one is a clash.
        taken_by: What has the name already; empty: nothing.

    Attributes:
        package: The name and version of the package that brings it.
    """

    def __init__(
        self, group: str, name: str, entries: list[EntryPoint], taken_by: str = ""
    ) -> None:
        self.group = group
        self.name = name
        self.package = " and ".join(package_of(one) for one in entries)
        self._entries = entries
        self._taken_by = taken_by
        self._loaded: T | None = None

    def load(self) -> T:
        """Return it, imported when it is first asked for.

        Raises:
            PluginUnusable: It cannot be used.
        """
        if self._loaded is None:
            self._loaded = self._found()
        return self._loaded

    def unusable(self, reason: str) -> PluginUnusable:
        """Return the error that says why it cannot be used."""
        return PluginUnusable(self.group, self.name, self.package, reason)

    def _found(self) -> T:
        asked = self.group, self.name, self.package
        if self._taken_by:
            raise PluginClash(*asked, f"{self._taken_by} has that name")
        if len(self._entries) > 1:
            raise PluginClash(*asked, "both bring that name")
        try:
            found: Any = self._entries[0].load()
        except RAISED_BY_OTHERS as error:
            raise self.unusable(f"{type(error).__name__}: {error}") from error
        shape = _SHAPES[self.group]
        if not isinstance(found, shape):
            raise self.unusable(f"{self._entries[0].value} is no {shape.__name__}")
        version, ours = found.port, PORTS[self.group]
        if version != ours:
            text = f"it is for version {version} of its port, and this Plait has {ours}"
            raise PluginOfOtherPort(*asked, text)
        checked: T = found
        return checked


def package_of(entry: EntryPoint) -> str:
    """Return the name and version of the package that brings an entry point."""
    if entry.dist is None:
        return "an unknown package"
    return f"{entry.dist.name} {entry.dist.version}"


def installed(
    group: str,
    taken: Mapping[str, str] | None = None,
    found: Iterable[EntryPoint] | None = None,
) -> dict[str, Plugin[Any]]:
    """Return what installed packages bring of a group, by name.

    Args:
        taken: Names that are not to be had, and what has them.
        found: Entry points to use instead of the installed ones.
    """
    by_name: dict[str, list[EntryPoint]] = {}
    for entry in found if found is not None else entry_points(group=group):
        by_name.setdefault(entry.name, []).append(entry)
    taken = taken or {}
    return {
        name: Plugin(group, name, by_name[name], taken.get(name, ""))
        for name in sorted(by_name)
    }


def named(group: str, name: str, setting: str) -> Plugin[Any]:
    """Return the plug-in that a setting names.

    Raises:
        PluginMissing: No installed package brings it.
    """
    known = installed(group)
    plugin = known.get(name)
    if plugin is None:
        raise PluginMissing(group, name, setting, did_you_mean(name, list(known)))
    return plugin


def made(
    group: str,
    name: str,
    setting: str,
    options: Mapping[str, JsonObject],
    secrets: Mapping[str, str],
) -> tuple[Any, Any]:
    """Return the plug-in that a setting names, and what it makes.

    Args:
        setting: Which setting: `gateway.middleware`.
        options: The tables of the group, by name.

    Raises:
        PluginMissing: No installed package brings it.
        PluginUnusable: It cannot be used.
        PluginOptionsInvalid: It refuses its options.
    """
    plugin = named(group, name, setting)
    brought = plugin.load()
    try:
        found = brought.make(PluginContext(options.get(name, {}), secrets))
    except ValueError as error:
        raise PluginOptionsInvalid(group, name, str(error)) from error
    except RAISED_BY_OTHERS as error:
        raise plugin.unusable(f"{type(error).__name__}: {error}") from error
    checked(plugin, found, _MADE[group])
    return brought, found


def checked(plugin: Plugin[Any], found: object, protocol: type[Any]) -> None:
    """See to it that what a plug-in made is of its port, before anybody relies on it.

    Raises:
        PluginUnusable: Methods of it are missing.
    """
    names = [name for name, one in vars(protocol).items() if callable(one)]
    own = [name for name in names if not name.startswith("_")]
    missing = [name for name in own if not callable(getattr(found, name, None))]
    if missing:
        text = f"what it made ({type(found).__name__}) is no {protocol.__name__}"
        raise plugin.unusable(f"{text}: it lacks {', '.join(missing)}")
