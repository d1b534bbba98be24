"""Connectors: the built-in ones, listed one by one, and those of other packages.

Another package brings a connector by an entry point of the group `plait.connectors`:

    [project.entry-points."plait.connectors"]
    fax = "acme_fax.connector:CONNECTOR"

`CONNECTOR` is a `Connector`: the model of its step type, and what makes its calls. Its
settings stand in `[connectors.fax]` of plait.toml.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import ClassVar, Final

from plait.assembly.settings import Settings
from plait.connectors.egress import Egress
from plait.connectors.http import HttpCalls, HttpSettings
from plait.connectors.http.credentials import with_credential
from plait.connectors.http.step import HttpStep
from plait.connectors.http.upstream import upstream_of
from plait.connectors.python import Functions, PythonCalls, PythonStep
from plait.document import Step
from plait.drivers.credentials import Put, Way
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject
from plait.model.record import record
from plait.ports.calls import Calls

GROUP: Final = "plait.connectors"


@record
class ConnectorContext:
    """What a connector is made with.

    Attributes:
        settings: All of the operator's settings.
        options: The connector's own table, `[connectors.TYPE]` in plait.toml.
        egress: Turns hosts into addresses that may be connected to. Everything that
            leaves goes through it.
    """

    settings: Settings
    options: JsonObject
    egress: Egress


@record
class Connector:
    """One kind of call.

    Attributes:
        step: The model of the step type; its machine is `call`.
        calls: Makes what performs the calls. It is called once, before the event loop
            runs, and closed when the loop ends.
        upstream: Tells of a rendered request to whom it goes, which is whose policies it
            is under: `http://orders:80`; empty: it goes nowhere. None: to one upstream,
            that of the type.
        credential: Puts a credential of the vault into a rendered request; needs
            `upstream`, which tells whether it is for there. None: steps of the type show
            none. Their model has `credential`, and their parts an option of that name.
    """

    step: type[Step]
    calls: Callable[[ConnectorContext], Calls]
    upstream: Callable[[Mapping[str, object]], str] | None = None
    credential: Put | None = None


class ConnectorUnusable(PlaitError):
    """An installed package says that it brings a connector, and does not."""

    code: ClassVar[str] = "settings.connector"
    advice: ClassVar[Advice] = Advice.REPORT

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"connector '{name}' cannot be used: {reason}")


class FunctionsUnusable(PlaitError):
    """`python.modules` names a module whose functions no step can call."""

    code: ClassVar[str] = "settings.python"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, reason: str) -> None:
        super().__init__(f"python.modules: {reason}")


def built_in_connectors() -> tuple[Connector, ...]:
    """Return the connectors that Plait brings."""
    return (
        Connector(HttpStep, _http_calls, upstream_of, with_credential),
        Connector(PythonStep, _python_calls, _function_of),
    )


def installed_connectors(
    found: Iterable[EntryPoint] | None = None,
) -> tuple[Connector, ...]:
    """Return the built-in connectors and those of other installed packages.

    Args:
        found: Entry points to use instead of the installed ones.

    Raises:
        ConnectorUnusable: One cannot be imported, is no Connector, or takes a type that is
            there already.
    """
    connectors = list(built_in_connectors())
    names = {connector.step.type_name() for connector in connectors}
    for entry in found if found is not None else entry_points(group=GROUP):
        connector = _loaded(entry)
        name = connector.step.type_name()
        if name in names:
            raise ConnectorUnusable(entry.name, f"step type '{name}' is there already")
        names.add(name)
        connectors.append(connector)
    return tuple(connectors)


def ways(connectors: Iterable[Connector]) -> dict[str, Way]:
    """Return how calls show credentials, by their kind."""
    return {
        one.step.type_name(): Way(one.credential, one.upstream)
        for one in connectors
        if one.credential is not None and one.upstream is not None
    }


def brought_types(connectors: Iterable[Connector]) -> list[str]:
    """Return the step types that other packages bring: those that take options."""
    own = {connector.step for connector in built_in_connectors()}
    return [one.step.type_name() for one in connectors if one.step not in own]


def _loaded(entry: EntryPoint) -> Connector:
    try:
        connector = entry.load()
    except Exception as error:  # another's code runs here, and may raise anything
        reason = f"{type(error).__name__}: {error}"
        raise ConnectorUnusable(entry.name, reason) from error
    if not isinstance(connector, Connector):
        raise ConnectorUnusable(entry.name, f"{entry.value} is no Connector")
    if connector.step.machine != "call":
        raise ConnectorUnusable(entry.name, "its step's machine is not `call`")
    return connector


def _python_calls(context: ConnectorContext) -> Calls:
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
