"""The text of a document → plain values, and the place of each.

Everything that can be found wrong with the text is found at once. What is accepted is
what JSON can hold, whichever of the two formats it is written in: no dates, no
references, no key twice.

Not here: JSON (plait.document.json_text), YAML (plait.document.yaml_text), whether the
values make a workflow (plait.document.parse).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import ClassVar, NoReturn

from plait.document.alignment import source_offset
from plait.document.faults import Faults, Unreadable
from plait.document.json_text import JsonReader
from plait.document.limits import DEFAULT_LIMITS, SourceLimits
from plait.document.lines import Lines
from plait.document.spans import Node, find, offsets_of
from plait.document.yaml_text import YamlReader
from plait.model.diagnostic import Diagnostic
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonValue
from plait.model.place import Place, Span

__all__ = ["Source", "SourceErrors", "SourceLimits", "read_source"]

_BOM = b"\xef\xbb\xbf"
_OTHER_ENCODINGS = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_LIMIT_CODES = frozenset({"D006", "D007"})
_UTF_8_HINT = "save it as UTF-8"
_OPENS_LIKE_JSON = re.compile(r"[ \t\n\r]*[{\[]")
_IS_MEANT_AS_JSON = re.compile(r'[ \t\n\r]*[{\[][ \t\n\r]*["{}\[\]]')


class SourceErrors(PlaitError):
    """A text is no document. `diagnostics` says everything that was found wrong."""

    code: ClassVar[str] = "document.unreadable"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        first = diagnostics[0]
        more = f", and {len(diagnostics) - 1} more" if len(diagnostics) > 1 else ""
        super().__init__(f"line {first.span.line}: {first.message}{more}")
        self.diagnostics = diagnostics


class Source:
    """A document's values, and where each stands in its text.

    Attributes:
        value: The root; plain dicts, lists and scalars.
        faults: What is wrong with the text, when it can be understood all the same.
        lost: Values of the text that are not in the tree: their key came once more.
    """

    __slots__ = ("_lines", "_places", "_text", "faults", "lost", "value")

    def __init__(
        self,
        text: str,
        value: JsonValue,
        places: Node,
        faults: tuple[Diagnostic, ...] = (),
        lost: tuple[JsonValue, ...] = (),
    ) -> None:
        self.value = value
        self.faults = faults
        self.lost = lost
        self._text = text
        self._places = places
        self._lines = Lines(text)

    def span_of(self, segments: Sequence[str | int], *, key: bool = False) -> Span:
        """Return where the value that `segments` lead to stands, or its key.

        Args:
            segments: Keys and indexes from the root.
            key: The span of the key, not of the value. An item of a list has none; its
                value stands for it.

        Returns:
            The span; if there is no such value, that of the nearest one around it.

        >>> source = read_source(b"steps:\\n  - id: a\\n", name="w.yaml")
        >>> source.span_of(("steps", 0, "id"))
        Span(line=2, column=9, end_line=2, end_column=10)
        >>> source.span_of(("steps", 0, "id"), key=True).column
        5
        """
        offsets, _ = find(self._places, segments, key=key)
        return self._lines.span(*offsets)

    def place_of(self, pointer: str) -> Place:
        """Return the place of the value that the JSON pointer names.

        If there is no such value, the place keeps `pointer`, with the line and column of
        the nearest value around it.

        >>> read_source(b'{"a": [1, 2]}', name="w.json").place_of("/a/1")
        Place(pointer='/a/1', line=1, column=11)
        """
        offsets, _ = find(self._places, _segments(pointer))
        return Place(pointer, *self._lines.position(offsets[0]))

    def column_in(self, segments: Sequence[str | int], offset: int) -> tuple[int, int]:
        """Return the line and column of one character of a text value.

        Args:
            segments: Keys and indexes from the root to the text.
            offset: Of the character in the value, from 0. Quotes and escapes do not count.

        Returns:
            Line and column. Exact, but for whitespace in folded and block scalars; the
            start of the value if it is no text.

        >>> read_source(b'{"a": "x \\\\"y"}', name="w.json").column_in(("a",), 3)
        (1, 12)
        """
        (start, end), depth = find(self._places, segments)
        text = self._value_at(segments) if depth == len(segments) else None
        if isinstance(text, str):
            within = max(0, min(offset, len(text)))
            start += source_offset(self._text[start:end], text, within)
        return self._lines.position(start)

    def _value_at(self, segments: Sequence[str | int]) -> JsonValue:
        value = self.value
        for segment in segments:
            if isinstance(value, dict):
                value = value[str(segment)]
            elif isinstance(value, list):
                value = value[int(segment)]
        return value


def read_source(data: bytes, *, name: str, limits: SourceLimits = DEFAULT_LIMITS) -> Source:
    """Return what the text of a document holds: a mapping, and the place of each value.

    Args:
        data: The text; UTF-8, with or without a byte order mark.
        name: Of the file. `.json` is JSON; `.yaml` and `.yml` are YAML; anything else is
            JSON if it starts with a bracket and JSON it is, and YAML if not.
        limits: Of size, depth, and so on.

    Raises:
        SourceErrors: The text cannot be read, or is no mapping; with every finding.

    >>> read_source(b"on: 012", name="w.yaml").value
    {'on': 12}
    >>> read_source(b'{"a": 1, "a": 2}', name="w.json")
    Traceback (most recent call last):
    plait.document.source.SourceErrors: line 1: key 'a' stands twice in this mapping: ...
    """
    source = read_as_meant(data, name=name, limits=limits)
    if source.faults:
        raise SourceErrors(source.faults)
    return source


def read_as_meant(
    data: bytes, *, name: str, limits: SourceLimits = DEFAULT_LIMITS
) -> Source:
    """Return what the text of a document holds, if it is plain to see what was meant.

    As `read_source`, but its findings are in `faults` when they hide nothing: a key that
    stands twice, a comma too many, a template without quotes.

    Raises:
        SourceErrors: The text cannot be understood, or is no mapping.

    >>> source = read_as_meant(b"{a: 1, a: 2}", name="w.yaml")
    >>> source.value, [found.code for found in source.faults], source.lost
    ({'a': 2}, ['D009'], (1,))
    """
    text = _decoded(data, limits)
    ending = name.lower().rpartition(".")[2]
    if ending == "json":
        return _read_json(text, limits)
    if ending in ("yaml", "yml") or not _OPENS_LIKE_JSON.match(text):
        return _read_yaml(text, limits)
    return _read_either(text, limits)


def _decoded(data: bytes, limits: SourceLimits) -> str:
    """Return the text of `data`, without its byte order mark."""
    faults = Faults("", limits)
    if len(data) > limits.bytes_max:
        message = f"the document has {len(data)} bytes; at most {limits.bytes_max}"
        _refuse(faults, "D002", message, "split it, or move large texts out of it")
    for mark, encoding in _OTHER_ENCODINGS:
        if data.startswith(mark):
            _refuse(faults, "D001", f"the document is {encoding}", _UTF_8_HINT)
    data = data.removeprefix(_BOM)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode()
        faults = Faults(before, limits)
        message = f"byte 0x{data[error.start]:02X} is not UTF-8"
        _refuse(faults, "D001", message, _UTF_8_HINT, at=len(before))


def _refuse(faults: Faults, code: str, message: str, hint: str, *, at: int = 0) -> NoReturn:
    faults.add(code, message, hint, at, at)
    raise SourceErrors(faults.diagnostics())


def _read_json(text: str, limits: SourceLimits) -> Source:
    faults = Faults(text, limits)
    return _read(lambda: JsonReader(text, faults).read(), text, faults)


def _read_yaml(text: str, limits: SourceLimits) -> Source:
    faults = Faults(text, limits)
    try:
        return _read(lambda: YamlReader(text, faults).read(), text, faults)
    except SourceErrors as errors:
        if "${" not in text or _is_past_limit(errors):
            raise
        again = Faults(text, limits)
        try:
            reader = YamlReader(text, again, templates=True)
            source = _read(reader.read, text, again)
        except SourceErrors:
            raise errors from None
        if not source.faults:
            raise
        return source


def _read(read: Callable[[], tuple[JsonValue, Node]], text: str, faults: Faults) -> Source:
    try:
        value, places = read()
        if not isinstance(value, dict):
            start, _ = offsets_of(places)
            hint = "a workflow starts with `name:` and `steps:`"
            faults.stop("D004", "a document is a mapping", hint, start, start + 1)
    except Unreadable:
        raise SourceErrors(faults.diagnostics()) from None
    if faults.count > faults.limits.diagnostics_max:
        raise SourceErrors(faults.diagnostics())
    return Source(text, value, places, faults.diagnostics(), tuple(faults.lost))


def _read_either(text: str, limits: SourceLimits) -> Source:
    """Read text that opens with a bracket: JSON, or YAML in flow style."""
    found: list[Source | SourceErrors] = []
    for read in (_read_json, _read_yaml):
        try:
            found.append(read(text, limits))
        except SourceErrors as errors:
            found.append(errors)
        first = found[0]
        if isinstance(first, Source) and not first.faults:
            return first
        if isinstance(first, SourceErrors) and _is_past_limit(first):
            raise first  # the other format would find the same, and take as long again
    as_json, as_yaml = found
    is_yaml = isinstance(as_yaml, Source) and not as_yaml.faults
    best = as_json if _IS_MEANT_AS_JSON.match(text) and not is_yaml else as_yaml
    if isinstance(best, SourceErrors):
        raise best
    return best


def _is_past_limit(errors: SourceErrors) -> bool:
    return any(found.code in _LIMIT_CODES for found in errors.diagnostics)


def _segments(pointer: str) -> list[str]:
    parts = pointer.split("/")[1:]
    return [part.replace("~1", "/").replace("~0", "~") for part in parts]
