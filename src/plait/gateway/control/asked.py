"""What a handler of the control plane is given: who asks, and whom it may ask in turn."""

from __future__ import annotations

from typing import ClassVar, Final, TypeVar

from plait.gateway.control.events import Events
from plait.gateway.layers import Exchange
from plait.model.caller import Caller
from plait.model.errors import PlaitError
from plait.model.json import JsonObject
from plait.model.record import record
from plait.ports.accounts import Accounts
from plait.ports.audit import Audit
from plait.ports.credentials import Vault
from plait.ports.platform import Agent, Deployments, Engine, Executions, Triggers

# Under which key of a request's scope it stands.
ASKED: Final = "plait.asked"

T = TypeVar("T")


class ServiceAbsent(PlaitError):
    """This gateway was put together without a service."""

    code: ClassVar[str] = "service.absent"

    def __init__(self, service: str) -> None:
        super().__init__(f"this gateway has no {service} service")
        self.details: JsonObject = {"service": service}


@record
class Services:
    """The services behind the control plane, in this process or in others."""

    executions: Executions | None = None
    engine: Engine | None = None
    deployments: Deployments | None = None
    triggers: Triggers | None = None
    agent: Agent | None = None
    vault: Vault | None = None
    audit: Audit | None = None
    accounts: Accounts | None = None

    def the_executions(self) -> Executions:
        """Return what shows executions, or raise ServiceAbsent; so do the others."""
        return _there(self.executions, "runtime")

    def the_engine(self) -> Engine:
        """Return what runs workflows."""
        return _there(self.engine, "engine")

    def the_deployments(self) -> Deployments:
        """Return what keeps deployments."""
        return _there(self.deployments, "runtime")

    def the_triggers(self) -> Triggers:
        """Return what triggers start executions by."""
        return _there(self.triggers, "runtime")

    def the_agent(self) -> Agent:
        """Return what drafts workflows."""
        return _there(self.agent, "agent")

    def the_vault(self) -> Vault:
        """Return what keeps credentials."""
        return _there(self.vault, "vault")

    def the_accounts(self) -> Accounts:
        """Return what keeps keys and users."""
        return _there(self.accounts, "accounts")

    def the_audit(self) -> Audit:
        """Return what records changes."""
        return _there(self.audit, "audit")


def _there(service: T | None, name: str) -> T:
    if service is None:
        raise ServiceAbsent(name)
    return service


@record
class Asked:
    """One request, on its way through the control plane.

    Attributes:
        exchange: The request itself, and its path's parameters.
        caller: On whose behalf.
        services: Who does what is asked.
        events: Makes streams of events.
        body: The JSON body; an empty object where there is none.
        is_trial: Whether nothing shall be changed, and so nothing is recorded.
    """

    exchange: Exchange
    caller: Caller
    services: Services
    events: Events
    body: JsonObject
    is_trial: bool = False
