"""The contract of plait.ports.cache_backend.CacheBackend, as tests that packages run.

class TestShelf(CacheSuite):
    cache = CACHE

    async def passing(self, seconds):       # let time pass for what is kept
        self.clock.now += seconds
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import pytest

from plait.ports.cache_backend import CacheBackend, CachePlugin
from plait.ports.plugins import CACHES, PORTS, PluginContext

_VALUES = (b"", b"1", b'{"a":[1,null]}', bytes(range(256)), b"x" * 100_000)
_KEYS = ("a" * 64, "f00", "..", "a/b", "ä", "A" * 64)


class CacheSuite:
    """Subclass it; say what the cache is, and how time passes for it."""

    cache: ClassVar[CachePlugin]

    def options(self) -> dict[str, Any]:
        """Return the options of an empty cache."""
        return {}

    async def passing(self, seconds: float) -> None:
        """Let seconds pass for all that is kept."""
        raise NotImplementedError

    def made(self) -> CacheBackend:
        """Return an empty cache; override it to make another."""
        return self.cache.make(PluginContext(self.options()))

    def test_it_is_for_the_port_that_is_here(self) -> None:
        assert isinstance(self.cache, CachePlugin)
        assert self.cache.port == PORTS[CACHES]

    def test_what_its_options_do_not_know_is_refused(self) -> None:
        with pytest.raises(ValueError, match="zzz"):
            self.cache.make(PluginContext({**self.options(), "zzz": 1}))

    async def test_what_is_kept_comes_back_byte_for_byte(self) -> None:
        cache = self.made()
        for value in _VALUES:
            assert await cache.put("a", value, 60)
            kept = await cache.get("a")
            assert kept is not None
            assert kept.data == value
            assert 0 <= kept.age_s < 30
        await cache.close()

    async def test_each_key_has_its_own_value(self) -> None:
        cache = self.made()
        for key in _KEYS:
            assert await cache.get(key) is None
            assert await cache.put(key, key.encode(), 60)
        for key in _KEYS:
            kept = await cache.get(key)
            assert kept is not None
            assert kept.data == key.encode()
        await cache.close()

    async def test_it_tells_how_old_a_value_is_and_forgets_it_when_its_time_is_over(
        self,
    ) -> None:
        cache = self.made()
        await cache.put("a", b"1", 100)
        await self.passing(40)
        kept = await cache.get("a")
        assert kept is not None
        assert 40 <= kept.age_s < 70
        await self.passing(70)
        assert await cache.get("a") is None
        await cache.close()

    async def test_a_later_value_is_young_again(self) -> None:
        cache = self.made()
        await cache.put("a", b"1", 100)
        await self.passing(60)
        await cache.put("a", b"2", 100)
        await self.passing(60)
        kept = await cache.get("a")
        assert kept is not None
        assert kept.data == b"2"
        await cache.close()

    async def test_what_is_deleted_is_gone_and_the_rest_stays(self) -> None:
        cache = self.made()
        await cache.put("a", b"1", 60)
        await cache.put("b", b"2", 60)
        await cache.delete("a")
        await cache.delete("never kept")
        assert await cache.get("a") is None
        assert await cache.get("b") is not None
        await cache.clear()
        assert await cache.get("b") is None
        await cache.close()

    async def test_many_at_once_disturb_nobody(self) -> None:
        cache = self.made()
        values = [b"%d" % number * 1_000 for number in range(20)]
        await asyncio.gather(*(cache.put("a", value, 60) for value in values))
        found = await asyncio.gather(*(cache.get("a") for _ in range(20)))
        assert all(one is not None and one.data in values for one in found)
        await cache.close()
