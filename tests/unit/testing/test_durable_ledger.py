"""The ledger of durable simulations calls nothing a breach that may happen."""

from __future__ import annotations

import pytest

from plait.drivers.journal import entry_of, origin_of
from plait.kernel.events import WorkerLost
from plait.ports.journal import Append, Created, History, Message, NewExecution, Standing
from plait.stores.memory import MemoryStore
from plait.testing.durable.faults import Fate, Fault
from plait.testing.durable.ledger import Ledger
from plait.testing.durable.upstreams import Upstreams
from plait.testing.durable.worker import Worker
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import play

NEW = NewExecution("x", "shop", "sha256:1", 0, "{}")
ENTRY = entry_of([WorkerLost(1, False, 0)], origin_of(NEW))
RUNS = Standing("running", 0, 0)
WISH = Message("m", "x", b"")


async def begun(store: MemoryStore, ledger: Ledger) -> Created:
    created = await store.create(NEW, [ENTRY], RUNS, "w")
    ledger.created("w", NEW, [ENTRY], created)
    return created


@pytest.mark.parametrize(
    ("status", "breaches"), [("running", 1), ("completed", 0), ("cancelled", 0)]
)
def test_a_message_counts_once_for_as_long_as_its_execution_is_open(
    status: str, breaches: int
) -> None:
    async def main() -> list[str]:
        ledger = Ledger(Fate(0))
        await begun(MemoryStore(), ledger)
        standing = Standing(status, 0, None)
        ledger.appended("w", Append("x", [], standing, 1, 1, heard=("m",)), 0.0)
        ledger.beaten("w", 0, 1_000, [WISH])
        return ledger.broken

    assert len(run_virtually(main())) == breaches


class TakenAsItIsRead(MemoryStore):
    """Hands an execution out once more while its history is on its way to its holder."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger

    async def read(self, execution_id: str) -> History:
        history = await super().read(execution_id)
        self.ledger.handed("w", await self.take("w", 0, execution_id), 0)
        return history


def test_damage_counts_in_the_epoch_that_was_read_and_in_no_later_one() -> None:
    async def main() -> tuple[set[int], list[str]]:
        fate = Fate(0, {Fault.HISTORY_DAMAGED: 1.0})
        ledger = Ledger(fate)
        store = TakenAsItIsRead(ledger)
        await begun(store, ledger)
        upstreams = Upstreams(fate, ledger, play)
        worker = Worker("w", fate, ledger, store, upstreams, lambda *_: None)
        history = await worker.store.read("x")
        assert history.entries != [ENTRY]
        # It holds it in epoch 2 by now, and reads that again before it goes on.
        ledger.appended("w", Append("x", [], RUNS, 1, 2), 0.0)
        return ledger.accounts["x"].damaged_epochs, ledger.broken

    assert run_virtually(main()) == ({1}, [])
