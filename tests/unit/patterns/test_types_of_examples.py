"""What a type checker says of the examples, as they stand in the pages and docstrings."""

from __future__ import annotations

import doctest
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
from mypy import api

from plait import patterns

ROOT = Path(__file__).parents[3]
# They are short for the reader's sake: a bare `dict`, and a failure that is surely there.
LAX = (
    "type-arg",
    "no-untyped-def",
    "no-untyped-call",
    "no-any-return",
    "union-attr",
    "index",
    "func-returns-value",
)


def programs() -> Iterator[tuple[str, str]]:
    """Yield the name and the code of every page and docstring of patterns."""
    for page in sorted(ROOT.glob("docs/patterns/*.md")):
        code = _code(page.read_text())
        if "plait.patterns" in code:
            yield page.stem.replace("-", "_"), code
    known = "from collections.abc import AsyncIterator\nfrom plait.patterns import *\n"
    for name in patterns.__all__:
        yield f"of_{name}", known + _code(inspect.getdoc(getattr(patterns, name)) or "")


def _code(text: str) -> str:
    return "".join(one.source for one in doctest.DocTestParser().get_examples(text))


@pytest.mark.slow
def test_every_example_type_checks_as_it_is_written(tmp_path: Path) -> None:
    for name, code in programs():
        (tmp_path / f"{name}.py").write_text(code)
    lax = [f"--disable-error-code={one}" for one in LAX]
    config = ["--no-error-summary", "--config-file", str(ROOT / "pyproject.toml"), *lax]
    out, err, _ = api.run([*config, *map(str, sorted(tmp_path.iterdir()))])
    assert (out.replace(f"{tmp_path}/", ""), err) == ("", "")
