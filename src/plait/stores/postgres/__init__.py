"""PostgreSQL: the store of several workers that share a database."""

from plait.stores.postgres.records import PostgresRecords
from plait.stores.postgres.store import PostgresStore

__all__ = ["PostgresRecords", "PostgresStore"]
