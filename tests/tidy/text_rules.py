"""Rules about every text file: nothing of one machine, no addresses to load from."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.tidy.tree import TextFile

FILE_BYTES_MAX = 512 * 1024

# Spelled with a gap, so that this file keeps its own rule.
_LATER = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X])\b")

# Folders that mean one person's machine. Before the slash stands neither a host (a path
# of a URL), nor a variable, nor another part of a relative path.
_MACHINE_PATH = re.compile(
    r"(?<![\w.})\]*~-])(?:/(?:home|Users|root|work|mnt|private|tmp|opt)/[\w.-]|[A-Z]:\\(?:Users|Windows)\b)"
)

_INDEX = re.compile(
    r"py[p]i\.org|pythonho[s]ted\.org|registry\.np[m]js|"
    r"--(?:extra-)?index-u[r]l\b|--find-lin[k]s\b|PIP_INDEX_U[R]L|UV_IND[E]X"
)
_DOWNLOAD = re.compile(
    r"https?://[^\s\"'<>)]+\.(?:whl|tar\.gz|tgz|zip|deb|rpm|exe|dmg|pkg|jar)\b"
    r"|github\.com/[^\s]+/releases/downlo[a]d|raw\.githubuserconten[t]\."
)


def deferred_work(file: TextFile) -> Iterator[tuple[int, str]]:
    """Work is done, or it is an issue; it is not a note in the text."""
    for number, line in file.lines():
        if match := _LATER.search(line):
            yield number, f"{match[0]}: do it now, or open an issue"


def machine_paths(file: TextFile) -> Iterator[tuple[int, str]]:
    """No file names a folder that only one machine has."""
    for number, line in file.lines():
        if match := _MACHINE_PATH.search(line):
            yield number, f"absolute path '{match[0]}…'"


def load_addresses(file: TextFile) -> Iterator[tuple[int, str]]:
    """No file names a package index or a file to download: both are local choices."""
    for number, line in file.lines():
        if match := _INDEX.search(line) or _DOWNLOAD.search(line):
            yield number, f"address or option '{match[0]}'"


def stray_spaces(file: TextFile) -> Iterator[tuple[int, str]]:
    """Lines end where their text ends, in one way, and the file ends with a line.

    Data in JSON stays as the tool that made it left it.
    """
    if file.path.endswith(".json"):
        return
    for number, line in file.lines():
        if line != line.rstrip():
            yield number, "space, tab or carriage return at the end of the line"
    if file.text and not file.text.endswith("\n"):
        yield file.text.count("\n") + 1, "the last line does not end"


def size_finding(path: str, size_bytes: int) -> Iterator[tuple[int, str]]:
    """A file has at most 512 KB: a clone stays quick."""
    if size_bytes > FILE_BYTES_MAX:
        yield 1, f"{path} has {size_bytes} bytes; at most {FILE_BYTES_MAX}"
