"""Strategies of other packages: who is asked first, and that a mistake lets nobody in."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from plait.assembly.brought import BroughtToGateway, Chain, Named, brought_to_gateway
from plait.assembly.settings import GatewaySection, Settings
from plait.assembly.sources import Configured
from plait.model.caller import LOCAL, Caller
from plait.ports.identity import Unauthenticated
from plait.ports.middleware import Middleware
from plait.ports.plugins import MIDDLEWARE, PluginUnusable


class Saying:
    """Says always the same."""

    def __init__(self, result: Any) -> None:
        self._result = result

    async def authenticate(self, headers: Mapping[str, str], peer: str) -> Any:
        if isinstance(self._result, BaseException):
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
        SystemExit("s3cret"),
    ],
)
async def test_a_mistake_of_a_strategy_lets_nobody_in(result: Any) -> None:
    with pytest.raises(PluginUnusable) as found:
        await chain(result, ANN).authenticate({}, "")
    assert "s3cret" not in str(found.value)


def test_without_strategies_nothing_stands_before_keys_and_tokens() -> None:
    own = Saying(LOCAL)
    assert BroughtToGateway().authenticator(own) is own


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (None, "what it made (NoneType) is no Layer: it lacks handle, close"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_middleware_that_is_none_is_refused_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: Any, said: str
) -> None:
    info = tmp_path / "acme_none-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    entry = f"[{MIDDLEWARE}]\nnone = acme_none:MIDDLEWARE\n"
    (info / "entry_points.txt").write_text(entry)
    module = ModuleType("acme_none")
    module.__dict__["MIDDLEWARE"] = Middleware(1, lambda context: _raised_or(made))
    monkeypatch.setitem(sys.modules, "acme_none", module)
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = Settings(gateway=GatewaySection(middleware=["none"]))
    with pytest.raises(PluginUnusable) as found:
        brought_to_gateway(Configured(settings, {}))
    assert said in str(found.value)


def _raised_or(made: Any) -> Any:
    if isinstance(made, BaseException):
        raise made
    return made
