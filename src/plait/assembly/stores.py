"""Which store a place means: `.plait/plait.db`, `sqlite:PATH`, `postgresql://…`, `redis://…`.

Each kind is imported when it is asked for: nobody needs a database client for SQLite.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, ClassVar, Final

from plait.drivers.journal import Store
from plait.model.errors import Advice, PlaitError
from plait.ports.records import Records


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
            f"there is no store {place} yet: `plait run --durable` and `plait deploy` "
            "make it, --store names another"
        )
        self.place = place


# Scheme → module, and how its classes' names begin. They `open` with the address.
_SERVERS: Final = {
    "postgresql": ("plait.stores.postgres", "Postgres"),
    "postgres": ("plait.stores.postgres", "Postgres"),
    "redis": ("plait.stores.redis", "Redis"),
    "rediss": ("plait.stores.redis", "Redis"),
}


def is_there(place: str) -> bool:
    """Tell whether there may be something in the store at `place` already."""
    path = _path_of(place)
    return path is None or path.exists()


def paths_of(place: str) -> list[Path]:
    """Return where the store at `place` has its files; a server has none here.

    >>> [path.name for path in paths_of("sqlite:plait.db")][:3]
    ['plait.db', 'plait.db-wal', 'plait.db-shm']
    """
    path = _path_of(place)
    if path is None:
        return []
    # SQLite follows links, and puts its logs beside the file itself.
    own, logs = path.resolve(), ("", "-wal", "-shm", "-journal")
    blobs = own.with_name(f"{path.name}.blobs"), Path(f"{path}.blobs")
    return [*(Path(f"{own}{one}") for one in logs), *blobs]


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
    path = _path_of(place)
    if path is not None and not is_new and not path.exists():
        raise NoStore(str(path))
    store: Store = await _opened(place, "Store")
    return store


async def open_records(place: str) -> Records:
    """Open the records in the store at `place`, making a file where there is none.

    Call it inside the event loop; close it when done.

    Raises:
        UnknownStore: `place` names none that Plait knows.
        StoreUnavailable: It cannot be reached or written.
        StoreTooNew: A newer version of Plait has changed it.
    """
    records: Records = await _opened(place, "Records")
    return records


async def _opened(place: str, what: str) -> Any:
    """Open the class of that name, for the kind of store that `place` says."""
    given: str | Path
    path, scheme = _path_of(place), place.partition(":")[0]
    if path is not None:
        module, name, given = "plait.stores.sqlite", "Sqlite", path
    elif scheme in _SERVERS:
        (module, name), given = _SERVERS[scheme], place
    else:
        raise UnknownStore(scheme)
    return await getattr(importlib.import_module(module), name + what).open(given)
