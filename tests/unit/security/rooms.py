"""A security room over records in memory, and a clock that tests move."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from argon2 import PasswordHasher

from plait.ports.records import Record
from plait.security.audit import AuditLog
from plait.security.desk import TokenDesk
from plait.security.keys import ApiKeys
from plait.security.passwords import Passwords
from plait.security.refresh import RefreshTokens
from plait.security.signing import OwnTokens
from plait.security.tokens import TokenVerifier
from plait.security.users import Users
from plait.stores.memory.records import MemoryRecords

START_MS = 1_800_000_000_000
TOKEN_TTL_MS = 900_000
SESSION_TTL_MS = 7 * 24 * 3_600_000


class Cheap:
    """Hashers that take a millisecond, not fifty."""

    OLD = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    NEW = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)


class FarRecords(MemoryRecords):
    """Records that the next reader is told late of, if somebody says so."""

    def __init__(self) -> None:
        super().__init__()
        self.was_read = asyncio.Event()
        self.may_tell: asyncio.Event | None = None

    async def get(self, kind: str, tenant: str, key: str) -> Record | None:
        found, may_tell = await super().get(kind, tenant, key), self.may_tell
        if may_tell is not None:
            self.may_tell = None
            self.was_read.set()
            await may_tell.wait()
        return found


@dataclass
class SecurityRoom:
    """All of the room, as a gateway has it."""

    records: MemoryRecords = field(default_factory=MemoryRecords)
    now_ms: int = START_MS

    def __post_init__(self) -> None:
        self.keys = ApiKeys(self.records, self.ms)
        self.users = Users(self.records, Passwords(Cheap.OLD), self.ms)
        self.tokens = OwnTokens(self.records, self.ms, TOKEN_TTL_MS)
        self.refresh = RefreshTokens(self.records, self.users, self.ms, SESSION_TTL_MS)
        self.audit = AuditLog(self.records, self.ms)
        self.desk = TokenDesk(
            self.keys, self.users, self.tokens, self.refresh, self.s, self.audit
        )
        self.verifier = TokenVerifier([self.tokens.issuer()], self.s)

    def ms(self) -> int:
        return self.now_ms

    def s(self) -> float:
        return self.now_ms / 1000

    def advance(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1000)

    async def kept_text(self) -> str:
        """Return all that lies in the store, as text."""
        kinds = ("api_key", "user", "token_key", "refresh_token", "first_key")
        found = [one for kind in kinds for one in await self.records.find(kind, None)]
        return "\n".join(f"{one.key} {one.value.decode()}" for one in found)
