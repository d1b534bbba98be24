"""The vault, put together from settings: its keys, its records, what may name it."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from plait.assembly.connectors import Available, installed_connectors, ways
from plait.assembly.sources import Configured, SettingsInvalid
from plait.drivers.clock import now_ms
from plait.gateway.threads import in_thread
from plait.model.errors import PlaitError
from plait.operations.deploying.authorised import Authorises, authorises
from plait.ports.credentials import VaultKeyMissing
from plait.ports.records import Records
from plait.security.accounts import StoredAccounts
from plait.security.audit import AuditLog
from plait.security.keys import ApiKeys
from plait.security.vault import KeyRing, StoredVault
from plait.security.vault.ring import read_key

if TYPE_CHECKING:
    from plait.security.users import Users

logger = logging.getLogger("plait.security")


def key_ring(configured: Configured) -> KeyRing:
    """Return the keys of the settings; perhaps none.

    Raises:
        SettingsInvalid: One is no key, or nobody says which is the newest.
    """
    keys: dict[str, bytes] = {}
    for name, text in configured.vault_keys.items():
        try:
            keys[name] = read_key(text)
        except ValueError as error:
            raise SettingsInvalid([f"vault.keys.{name}: {error}"]) from None
    try:
        return KeyRing(keys, configured.settings.vault.newest)
    except ValueError as error:
        raise SettingsInvalid([f"vault: {error}"]) from None


def vault(configured: Configured, records: Records) -> StoredVault:
    """Return the credentials of a store. Opens nothing yet.

    Raises:
        SettingsInvalid: As `key_ring`.
    """
    return StoredVault(
        records,
        key_ring(configured),
        now_ms,
        kept_ms=configured.settings.vault.memory,
        is_there=lambda: bool(getattr(records, "is_there", True)),
    )


def audit_log(records: Records) -> AuditLog:
    """Return what records changes in a store. Opens nothing yet."""
    return AuditLog(records, now_ms, lambda: bool(getattr(records, "is_there", True)))


def accounts(records: Records, forget: Callable[[], None] = lambda: None) -> StoredAccounts:
    """Return what keeps keys and users in a store. Opens nothing yet.

    Args:
        forget: Called when somebody counts no more.
    """

    async def made() -> Users:
        # It brings what hashes passwords, which takes a third of a second.
        tokens = await in_thread(lambda: importlib.import_module("plait.assembly.tokens"))
        found: Users = tokens.users(records)
        return found

    return StoredAccounts(
        ApiKeys(records, now_ms),
        made,
        now_ms,
        lambda: bool(getattr(records, "is_there", True)),
        forget,
    )


async def checked_keys(own: StoredVault) -> None:
    """Return when every credential of the store can be opened with the keys that are here.

    A store that cannot be asked stops nobody: calls that need a credential say so.

    Raises:
        VaultKeyMissing: A key is missing.
    """
    try:
        await own.check_keys()
    except VaultKeyMissing:
        raise
    except PlaitError as error:  # it is away, full, or no database at all
        logger.warning("the vault's keys could not be checked: %s", error)


def with_checked_keys(
    own: StoredVault, then: Callable[[], Awaitable[None]]
) -> Callable[[], Awaitable[None]]:
    """Return what a gateway awaits when it starts: `checked_keys`, and `then`."""

    async def prepare() -> None:
        await checked_keys(own)
        await then()

    return prepare


def authorised(
    records: Records, connectors: Iterable[Available] | None = None
) -> Authorises:
    """Return what tells which credentials a document may not have. It needs no key."""
    chosen = installed_connectors() if connectors is None else connectors
    looking = StoredVault(records, KeyRing({}), now_ms)
    return authorises(looking.look_up, ways(chosen))
