"""Callers: on whose behalf something is asked.

Whoever authenticates makes one; everything below trusts it and asks no further.

Not here: keys, tokens and passwords (plait.security).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from plait.model.record import record

DEFAULT_TENANT: Final = "default"


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


# Who stands at the machine itself: the command line, a gateway that only it can reach.
LOCAL: Final = Caller("local", role="admin")
