"""Which store a place means: `.plait/plait.db`, `sqlite:PATH`, `postgresql://…`, `redis://…`.

Each kind is imported when it is asked for: nobody needs a database client for SQLite.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import ClassVar, Final

from plait.drivers.journal import Store
from plait.model.errors import Advice, PlaitError


class UnknownStore(PlaitError):
    """No store is known by this kind of address."""

    code: ClassVar[str] = "store.unknown"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, scheme: str) -> None:
        super().__init__(
            f"there is no store '{scheme}': write a file's path, sqlite:PATH, "
            "postgresql://… or redis://…"
        )
        self.scheme = scheme


class NoStore(PlaitError):
    """Nothing has been kept there yet."""

    code: ClassVar[str] = "store.none"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, place: str) -> None:
        super().__init__(
            f"there is no store {place} yet: `plait run --durable` makes it, "
            "--store names another"
        )
        self.place = place


# Scheme → module and class. Both `open` with the address that was given.
_SERVERS: Final = {
    "postgresql": ("plait.stores.postgres", "PostgresStore"),
    "postgres": ("plait.stores.postgres", "PostgresStore"),
    "redis": ("plait.stores.redis", "RedisStore"),
    "rediss": ("plait.stores.redis", "RedisStore"),
}


def is_there(place: str) -> bool:
    """Tell whether there may be something in the store at `place` already."""
    path = _path_of(place)
    return path is None or path.exists()


def _path_of(place: str) -> Path | None:
    """Return the file that `place` names; None when it names a server."""
    scheme, separator, rest = place.partition(":")
    if separator and scheme != "sqlite":
        return None
    return Path(rest.removeprefix("//") if separator else place)


async def open_store(place: str, *, is_new: bool = True) -> Store:
    """Open the store at `place`. Call it inside the event loop; close it when done.

    Args:
        is_new: Whether a file may be made where there is none.

    Raises:
        UnknownStore: `place` names none that Plait knows.
        NoStore: There is no file, and none may be made.
        StoreUnavailable: It cannot be reached or written.
        StoreTooNew: A newer version of Plait has changed it.
    """
    given: str | Path
    path, scheme = _path_of(place), place.partition(":")[0]
    if path is not None:
        module, name, given = "plait.stores.sqlite", "SqliteStore", path
        if not is_new and not path.exists():
            raise NoStore(str(path))
    elif scheme in _SERVERS:
        (module, name), given = _SERVERS[scheme], place
    else:
        raise UnknownStore(scheme)
    store: Store = await getattr(importlib.import_module(module), name).open(given)
    return store
