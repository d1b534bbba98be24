"""The audit log: a chain of entries for each tenant, in the records of a store.

| module | what it knows |
|---|---|
| chain | what an entry holds, its hash, and whether a chain is whole |
| log | beginning, ending, finding entries |
"""

from plait.security.audit.chain import Entry, Fault, Head, fault_in
from plait.security.audit.log import AuditLog

__all__ = ["AuditLog", "Entry", "Fault", "Head", "fault_in"]
