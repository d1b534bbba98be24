"""docs/reference/expressions.md says what the table of functions says."""

from __future__ import annotations

from pathlib import Path

from plait.assembly.expression_reference import page
from plait.expression.catalogue import FUNCTIONS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "expressions.md"


def test_the_page_is_what_the_table_of_functions_makes() -> None:
    assert PAGE.read_text("utf-8") == page()


def test_every_function_is_on_the_page() -> None:
    text = page()
    assert [entry.name for entry in FUNCTIONS if entry.summary not in text] == []
