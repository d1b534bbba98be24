"""Callers: on whose behalf something is asked, and what they may.

Whoever authenticates makes one; everything below trusts it and asks no further.

Not here: keys, tokens and passwords (plait.security).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from typing import ClassVar, Final

from plait.model.errors import Advice, PlaitError
from plait.model.record import record

DEFAULT_TENANT: Final = "default"
TENANT_FORM: Final = "letters, digits, '.', '_', '-'; at most 128"
_TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)


@record
class Caller:
    """Who asks, and what they may.

    Attributes:
        subject: Who, for people and the audit log: `user:ann`, `key:7f3a`, `local`.
        tenant: Whose things they see. Those of others do not exist for them.
        role: What they may on all workflows of the tenant: `viewer`, `operator`, `editor`
            or `admin`; None: only what `grants` say.
        grants: What they may on single workflows, by name: role names.
    """

    subject: str
    tenant: str = DEFAULT_TENANT
    role: str | None = None
    grants: Mapping[str, str] = field(default_factory=dict)


# Who stands at the machine itself: the command line; everybody, where the operator said so.
LOCAL: Final = Caller("local", role="admin")

# A program that asks a gateway of its own machine, and shows no key. It is no admin: what
# looks like one may be a proxy that says nothing of itself, and a key that the world made
# through it would outlast its discovery.
LOCAL_PROGRAM: Final = Caller("local", role="editor")

# Who has shown nothing of themselves, and knows an execution by its id at most.
ANYBODY: Final = Caller("anybody", tenant="")


# Each may all that those before it may.
ROLES: Final = ("viewer", "operator", "editor", "admin")


class Forbidden(PlaitError):
    """The caller is known, and may not do this."""

    code: ClassVar[str] = "request.forbidden"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, caller: Caller, needed: str, workflow: str | None = None) -> None:
        on = f" on workflow '{workflow}'" if workflow is not None else ""
        text = f"{caller.subject} lacks the role '{needed}'{on}"
        if caller == LOCAL_PROGRAM:
            text += "; show a key that has it, or use the command line at the machine"
        super().__init__(text)
        self.needed = needed


def is_tenant(name: object) -> bool:
    """Tell whether a tenant can be called so.

    >>> is_tenant("acme"), is_tenant("*"), is_tenant("")
    (True, False, False)
    """
    return isinstance(name, str) and _TENANT.fullmatch(name) is not None


def is_allowed(caller: Caller, needed: str, workflow: str | None = None) -> bool:
    """Tell whether a caller has the role `needed`, or one that includes it.

    Args:
        workflow: The workflow it is about; None: no single one, so grants do not help.

    >>> ann = Caller("user:ann", role="viewer", grants={"orders": "editor"})
    >>> is_allowed(ann, "operator"), is_allowed(ann, "operator", "orders")
    (False, True)
    """
    held = [caller.role, caller.grants.get(workflow) if workflow is not None else None]
    return any(role is not None and _rank(role) >= _rank(needed) for role in held)


def require(caller: Caller, needed: str, workflow: str | None = None) -> None:
    """Let a caller pass that has the role `needed`.

    Raises:
        Forbidden: It has not.
    """
    if not is_allowed(caller, needed, workflow):
        raise Forbidden(caller, needed, workflow)


def _rank(role: str) -> int:
    return ROLES.index(role)
