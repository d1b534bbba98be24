"""One simulation from its seed to its report."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from plait.drivers.journal import Store
from plait.model.record import record
from plait.stores.memory import MemoryStore
from plait.testing.durable.faults import RATES, Fate, Fault
from plait.testing.durable.invariants import Express, check
from plait.testing.durable.ledger import Ledger
from plait.testing.durable.world import STORM_S, Work, World
from plait.testing.script import Script
from plait.testing.virtual_time import STARTED_AT_S, run_virtually


@record
class Report:
    """What one seed came to.

    Attributes:
        broken: Invariants that did not hold, and warnings of the interpreter (of work that
            was made and never begun, say), in words; empty is what is wanted.
        fired: How often each kind of fault fired.
        execution_count, entry_count, call_count: How much was done.
        fingerprint: A hash over every entry of every history: equal for equal seeds.
    """

    seed: int
    broken: list[str]
    fired: Counter[Fault]
    execution_count: int
    entry_count: int
    call_count: int
    fingerprint: str


def storm(
    works: Sequence[Work],
    script: Script,
    *,
    seed: int,
    worker_count: int = 3,
    rates: Mapping[Fault, float] = RATES,
    make_store: Callable[[], Store] = MemoryStore,
    express: Express | None = None,
) -> Report:
    """Run all `works` at once on one store while things go wrong; check what came of it.

    Args:
        works: What is run; each is one execution.
        script: What the upstreams answer when they work.
        seed: Decides everything that is left to chance.
        worker_count: How many workers share the store.
        rates: How likely each fault is.
        make_store: Makes the store, inside the loop; it must not wait for anything real.
        express: Keeps how the works end when nothing goes wrong, for many seeds.
    """
    fate = Fate(seed, rates)

    async def main() -> World:
        world = World(fate, make_store(), script, worker_count)
        await world.run(works)
        await check(world, express or Express(script), STARTED_AT_S + STORM_S)
        return world

    with quiet(), warned() as told:
        ledger = run_virtually(main()).ledger
    return Report(
        seed,
        [*ledger.broken, *told],
        fate.fired,
        len(ledger.accounts),
        sum(len(one.entries) for one in ledger.accounts.values()),
        sum(one.made.total() for one in ledger.accounts.values()),
        _fingerprint(ledger),
    )


def _fingerprint(ledger: Ledger) -> str:
    hasher = hashlib.blake2b(digest_size=8)
    for name, account in sorted(ledger.accounts.items()):
        hasher.update(name.encode())
        hasher.update(account.entries[-1].digest)
        hasher.update(repr(sorted(account.made.items())).encode())
    return hasher.hexdigest()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep warnings about what was made to fail out of sight."""
    logger = logging.getLogger("plait.journal")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def warned() -> Iterator[list[str]]:
    """Collect what the interpreter warns of, each text once; it is not printed."""
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        # As errors they would be lost: a coroutine's are raised where nobody hears them.
        warnings.simplefilter("always")
        yield told
    told += dict.fromkeys(f"{one.category.__name__}: {one.message}" for one in caught)
