"""The loops of `examples/loops`, run as a user runs them; and explained, and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from plait.testing.upstream import Peer, Request, Script, Upstream
from plait.testing.upstream_scripts import in_turn, reply
from tests.acceptance.cli import ROOT, plait

LOOPS = ROOT / "examples" / "loops"
MODES = pytest.mark.parametrize("mode", [(), ("--durable",)], ids=["express", "durable"])


async def run(document: str, host: str, given: Any, *more: str, cwd: Path) -> Any:
    text = orjson.dumps(given).decode()
    file = LOOPS / document
    done = await plait("run", file, "--resolve", host, "--input", text, *more, cwd=cwd)
    assert done.code == 0, done.err
    return orjson.loads(done.out)


def each(answer: Any) -> Script:
    """Answer what `answer` says to a request."""

    async def script(peer: Peer, request: Request) -> None:
        await answer(request)(peer, request)

    return script


@MODES
async def test_a_report_is_asked_for_until_it_is_ready(
    mode: tuple[str, ...], tmp_path: Path
) -> None:
    async with Upstream() as service:
        service.on("/api/reports", reply(201, json={"id": 7}))
        running: Any = {"state": "running"}
        ready: Any = {"state": "ready", "pages": 3}
        service.on("/api/reports/7", in_turn(reply(json=running), reply(json=ready)))
        host = f"reports={service.address}"
        output = await run("poll.yaml", host, {"month": "May"}, *mode, cwd=tmp_path)
        assert output == ready
        assert len(service.requests) == 3


@MODES
async def test_pages_are_read_until_there_is_no_next_one(
    mode: tuple[str, ...], tmp_path: Path
) -> None:
    async with Upstream() as service:
        service.on("/api/orders", each(_page))
        host = f"orders={service.address}"
        output = await run("pages.yaml", host, None, *mode, cwd=tmp_path)
        assert output == {"pages": 3, "orders": 6}


def _page(request: Request) -> Script:
    number = int(request.target.removeprefix("/api/orders?page="))
    following = number + 1 if number < 3 else None
    return reply(json={"orders": [0] * number, "next": following})


@MODES
async def test_all_pages_of_orders_are_shipped_although_one_page_fails_at_first(
    mode: tuple[str, ...], tmp_path: Path
) -> None:
    async with Upstream() as service:
        first: Any = {"orders": [{"id": 1}, {"id": 2}], "after": "c2"}
        last: Any = {"orders": [{"id": 3}], "after": None}
        path = "/api/orders"
        service.on(path, in_turn(reply(json=first), reply(503), reply(json=last)))
        service.on("/api/parcels", each(_parcel))
        hosts = [f"{name}={service.address}" for name in ("orders", "depot")]
        more = ("--resolve", hosts[1], *mode)
        output = await run("all-pages.yaml", hosts[0], None, *more, cwd=tmp_path)
        assert output == {"pages": 2, "parcels": ["P1", "P2", "P3"], "rate": 1.0}
        asked = [one.target for one in service.requests if one.target.startswith(path)]
        assert asked == [f"{path}?state=open", *[f"{path}?state=open&after=c2"] * 2]


def _parcel(request: Request) -> Script:
    return reply(201, json={"number": f"P{orjson.loads(request.body)['order']}"})


@MODES
async def test_customers_are_reminded_and_those_not_reached_are_told_of(
    mode: tuple[str, ...], tmp_path: Path
) -> None:
    def answer(request: Request) -> Script:
        to = orjson.loads(request.body)["to"]
        return reply(500 if to == 3 else 201, json={"id": f"letter {to}"})

    customers = [{"id": n, "name": f"C{n}", "paid": n == 2} for n in range(6)]
    async with Upstream(each(answer)) as service:
        host = f"post={service.address}"
        given = {"customers": customers}
        output = await run("reminders.yaml", host, given, *mode, cwd=tmp_path)
    assert output == {
        "letters": ["letter 0", "letter 1", None, None, "letter 4", "letter 5"],
        "sent": 4,
        "rate": 0.8,
        "unreached": [3],
    }


async def test_the_worst_case_of_a_loop_is_explained() -> None:
    done = await plait("explain", LOOPS / "poll.yaml")
    assert "wait[*]/report (http" in done.out
    assert "at most 20 iterations" in done.out
    done = await plait("explain", LOOPS / "reminders.yaml", "--json")
    steps = {one["step"]: one for one in orjson.loads(done.out)["steps"]}
    assert steps["reminders"]["calls_max"] is None
    assert steps["reminders[*]/send"]["calls_max"] == 1


async def test_a_loop_is_drawn_with_what_it_does_to_what_is_inside() -> None:
    done = await plait("graph", LOOPS / "reminders.yaml")
    assert "each item" in done.out
    assert "5 at once" in done.out
    done = await plait("graph", LOOPS / "pages.yaml")
    assert "each iteration" in done.out
