"""Large entries: written as blobs before the row that names them, read back with it.

Rule. The transaction that names a blob looks whether it is there. Blobs that nobody names
      are removed within a transaction too, so of the two one comes first: either the name
      is seen by the remover, or the removal is seen here, and the blob is saved again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from sqlite3 import Connection
from typing import Any, ClassVar, Final, TypeVar

from plait.model.errors import PlaitError
from plait.model.record import record
from plait.ports.blobs import INLINE_BYTES_MAX
from plait.ports.journal import Entry
from plait.stores.files import FileBlobs
from plait.stores.sqlite.faults import NotAsWritten, fault
from plait.stores.sqlite.writer import Writer

T = TypeVar("T")

_SWEPT_AT_ONCE: Final = 100


@record
class Stored:
    """An entry as its row has it: of a large one the body is empty, and a blob is named."""

    body: bytes
    digest: bytes
    blob: str | None


class _BlobGone(PlaitError):
    """A blob was removed between its saving and its naming: nothing was written."""

    code: ClassVar[str] = "internal"


def blobs_of(path: Path) -> FileBlobs:
    """Return the blobs beside the database at `path`."""
    folder = path.with_name(f"{path.name}.blobs")
    return FileBlobs(folder, partial(fault, folder))


class Payloads:
    """Keeps the large entries of the database at `path`, in a folder beside it."""

    def __init__(self, path: Path, writer: Writer) -> None:
        self.blobs = blobs_of(path)
        self._writer = writer

    def submit(
        self, entries: Sequence[Entry], job: Callable[[Connection, list[Stored]], T]
    ) -> Awaitable[T]:
        """Run `job` with the entries as rows have them; its result is known when committed.

        Raises:
            StoreUnavailable: It could not be written.
            PlaitError: What the job refused with.
        """
        small: list[Stored] = []
        for one in entries:
            if len(one.body) > INLINE_BYTES_MAX:
                return self._submit_large(entries, job)
            small.append(Stored(one.body, one.digest, None))
        return self._writer.submit(lambda connection: job(connection, small))

    async def _submit_large(
        self, entries: Sequence[Entry], job: Callable[[Connection, list[Stored]], T]
    ) -> T:
        while True:
            stored = await asyncio.to_thread(lambda: [self._store(one) for one in entries])
            try:
                return await self._writer.submit(partial(self._checked, job, stored))
            except _BlobGone:
                continue

    def _checked(
        self,
        job: Callable[[Connection, list[Stored]], T],
        stored: list[Stored],
        connection: Connection,
    ) -> T:
        for one in stored:
            if one.blob is not None and not self.blobs.has(one.blob):
                raise _BlobGone
        return job(connection, stored)

    def _store(self, entry: Entry) -> Stored:
        if len(entry.body) <= INLINE_BYTES_MAX:
            return Stored(entry.body, entry.digest, None)
        return Stored(b"", entry.digest, self.blobs.save(entry.body))

    def entry(self, body: Any, digest: Any, blob: Any) -> Entry:
        """Return the entry that a row stands for.

        Raises:
            BlobDamaged: Its blob is gone, or altered.
            NotAsWritten: A damaged page gives its columns values of other kinds.
        """
        is_sound = isinstance(body, bytes) and isinstance(digest, bytes)
        if not is_sound or not isinstance(blob, str | None):
            raise NotAsWritten("an entry holds values of other kinds than were written")
        return Entry(body if blob is None else self.blobs.load(blob), digest)

    async def sweep(self, names_max: int | None = None) -> int:
        """Remove blobs that no entry names; return how many bytes.

        Args:
            names_max: How many are looked at; None: all.
        """
        names = islice(self.blobs.names(), names_max)
        byte_count = 0
        while some := await asyncio.to_thread(list, islice(names, _SWEPT_AT_ONCE)):
            # Alone: what its transaction sees removed must not come back with a roll-back.
            job = partial(self._sweep, some)
            byte_count += await self._writer.submit(job, is_alone=True)
        return byte_count

    def _sweep(self, names: Iterable[str], connection: Connection) -> int:
        unnamed = [
            name
            for name in names
            if not connection.execute(
                "SELECT 1 FROM entries WHERE blob = ? LIMIT 1", (name,)
            ).fetchone()
        ]
        return self.blobs.remove(unnamed) if unnamed else 0
