"""Fields are described by the texts under them, whichever class has them."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from plait.document.described import Described, description_of


class Shelf(Described):
    """A shelf."""

    width: int
    """How wide it is.

    In millimetres.
    """
    boards: int = 3
    bare: int = 0
    colour: Annotated[str, Field(description="What it is painted with.")] = "oak"
    """Not this."""
    depth: Annotated[int, Field(alias="how deep")] = 1
    """How deep it is."""


class Wide(Shelf):
    width: int = 2_000
    boards: int = 5
    """How many boards it has."""


@pytest.mark.parametrize(
    ("model", "name", "about"),
    [
        (Shelf, "width", "How wide it is.\n\nIn millimetres."),
        (Shelf, "boards", ""),
        (Shelf, "colour", "What it is painted with."),
        (Wide, "width", "How wide it is.\n\nIn millimetres."),
        (Wide, "boards", "How many boards it has."),
    ],
)
def test_the_text_under_a_field_describes_it(
    model: type[BaseModel], name: str, about: str
) -> None:
    assert description_of(model, name) == about


def test_the_schema_has_the_descriptions() -> None:
    properties = Shelf.model_json_schema()["properties"]
    assert properties["colour"]["description"] == "What it is painted with."
    assert properties["how deep"]["description"] == "How deep it is."
    assert properties["width"]["description"] == "How wide it is.\n\nIn millimetres."
    assert "description" not in properties["bare"]


def test_a_class_without_its_source_is_described_by_nothing() -> None:
    made: type[BaseModel] = type("Made", (Described,), {"__annotations__": {"a": int}})
    made.__module__ = "nowhere"
    assert description_of(made, "a") == ""
