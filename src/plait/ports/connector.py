"""Connectors: one kind of call, as documents ask for it and as it is made.

A package brings one by an entry point of the group `plait.connectors`, under the name of
its step type:

    [project.entry-points."plait.connectors"]
    fax = "acme_fax:CONNECTOR"

>>> from plait.connectors.python.step import PythonStep
>>> CONNECTOR = Connector(port=1, step=PythonStep, calls=lambda context: FaxCalls())
>>> CONNECTOR.name
'python'

A whole one: examples/plugins/line. Whoever would rather write a coroutine than callbacks:
plait.connectors.coroutines. Contract: plait.testing.connector_suite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from plait.document import Step
from plait.model.record import record
from plait.ports.calls import Calls
from plait.ports.credentials import Credential
from plait.ports.plugins import PluginContext


class Addresses(Protocol):
    """Turns hosts into addresses that may be connected to, by the operator's rules."""

    async def find(
        self, host: str, port: int, *, is_literal: bool
    ) -> Sequence[tuple[str, int]]:
        """Return the addresses of a host, in the order to try; at least one.

        Connect to what this returns and to nothing else: a name that is looked up again
        may lead to an inner network.

        Args:
            is_literal: Whether the host stands literally in the document: the call's
                `host_is_literal`. One out of a template may only be public.

        Raises:
            ConnectorError: It is no host, is unknown, or may not be called.
        """
        ...


@record
class ConnectorContext(PluginContext):
    """What a connector is made with; its options are `[connectors.NAME]`.

    Attributes:
        addresses: Everything that leaves the machine asks it first. None: in tests that
            call nobody.
    """

    addresses: Addresses | None = None


@record
class Connector:
    """One kind of call.

    Attributes:
        port: The version of this port that it was written for: 1.
        step: The model of the step type; its machine is `call`.
        calls: Makes what performs the calls, once, before the first of them. It is closed
            when the process ends.
        upstream: Tells of a rendered request to whom it goes, which is whose policies it
            is under: `http://orders:80`; empty: it goes nowhere. None: to one upstream,
            that of the type.
        credential: Puts a credential of the vault into a rendered request; needs
            `upstream`, which tells whether it is for there. None: steps of the type show
            none. Their model has `credential`, and their parts an option of that name.
    """

    port: int
    step: type[Step]
    calls: Callable[[ConnectorContext], Calls]
    upstream: Callable[[Mapping[str, object]], str] | None = None
    credential: Callable[[Mapping[str, object], Credential], dict[str, object]] | None = (
        None
    )

    @property
    def name(self) -> str:
        """The step type."""
        return self.step.type_name()
