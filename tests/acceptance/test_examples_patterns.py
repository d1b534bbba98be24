"""The patterns of the examples, through a real gateway, and their twins in Python.

Each scene of an example is asked as a user would; status, body and the calls that the
services saw are compared with what stands in patterns_told.yaml. The twin answers the same
scenes, against services of its own, and has to do the same.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from examples.patterns.calling import services_at
from examples.patterns.example import Example, load, names
from examples.patterns.playing import Answer, play
from examples.patterns.serving import Service
from tests.acceptance.cli import ROOT, plait
from tests.acceptance.gateways import serving
from tests.unit.gateway.wires import WAIT_S

TOLD = yaml.safe_load(Path(__file__).with_name("patterns_told.yaml").read_text())


@dataclass(frozen=True)
class Told:
    """One answer: the body, or the error's code, and the calls that were made for it.

    Attributes:
        any_order: Of what is expected: the calls may come in another order.
    """

    status: int
    said: Any
    calls: list[str]
    any_order: bool = False

    def comparable(self, expected: Told) -> tuple[int, Any, list[str]]:
        """Return what has to be equal to the same of `expected`."""
        return (
            self.status,
            self.said,
            sorted(self.calls) if expected.any_order else self.calls,
        )

    def as_twin(self, expected: Told) -> tuple[Any, list[str]]:
        """The same for a twin, which has no status, and errors of its own."""
        status, said, calls = self.comparable(expected)
        return (said if 200 <= status < 400 else "failed"), calls


def expected_of(name: str) -> dict[str, list[Told]]:
    """Return what an example is to answer, by scene."""
    return {
        title: [Told(**one) for one in answers] for title, answers in TOLD[name].items()
    }


async def started(example: Example, stack: AsyncExitStack) -> dict[str, Service]:
    services = [await stack.enter_async_context(s) for s in example.services()]
    return {service.host: service for service in services}


async def told_by_document(example: Example, folder: Path) -> dict[str, list[Told]]:
    """Return what the document answers, by scene."""
    settings = {"PLAIT_STORE_URL": str(folder / "plait.db"), **example.environment}
    told: dict[str, list[Told]] = {}
    async with AsyncExitStack() as stack:
        services = await started(example, stack)
        gateway = await stack.enter_async_context(
            serving(example.document, upstreams=services, settings=settings)
        )
        seen = next(iter(services.values())).seen

        async def ask(method: str, target: str, body: Any) -> Answer:
            answer = await gateway.ask(target, method, body=body)
            return Answer(answer.status, answer.headers, json.loads(answer.body))

        for title in example.scenes:
            async for given in example.inputs(title):
                seen.clear()
                answer = await play(example, given, ask)
                said = answer.body
                if answer.status >= 400:
                    said = said["error"]["code"]
                told.setdefault(title, []).append(Told(answer.status, said, list(seen)))
    return told


async def told_by_twin(example: Example) -> dict[str, list[Told]]:
    """Return what the twin answers, by scene; the status is 200 or, if it raised, 0."""
    told: dict[str, list[Told]] = {}
    async with AsyncExitStack() as stack:
        services = await started(example, stack)
        seen = next(iter(services.values())).seen
        addresses = {host: service.address for host, service in services.items()}
        stack.enter_context(services_at(addresses))
        for title in example.scenes:
            async for given in example.inputs(title):
                seen.clear()
                status, said = await asked(example, given)
                told.setdefault(title, []).append(Told(status, said, list(seen)))
    return told


async def asked(example: Example, given: dict[str, Any]) -> tuple[int, Any]:
    try:
        return 200, await example.ask_twin(given)
    except Exception as error:
        return 0, type(error).__name__


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
async def test_document_answers_each_scene_as_told(name: str, tmp_path: Path) -> None:
    example = load(name)
    assert list(TOLD[name]) == list(example.scenes)
    told = await told_by_document(example, tmp_path)
    for title, expected in expected_of(name).items():
        assert [
            one.comparable(e) for one, e in zip(told[title], expected, strict=True)
        ] == [e.comparable(e) for e in expected], title


@pytest.mark.parametrize("name", names())
async def test_twin_in_python_gives_what_the_document_gives(name: str) -> None:
    told = await told_by_twin(load(name))
    for title, expected in expected_of(name).items():
        assert [one.as_twin(e) for one, e in zip(told[title], expected, strict=True)] == [
            e.as_twin(e) for e in expected
        ], title


async def test_all_documents_are_fine() -> None:
    checked = await plait("validate", *(load(name).document for name in names()))
    fine = f"{len(names())} documents: {len(names())} fine\n"
    assert (checked.code, checked.out + checked.err) == (0, fine)


@pytest.mark.slow
async def test_an_order_whose_gateway_dies_is_undone_by_the_next_one(
    tmp_path: Path,
) -> None:
    example = load("order_saga")
    settings = {"PLAIT_STORE_URL": str(tmp_path / "plait.db")}
    title = "Three teapots: one is broken, so the order is undone, the latest step first"
    (order,) = [given async for given in example.inputs(title)]
    async with AsyncExitStack() as stack:
        services = await started(example, stack)
        stock, inventory = services["stock"], services["inventory"]
        stock.latency_ms = 60_000  # it has not answered when the gateway dies
        async with serving(
            example.document, upstreams=services, settings=settings
        ) as gateway:
            asked = asyncio.create_task(gateway.ask("/orders", "POST", body=order))
            await asyncio.wait_for(stock.until_requests(1), WAIT_S)
            gateway.process.kill()
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await asked
        stock.latency_ms = 0
        async with serving(example.document, upstreams=services, settings=settings):
            await asyncio.wait_for(inventory.until_requests(2), WAIT_S)
        keys = [request.headers["idempotency-key"] for request in stock.requests]
    assert inventory.seen == [
        "POST inventory/reservations",
        "POST orders/orders",
        "POST stock/pickings",
        "POST stock/pickings",
        "POST orders/orders/ord-1/cancel",
        "DELETE inventory/reservations/res-1",
    ]
    assert keys[0] == keys[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
async def test_each_document_can_be_drawn_with_all_of_its_steps(name: str) -> None:
    document = load(name).document
    drawn = await plait("graph", document, "--format", "svg")
    assert (drawn.code, drawn.err) == (0, "")
    steps = re.findall(r"^ *(?:- )?{?id: (\w+)", document.read_text(), re.MULTILINE)
    # A step has a box with its id; an action of a state machine a line in its state's box.
    shown = [rf">{step}<|[:,/] {step}\b" for step in steps]
    assert [one for one in shown if not re.search(one, drawn.out)] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_example_runs_with_one_command_and_leaves_nothing(name: str) -> None:
    command = [sys.executable, "-m", "examples.patterns", name]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    example = load(name)
    for title in example.scenes:
        assert title in done.stdout
    count = sum(len(answers) for answers in TOLD[name].values())
    assert done.stdout.count("  answer   ") == count
    assert not list(example.document.parent.glob(".plait"))
