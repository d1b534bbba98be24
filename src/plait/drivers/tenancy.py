"""Tenancy: what an execution may use because of whose it is.

Rule 1. The operator's secrets (`secrets.NAME`) are for the default tenant's workflows; the
        others have credentials of their own.
Rule 2. A call that shows a credential, runs a workflow, or is made once under a key says on
        whose behalf: its execution's tenant, and nothing that a document could say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from plait.model.caller import DEFAULT_TENANT
from plait.ports.calls import Call

_NONE: Final[Mapping[str, str]] = {}


def secrets_of(tenant: str, secrets: Mapping[str, str]) -> Mapping[str, str]:
    """Return those of the operator's secrets that a tenant's executions may read.

    >>> secrets_of("default", {"token": "t"}), secrets_of("acme", {"token": "t"})
    ({'token': 't'}, {})
    """
    return secrets if tenant == DEFAULT_TENANT else _NONE


def owned(call: Call, tenant: str) -> Call:
    """Return a call that says on whose behalf it is made, where that matters."""
    if tenant == call.tenant:
        return call
    if call.credential is None and call.kind != "workflow" and not _is_once(call):
        return call
    return replace(call, tenant=tenant)


def _is_once(call: Call) -> bool:
    asked = call.policies
    return asked is not None and asked.policies is not None and bool(asked.policies.once)
