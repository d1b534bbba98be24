"""The files that the house rules judge: all that is committed, or is about to be."""

from __future__ import annotations

import ast
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]
PURE_ROOMS = ("compile", "document", "expression", "kernel", "model", "plan")

# For a copy without git: what .gitignore would leave out.
_MADE_DIRS = frozenset({"build", "dist", "node_modules", "__pycache__"})


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach of a rule."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True)
class TextFile:
    """One text file. `path` is relative to the project and uses `/`."""

    path: str
    text: str

    def lines(self) -> Iterator[tuple[int, str]]:
        """Yield number, from 1, and text of each line."""
        return enumerate(self.text.split("\n"), start=1)


@dataclass(frozen=True, slots=True)
class Module:
    """One Python file, its syntax tree, and all nodes of that tree.

    The nodes are listed once: walking the trees anew for each rule took 5 s.
    """

    path: str
    text: str
    tree: ast.Module
    nodes: tuple[ast.AST, ...]


def module(path: str, text: str) -> Module:
    """Return the module that `text` spells."""
    tree = ast.parse(text, filename=path)
    return Module(path, text, tree, tuple(ast.walk(tree)))


def in_src(path: str) -> bool:
    return path.startswith("src/")


def in_tests(path: str) -> bool:
    return path.startswith("tests/")


def in_pure_room(path: str) -> bool:
    """Say whether `path` lies in a room that sees no clock, no dice and no machine."""
    return path.startswith(tuple(f"src/plait/{room}/" for room in PURE_ROOMS))


@cache
def paths() -> tuple[str, ...]:
    """Return every file of the project, relative, sorted."""
    return tuple(sorted(_paths_git() or _paths_walk(ROOT)))


@cache
def text_files() -> tuple[TextFile, ...]:
    """Return every file that holds UTF-8 text."""
    return tuple(file for path in paths() if (file := _read(path)) is not None)


@cache
def modules() -> tuple[Module, ...]:
    """Return every Python file."""
    return tuple(module(f.path, f.text) for f in text_files() if f.path.endswith(".py"))


def _read(path: str) -> TextFile | None:
    data = (ROOT / path).read_bytes()
    if b"\0" in data:
        return None
    try:
        return TextFile(path, data.decode())
    except UnicodeDecodeError:
        return None


def _paths_git() -> list[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return []  # No git, or none that trusts this folder.
    names = done.stdout.decode().split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def _paths_walk(root: Path) -> Iterator[str]:
    for folder, dirs, names in os.walk(root):
        dirs[:] = [d for d in dirs if _is_ours(d)]
        here = Path(folder).relative_to(root)
        for name in names:
            yield str(PurePosixPath(here / name))


def _is_ours(folder: str) -> bool:
    made = folder in _MADE_DIRS or folder.endswith(".egg-info")
    return not made and (folder == ".ci" or not folder.startswith("."))
