"""The first admin key: made when a store is served for the first time.

Rule. It is made once in the life of a store. Whoever revokes the last admin key, because
      tokens do it all, gets no new one behind their back; `plait keys create` makes one.
"""

from __future__ import annotations

from typing import Final

from plait.model.caller import DEFAULT_TENANT
from plait.ports.records import Change, Conflict, Records
from plait.security.kept import EVERYWHERE, packed
from plait.security.keys import ApiKeys

_KIND: Final = "first_key"
_NAME: Final = "first start"


async def first_admin_key(records: Records, keys: ApiKeys, now_ms: int) -> str | None:
    """Return the first admin key of a store; None: it had its first start before.

    Of two processes that start at the same time one gets it.
    """
    if await records.get(_KIND, EVERYWHERE, _NAME) is not None:
        return None
    done = Change(_KIND, EVERYWHERE, _NAME, packed({"made_at_ms": now_ms}), expected=0)
    known = [one for one in await keys.list() if one.scope.role == "admin"]
    try:
        if any(one.counts_at(now_ms) for one in known):
            await records.change([done], now_ms)
            return None
        key, _ = await keys.create(
            _NAME, tenant=DEFAULT_TENANT, role="admin", grants={}, also=(done,)
        )
    except Conflict:
        return None
    return key
