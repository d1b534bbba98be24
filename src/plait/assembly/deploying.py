"""Deployments, put together from settings: what keeps them, what compiles and serves them.

Not here: what they are (plait.operations.deploying).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final

import jsonschema_rs

from plait.assembly import compose
from plait.assembly.connectors import Available
from plait.assembly.deployed import endpoint_span
from plait.assembly.settings import Settings
from plait.assembly.stores import is_there, open_records
from plait.assembly.vaults import authorised
from plait.compile import Compiled, CompileErrors, compile_text
from plait.document import Catalog
from plait.document.limits import SourceLimits
from plait.drivers.clock import now_ms
from plait.gateway.contract import InputContract
from plait.gateway.deployment import Broken, Deployment, Loaded
from plait.gateway.endpoint_findings import endpoint_errors, endpoint_warnings
from plait.gateway.following import Follower
from plait.gateway.routes import is_gateways
from plait.gateway.threads import in_thread
from plait.model.caller import DEFAULT_TENANT
from plait.model.diagnostic import Diagnostic
from plait.model.record import record
from plait.operations.deploying import (
    Active,
    ActiveDeployments,
    Compiles,
    StoredDeployments,
)
from plait.plan import Plan
from plait.ports.records import Change, Record, Records

# What findings call a document that has no file.
STORED_SUFFIX: Final = " (deployed)"


class LateRecords:
    """Records that are opened when they are first needed (plait.ports.records).

    Who only looks makes no store: where there is none, there is nothing in it.

    Args:
        place: The store's address.
    """

    def __init__(self, place: str) -> None:
        self._place = place
        self._records: Records | None = None
        self._opening = asyncio.Lock()
        self._first: Callable[[], Awaitable[None]] | None = None

    @property
    def is_there(self) -> bool:
        """Whether there may be something in them."""
        return self._records is not None or is_there(self._place)

    def once_opened(self, first: Callable[[], Awaitable[None]]) -> None:
        """Await `first` when they are opened, before whoever needs them goes on."""
        self._first = first

    async def _opened(self) -> Records:
        if self._records is None:
            async with self._opening:
                if self._records is None:
                    self._records = await open_records(self._place)
        opened = self._records
        if self._first is not None:
            first, self._first = self._first, None
            # Who asked may leave: what was begun for all is done all the same.
            await asyncio.shield(asyncio.ensure_future(first()))
        return opened

    async def get(self, kind: str, tenant: str, key: str) -> Record | None:
        """See plait.ports.records.Records.get."""
        if not self.is_there:
            return None
        return await (await self._opened()).get(kind, tenant, key)

    async def find(
        self,
        kind: str,
        tenant: str | None,
        *,
        prefix: str = "",
        after: str = "",
        limit: int = 100,
        is_backward: bool = False,
    ) -> list[Record]:
        """See plait.ports.records.Records.find."""
        if not self.is_there:
            return []
        opened = await self._opened()
        return await opened.find(
            kind, tenant, prefix=prefix, after=after, limit=limit, is_backward=is_backward
        )

    async def count(self, kind: str, tenant: str) -> int:
        """See plait.ports.records.Records.count."""
        if not self.is_there:
            return 0
        return await (await self._opened()).count(kind, tenant)

    async def change(self, changes: Sequence[Change], at_ms: int) -> list[int]:
        """See plait.ports.records.Records.change."""
        return await (await self._opened()).change(changes, at_ms)

    async def revision(self) -> int:
        """See plait.ports.records.Records.revision."""
        return await (await self._opened()).revision()

    async def close(self) -> None:
        """See plait.ports.records.Records.close."""
        async with self._opening:
            if self._records is not None:
                await self._records.close()
                self._records = None


@record
class Deploying:
    """What deploys, and what follows it.

    Attributes:
        records: All records of the store.
        active: What is deployed now, compiled.
        deployments: See plait.ports.platform.Deployments. A change is served when its call
            returns.
        follower: For the gateway.
    """

    records: LateRecords
    active: ActiveDeployments
    deployments: StoredDeployments
    follower: Follower


def deploying(
    settings: Settings, connectors: Iterable[Available] | None = None
) -> Deploying:
    """Return what deploys into the store of the settings. Opens nothing yet."""
    records = LateRecords(settings.store.url)
    compiles = compiler(settings, connectors)
    active = ActiveDeployments(records, compiles)
    follower = Follower(_Stored(records, active))
    made = StoredDeployments(
        records,
        compiles,
        now_ms=now_ms,
        on_change=follower.look,
        authorises=authorised(records, connectors),
    )
    return Deploying(records, active, made, follower)


def deployments(
    settings: Settings, records: Records, connectors: Iterable[Available] | None = None
) -> StoredDeployments:
    """Return deployments that nobody in this process serves, for the operator at hand.

    What a command deploys are the operator's own files: they are trusted as such.
    """
    return StoredDeployments(
        records,
        compiler(settings, connectors),
        now_ms=now_ms,
        is_operators=True,
        authorises=authorised(records, connectors),
    )


async def active_plans(
    settings: Settings, records: Records, connectors: Iterable[Available] | None = None
) -> dict[tuple[str, str], Plan]:
    """Return the plans of all that is active in a store now, by tenant and name."""
    active = ActiveDeployments(records, compiler(settings, connectors))
    await active.look()
    return {
        (one.tenant, one.name): one.compiled.plan
        for one in active.all
        if one.compiled is not None
    }


def compiler(settings: Settings, connectors: Iterable[Available] | None = None) -> Compiles:
    """Return what compiles documents that are to be served, in a thread.

    What a gateway could not serve is an error there, and what it would warn of a warning.
    """
    catalog = compose.catalog(connectors)
    limits = compose.source_limits(settings)

    async def compiled(name: str, definition: str) -> Compiled:
        return await in_thread(
            partial(deployable, definition, _shown(name), catalog, limits)
        )

    return compiled


def deployable(
    definition: str, name: str, catalog: Catalog, limits: SourceLimits
) -> Compiled:
    """Return the plan of a document that can be deployed.

    Raises:
        CompileErrors: It does not compile, or no gateway could serve it.
    """
    # No ending: the text itself tells YAML from JSON.
    data = definition.encode()
    return _checked(compile_text(data, name=name, catalog=catalog, limits=limits))


def _checked(made: Compiled) -> Compiled:
    """Return `made` with what the gateway warns of.

    Raises:
        CompileErrors: The gateway cannot serve it.
    """
    endpoint = made.plan.endpoint
    if endpoint is None:
        return made
    span, path = endpoint_span(made), endpoint.path
    deployment = Deployment("", made.plan, span)
    wrong = endpoint_errors(deployment)
    if not wrong and is_gateways(path):
        text = f"{endpoint.method} {path} belongs to the gateway itself"
        wrong.append(Diagnostic("G003", text, "choose another path", span))
    try:
        InputContract(made.plan.input_schema)
    except jsonschema_rs.ValidationError as error:
        text = f"the input schema cannot be checked: {error.message}"
        wrong.append(Diagnostic("G005", text, "", span))
    if wrong:
        raise CompileErrors((*made.warnings, *wrong))
    more = endpoint_warnings(deployment)
    return Compiled(made.plan, made.document, (*made.warnings, *more))


def waiting_for(records: LateRecords) -> Follower:
    """Return what waits for a store and knows whether it can be reached; it serves nothing.

    Whoever closes it closes the records.
    """
    return Follower(_Reached(records))


class _Reached:
    """Whether a store can be reached, and nothing of what is in it."""

    def __init__(self, records: LateRecords) -> None:
        self._records = records
        self.revision = 0

    async def look(self) -> None:
        self.revision = await self._records.revision()

    async def close(self) -> None:
        await self._records.close()


class _Stored:
    """What is active, as the gateway takes it (plait.gateway.following.Stored)."""

    def __init__(self, records: LateRecords, active: ActiveDeployments) -> None:
        self._records = records
        self._active = active

    @property
    def revision(self) -> int:
        return self._active.revision

    async def look(self) -> Sequence[Loaded] | None:
        if not self._records.is_there or not await self._active.look():
            return None
        return [_loaded(one) for one in self._active.all]

    async def close(self) -> None:
        await self._records.close()


def _loaded(one: Active) -> Loaded:
    name = one.name if one.tenant == DEFAULT_TENANT else f"{one.tenant}/{one.name}"
    if one.compiled is None:
        return Broken(_shown(name), one.diagnostics)
    plan, span = one.compiled.plan, endpoint_span(one.compiled)
    # The gateway finds its own warnings again: those would be told twice.
    warnings = tuple(found for found in one.diagnostics if found.code[0] != "G")
    return Deployment(_shown(name), plan, span, warnings, one.tenant)


def _shown(name: str) -> str:
    return name + STORED_SUFFIX
