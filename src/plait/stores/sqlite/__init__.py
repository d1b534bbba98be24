"""SQLite: the embedded store, and the default. One file, no server."""

from plait.stores.sqlite.records import SqliteRecords
from plait.stores.sqlite.store import SqliteStore

__all__ = ["SqliteRecords", "SqliteStore"]
