"""YAML text → values, and where each of them stands.

Rule 1. libyaml reads the text, event by event; scalars are resolved here, by the core
    schema of YAML 1.2 (plait.document.yaml_scalars), not by PyYAML's YAML 1.1.
Rule 2. Events are taken one at a time and limits are checked at each: libyaml needs
    quadratic time for brackets nested 10,000 deep, so it must not see them.
    A key is text; a plain integer as a key is the text that it is written as.
Rule 3. No anchors, aliases, merge keys or tags: a document is a tree of JSON values.
Rule 4. `{path: /profiles/{user_id}}` is what people write, though YAML wants quotes: a
    `{name}` that clings to a word stands for itself.
Rule 5. What YAML takes for its own inside a template without quotes is a fault; so that
    it hides no other, the text is read again with templates shielded from YAML.

Not here: what the parser complains about (plait.document.yaml_faults).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from plait.document.faults import Faults, Unreadable, shown
from plait.document.spans import SHIFT, Items, Members, Node, Offsets, offsets_of, packed
from plait.document.yaml_faults import stop_at, template_end
from plait.document.yaml_scalars import SPECIAL_STARTS, is_text, resolve
from plait.model.json import JsonValue

# PyYAML built without libyaml has only its own parser: ten times slower, same events.
LOADER: Any = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader

# What YAML does not allow, and what libyaml, unlike YAML 1.2, takes for line breaks (it
# would fold them into spaces) or leaves out (U+FEFF, at the start of a line).
_NOT_ALLOWED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]"
)
_TAG_DIRECTIVE = re.compile(r"^%TAG[^\n\r]*", re.MULTILINE)
_BLOCK_STYLES = ("|", ">")
# Behind a word, a brace cannot begin a mapping: this text is an error, or it is a scalar.
_CLINGING_NAME = re.compile(r"(?<=[\w/.~%=&?;@+-])\{([A-Za-z_]\w*)\}", re.ASCII)
# Private characters, as long, stand for those that YAML takes for its own.
_SHIELD = str.maketrans("{}[],:#?", "\ue000\ue001\ue002\ue003\ue004\ue005\ue006\ue007")
_UNSHIELD = {mark: char for char, mark in _SHIELD.items()}
# The marks themselves, or escapes that stand for them.
_HAS_MARKS = re.compile(r"[\ue000-\ue007]|\\[uU](?:0000)?[eE]00[0-7]")
# Where a plain scalar outside brackets ends.
_CUTS_TEMPLATE = re.compile(r":(?:\s|$)|\s#")
# `404: 404`: what else than the text could be meant? Not so `0x10`, `007` and `1.10`.
_INTEGER_KEY = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)
_PROPERTY = re.compile(r"[ \t]*([&*!][^\s,\[\]{}]*)")


class YamlReader:
    """Reads one text. `_value` and `_nodes` are the mapping or list being filled."""

    def __init__(self, text: str, faults: Faults, *, templates: bool = False) -> None:
        self._text = text
        self._faults = faults
        self._shields_templates = templates
        self._count = 0
        self._count_max = faults.limits.nodes_max
        self._depth_max = faults.limits.depth_max
        self._value: Any = None
        self._nodes: Any = None
        self._outer: list[tuple[Any, Any]] = []
        self._key: str | None = None
        self._key_place = 0
        self._plain_keys: set[str] = set()
        self._end = 0
        self._root: tuple[JsonValue, Node] | None = None
        self._is_shielded = False

    def read(self) -> tuple[JsonValue, Node]:
        """Return the value of the whole text and where its parts stand.

        Faults may have been noted nevertheless; then the value is not to be used.

        Raises:
            Unreadable: What follows a fault cannot be understood.
        """
        self._check_characters()
        shielded = _shielded(self._text, templates=self._shields_templates)
        self._is_shielded = shielded is not self._text
        parser = LOADER(shielded)
        try:
            self._take_events(parser.get_event)
        except yaml.YAMLError as error:
            stop_at(error, self._text, self._faults)
        finally:
            parser.dispose()
        if self._root is None or self._root == (None, packed(self._end, self._end)):
            self._faults.stop("D003", "the document is empty", "", 0, 0)
        return self._root

    def _check_characters(self) -> None:
        faults = self._faults
        for found in _NOT_ALLOWED.finditer(self._text):
            code = ord(found[0])
            message = f"character U+{code:04X} may not stand in YAML as it is"
            hint = rf"in double quotes it is written \u{code:04X}"
            faults.add("D005", message, hint, *found.span())
        if faults.count:
            raise Unreadable
        # libyaml needs quadratic time for many of them, and tags are refused anyway.
        tag = _TAG_DIRECTIVE.search(self._text)
        if tag is not None and _is_prologue(self._text[: tag.start()]):
            faults.stop("D015", "tags are not supported", "remove it", *tag.span())

    def _take_events(self, next_event: Callable[[], Any]) -> None:
        while True:
            event = next_event()
            kind = type(event)
            if kind is ScalarEvent:
                self._take_scalar(event)
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                self._close(event)
            elif kind is MappingStartEvent:
                self._open(event, {}, _members())
            elif kind is SequenceStartEvent:
                self._open(event, [], Items())
            elif kind is AliasEvent:
                self._refuse_alias(event)
            elif kind is StreamEndEvent:
                return
            elif kind is DocumentStartEvent and self._root is not None:
                message = "a second document starts here"
                hint = "put each document into a file of its own"
                self._faults.add("D016", message, hint, *_place(event))
                return

    def _take_scalar(self, event: Any) -> None:
        text, is_plain, start = event.value, not event.style, event.start_mark.index
        if self._is_shielded and not text.isascii():
            text = text.translate(_UNSHIELD)
        end = event.end_mark.index
        if not is_plain and event.style in _BLOCK_STYLES:
            # For libyaml, it ends after the blank lines that follow.
            end = start + len(self._text[start:end].rstrip())
        self._end = end
        if is_plain and self._shields_templates and "${" in text:
            self._check_template(text, (start, end))
        place = start << SHIFT | end
        if event.tag is not None or event.anchor is not None:
            self._refuse_properties(start)
        if self._key is None and type(self._value) is dict:
            self._take_key(text, is_plain, place)
        elif is_plain and text[:1] in SPECIAL_STARTS:
            self._store(resolve(text, (start, end), self._faults), place)
        else:
            self._store(text, place)

    def _check_template(self, text: str, place: Offsets) -> None:
        """Note a plain scalar that YAML would cut if it were not shielded."""
        is_flow = self._nodes is not None and self._text[self._nodes.start] in "{["
        if is_flow or _CUTS_TEMPLATE.search(text):
            self._faults.unquoted_template(text, place)

    def _take_key(self, text: str, is_plain: bool, place: int) -> None:
        if text not in self._plain_keys:
            self._check_key(text, is_plain, offsets_of(place))
        first = self._nodes.key_places.get(text)
        if first is not None:
            places = offsets_of(first), offsets_of(place)
            self._faults.duplicate_key(text, *places, self._value[text])
        self._key, self._key_place = text, place

    def _check_key(self, text: str, is_plain: bool, place: Offsets) -> None:
        faults = self._faults
        if len(text) > faults.limits.key_length_max:
            faults.long_key(len(text), place)
        elif is_plain and text == "<<":
            hint = "write the keys out; `defaults` holds settings that steps share"
            faults.add("D014", "merge keys are not supported", hint, *place)
        elif is_plain and not is_text(text) and not _INTEGER_KEY.fullmatch(text):
            message = f"a key is text, and {shown(text) or 'nothing'} is not"
            faults.add("D017", message, f'write "{shown(text)}"', *place)
        elif is_plain:
            self._plain_keys.add(text)

    def _store(self, value: JsonValue, node: Node) -> None:
        """Put a value, and where it stands, into the current mapping or list."""
        self._count += 1
        if self._count > self._count_max:
            self._faults.too_many(offsets_of(node))
        if self._nodes is None:
            self._root = (value, node)
        elif self._key is not None:
            self._value[self._key] = value
            self._nodes.key_places[self._key] = self._key_place
            self._nodes[self._key] = node
            self._key = None
        else:
            self._value.append(value)
            self._nodes.append(node)

    def _open(self, event: Any, value: Any, nodes: Any) -> None:
        """Begin a mapping or a list."""
        start = event.start_mark.index
        if event.tag is not None or event.anchor is not None:
            self._refuse_properties(start)
        if self._key is None and type(self._value) is dict:
            message = f"a key is text, and a {'list' if value == [] else 'mapping'} is not"
            hint = 'a template needs quotes: "${…}"'
            self._faults.stop("D017", message, hint, *_place(event))
        if self._nodes is not None:
            self._outer.append((self._value, self._nodes))
        if len(self._outer) >= self._depth_max:
            self._faults.too_deep(_place(event))
        nodes.start = nodes.end = start
        self._store(value, nodes)
        self._value, self._nodes = value, nodes

    def _close(self, event: Any) -> None:
        """End the current mapping or list, and go on with the one around it."""
        end = event.end_mark.index
        if end > event.start_mark.index:
            self._end = end
        # Else it has no bracket, and ends where the last value in it does: for libyaml,
        # it would end after the blank lines and comments that follow.
        self._nodes.end = self._end
        self._value, self._nodes = self._outer.pop() if self._outer else (None, None)

    def _refuse_alias(self, event: Any) -> None:
        start, self._end = _place(event)
        place = packed(start, self._end)
        self._refuse_properties(start)
        if self._key is None and type(self._value) is dict:
            self._key, self._key_place = event.anchor, place
        else:
            self._store(None, place)

    def _refuse_properties(self, start: int) -> None:
        """Note each anchor, alias and tag that stands at `start`."""
        while (found := _PROPERTY.match(self._text, start)) is not None:
            name = shown(found[1])
            if name.startswith("!"):
                hint = "remove it; quotes make text of a number"
                self._faults.add("D015", f"tag {name}: no tags", hint, *found.span(1))
            else:
                kind = "alias" if name.startswith("*") else "anchor"
                message = f"{kind} {name}: a document has no references"
                hint = "write the value out; `defaults` holds settings that steps share"
                self._faults.add("D013", message, hint, *found.span(1))
            start = found.end()


def _shielded(text: str, *, templates: bool) -> str:
    """Return `text`, as long, with clinging braces made ordinary characters.

    Wherever YAML takes them as they are (quoted, in a block) they are turned back all the
    same, so what a text without such an error means does not change.

    Args:
        templates: Whether to do so in templates too.
    """
    if _HAS_MARKS.search(text):
        return text
    text = _CLINGING_NAME.sub("\ue000\\1\ue001", text)
    if not templates:
        return text
    pieces: list[str] = []
    at = 0
    while (start := text.find("${", at)) >= 0:
        end = template_end(text, start)
        pieces += text[at : start + 1], text[start + 1 : end].translate(_SHIELD)
        at = end
    return "".join((*pieces, text[at:]))


def _members() -> Members:
    members = Members()
    members.key_places = {}
    return members


def _is_prologue(text: str) -> bool:
    """Tell whether `text` has only comments, directives and blank lines."""
    lines = (line.lstrip() for line in text.splitlines())
    return all(line[:1] in ("", "#", "%") for line in lines)


def _place(event: Any) -> Offsets:
    return event.start_mark.index, event.end_mark.index
