"""Parts of a gateway that whoever wires it brings along, by what they are for."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry

from plait.gateway.following import Follower
from plait.kernel import Kernel
from plait.model.json import JsonObject
from plait.model.record import record
from plait.operations.keeper import Keeper
from plait.operations.runs import Durable, LocalRuns
from plait.plan import Plan
from plait.ports.observer import Watch


@record
class Running:
    """What workflows run with, beside the driver of express ones.

    Attributes:
        kernel_for: Makes the kernel of a plan.
        keeper: The store of this process; None: it has none.
        elsewhere: Starts durable executions in another process; None: they are started in
            this process's store, and where there is none, they are not served.
        follower: Serves what is deployed in a store; None: nothing is.
        policies: What the policies around calls tell of themselves, for the metrics.
    """

    kernel_for: Callable[[Plan], Kernel] = Kernel
    keeper: Keeper | None = None
    elsewhere: Durable | None = None
    follower: Follower | None = None
    policies: Callable[[], JsonObject] | None = None

    @property
    def durable(self) -> Durable | None:
        """What starts durable executions; None: nothing does."""
        if self.elsewhere is not None or self.keeper is None:
            return self.elsewhere
        return LocalRuns(self.keeper)


@record
class Telling:
    """Who hears of what a gateway does.

    Attributes:
        watch: Hears of every request that was answered; None: nobody does.
        is_drawn: Tells of a trace that begins here whether it is; None: each is.
        registry: Has the metrics of others, which are answered with the gateway's own.
    """

    watch: Watch | None = None
    is_drawn: Callable[[str], bool] | None = None
    registry: CollectorRegistry | None = None
