"""Rows of damaged pages: values of kinds that nobody has written."""

from __future__ import annotations

import pytest

from plait.stores.sqlite.faults import NotAsWritten
from plait.stores.sqlite.rows import summary_of

ROW = (
    *("x", "w", "sha256:1", 1, "{}", None, "[]", 0, None, None, 0, "default"),
    *("running", 1, None, None, 1, b"digest", 1, None, 0),
)


def test_a_row_as_it_was_written_is_a_summary() -> None:
    summary = summary_of(ROW)
    assert (summary.new.execution_id, summary.head) == ("x", b"digest")


@pytest.mark.parametrize("place", range(len(ROW)))
def test_a_value_of_another_kind_is_told_from_what_was_written(place: int) -> None:
    row = (*ROW[:place], 1.5, *ROW[place + 1 :])
    with pytest.raises(NotAsWritten):
        summary_of(row)
