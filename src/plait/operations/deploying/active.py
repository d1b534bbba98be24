"""What is active in a store, compiled: whoever serves it looks here.

Rule 1. One look shows one moment: what was switched together is seen together.
Rule 2. A stored definition that cannot be read or compiled is told, and hides no other.
Rule 3. Nothing is compiled twice: a version never changes.

Not here: serving it (plait.gateway), how often to look (plait.gateway.following).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from plait.compile import Compiled, CompileErrors
from plait.model.diagnostic import Diagnostic
from plait.model.errors import PlaitError
from plait.model.place import Span
from plait.model.record import record
from plait.operations.deploying.kept import (
    DEPLOYMENT,
    DeploymentUnreadable,
    load_deployed,
)
from plait.operations.deploying.plans import Compiles, compiled_version
from plait.operations.deploying.shelf import Shelf
from plait.ports.journal import StoreUnavailable
from plait.ports.records import Record, Records

logger = logging.getLogger("plait.deployments")

UNREADABLE: Final = "F003"
_START: Final = Span(1, 1, 1, 1)


@record
class Active:
    """An active deployment.

    Attributes:
        compiled: None: it cannot be run, and `diagnostics` says why.
        diagnostics: Beside `compiled`, only warnings.
    """

    tenant: str
    name: str
    version: str | None
    compiled: Compiled | None
    diagnostics: tuple[Diagnostic, ...]


class ActiveDeployments:
    """The active deployments of all tenants, as of the last look.

    Args:
        compiles: Makes a plan of a document.
    """

    def __init__(self, records: Records, compiles: Compiles) -> None:
        self._shelf = Shelf(records)
        self._compiles = compiles
        self._looking = asyncio.Lock()
        self._revision: int | None = None
        # By tenant and name: the version of the record, and what it led to.
        self._known: dict[tuple[str, str], tuple[int, Active | None]] = {}
        self.all: tuple[Active, ...] = ()

    @property
    def revision(self) -> int:
        """The store's revision up to which `all` is known; 0: nobody has looked."""
        return self._revision or 0

    async def look(self) -> bool:
        """Look into the store; return whether `all` is another now.

        Raises:
            StoreUnavailable: It cannot be reached; `all` is what it was.
        """
        async with self._looking:
            # Asked first: what changes while we look makes the next look find it.
            revision = await self._shelf.records.revision()
            if revision == self._revision:
                return False
            rows = await self._shelf.records.find(DEPLOYMENT, None)
            known = {(row.tenant, row.key): await self._taken(row) for row in rows}
            found = tuple(one for _, one in known.values() if one is not None)
            is_other = self._revision is None or found != self.all
            self._known, self.all, self._revision = known, found, revision
            return is_other

    async def _taken(self, row: Record) -> tuple[int, Active | None]:
        known = self._known.get((row.tenant, row.key))
        if known is not None and known[0] == row.version:
            return known
        return row.version, await self._active(row, None if known is None else known[1])

    async def _active(self, row: Record, former: Active | None) -> Active | None:
        """Return what a record leads to; None: its deployment is not active."""
        version: str | None = None
        try:
            version = load_deployed(row.key, row.value).active
            if version is None:
                return None
            if former is not None and former.version == version and former.compiled:
                return former
            document = await self._shelf.document(row.tenant, row.key, version)
            compiled = await compiled_version(self._compiles, row.key, document)
        except CompileErrors as error:
            return Active(row.tenant, row.key, version, None, error.diagnostics)
        except StoreUnavailable:
            raise
        except DeploymentUnreadable as error:
            return _broken(row, version, str(error))
        except Exception as error:
            # Rule 2, whatever a stored text does to the compiler.
            if not isinstance(error, PlaitError):
                logger.exception("deployment '%s' cannot be compiled", row.key)
            return _broken(row, version, f"cannot be compiled: {type(error).__name__}")
        return Active(row.tenant, row.key, version, compiled, compiled.warnings)


def _broken(row: Record, version: str | None, text: str) -> Active:
    hint = "deploy it again"
    found = Diagnostic(UNREADABLE, text, hint, _START)
    return Active(row.tenant, row.key, version, None, (found,))
