"""The garbage collector's pause: what was made is looked at no more than need be."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from unittest.mock import Mock

import pytest

from plait.compile.pause import collector_paused

MANY = 20_000


@pytest.fixture
def frozen() -> Iterator[int]:
    """Have objects that somebody froze, and say how many."""
    gc.freeze()
    yield gc.get_freeze_count()
    gc.unfreeze()


def is_old(made: object) -> bool:
    return any(one is made for one in gc.get_objects(generation=2))


def test_much_that_was_made_is_old() -> None:
    gc.unfreeze()
    with collector_paused():
        made = [[n] for n in range(MANY)]
    assert gc.isenabled()
    assert is_old(made[-1])
    assert gc.get_freeze_count() == 0


def test_what_somebody_froze_stays_frozen(frozen: int) -> None:
    with collector_paused():
        made = [[n] for n in range(MANY)]
    assert len(made) == MANY
    # Some of them may be gone: they are counted no more.
    assert gc.get_freeze_count() > frozen // 2


def test_nobody_counts_what_is_frozen_for_a_few_objects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gc, "get_freeze_count", counting := Mock(return_value=0))
    gc.collect()
    with collector_paused():
        made = [[n] for n in range(100)]
    assert not is_old(made[-1])
    counting.assert_not_called()


def test_who_had_it_off_has_it_off_afterwards() -> None:
    gc.disable()
    try:
        with collector_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
