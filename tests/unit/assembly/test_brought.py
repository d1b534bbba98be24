"""Strategies of other packages: who is asked first, and that a mistake lets nobody in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from plait.assembly.brought import BroughtToGateway, Chain, Named
from plait.model.caller import LOCAL, Caller
from plait.ports.identity import Unauthenticated
from plait.ports.plugins import PluginUnusable


class Saying:
    """Says always the same."""

    def __init__(self, result: Any) -> None:
        self._result = result

    async def authenticate(self, headers: Mapping[str, str], peer: str) -> Any:
        if isinstance(self._result, Exception):
            raise self._result
        return self._result

    async def close(self) -> None: ...


def chain(*results: Any) -> Chain:
    strategies = [Named(f"s{n}", Saying(result)) for n, result in enumerate(results)]
    return Chain(strategies, Saying(LOCAL))


ANN, BOB = Caller("user:ann", role="viewer"), Caller("user:bob")


async def test_the_first_who_knows_the_caller_decides() -> None:
    assert await chain(None, ANN, BOB).authenticate({}, "") is ANN
    assert await chain(None, None).authenticate({}, "") is LOCAL


async def test_what_one_refuses_nobody_else_is_asked_about() -> None:
    with pytest.raises(Unauthenticated):
        await chain(Unauthenticated("no"), ANN).authenticate({}, "")


@pytest.mark.parametrize(
    "result",
    [
        True,
        "admin",
        Caller("ann", role="king"),
        Caller("ann", grants={"orders": "king"}),
        Caller("ann", tenant=""),
        Caller(""),
        KeyError("s3cret"),
    ],
)
async def test_a_mistake_of_a_strategy_lets_nobody_in(result: Any) -> None:
    with pytest.raises(PluginUnusable) as found:
        await chain(result, ANN).authenticate({}, "")
    assert "s3cret" not in str(found.value)


def test_without_strategies_nothing_stands_before_keys_and_tokens() -> None:
    own = Saying(LOCAL)
    assert BroughtToGateway().authenticator(own) is own
