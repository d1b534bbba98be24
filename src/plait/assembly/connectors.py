"""Connectors: the built-in ones, listed one by one, and those of other packages.

What a connector is, and how a package brings one: plait.ports.connector. Its settings stand
in `[connectors.NAME]` of plait.toml.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from importlib.metadata import EntryPoint
from typing import ClassVar, TypeAlias

from plait.assembly.plugins import Plugin, checked, installed
from plait.assembly.settings import Settings
from plait.connectors.egress import Egress, read_host
from plait.connectors.http import HttpCalls, HttpSettings
from plait.connectors.http.credentials import with_credential
from plait.connectors.http.step import HttpStep
from plait.connectors.http.upstream import upstream_of
from plait.connectors.python import Functions, PythonCalls, PythonStep
from plait.document import Step, planned
from plait.document.steps import built_in_steps
from plait.drivers.credentials import Way
from plait.model.errors import Advice, PlaitError
from plait.model.record import record
from plait.ports.calls import Calls
from plait.ports.connector import Connector, ConnectorContext
from plait.ports.credentials import Credential
from plait.ports.plugins import (
    CONNECTORS,
    RAISED_BY_OTHERS,
    PluginOptionsInvalid,
    PluginUnusable,
)


@record
class OwnContext(ConnectorContext):
    """What Plait's own connectors are made with: all of the settings."""

    settings: Settings = field(default_factory=Settings)


class Brought:
    """A connector of another package. It is imported when a document or a call names it."""

    def __init__(self, plugin: Plugin[Connector]) -> None:
        self._plugin = plugin
        self.name = plugin.name

    @property
    def step(self) -> type[Step]:
        """The model of the step type.

        Raises:
            PluginUnusable: It cannot be used.
        """
        return self._checked().step

    def calls(self, context: ConnectorContext) -> Calls:
        """Make what performs the calls.

        Raises:
            PluginUnusable: It cannot be used.
            PluginOptionsInvalid: It refuses its options.
        """
        make = self._checked().calls
        try:
            found = make(context)
        except ValueError as error:
            raise PluginOptionsInvalid(CONNECTORS, self.name, str(error)) from error
        except RAISED_BY_OTHERS as error:
            reason = f"{type(error).__name__}: {error}"
            raise self._plugin.unusable(reason) from error
        checked(self._plugin, found, Calls)
        return found

    def upstream(self, request: Mapping[str, object]) -> str:
        """Return to whom a request goes; where nobody can tell, the name of the type."""
        try:
            own = self._checked().upstream
        except PluginUnusable:  # the call itself will say so
            return self.name
        return self.name if own is None else own(request)

    def credential(
        self, request: Mapping[str, object], shown: Credential
    ) -> dict[str, object]:
        """Return a request that shows a credential.

        Raises:
            PluginUnusable: It cannot be used, or shows none.
        """
        own = self._checked().credential
        if own is None:
            raise self._plugin.unusable("its steps take `credential`, and show none")
        return own(request, shown)

    def _checked(self) -> Connector:
        connector = self._plugin.load()
        if connector.step.machine != "call":
            raise self._plugin.unusable("its step's machine is not `call`")
        if connector.name != self.name:
            text = f"its step type is '{connector.name}': an entry point has its name"
            raise self._plugin.unusable(text)
        return connector


Available: TypeAlias = Connector | Brought


class FunctionsUnusable(PlaitError):
    """`python.modules` names a module whose functions no step can call."""

    code: ClassVar[str] = "settings.python"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, reason: str) -> None:
        super().__init__(f"python.modules: {reason}")


def built_in_connectors() -> tuple[Connector, ...]:
    """Return the connectors that Plait brings."""
    return (
        Connector(1, HttpStep, _http_calls, upstream_of, with_credential),
        Connector(1, PythonStep, _python_calls, _function_of),
    )


def installed_connectors(
    found: Iterable[EntryPoint] | None = None,
) -> tuple[Available, ...]:
    """Return the built-in connectors and those of other installed packages.

    Args:
        found: Entry points to use instead of the installed ones.
    """
    own = built_in_connectors()
    return (*own, *map(Brought, _brought(found).values()))


def ways(connectors: Iterable[Available]) -> dict[str, Way]:
    """Return how calls show credentials, by their kind."""
    return {
        one.name: Way(one.credential, one.upstream)
        for one in connectors
        if one.credential is not None and one.upstream is not None
    }


def brought_connectors(
    found: Iterable[EntryPoint] | None = None,
) -> Mapping[str, Plugin[Connector]]:
    """Return what other packages bring, by name: also names that Plait has itself.

    Args:
        found: Entry points to use instead of the installed ones.
    """
    return installed(CONNECTORS, dict.fromkeys(_own_types(), "Plait itself"), found)


def brought_types(connectors: Iterable[Available]) -> list[str]:
    """Return the step types that other packages bring: those that take options."""
    own = {connector.name for connector in built_in_connectors()}
    return [one.name for one in connectors if one.name not in own]


def _brought(found: Iterable[EntryPoint] | None) -> dict[str, Plugin[Connector]]:
    """Return what can be named in documents: Plait's own types stay what they are."""
    own, known = _own_types(), brought_connectors(found)
    return {name: plugin for name, plugin in known.items() if name not in own}


def _own_types() -> frozenset[str]:
    """Return the types that Plait has, or will have."""
    steps = {one.type_name() for one in built_in_steps()}
    connectors = {one.name for one in built_in_connectors()}
    return planned.STEP_TYPES | steps | connectors


class _Addresses:
    """The egress rules, as plait.ports.connector.Addresses."""

    def __init__(self, egress: Egress) -> None:
        self._egress = egress

    async def find(
        self, host: str, port: int, *, is_literal: bool
    ) -> Sequence[tuple[str, int]]:
        return await self._egress.route(read_host(host), port, is_trusted=is_literal)


def context_of(
    connector: Available, settings: Settings, egress: Egress, secrets: Mapping[str, str]
) -> ConnectorContext:
    """Return what a connector is made with."""
    if isinstance(connector, Connector) and connector.step in (HttpStep, PythonStep):
        return OwnContext(settings=settings)
    options = settings.connectors.get(connector.name, {})
    return ConnectorContext(options, secrets, _Addresses(egress))


def _python_calls(context: ConnectorContext) -> Calls:
    assert isinstance(context, OwnContext)
    own = context.settings.python
    functions = Functions()
    if own.modules and str(own.path.resolve()) not in sys.path:
        sys.path.insert(0, str(own.path.resolve()))
    for name in own.modules:
        try:
            functions.add_module(name)
        except ValueError as error:
            raise FunctionsUnusable(str(error)) from error
    return PythonCalls(functions, threads_max=own.threads_max)


def _function_of(request: Mapping[str, object]) -> str:
    """A function is an upstream of its own: what it calls is not seen from here."""
    return f"python:{request.get('function', '')}"


def _http_calls(context: ConnectorContext) -> Calls:
    assert isinstance(context, OwnContext)
    settings, http = context.settings, context.settings.http
    return HttpCalls(
        HttpSettings(
            resolve=settings.resolve,
            allow_private=settings.egress.allow_private,
            allow=tuple(settings.egress.allow),
            connection_count_max=http.connection_count_max,
            idle_ms_max=http.idle_timeout,
            connect_timeout_ms=http.connect_timeout,
            body_bytes_max=http.body_bytes_max,
            ratio_max=http.unpack_ratio_max,
            name_ttl_ms=http.name_ttl,
        )
    )
