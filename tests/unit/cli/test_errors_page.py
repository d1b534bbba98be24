"""docs/reference/errors.md has every code that the source has, and no other."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ROW = re.compile(r"^\| `([A-Za-z_.0-9]+)` \|", re.MULTILINE)
FINDING = re.compile(r'"([DEFGP]\d{3})"')
ERROR = re.compile(
    r'"((?:connector|document|execution|expression|internal|kernel|limit|plan|request'
    r'|settings|step|testing|wait|workflow)\.[a-z0-9_]+)"'
)
# Named for what a later version, or another system, will say.
NOT_SAID_YET = {"limit.bulkhead", "limit.rate"}


def codes_in_source() -> set[str]:
    found = {"internal", "connector.http.NNN"}
    for path in (ROOT / "src").rglob("*.py"):
        text = path.read_text("utf-8")
        found.update(FINDING.findall(text), ERROR.findall(text))
    return found - NOT_SAID_YET


def codes_on_page() -> list[str]:
    return ROW.findall((ROOT / "docs" / "reference" / "errors.md").read_text("utf-8"))


def test_every_code_of_the_source_is_explained() -> None:
    assert sorted(codes_in_source() - set(codes_on_page())) == []


def test_no_code_is_explained_that_nothing_says() -> None:
    assert sorted(set(codes_on_page()) - codes_in_source()) == []


def test_no_code_is_explained_twice() -> None:
    codes = codes_on_page()
    assert len(codes) == len(set(codes))
