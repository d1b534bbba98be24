"""Comparing what the Redis store derives with its rows, and making it anew.

Each script compares some executions and mends them with nobody in between, so whatever is
found is so, and others go on between two scripts. Three passes over all keys: of each row
wherever it is to stand, of each list whoever stands there, then the lanes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Collection
from typing import Any, Final

from plait.ports.derived import Difference
from plait.stores.derived import OVERFULL, STRANDED
from plait.stores.redis.rows import PREFIX
from plait.stores.redis.scripting import Scripts
from plait.stores.redis.server import Server

# Some 10 ms of the server's.
_PAGE: Final = 200
_KINDS: Final = {"SSCAN": b"set", "ZSCAN": b"zset"}
_ROW: Final = f"{PREFIX}x:"
# The lists by the command that goes through them. Not `all` and `keys`: what has no row and
# stands there was lost, and that is not to be forgotten.
_LISTS: Final = {
    **dict.fromkeys(("lane:*", "held:*", "waiting"), "SSCAN"),
    **dict.fromkeys(
        ("w:*", "s:*", "p:*", "t:*", "e:*", "tn:*", "free:*", "queue:*"), "ZSCAN"
    ),
    "ended": "ZSCAN",
}
_LACKS: Final = "is not in {}, where its row says it is"
_STRAY: Final = "is in {}, where its row does not say it is"


class Comparer:
    """Compares all rows with all lists.

    Args:
        mends: Whether what differs is made anew.
        unsure: Executions that are left out.
    """

    def __init__(
        self, server: Server, scripts: Scripts, mends: bool, unsure: Collection[str]
    ) -> None:
        self._server = server
        self._scripts = scripts
        self._mends = int(mends)
        self._unsure = unsure
        self._found: dict[tuple[str, str, bool], set[str]] = defaultdict(set)

    async def compare(self) -> list[Difference]:
        """See plait.ports.derived.Derived.differences."""
        async for page in self._pages("SCAN", "", f"{_ROW}*"):
            await self._ask("", [key.removeprefix(_ROW) for key in page], _LACKS)
        for name, command in _LISTS.items():
            async for key in self._keys(name):
                async for page in self._pages(command, key):
                    await self._ask(key, page, _STRAY)
        # As they are by now: somebody may just have been put there.
        names = {
            key.removeprefix(f"{PREFIX}{kind}:")
            for kind in ("lane", "queue")
            async for key in self._keys(f"{kind}:*")
        }
        return [*self._told(), *await self._lanes(sorted(names))]

    async def _ask(self, key: str, ids: list[str], text: str) -> None:
        some = [one for one in ids if one not in self._unsure]
        answer = await self._scripts.run("compare", "", self._mends, key, *some)
        words = [word.decode(errors="replace") for word in answer]
        for at in range(0, len(words), 3):
            execution_id, place, is_mended = words[at : at + 3]
            self._found[execution_id, text, is_mended == "1"].add(place)

    def _told(self) -> list[Difference]:
        return [
            Difference(one, None, f"it {text.format(', '.join(sorted(places)))}", is_mended)
            for (one, text, is_mended), places in sorted(self._found.items())
        ]

    async def _lanes(self, names: list[str]) -> list[Difference]:
        found: list[Difference] = []
        for first in range(0, len(names), _PAGE):
            piece = names[first : first + _PAGE]
            answer = await self._scripts.run("lanes", "", self._mends, *piece)
            for lane, is_overfull, is_mended in answer:
                told = OVERFULL if is_overfull == b"1" else STRANDED
                whose = (None, lane.decode(errors="replace"))
                found.append(Difference(*whose, told.reason, is_mended == b"1"))
        return found

    async def _keys(self, name: str) -> AsyncIterator[str]:
        """Yield the keys of such a name, each once."""
        seen: set[str] = set()
        async for page in self._pages("SCAN", "", f"{PREFIX}{name}"):
            for key in set(page) - seen:
                yield key
            seen |= set(page)

    async def _pages(
        self, command: str, key: str, pattern: str = "*"
    ) -> AsyncIterator[list[str]]:
        """Yield the members of a list, or the keys of the server; some come twice."""
        cursor: Any = 0
        client = self._server.client
        while True:
            with self._server.errors():
                options = {"match": pattern, "count": _PAGE}
                if command == "SCAN":
                    cursor, found = await client.scan(cursor, **options)
                elif await client.type(key) != _KINDS[command]:
                    return  # something else stands there: each row that lacks it is told
                elif command == "SSCAN":
                    cursor, found = await client.sscan(key, cursor, **options)
                else:
                    cursor, pairs = await client.zscan(key, cursor, **options)
                    found = [one for one, _ in pairs]
            if found:
                yield [one.decode(errors="replace") for one in found]
            if not int(cursor):
                return
