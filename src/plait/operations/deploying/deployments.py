"""Deployments in this process: versions of workflows in a store, one of each active.

Rule 1. Whatever a call changes, it changes in one `Records.change`: documents, what is
        active, and who answers where. Nobody sees half of it.
Rule 2. What does not compile is not kept, and a version that no longer compiles is not
        activated again.
Rule 3. A version never changes. Executions run on their plan, so none of this touches one
        that is under way.

Not here: serving what is active (plait.operations.deploying.active).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from plait.compile import Compiled, CompileErrors
from plait.document.source import SourceErrors, read_as_meant
from plait.kernel.views import moment_text
from plait.model.caller import Caller, is_allowed, require
from plait.model.json import JsonObject
from plait.model.record import record
from plait.operations.deploying.authorised import CALLERS, Authorises
from plait.operations.deploying.difference import changes_between, text_difference
from plait.operations.deploying.errors import (
    DefinitionForbidden,
    DefinitionInvalid,
    DeploymentConflict,
    DeploymentRefused,
    NothingBefore,
)
from plait.operations.deploying.kept import (
    Deployed,
    DeploymentUnreadable,
    Document,
    Switch,
    Version,
    claims_of,
    load_deployed,
    version_of,
)
from plait.operations.deploying.plans import Compiles, compiled_version
from plait.operations.deploying.shelf import (
    Move,
    Shelf,
    activated,
    previous_of,
    removed,
    the_version,
    with_version,
)
from plait.operations.webhooks import webhook_path
from plait.ports.platform import Wanted
from plait.ports.records import Conflict, Records

_Moves: TypeAlias = Sequence[Move]
PAGE_SIZE_MAX: Final = 500
_DESCRIPTION_LENGTH_MAX: Final = 10_000
# Their paths stand in the deployment's record twice, which has 1 MiB.
_TRIGGERS_MAX: Final = 100
# Each round somebody else got on, so this many mean hundreds of deployments at once.
_ROUNDS_MAX: Final = 20
_SHOWN: Final = 12


@record
class _Candidate:
    wanted: Wanted
    compiled: Compiled
    document: Document
    version: str


@record
class Step:
    """What a deployment comes to, for one workflow.

    Attributes:
        change: `added`, `changed`, `unchanged` or `removed`.
        replaced: The version that was active before; None: none was.
        reply: What the API says of it.
    """

    name: str
    change: str
    version: str | None
    replaced: str | None
    reply: JsonObject


class StoredDeployments:
    """The deployments in a store (plait.ports.platform.Deployments).

    Args:
        compiles: Makes a plan of a document.
        now_ms: Tells the moment, milliseconds since the Unix epoch.
        on_change: Awaited before a call that changed something returns: it serves that.
        is_operators: Whether what is deployed through this is the operator's own: a
            command at the machine. Nothing that a caller sends can say so.
        authorises: Tells what a caller's document may not have; None: it may have all.
    """

    def __init__(
        self,
        records: Records,
        compiles: Compiles,
        *,
        now_ms: Callable[[], int],
        on_change: Callable[[], Awaitable[object]] | None = None,
        is_operators: bool = False,
        authorises: Authorises | None = None,
    ) -> None:
        self._authorises = authorises
        self._shelf = Shelf(records)
        self._compiles = compiles
        self._now_ms = now_ms
        self._on_change = on_change
        self._is_operators = is_operators

    # -- looking -----------------------------------------------------------------------

    async def validate(self, caller: Caller, wanted: Wanted) -> JsonObject:
        """Return `{valid, diagnostics, name}`: what speaks against a document, or what is
        to be warned of. Nothing is kept.

        Raises:
            As `deploy`, but for DefinitionInvalid: whatever it would refuse now.
        """
        # Editors only: what is wrong may be what the tenant's credentials are for.
        try:
            (step,) = await self.deploy_all(caller, [wanted], is_trial=True)
        except DefinitionInvalid as error:
            found = [one.as_json() for one in error.diagnostics]
            return {"valid": False, "diagnostics": [*found], "name": None}
        warnings = step.reply["warnings"]
        return {"valid": True, "diagnostics": warnings, "name": step.name}

    async def list(self, caller: Caller, *, after: str = "", limit: int = 50) -> JsonObject:
        """Return `{deployments, next}`, by name; those that the caller may see.

        `next` is what to give as `after` for those that follow; null: there are no more.
        """
        if not caller.grants:
            require(caller, "viewer")
        limit = max(1, min(limit, PAGE_SIZE_MAX))
        shown: list[JsonObject] = []
        while rows := await self._shelf.page(caller.tenant, after, limit + 1):
            for row in rows:
                if len(shown) == limit:
                    return {"deployments": [*shown], "next": after}
                after = row.key
                if is_allowed(caller, "viewer", row.key):
                    shown.append(_row(row.key, row.value))
        return {"deployments": [*shown], "next": None}

    async def get(self, caller: Caller, deployment_id: str) -> JsonObject:
        """Return one deployment with its versions and a definition: the active version's;
        of one that was removed, the last.
        """
        require(caller, "viewer", deployment_id)
        deployed = (await self._shelf.known(caller.tenant, deployment_id)).deployed
        shown = deployed.version(deployed.active) or deployed.versions[-1]
        document = await self._shelf.document(caller.tenant, deployment_id, shown.id)
        versions: list[JsonObject] = [
            {**_version_json(one), "is_active": one.id == deployed.active}
            for one in deployed.versions
        ]
        switches: list[JsonObject] = [
            {"version": one.version, "at": moment_text(one.at_ms), "by": one.by}
            for one in deployed.switches
        ]
        return {
            **_summary(deployed),
            "definition": document.definition,
            "definition_version": shown.id,
            "triggers": [*document.triggers],
            "triggers_text": document.triggers_text,
            "versions": [*reversed(versions)],
            "history": [*reversed(switches)],
        }

    async def active_names(self, caller: Caller) -> Sequence[str]:
        """Return the names of all that are active and that the caller may see."""
        if not caller.grants:
            require(caller, "viewer")
        names = await self._shelf.names(caller.tenant)
        return [name for name in names if is_allowed(caller, "viewer", name)]

    async def definition(self, caller: Caller, deployment_id: str, version: str) -> str:
        """Return a version's text, to the byte as it was deployed."""
        require(caller, "viewer", deployment_id)
        deployed = (await self._shelf.known(caller.tenant, deployment_id)).deployed
        found = the_version(deployed, version)
        return (
            await self._shelf.document(caller.tenant, deployment_id, found.id)
        ).definition

    async def difference(
        self, caller: Caller, deployment_id: str, old: str, new: str
    ) -> JsonObject:
        """Return how two versions differ: `{old, new, changes, text}`.

        Args:
            old, new: Ids, how they begin, `active`, or `previous`: the one to go back to.
        """
        require(caller, "viewer", deployment_id)
        deployed = (await self._shelf.known(caller.tenant, deployment_id)).deployed
        ids = [the_version(deployed, one).id for one in (old, new)]
        before, after = [
            await self._shelf.document(caller.tenant, deployment_id, one) for one in ids
        ]
        names = [f"{deployment_id} {one[:_SHOWN]}" for one in ids]
        told = difference_of(before.definition, after.definition, *names)
        return {"old": ids[0], "new": ids[1], **told}

    # -- changing ----------------------------------------------------------------------

    async def deploy(self, caller: Caller, wanted: Wanted) -> JsonObject:
        """Keep a version of a workflow, and serve it from now on. The same again changes
        nothing.

        Returns:
            `{deployment_id, name, version, status, webhook_url, created_at, changed}`, and
            `warnings` of the compiler.

        Raises:
            DefinitionInvalid: It does not compile, or may not have what it names.
            DefinitionForbidden: It runs a workflow that the caller may not run.
            DeploymentRefused: Its name is not the document's, or it cannot be kept.
            DeploymentConflict: Another version is active than was expected.
            EndpointTaken: Another deployment answers there.
        """
        (step,) = await self.deploy_all(caller, [wanted])
        return step.reply

    async def deploy_all(
        self,
        caller: Caller,
        wanted: Sequence[Wanted],
        *,
        prunes: bool = False,
        is_trial: bool = False,
    ) -> Sequence[Step]:
        """Deploy several workflows at one moment, or none of them.

        Args:
            prunes: Whether all others of the tenant are removed.
            is_trial: Whether to tell only what would be done.

        Raises:
            As `deploy`, for the first with which something is wrong.
        """
        if prunes:
            require(caller, "editor")
        candidates = [await self._candidate(caller, one) for one in wanted]
        names = [one.compiled.plan.name for one in candidates]
        for name in names:
            if names.count(name) > 1:
                raise DeploymentRefused(f"two documents are called '{name}': rename one")

        async def moves(at_ms: int) -> _Moves:
            made = [await self._deployed(caller, one, at_ms) for one in candidates]
            gone = await self._shelf.names(caller.tenant) if prunes else []
            return made + [
                await self._removed(caller, name, at_ms)
                for name in gone
                if name not in names
            ]

        done = await self._make(caller, moves, is_trial=is_trial)
        versions = {one.compiled.plan.name: one.version for one in candidates}
        steps = [_step(move, versions.get(move.after.name)) for move in done]
        for step, one in zip(steps, candidates, strict=False):
            step.reply["warnings"] = [found.as_json() for found in one.compiled.warnings]
        return steps

    async def activate(
        self, caller: Caller, deployment_id: str, version: str | None
    ) -> JsonObject:
        """Serve another kept version; None: the one before the active one.

        Raises:
            UnknownDeployment, UnknownVersion: There is none.
            NothingBefore: There was none before it.
            DefinitionInvalid: It does not compile any more.
            EndpointTaken: Another deployment answers there by now.
        """
        require(caller, "editor", deployment_id)

        async def moves(at_ms: int) -> _Moves:
            return [await self._activated(caller, deployment_id, version, at_ms)]

        (move,) = await self._make(caller, moves)
        return _step(move).reply

    async def undeploy(self, caller: Caller, deployment_id: str) -> JsonObject:
        """Serve it no longer. Executions in flight go on, and its versions are kept."""
        require(caller, "editor", deployment_id)
        await self._shelf.known(caller.tenant, deployment_id)

        async def moves(at_ms: int) -> _Moves:
            return [await self._removed(caller, deployment_id, at_ms)]

        (move,) = await self._make(caller, moves)
        return _step(move).reply

    # -- inside ------------------------------------------------------------------------

    async def _make(
        self,
        caller: Caller,
        moves: Callable[[int], Awaitable[_Moves]],
        *,
        is_trial: bool = False,
    ) -> _Moves:
        """Make what `moves` says, anew whenever somebody else was faster."""
        for left in reversed(range(_ROUNDS_MAX)):
            at_ms = self._now_ms()
            made = await moves(at_ms)
            if is_trial:
                await self._shelf.check(caller.tenant, made)
                return made
            try:
                await self._shelf.make(caller.tenant, made, at_ms)
            except Conflict:
                if not left:
                    raise
            else:
                break
        if self._on_change is not None and not all(move.is_none for move in made):
            await self._on_change()
        return made

    async def _candidate(self, caller: Caller, wanted: Wanted) -> _Candidate:
        require(caller, "editor", wanted.name or None)
        text = _utf_8(wanted.definition)
        if len(wanted.description) > _DESCRIPTION_LENGTH_MAX:
            raise DeploymentRefused(
                f"a description has at most {_DESCRIPTION_LENGTH_MAX} characters"
            )
        if len(wanted.triggers) > _TRIGGERS_MAX:
            raise DeploymentRefused(
                f"there are {len(wanted.triggers)} triggers beside the document, and "
                f"{_TRIGGERS_MAX} at most: let several workflows have them"
            )
        _check_triggers(wanted)
        document = Document(
            text, tuple(wanted.triggers), self._is_operators, wanted.triggers_text
        )
        compiled = await self._compiled(caller, wanted.name or "workflow", document)
        _check_name(wanted.name, compiled)
        return _Candidate(wanted, compiled, document, version_of(document))

    async def _compiled(self, caller: Caller, name: str, document: Document) -> Compiled:
        try:
            compiled = await compiled_version(self._compiles, name, document)
        except CompileErrors as error:
            raise DefinitionInvalid(name, error.diagnostics) from None
        await self._check_authorised(caller, name, compiled)
        return compiled

    async def _check_authorised(
        self, caller: Caller, name: str, compiled: Compiled
    ) -> None:
        if self._authorises is None:
            return
        wrong = await self._authorises(caller, compiled)
        if any(one.code == CALLERS for one in wrong):
            raise DefinitionForbidden(name, wrong)
        if wrong:
            raise DefinitionInvalid(name, wrong)

    async def _deployed(self, caller: Caller, one: _Candidate, at_ms: int) -> Move:
        plan, wanted = one.compiled.plan, one.wanted
        seen = await self._shelf.seen(caller.tenant, plan.name, at_ms)
        before = seen.deployed
        move = Move(seen, before)
        if before.version(one.version) is None:
            endpoint = plan.endpoint
            where = ("", "") if endpoint is None else (endpoint.method, endpoint.path)
            number = before.versions[-1].number + 1 if before.versions else 1
            hooks = tuple(webhook_path(caller.tenant, one.path) for one in plan.webhooks)
            version = Version(
                one.version, number, at_ms, caller.subject, *where, webhooks=hooks
            )
            move = with_version(seen, version, one.document)
        if wanted.activates and before.active != one.version:
            _check_expected(wanted, before)
            by = Switch(one.version, at_ms, caller.subject)
            move = activated(move, one.version, claims_of(plan), by)
        if wanted.description not in ("", before.description):
            after = replace(move.after, description=wanted.description)
            move = replace(move, after=after)
        return move

    async def _activated(
        self, caller: Caller, name: str, version: str | None, at_ms: int
    ) -> Move:
        seen = await self._shelf.known(caller.tenant, name)
        before, trail = seen.deployed, seen.deployed.trail
        if version is None:
            version = previous_of(before)
            if version is None:
                raise NothingBefore(name)
            # Going back twice leads two versions back, not to and fro.
            trail = trail[:-1] if before.active is not None else trail
            trail = trail[:-1]
        found = the_version(before, version)
        if found.id == before.active:
            return Move(seen, before)
        document = await self._shelf.document(caller.tenant, name, found.id)
        plan = (await self._compiled(caller, name, document)).plan
        by = Switch(found.id, at_ms, caller.subject)
        after = before.switched(found.id, (*trail, found.id), by)
        return Move(seen, replace(after, claims=claims_of(plan)))

    async def _removed(self, caller: Caller, name: str, at_ms: int) -> Move:
        seen = await self._shelf.seen(caller.tenant, name, at_ms)
        return removed(seen, Switch(None, at_ms, caller.subject))


