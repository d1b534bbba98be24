"""The shelf: deployments in records, read and written.

Not here: what they are made of (plait.operations.deploying.kept), who may do what and why
(plait.operations.deploying.deployments).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from plait.model.record import record
from plait.operations.deploying.errors import (
    EndpointTaken,
    UnknownDeployment,
    UnknownVersion,
)
from plait.operations.deploying.kept import (
    CLAIM,
    DEPLOYMENT,
    VERSION,
    VERSIONS_BYTES_MAX,
    VERSIONS_MAX,
    Deployed,
    DeploymentUnreadable,
    Document,
    Switch,
    Version,
    dump_claim,
    dump_deployed,
    dump_document,
    length_of,
    load_claim,
    load_deployed,
    load_document,
    without_repeats,
)
from plait.ports.records import Change, Record, Records

# A person who looks for a version writes no fewer digits of its id.
_PREFIX_LENGTH_MIN = 4
_PAGE_SIZE = 200


@record
class Seen:
    """A deployment as it stands, and the version of its record; 0: there is none."""

    deployed: Deployed
    record_version: int = 0


@record
class Move:
    """What becomes of one deployment.

    Attributes:
        document: A version that is new; None: all are there already.
        dropped: Ids of versions that are kept no longer.
    """

    seen: Seen
    after: Deployed
    document: Document | None = None
    dropped: tuple[str, ...] = ()

    @property
    def is_none(self) -> bool:
        """True when all stays as it is."""
        return self.after == self.seen.deployed


class Shelf:
    """Reads and writes the deployments of all tenants."""

    def __init__(self, records: Records) -> None:
        self.records = records

    async def seen(self, tenant: str, name: str, at_ms: int) -> Seen:
        """Return how a deployment stands; of none, an empty one that begins now.

        So does one whose record is damaged: deploying it again mends that.

        Raises:
            DeploymentUnreadable: A newer version wrote it.
        """
        found = await self.records.get(DEPLOYMENT, tenant, name)
        if found is None:
            return Seen(Deployed(name, at_ms))
        try:
            return Seen(load_deployed(name, found.value), found.version)
        except DeploymentUnreadable as error:
            if error.is_newer:
                raise
            return Seen(Deployed(name, at_ms), found.version)

    async def known(self, tenant: str, name: str) -> Seen:
        """Return how a deployment stands.

        Raises:
            UnknownDeployment: There is none.
        """
        found = await self.records.get(DEPLOYMENT, tenant, name)
        if found is None:
            raise UnknownDeployment(name)
        return Seen(load_deployed(name, found.value), found.version)

    async def document(self, tenant: str, name: str, version: str) -> Document:
        """Return what a version holds.

        Raises:
            DeploymentUnreadable: It is not there, though it ought to be.
        """
        found = await self.records.get(VERSION, tenant, f"{name}/{version}")
        if found is None:
            raise DeploymentUnreadable(name)
        return load_document(name, found.value)

    async def page(self, tenant: str, after: str, limit: int) -> list[Record]:
        """Return the records of deployments, by name."""
        return await self.records.find(DEPLOYMENT, tenant, after=after, limit=limit)

    async def names(self, tenant: str) -> list[str]:
        """Return the names of all that are active."""
        names: list[str] = []
        after = ""
        while rows := await self.page(tenant, after, _PAGE_SIZE):
            names += [one.key for one in rows if is_active(one)]
            after = rows[-1].key
        return names

    async def make(self, tenant: str, moves: Iterable[Move], at_ms: int) -> None:
        """Make all of `moves`, or none.

        Raises:
            EndpointTaken: One claims what another deployment has.
            Conflict: Something was changed meanwhile.
        """
        wanted = [move for move in moves if not move.is_none]
        changes = [change for move in wanted for change in _own_changes(tenant, move)]
        changes += await self._claims(tenant, wanted)
        if changes:
            await self.records.change(changes, at_ms)

    async def check(self, tenant: str, moves: Iterable[Move]) -> None:
        """Raise what `make` would raise, and make nothing."""
        await self._claims(tenant, [move for move in moves if not move.is_none])

    async def _claims(self, tenant: str, moves: list[Move]) -> list[Change]:
        """Return the changes of claims: what one gives up, another may have at once."""
        holders = {one: move.after.name for move in moves for one in move.after.claims}
        for move in moves:
            for claim in move.after.claims:
                if holders[claim] != move.after.name:
                    raise EndpointTaken(move.after.name, claim, holders[claim])
        given_up = {one for move in moves for one in move.seen.deployed.claims}
        moving = {move.after.name for move in moves}
        changes: list[Change] = []
        for claim in sorted(given_up | holders.keys()):
            found = await self.records.get(CLAIM, tenant, claim)
            holder = None if found is None else load_claim(claim, found.value)
            wanted, expected = holders.get(claim), 0 if found is None else found.version
            if wanted is not None and holder is not None and holder not in moving:
                raise EndpointTaken(wanted, claim, holder)
            # One that another has meanwhile is not ours to remove.
            if wanted != holder and (wanted is not None or holder in moving):
                value = None if wanted is None else dump_claim(wanted)
                changes.append(Change(CLAIM, tenant, claim, value, expected))
        return changes


def _own_changes(tenant: str, move: Move) -> Iterator[Change]:
    after, name = move.after, move.after.name
    data = dump_deployed(after)
    yield Change(DEPLOYMENT, tenant, name, data, move.seen.record_version)
    if move.document is not None:
        data = dump_document(move.document)
        yield Change(VERSION, tenant, f"{name}/{after.versions[-1].id}", data)
    for version in move.dropped:
        yield Change(VERSION, tenant, f"{name}/{version}", None)


def is_active(row: Record) -> bool:
    """Tell whether a record's deployment is active; one that cannot be read is not."""
    try:
        return load_deployed(row.key, row.value).active is not None
    except DeploymentUnreadable:
        return False


