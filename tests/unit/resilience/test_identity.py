"""Functions of one name: whose answer is whose, in memory and among processes."""

from __future__ import annotations

import asyncio
import importlib
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from plait.resilience import Cache
from plait.resilience.cache.disk import DiskStore

PRICES = """
async def price(sku, currency="EUR"):
    return f"old {sku} {currency}"

old = price

async def price(sku, currency="EUR"):
    return f"new {sku} {currency}"

new = price

def in_dollars():
    global price
    async def price(sku, currency="USD"):
        return f"new {sku} {currency}"
    price.__qualname__ = "price"
    return price
"""


@pytest.fixture
def prices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a module that defines two functions of one name."""
    (tmp_path / "prices.py").write_text(PRICES)
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("prices")
    del sys.modules["prices"]


async def test_functions_of_a_module_that_have_one_name_get_their_own_answers(
    prices: Any,
) -> None:
    cache = Cache(10)
    functions = [prices.old, prices.new, prices.in_dollars()]
    for _ in range(2):
        answers = [await cache.call(one, "A-1") for one in functions]
        assert answers == ["old A-1 EUR", "new A-1 EUR", "new A-1 USD"]
    assert cache.snapshot().hits == 3
    again = importlib.reload(prices)
    assert await cache.call(again.old, "A-1") == "old A-1 EUR"
    assert cache.snapshot().hits == 4


CHILD = """
import asyncio, sys
from plait.resilience import Cache
from plait.resilience.cache.disk import DiskStore
import prices

async def main():
    cache = Cache(60, store=DiskStore(sys.argv[1]))
    print(await cache.call(prices.new, "A-1"))

asyncio.run(main())
"""


async def test_in_a_store_of_processes_a_name_means_what_its_module_holds_now(
    prices: Any, tmp_path: Path
) -> None:
    path = tmp_path / "answers.db"
    ran = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(path), cwd=tmp_path, stdout=PIPE
    )
    assert (await ran.communicate())[0] == b"new A-1 EUR\n"
    store = DiskStore(path)
    cache = Cache(10, store=store)
    assert await cache.call(prices.new, "A-1") == "new A-1 EUR"
    assert cache.snapshot().hits == 1
    with pytest.raises(TypeError, match="price is the name of another function of pr"):
        await cache.call(prices.old, "A-1")
    named = Cache(10, store=store, name="old", key=lambda sku: sku)
    assert await named.call(prices.old, "A-1") == "old A-1 EUR"
