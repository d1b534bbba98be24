"""Rules about the documentation: links lead somewhere, decisions are numbered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

from tests.tidy.tree import TextFile

_FENCE = re.compile(r"^(```|~~~)")
_CODE = re.compile(r"`[^`]*`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)(?:\s+\"[^\"]*\")?\)")
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$")
_ELSEWHERE = re.compile(r"[a-z][a-z+.-]*:|//")
_DECISION = re.compile(r"(\d{4})-[a-z0-9-]+\.md")


def dead_links(file: TextFile, root: Path) -> Iterator[tuple[int, str]]:
    """A relative link names a file of this project, and a heading that file has."""
    for number, line in prose_lines(file):
        for link in _LINK.finditer(_CODE.sub("", line)):
            if problem := _link_problem(link[1], file, root):
                yield number, problem


def decision_gaps(names: Iterable[str]) -> Iterator[str]:
    """Decision notes are `NNNN-some-words.md`, numbered from 0001, without gap or twin."""
    numbers = []
    for name in sorted(names):
        match = _DECISION.fullmatch(name)
        if match is None:
            yield f"{name} is not named NNNN-some-words.md"
        else:
            numbers.append(int(match[1]))
    for expected, number in enumerate(numbers, start=1):
        if number != expected:
            yield f"decision {number:04d} stands where {expected:04d} belongs"
            return


def prose_lines(file: TextFile) -> Iterator[tuple[int, str]]:
    """Yield the lines of `file` that are not inside a code block."""
    fenced = False
    for number, line in file.lines():
        if _FENCE.match(line.lstrip()):
            fenced = not fenced
        elif not fenced:
            yield number, line


def _link_problem(target: str, file: TextFile, root: Path) -> str:
    """Return what is wrong with the link to `target`, or an empty string."""
    if _ELSEWHERE.match(target):
        return ""
    name, _, heading = unquote(target).partition("#")
    path = (root / file.path).parent / name if name else root / file.path
    if not path.exists():
        return f"'{target}' leads nowhere"
    if not path.resolve().is_relative_to(root.resolve()):
        return f"'{target}' leads out of the project"
    if heading and heading not in _anchors(path):
        return f"'{target}': there is no such heading"
    return ""


def _anchors(path: Path) -> list[str]:
    """Return the anchors of the headings of `path`, as code forges make them."""
    file = TextFile(path.name, path.read_text())
    headings = (m[1] for _, line in prose_lines(file) if (m := _HEADING.match(line)))
    plain = (re.sub(r"[^\w\s-]", "", heading.lower()) for heading in headings)
    return [heading.replace(" ", "-") for heading in plain]