def with_version(seen: Seen, version: Version, document: Document) -> Move:
    """Return the move that keeps a new version, and drops the oldest if they are many, or
    long together. The active one stays.
    """
    deployed = seen.deployed
    versions = (*deployed.versions, version)
    free = [one for one in deployed.versions if one.id != deployed.active]
    too_many = max(0, len(versions) - VERSIONS_MAX)
    too_long = sum(map(length_of, versions)) - VERSIONS_BYTES_MAX
    gone: list[Version] = []
    for one in free:
        if len(gone) >= too_many and too_long <= 0:
            break
        gone.append(one)
        too_long -= length_of(one)
    dropped = tuple(one.id for one in gone)
    versions = tuple(one for one in versions if one.id not in dropped)
    trail = without_repeats(one for one in deployed.trail if one not in dropped)
    after = replace(deployed, versions=versions, trail=trail)
    return Move(seen, after, document, dropped)


def activated(move: Move, version: str, claims: tuple[str, ...], by: Switch) -> Move:
    """Return the move that makes `version` active as well."""
    after = move.after
    if after.active == version:
        return move
    after = after.switched(version, (*after.trail, version), by)
    return replace(move, after=replace(after, claims=claims))


def removed(seen: Seen, by: Switch) -> Move:
    """Return the move that leaves none active; the trail stays, to go back."""
    before = seen.deployed
    if before.active is None:
        return Move(seen, before)
    return Move(seen, replace(before.switched(None, before.trail, by), claims=()))


def the_version(deployed: Deployed, told: str) -> Version:
    """Return the version that `told` names: an id, how it begins, `active`, `previous`.

    Raises:
        UnknownVersion: There is none, or several begin so.
    """
    if told in ("active", "previous"):
        wanted = deployed.active if told == "active" else previous_of(deployed)
        found = deployed.version(wanted)
        if found is None:
            raise UnknownVersion(deployed.name, told)
        return found
    begins = [one for one in deployed.versions if one.id.startswith(told)]
    if len(told) < _PREFIX_LENGTH_MIN or not begins:
        raise UnknownVersion(deployed.name, told)
    if len(begins) > 1:
        raise UnknownVersion(deployed.name, told, len(begins))
    return begins[0]


def previous_of(deployed: Deployed) -> str | None:
    """Return the version to go back to; None: there is none.

    Of one that was removed, the version that was active last.
    """
    trail = deployed.trail
    if deployed.active is None:
        return trail[-1] if trail else None
    return trail[-2] if len(trail) > 1 else None
