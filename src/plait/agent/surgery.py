"""Surgery: a workflow's text is changed where it has to be, and nowhere else.

Rule 1. Comments, order and style of all that an edit does not touch stay as they are.
Rule 2. Each cut is checked: what the new text means is exactly what the edit means for the
        values. If it is not (an unusual style), the text is written anew, and that is told.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

from plait.agent.repairs import in_templates, rename_reads
from plait.agent.writing import write_document, write_item, write_yaml
from plait.document.source import Source, SourceErrors, read_source
from plait.model.json import JsonObject, JsonValue
from plait.model.place import Span

Path: TypeAlias = tuple[str | int, ...]
_COMMENT: Final = re.compile(r"[ \t]*#")


class Surgery:
    """A workflow's text under changes.

    Attributes:
        text: As it stands.
        is_rewritten: Whether comments and style were lost on the way.

    Raises:
        SourceErrors: The text is no document.

    >>> cut = Surgery("steps:  # all\\n  - {id: a, type: set, value: 1}  # one\\n")
    >>> cut.set_key(("steps", 0), "timeout", "5s")
    >>> print(cut.text, end="")
    steps:  # all
      - {id: a, type: set, value: 1, timeout: 5s}  # one
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.is_rewritten = False
        self._source = self._read(text)

    @property
    def value(self) -> JsonObject:
        """What the text means."""
        value = self._source.value
        return value if isinstance(value, dict) else {}

    def at(self, path: Path) -> Any:
        """Return the value that `path` leads to."""
        here: Any = self.value
        for key in path:
            here = here[key]
        return here

    def steps(self) -> Iterator[tuple[Path, JsonObject]]:
        """Yield every step and where it stands, the outer ones first."""
        yield from _steps((), self.value)

    # -- changes -----------------------------------------------------------------------

    def set_key(self, path: Path, key: str, value: JsonValue) -> None:
        """Give the mapping at `path` a key, or another value for it."""

        def meant(root: Any) -> None:
            _in(root, path)[key] = copy.deepcopy(value)

        has = key in self.at(path)
        self._change(
            meant,
            lambda: (
                self._replaced(path, key, value) if has else self._added(path, key, value)
            ),
        )

    def remove_key(self, path: Path, key: str) -> None:
        """Take a key out of the mapping at `path`."""

        def meant(root: Any) -> None:
            del _in(root, path)[key]

        self._change(meant, lambda: self._without_key(path, key))

    def insert_step(self, steps: Path, place: int, step: JsonObject) -> None:
        """Put a step into the list at `steps`, before the one at `place`."""

        def meant(root: Any) -> None:
            _in(root, steps).insert(place, copy.deepcopy(step))

        self._change(meant, lambda: self._with_item(steps, place, step))

    def remove_step(self, path: Path) -> None:
        """Take a step out, with the comment lines right above it."""

        def meant(root: Any) -> None:
            del _in(root, path[:-1])[path[-1]]

        self._change(meant, lambda: self._without_item(path))

    def rename_step(self, path: Path, new: str) -> None:
        """Give a step another id, and everybody who reads it the new one."""
        old = str(self.at(path)["id"])

        def meant(root: Any) -> None:
            _in(root, path)["id"] = new
            rename_reads(root, old, new)

        self._change(meant, lambda: self._renamed(path, old, new))

    def _change(self, meant: Callable[[Any], None], cut: Callable[[], str]) -> None:
        wanted = copy.deepcopy(self.value)
        meant(wanted)
        is_right = False
        if not _is_json(self.text):
            try:
                text = cut()
                source = self._read(text)
                is_right = source.value == wanted
            except (SourceErrors, ValueError, IndexError, KeyError):
                is_right = False
            self.is_rewritten = self.is_rewritten or not is_right
        if not is_right:
            text = self._anew(wanted)
            source = self._read(text)
        self.text, self._source = text, source

    def _anew(self, value: JsonObject) -> str:
        if _is_json(self.text):
            return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        return write_document(value)

    @staticmethod
    def _read(text: str) -> Source:
        name = "w.json" if _is_json(text) else "w.yaml"
        return read_source(text.encode(), name=name)

    # -- cuts --------------------------------------------------------------------------

    def _offset(self, line: int, column: int) -> int:
        start = 0
        for _ in range(line - 1):
            start = self.text.index("\n", start) + 1
        return start + column - 1

    def _range(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        span: Span = self._source.span_of(path, key=key)
        return (
            self._offset(span.line, span.column),
            self._offset(span.end_line, span.end_column),
        )

    def _line_end(self, offset: int) -> int:
        end = self.text.find("\n", offset)
        return len(self.text) if end < 0 else end

    def _line_start(self, offset: int) -> int:
        return self.text.rfind("\n", 0, offset) + 1

    def _replaced(self, path: Path, key: str, value: JsonValue) -> str:
        _, key_end = self._range((*path, key), key=True)
        start, end = self._range((*path, key))
        colon = self.text.index(":", key_end)
        block = "\n" in self.text[colon:start]
        begin = colon + 1 if block else start
        return self.text[:begin] + (" " if block else "") + _flow(value) + self.text[end:]

    def _added(self, path: Path, key: str, value: JsonValue) -> str:
        start, end = self._range(path)
        if self.text[start] == "{":
            last = list(self.at(path))[-1]
            _, at = self._range((*path, last))
            return f"{self.text[:at]}, {_flow(key)}: {_flow(value)}{self.text[at:]}"
        at = self._line_end(end)
        indent = " " * (start - self._line_start(start))
        return f"{self.text[:at]}\n{indent}{_flow(key)}: {_flow(value)}{self.text[at:]}"

    def _without_key(self, path: Path, key: str) -> str:
        outer, _ = self._range(path)
        start, _ = self._range((*path, key), key=True)
        _, end = self._range((*path, key))
        keys = list(self.at(path))
        if self.text[outer] == "{":
            place = keys.index(key)
            if place + 1 < len(keys):
                end, _ = self._range((*path, keys[place + 1]), key=True)
            elif place:
                _, start = self._range((*path, keys[place - 1]))
            return self.text[:start] + self.text[end:]
        line = self._line_start(start)
        if self.text[line:start].strip():
            # The first key of an item stands behind its dash: the next one comes there.
            end, _ = self._range((*path, keys[1]), key=True)
            return self.text[:start] + self.text[end:]
        return self.text[:line] + self.text[self._line_end(end) + 1 :]

    def _with_item(self, steps: Path, place: int, step: JsonObject) -> str:
        count = len(self.at(steps))
        first, _ = self._range((*steps, 0))
        indent = self._dash(first) - self._line_start(first)
        item = write_item(step, indent)
        if place >= count:
            _, end = self._range((*steps, count - 1))
            at = self._line_end(end)
            head = self.text[:at] + "\n"
            rest = self.text[at + 1 :]
        else:
            begin, _ = self._range((*steps, place))
            at = self._above(self._line_start(begin))
            head, rest = self.text[:at], self.text[at:]
        gap = "\n" if self._is_airy(steps) else ""
        if place >= count:
            return head + gap + item + rest
        return head + item + gap + rest

    def _is_airy(self, steps: Path) -> bool:
        """Tell whether blank lines divide the steps."""
        start, end = self._range(steps)
        return len(self.at(steps)) < 2 or "\n\n" in self.text[start:end]

    def _without_item(self, path: Path) -> str:
        start, end = self._range(path)
        self._dash(start)
        begin = self._above(self._line_start(start))
        stop = min(self._line_end(end) + 1, len(self.text))
        while self.text[stop : stop + 1] == "\n" and self.text[:begin].endswith("\n\n"):
            stop += 1
        return self.text[:begin] + self.text[stop:]

    def _dash(self, item: int) -> int:
        """Return where the dash of an item stands that begins its line."""
        line = self._line_start(item)
        found = re.compile(r"[ ]*(-)[ ]+").match(self.text, line)
        if found is None or found.end() != item:
            raise ValueError("the list is not written a line per item")
        return found.start(1)

    def _above(self, line: int) -> int:
        """Return where the comment lines right above a line begin."""
        while line > 0:
            before = self._line_start(line - 1)
            if not _COMMENT.match(self.text, before, line):
                return line
            line = before
        return line

    def _renamed(self, path: Path, old: str, new: str) -> str:
        cuts: list[tuple[int, int, str]] = []
        for where, value in _leaves((), self.value):
            start, end = self._range(where)
            raw = self.text[start:end]
            if where == (*path, "id") or _names_step(self.value, where, value, old):
                changed = re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", new, raw)
            else:
                changed = in_templates(raw, old, new)
            if changed != raw:
                cuts.append((start, end, changed))
        text = self.text
        for start, end, changed in sorted(cuts, reverse=True):
            text = text[:start] + changed + text[end:]
        return text


def _names_step(root: Any, path: Path, value: str, old: str) -> bool:
    if value != old or len(path) < 2:
        return False
    if path[-2] == "depends_on":
        return True
    return path[-1] == "to" and _in(root, path[:-1]).get("type") == "goto"


def _leaves(path: Path, value: Any) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from _leaves((*path, key), inner)


def _steps(path: Path, value: Any) -> Iterator[tuple[Path, JsonObject]]:
    if isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _steps((*path, place), inner)
    elif isinstance(value, dict):
        if isinstance(value.get("id"), str) and isinstance(value.get("type"), str):
            yield path, value
        for key, inner in value.items():
            if key not in ("input", "request", "output", "value"):
                yield from _steps((*path, key), inner)


def _in(root: Any, path: Path) -> Any:
    for key in path:
        root = root[key]
    return root


def _flow(value: JsonValue) -> str:
    """Return a value on one line: also lists and mappings in each other."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(one) for one in value) + "]"
    if isinstance(value, str):
        # Inside brackets more has to be quoted: as the one key of a mapping it is.
        return write_yaml({value: 0}).strip()[1:-4]
    return json.dumps(value)


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] != "{":
        return False
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
