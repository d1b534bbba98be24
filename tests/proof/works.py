"""What the simulations run: the fourteen workflows, or random documents."""

from __future__ import annotations

import json
from functools import cache
from random import Random
from typing import Any, Final

from plait.kernel import StartCall
from plait.model.json import JsonValue
from plait.testing import Answer, Simulation
from plait.testing.durable import Report, Work, storm
from plait.testing.durable.invariants import Express
from tests.proof import workflows
from tests.simulation.asking import plan_of, play
from tests.simulation.documents import ANYTHING, ORDERLY, document_by

EXECUTIONS: Final = 20
# Enough to meet everything; each costs 20 ms to compile, once.
DOCUMENTS: Final = 300
GIVEN: Final[JsonValue] = {"a": 1, "flag": True}


def answer(call: StartCall) -> Answer:
    """Answer the calls of both: `ask` steps say themselves what they are told."""
    return play(call) if call.kind == "ask" else workflows.service(call)


_EXPRESS: Final = Express(answer)


@cache
def _fourteen(count: int) -> list[Work]:
    return workflows.works(count)


@cache
def _document(number: int) -> Work:
    """Return one of the random documents; every other one is steady."""
    wishes = ORDERLY if number % 2 else ANYTHING
    document = document_by(Random(number), wishes)
    # The clients of a storm cancel; none of them sends signals or decides.
    while waits_for_people(document):
        number += DOCUMENTS
        document = document_by(Random(number), wishes)
    # An unsafe call that a crash cuts off waits for a person, as it should.
    plan = plan_of(document)
    is_steady = wishes is ORDERLY and "unsafe" not in json.dumps(document)
    # Of several steps that fail, the first ends it: a crash may change which that is.
    is_steady = is_steady and Simulation(plan, answer, input=GIVEN).run().failure is None
    return Work(plan, GIVEN, is_steady)


def waits_for_people(document: Any) -> bool:
    """Tell whether a step of `document` goes on only when somebody says so."""
    text = json.dumps(document)
    return '"event": {' in text or '"type": "approval"' in text


def drawn(seed: int, count: int) -> list[Work]:
    """Return `count` works by `seed`: every other seed runs random documents."""
    if seed % 4 == 0:
        # One waits for so long that whoever holds it lets go of it. Five have children: a
        # crash between a parent's end and its word to them is rare.
        long = workflows.work("waits-first", "40s")
        return [*_fourteen(count - 6), long, *[workflows.family()] * 5]
    if seed % 2 == 0:
        return _fourteen(count)
    lot = Random(seed)
    return [_document(lot.randrange(DOCUMENTS)) for _ in range(count)]


def weather(seed: int, executions: int = EXECUTIONS) -> Report:
    """Run one seed, with three to five workers."""
    works = drawn(seed, executions)
    workers = 3 + seed % 3
    return storm(works, answer, seed=seed, worker_count=workers, express=_EXPRESS)
