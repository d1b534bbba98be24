"""Tenancy: what an execution may use because of whose it is.

Rule 1. The operator's secrets (`secrets.NAME`) are for the default tenant's workflows; the
        others have credentials of their own.
Rule 2. Every call says on whose behalf it is made: its execution's tenant, and nothing that
        a document could say. Credentials, workflows, answers and gates go by that.
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
    """Return a call that says on whose behalf it is made.

    A copy only for other tenants than the default one, which calls are of to begin with.
    """
    return call if tenant == call.tenant else replace(call, tenant=tenant)
