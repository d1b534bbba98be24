"""The documentation shows only what works: each whole workflow in it compiles.

A code block that is marked `yaml` or `json` and begins with `name` is a whole workflow.
Examples in Python (`>>>`) run as doctests.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from plait.assembly.settings import Settings
from plait.compile import CompileErrors, compile_text
from plait.connectors.http.step import HttpStep
from plait.connectors.python import PythonStep
from plait.document import Catalog

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```(yaml|json)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WHOLE = re.compile(r'(?:#.*\n)*name:|\{\s*"name"')


def workflows_in(page: str) -> Iterator[tuple[str, int, str]]:
    """Yield kind, line and text of each whole workflow that `page` shows."""
    for block in BLOCK.finditer(page):
        if WHOLE.match(block[2]):
            yield block[1], page.count("\n", 0, block.start()) + 2, block[2]


def complaints(kind: str, text: str) -> list[str]:
    """Return what the compiler has against the document `text`."""
    name = f"shown.{kind}"
    try:
        compile_text(text.encode(), name=name, catalog=Catalog([HttpStep, PythonStep]))
    except CompileErrors as error:
        return [finding.render(name) for finding in error.diagnostics]
    return []


def test_each_workflow_that_the_documentation_shows_compiles() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    shown = [
        (f"{page.relative_to(ROOT)}:{line}", complaints(kind, text))
        for page in pages
        for kind, line, text in workflows_in(page.read_text())
    ]
    assert len(shown) >= 2
    assert [(where, found) for where, found in shown if found] == []


SETTINGS = re.compile(r"^```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_each_settings_file_that_the_documentation_shows_is_valid() -> None:
    shown = [
        (f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, found.start()) + 2}", found[1])
        for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
        for text in [page.read_text()]
        for found in SETTINGS.finditer(text)
        if not found[1].startswith("[project")
    ]
    assert len(shown) >= 10
    wrong = {}
    for where, text in shown:
        try:
            Settings.model_validate(tomllib.loads(text))
        except ValueError as error:
            wrong[where] = str(error)
    assert wrong == {}


@pytest.mark.parametrize(
    ("page", "codes"),
    [
        ("```yaml\nname: a\nsteps:\n  - {id: b, type: nowhere}\n```\n", ["D104"]),
        ('```json\n{"name": "a", "steps": [], "stepz": 1}\n```\n', ["D101"]),
        ("```yaml\nsteps:\n  - {id: b, type: nowhere}\n```\n", []),
        ("```text\nname: a\nstepz: 1\n```\n", []),
    ],
)
def test_a_shown_workflow_that_does_not_compile_is_found(
    page: str, codes: list[str]
) -> None:
    found = [c for kind, _, text in workflows_in(page) for c in complaints(kind, text)]
    assert [code for code in codes if not any(code in text for text in found)] == []
    assert bool(found) == bool(codes)