def difference_of(old: str, new: str, old_name: str, new_name: str) -> JsonObject:
    """Return `{changes, text}`: how two documents' texts differ; empty: there is none."""
    changes = changes_between(_value_of(old), _value_of(new))
    return {"changes": [*changes], "text": text_difference(old, new, old_name, new_name)}


def _value_of(text: str) -> JsonObject:
    """Return what a document says; nothing, if this version cannot read it."""
    try:
        value = read_as_meant(text.encode(), name="workflow").value
    except SourceErrors:
        return {}
    return value if isinstance(value, dict) else {}


def _utf_8(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        message = "the document holds half of a surrogate pair: it cannot be kept as UTF-8"
        raise DeploymentRefused(message) from None
    return text


def _check_triggers(wanted: Wanted) -> None:
    """Refuse a text of triggers that says others than those that are to count."""
    if wanted.triggers_text is None:
        return
    try:
        told = json.loads(wanted.triggers_text.encode())
    except (ValueError, RecursionError):
        told = None
    if told != [*wanted.triggers]:
        message = "the text of the triggers does not say what they are: leave it out"
        raise DeploymentRefused(message)


def _check_name(name: str, compiled: Compiled) -> None:
    if name not in ("", compiled.plan.name):
        raise DeploymentRefused(
            f"the document is called '{compiled.plan.name}', and was to be deployed as "
            f"'{name}': give both the same name"
        )


def _check_expected(wanted: Wanted, before: Deployed) -> None:
    if wanted.expected is not None and wanted.expected != (before.active or ""):
        raise DeploymentConflict(before.name, wanted.expected, before.active)


def _step(move: Move, version: str | None = None) -> Step:
    """Return what a move comes to.

    Args:
        version: What was deployed, be it served or kept only; None: nothing was.
    """
    before, after = move.seen.deployed, move.after
    if move.is_none:
        change = "unchanged"
    elif after.active is None and before.active is not None:
        change = "removed"
    else:
        change = "changed" if before.versions else "added"
    latest = after.versions[-1].id if after.versions else None
    version = version or after.active or latest
    reply = {**_summary(after), "version": version, "changed": not move.is_none}
    reply["replaced"] = before.active
    return Step(after.name, change, version, before.active, reply)


def _row(key: str, value: bytes) -> JsonObject:
    try:
        return _summary(load_deployed(key, value))
    except DeploymentUnreadable as error:
        return {
            "deployment_id": key,
            "name": key,
            "status": "unreadable",
            "error": {"code": error.code, "message": str(error)},
        }


def _summary(deployed: Deployed) -> JsonObject:
    shown = deployed.version(deployed.active)
    latest = max(
        [deployed.created_at_ms]
        + [one.at_ms for one in deployed.versions[-1:]]
        + [one.at_ms for one in deployed.switches[-1:]]
    )
    has_endpoint = shown is not None and bool(shown.method)
    webhooks = [f"/webhooks{path}" for path in shown.webhooks] if shown else []
    return {
        "deployment_id": deployed.name,
        "name": deployed.name,
        "description": deployed.description,
        "status": "active" if deployed.active is not None else "inactive",
        "version": deployed.active,
        "endpoint": _version_json(shown)["endpoint"] if shown and has_endpoint else None,
        "webhook_url": webhooks[0] if webhooks else None,
        "webhook_urls": [*webhooks],
        "created_at": moment_text(deployed.created_at_ms),
        "updated_at": moment_text(latest),
    }


def _version_json(version: Version) -> JsonObject:
    endpoint: JsonObject = {"method": version.method, "path": version.path}
    return {
        "version": version.id,
        "number": version.number,
        "created_at": moment_text(version.at_ms),
        "created_by": version.by,
        "endpoint": endpoint if version.method else None,
    }
