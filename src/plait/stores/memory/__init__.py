"""Memory: a store for tests and trials. It keeps the contract, but for outliving us."""

from plait.stores.memory.records import MemoryRecords
from plait.stores.memory.store import MemoryStore

__all__ = ["MemoryRecords", "MemoryStore"]
