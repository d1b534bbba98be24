"""Functions of one name: whose answer is whose, in memory and among processes."""

from __future__ import annotations

import asyncio
import functools
import importlib
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from plait.resilience import Cache, Collapse, PipelineBuilder
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
from plait.resilience import Cache, Collapse, PipelineBuilder
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


class Priced:
    """What a decorator of others makes: an object that goes by the function's name."""

    def __init__(self, function: Any, currency: str) -> None:
        self.function, self.currency = function, currency
        functools.update_wrapper(self, function)

    async def __call__(self, sku: str) -> str:
        return f"{await self.function(sku)} in {self.currency}"


async def cost(sku: str, tariff: str = "list") -> str:
    return f"{tariff} {sku}"


def partials() -> list[Any]:
    """Return objects that all go by the name of `cost`."""
    bound = [functools.partial(cost, tariff=one) for one in ("low", "high")]
    for one in bound:
        functools.update_wrapper(one, cost)
    return [cost, *bound, Priced(cost, "EUR"), Priced(cost, "USD")]


COSTS = ["list A", "low A", "high A", "list A in EUR", "list A in USD"]


@pytest.mark.parametrize("policy", [Cache(10), PipelineBuilder().cache(Cache(10)).build()])
async def test_partials_and_objects_that_bear_a_functions_name_get_their_own_answers(
    policy: Any,
) -> None:
    functions = partials()
    for _ in range(2):
        assert [await policy.call(one, "A") for one in functions] == COSTS


async def test_partials_that_bear_a_functions_name_do_not_share_its_call() -> None:
    collapse = Collapse()
    calls = [collapse.call(one, "A") for one in partials()]
    assert await asyncio.gather(*calls) == COSTS
    assert collapse.snapshot().shared == 0


async def test_a_store_of_processes_refuses_objects_that_bear_a_functions_name(
    tmp_path: Path,
) -> None:
    cache = Cache(10, store=DiskStore(tmp_path / "answers.db"))
    assert await cache.call(cost, "A") == "list A"
    for one in partials()[1:]:
        with pytest.raises(TypeError, match="a partial or another object; other processes"):
            await cache.call(one, "A")
        with pytest.raises(TypeError, match="a partial or another object; other processes"):
            cache(one)


async def told(*args: Any, **named: Any) -> str:
    return f"{args} {named}"


async def test_named_arguments_and_pairs_by_position_are_different_calls() -> None:
    cache, collapse = Cache(10), Collapse()
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((("limit", 5),), {}),
        ((), {"limit": 5}),
        (((("limit", 5),),), {}),
        ((("a", 1),), {"limit": 5}),
        ((), {"a": 1, "limit": 5}),
        ((), {}),
        ((1,), {"b": 2}),
        ((1, ("b", 2)), {}),
    ]
    expected = [await told(*args, **named) for args, named in calls]
    assert [await cache.call(told, *args, **named) for args, named in calls] == expected
    together = [collapse.call(told, *args, **named) for args, named in calls]
    assert await asyncio.gather(*together) == expected
    assert await cache.call(told, limit=5, a=1) == expected[4], "in whatever order"
