"""The vault in a store: adding, replacing, removing, opening and rotating credentials.

Rule 1. The store has them encrypted; the keys are not in it.
Rule 2. Whoever changes one names its tenant by being of it.
Rule 3. A rotation is made of single changes, each whole: one that is broken off is done
        again from the beginning, and finds what is left.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from plait.model.caller import Caller, require
from plait.model.json import JsonObject
from plait.model.record import record
from plait.ports.credentials import (
    Credential,
    CredentialExists,
    CredentialInvalid,
    CredentialUnknown,
    VaultKeyMissing,
)
from plait.ports.records import Change, Conflict, Record, Records
from plait.security.vault.hosts import read_hosts
from plait.security.vault.kept import KIND, Kept, kept_in, packed_credential
from plait.security.vault.kinds import checked
from plait.security.vault.ring import KeyRing

if TYPE_CHECKING:
    from types import ModuleType

PAGE_SIZE_MAX: Final = 500
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
_WORKFLOW: Final = re.compile(r"[A-Za-z0-9_.-]{1,200}", re.ASCII)
_WORKFLOWS_MAX: Final = 200
_TRIES_MAX: Final = 20
_AT_HAND_MAX: Final = 10_000
_KEYS: Final = frozenset({"name", "type", "hosts", "workflows", "fields"})


@record
class Rotation:
    """What a rotation did.

    Attributes:
        key: The id of the newest key.
        changed: How many were encrypted anew.
        unchanged: How many were under the newest key already.
    """

    key: str
    changed: int
    unchanged: int


class StoredVault:
    """The credentials of a store (plait.ports.credentials: `Credentials` and `Vault`).

    Args:
        ring: The keys; an empty ring opens nothing and keeps nothing.
        now_ms: Returns the moment, milliseconds since the Unix epoch.
        kept_ms: How long an opened credential is used without looking again.
        is_there: Whether there may be a store: who only looks makes none.
    """

    def __init__(
        self,
        records: Records,
        ring: KeyRing,
        now_ms: Callable[[], int],
        *,
        kept_ms: int = 5_000,
        is_there: Callable[[], bool] = lambda: True,
    ) -> None:
        self._records = records
        self._ring = ring
        self._now_ms = now_ms
        self._kept_ms = kept_ms
        self._is_there = is_there
        self._at_hand: dict[tuple[str, str], tuple[int, Credential]] = {}
        # How often this process changed one.
        self._changes = 0

    # -- where calls are made ------------------------------------------------------------

    def at_hand(self, tenant: str, name: str) -> Credential | None:
        """See plait.ports.credentials.Credentials."""
        known = self._at_hand.get((tenant, name))
        if known is None or known[0] <= self._now_ms():
            return None
        return known[1]

    async def open(self, tenant: str, name: str) -> Credential:
        """See plait.ports.credentials.Credentials."""
        until_ms, changes = self._now_ms() + self._kept_ms, self._changes
        kept = await self._kept(tenant, name)
        credential = kept.credential(_box().opened(self._ring, kept))
        if changes != self._changes:
            return credential  # read before the change perhaps: it is not remembered
        if len(self._at_hand) >= _AT_HAND_MAX:
            self._at_hand.clear()
        self._at_hand[tenant, name] = until_ms, credential
        return credential

    async def look_up(self, tenant: str, name: str) -> Kept | None:
        """Return what is known of a credential, unopened; None: there is none."""
        found = None
        if self._is_there() and _NAME.fullmatch(name):
            found = await self._records.get(KIND, tenant, name)
        return None if found is None else kept_in(found)

    async def check_keys(self) -> None:
        """Raise VaultKeyMissing when something is kept whose key is not in the ring."""
        if not self._is_there():
            return
        needed = {kept_in(one).key for one in await self._records.find(KIND, None)}
        lacking = sorted(key for key in needed if key not in self._ring)
        if lacking:
            listed = ", ".join(f"'{one}'" for one in lacking)
            raise VaultKeyMissing(
                f"the store has credentials under the key {listed}, which is not in the "
                "settings: set PLAIT_VAULT_KEY, or `[vault.keys]` in plait.toml"
            )

    # -- for people ----------------------------------------------------------------------

    async def list(self, caller: Caller, *, after: str = "", limit: int = 50) -> JsonObject:
        """See plait.ports.credentials.Vault."""
        require(caller, "admin")
        limit = max(1, min(limit, PAGE_SIZE_MAX))
        found: Sequence[Record] = []
        if self._is_there():
            found = await self._records.find(
                KIND, caller.tenant, after=after, limit=limit + 1
            )
        shown = [kept_in(one).as_json() for one in found[:limit]]
        following = found[limit - 1].key if len(found) > limit else None
        return {"credentials": [*shown], "next": following}

    async def get(self, caller: Caller, name: str) -> JsonObject:
        """See plait.ports.credentials.Vault."""
        require(caller, "admin")
        return (await self._kept(caller.tenant, name)).as_json()

    async def add(self, caller: Caller, wanted: Mapping[str, object]) -> JsonObject:
        """See plait.ports.credentials.Vault."""
        require(caller, "admin")
        name = wanted.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            text = "letters, digits, '.', '_' and '-', 100 at most"
            raise CredentialInvalid(f"the name of a credential is {text}")
        now_ms = self._now_ms()
        blank = Kept(caller.tenant, secrets.token_hex(8), name, "", (), (), now_ms, now_ms)
        made = await self._sealed(blank, wanted)
        try:
            await self._put(made, expected=0)
        except Conflict:
            raise CredentialExists(name) from None
        return made.as_json()

    async def replace(
        self, caller: Caller, name: str, wanted: Mapping[str, object]
    ) -> JsonObject:
        """See plait.ports.credentials.Vault."""
        require(caller, "admin")
        if wanted.get("name", name) != name:
            raise CredentialInvalid("a credential keeps its name: add another")
        for _ in range(_TRIES_MAX):
            found = await self._found(caller.tenant, name)
            before = kept_in(found)
            number = before.number + 1
            blank = replace(before, number=number, changed_at_ms=self._now_ms())
            made = await self._sealed(replace(blank, rotated_at_ms=None), wanted)
            if await self._did_put(made, found.version):
                return made.as_json()
        raise Conflict(KIND, name)

    async def remove(self, caller: Caller, name: str) -> JsonObject:
        """See plait.ports.credentials.Vault."""
        require(caller, "admin")
        kept = await self._kept(caller.tenant, name)
        gone = Change(KIND, caller.tenant, name, None)
        await self._records.change([gone], self._now_ms())
        self._forget(caller.tenant, name)
        return kept.as_json()

    async def rotate(self) -> Rotation:
        """Encrypt everything anew that is not under the newest key, of all tenants.

        Raises:
            VaultKeyMissing: Something is under a key that is not here; what could be done
                before it was is done.
        """
        newest, changed, unchanged = self._ring.newest, 0, 0
        for one in await self._records.find(KIND, None):
            if await self._rotated(one, newest):
                changed += 1
            else:
                unchanged += 1
        return Rotation(newest, changed, unchanged)

    # -- inside --------------------------------------------------------------------------

    async def _rotated(self, one: Record, newest: str) -> bool:
        found: Record | None = one
        for _ in range(_TRIES_MAX):
            if found is None or kept_in(found).key == newest:
                return False  # removed or replaced meanwhile, or done before
            kept, box = kept_in(found), _box()
            anew = replace(kept, rotated_at_ms=self._now_ms())
            made: Kept = box.sealed(self._ring, anew, box.opened(self._ring, kept))
            if await self._did_put(made, found.version):
                return True
            found = await self._records.get(KIND, one.tenant, one.key)
        raise Conflict(KIND, one.key)

    async def _sealed(self, blank: Kept, wanted: Mapping[str, object]) -> Kept:
        unknown = sorted(str(name)[:40] for name in wanted if name not in _KEYS)
        if unknown:
            raise CredentialInvalid(f"a credential has no '{unknown[0]}'")
        # In a thread: a certificate is judged by way of a file, and a long key takes time.
        fields = await asyncio.to_thread(checked, wanted.get("type"), wanted.get("fields"))
        made = replace(
            blank,
            type=str(wanted.get("type")),
            hosts=read_hosts(wanted.get("hosts")),
            workflows=_workflows(wanted.get("workflows")),
        )
        sealed: Kept = _box().sealed(self._ring, made, fields)
        return sealed

    async def _found(self, tenant: str, name: str) -> Record:
        found = None
        if self._is_there() and _NAME.fullmatch(name):
            found = await self._records.get(KIND, tenant, name)
        if found is None:
            raise CredentialUnknown(name)
        return found

    async def _kept(self, tenant: str, name: str) -> Kept:
        return kept_in(await self._found(tenant, name))

    async def _did_put(self, made: Kept, expected: int) -> bool:
        try:
            await self._put(made, expected)
        except Conflict:
            return False
        return True

    async def _put(self, made: Kept, expected: int) -> None:
        packed = packed_credential(made)
        change = Change(KIND, made.tenant, made.name, packed, expected)
        await self._records.change([change], self._now_ms())
        self._forget(made.tenant, made.name)

    def _forget(self, tenant: str, name: str) -> None:
        self._changes += 1
        self._at_hand.pop((tenant, name), None)


def _workflows(given: object) -> tuple[str, ...]:
    if given is None:
        return ()
    if not isinstance(given, list | tuple) or len(given) > _WORKFLOWS_MAX:
        raise CredentialInvalid(f"`workflows` is a list of {_WORKFLOWS_MAX} names at most")
    for one in given:
        if not isinstance(one, str) or not _WORKFLOW.fullmatch(one):
            raise CredentialInvalid("`workflows` has what is no name of a workflow")
    return tuple(dict.fromkeys(given))


def _box() -> Any:
    """Import what encrypts when it is first needed: it takes a tenth of a second."""
    module: ModuleType = importlib.import_module("plait.security.vault.sealing")
    return module
