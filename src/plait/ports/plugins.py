"""Plug-ins: what other packages may bring, by which entry points, and for which port.

| group | port | used when it is named by |
|---|---|---|
| `plait.connectors` | plait.ports.connector | a document: `type: NAME` |
| `plait.middleware` | plait.ports.middleware | `gateway.middleware` |
| `plait.authentication` | plait.ports.strategy | `security.strategies` |
| `plait.caches` | plait.ports.cache_backend | `resilience.cache` |

Rule 1. A plug-in says which version of its port it was written for; another one than this
        Plait has is refused, and not tried.
Rule 2. A package is imported when what it brings is used, and not before.

Not here: finding and loading them (plait.assembly.plugins).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar, Final

from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject
from plait.model.record import record

CONNECTORS: Final = "plait.connectors"
MIDDLEWARE: Final = "plait.middleware"
AUTHENTICATION: Final = "plait.authentication"
CACHES: Final = "plait.caches"

# What messages call what each group brings, and the version of its port.
KINDS: Final[Mapping[str, str]] = {
    CONNECTORS: "connector",
    MIDDLEWARE: "middleware",
    AUTHENTICATION: "authentication strategy",
    CACHES: "cache",
}
PORTS: Final[Mapping[str, int]] = {
    CONNECTORS: 1,
    MIDDLEWARE: 1,
    AUTHENTICATION: 1,
    CACHES: 1,
}

# What code of others may raise: `sys.exit()` ends what it was asked, and no process.
RAISED_BY_OTHERS: Final = (Exception, SystemExit)

_CHECK: Final = "`plait plugins check` tells of all"


@record
class PluginContext:
    """What a plug-in is made with.

    Attributes:
        options: Its own table of the settings: `[middleware.NAME]`, say. What it does not
            know or cannot use, it refuses with a ValueError that says what it takes.
        secrets: The secrets of the settings by name. Options name them, never hold them.
    """

    options: JsonObject = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


class PluginUnusable(PlaitError):
    """An installed package says that it brings something, and it cannot be used.

    >>> print(PluginUnusable(CONNECTORS, "fax", "acme-fax 1.0", "KeyError: 'speed'"))
    connector 'fax' of acme-fax 1.0 cannot be used: KeyError: 'speed' (update or remove \
that package; `plait plugins check` tells of all)
    """

    code: ClassVar[str] = "plugin.unusable"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST
    remedy: ClassVar[str] = "update or remove that package"

    def __init__(self, group: str, name: str, package: str, reason: str) -> None:
        what = f"{KINDS[group]} '{name}' of {package}"
        super().__init__(f"{what} cannot be used: {reason} ({self.remedy}; {_CHECK})")
        self.reason = reason
        self.details: JsonObject = {"name": name, "package": package}


class PluginClash(PluginUnusable):
    """Two packages bring the same name, or one that Plait has itself."""

    code: ClassVar[str] = "plugin.clash"
    remedy: ClassVar[str] = "remove one of the two"


class PluginOfOtherPort(PluginUnusable):
    """A plug-in was written for a version of its port that this Plait has not."""

    code: ClassVar[str] = "plugin.port"
    remedy: ClassVar[str] = "install a version of that package for this Plait"


class PluginMissing(PlaitError):
    """A setting names a plug-in that no installed package brings."""

    code: ClassVar[str] = "plugin.missing"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, group: str, name: str, setting: str, hint: str) -> None:
        text = f"{setting}: no installed package brings a {KINDS[group]} called '{name}'"
        super().__init__(f"{text} ({hint or 'install it'}; `plait plugins list` tells)")
        self.details: JsonObject = {"name": name}


class PluginOptionsInvalid(PlaitError):
    """A plug-in refuses what its table in the settings says."""

    code: ClassVar[str] = "plugin.options"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, group: str, name: str, reason: str) -> None:
        table = f"[{group.removeprefix('plait.')}.{name}]"
        super().__init__(f"{table} of the settings cannot be used: {reason}")
        self.details: JsonObject = {"name": name}
