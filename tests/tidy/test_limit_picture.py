"""The picture of the limiters shows what they do."""

from __future__ import annotations

from tests.tidy.limit_picture import PICTURE, picture
from tests.tidy.tree import ROOT


def test_the_picture_of_the_limiters_is_what_they_do() -> None:
    drawn = (ROOT / PICTURE).read_text(encoding="utf-8")
    assert drawn == picture(), "run: python -m tests.tidy.limit_picture"
