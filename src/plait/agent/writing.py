"""Writing: from a document's values to YAML that a person would have written.

Small mappings stand on one line, steps are divided by blank lines, and the words of the
document come in the order of its reference.
"""

from __future__ import annotations

from typing import Any, Final

import yaml

from plait.model.json import JsonObject, JsonValue

_ORDER: Final[tuple[str, ...]] = (
    "name", "version", "description", "mode", "endpoint", "input", "defaults",
    "concurrency", "priority", "timeout", "on_failure", "order",
)  # fmt: skip
_LINE_MAX: Final = 88


class _Dumper(yaml.SafeDumper):
    """Puts on one line what is short and holds nothing nested."""

    def represent_mapping(
        self, tag: str, mapping: Any, flow_style: bool | None = None
    ) -> yaml.MappingNode:
        """Return the node of a mapping, in one line when that is short enough."""
        node = super().represent_mapping(tag, mapping, flow_style)
        node.flow_style = bool(mapping) is False or _is_short(mapping, 70)
        return node

    def represent_sequence(
        self, tag: str, sequence: Any, flow_style: bool | None = None
    ) -> yaml.SequenceNode:
        """Return the node of a list, in one line when that is short enough."""
        node = super().represent_sequence(tag, sequence, flow_style)
        node.flow_style = not sequence or _is_short(sequence, 60)
        return node

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent lists inside mappings, as people do."""
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        """Write every value out: a document has no references."""
        return True


def _is_short(value: Any, most: int) -> bool:
    inner = list(value.values()) if isinstance(value, dict) else list(value)
    if any(isinstance(one, dict | list) for one in inner):
        nested = [one for one in inner if isinstance(one, dict | list)]
        flat = all(
            not isinstance(leaf, dict | list)
            for one in nested
            for leaf in (one.values() if isinstance(one, dict) else one)
        )
        return flat and len(nested) < 2 and len(str(value)) < 60
    return len(str(value)) < most


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    """Write what needs quotes in double quotes, as templates have single ones inside."""
    node = yaml.SafeDumper.represent_str(dumper, text)
    if "'" in text or "${" in text:
        node.style = '"' if ("'" in text or '"' not in text) and "\\" not in text else None
    return node


_Dumper.add_representer(str, _text)


def write_yaml(value: JsonValue) -> str:
    """Return a value as YAML, as a part of a document.

    >>> print(write_yaml({"method": "GET", "url": "http://a/${input.b}"}), end="")
    {method: GET, url: "http://a/${input.b}"}
    """
    text: str = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000
    )
    return text.removesuffix("...\n")


def write_document(document: JsonObject, comments: tuple[str, ...] = ()) -> str:
    """Return a workflow document as YAML.

    Args:
        comments: Lines that stand above it.
    """
    lines = [f"# {_plain(line)}"[:200] for line in comments]
    text = "".join(f"{line}\n" for line in lines)
    steps = document.get("steps")
    keys = [key for key in _ORDER if key in document]
    rest = [key for key in document if key not in keys and key != "steps"]
    for key in keys:
        text += write_yaml_key(key, document[key])
    if isinstance(steps, list):
        text += "steps:\n" + "\n".join(write_item(step, 2) for step in steps)
    for key in rest:
        text += ("\n" if isinstance(steps, list) else "") + write_yaml_key(
            key, document[key]
        )
    return text


def write_yaml_key(key: str, value: JsonValue, indent: int = 0) -> str:
    """Return `key: value`, over as many lines as it takes."""
    return _indented(_pair(key, value), indent)


def _pair(key: str, value: JsonValue) -> str:
    # The outermost mapping is never on one line: it is the document's, or a step's.
    text = write_yaml(value)
    if isinstance(value, dict | list) and value and not text.startswith(("{", "[")):
        return f"{_key(key)}:\n{_indented(text, 2)}"
    return f"{_key(key)}: {text}" if text.count("\n") == 1 else _long(key, value)


def _long(key: str, value: JsonValue) -> str:
    text: str = yaml.dump(
        {key: value}, Dumper=yaml.SafeDumper, allow_unicode=True, width=10_000
    )
    return text


def _key(key: str) -> str:
    return write_yaml(key).strip()


def write_item(value: JsonValue, indent: int) -> str:
    """Return a step as an item of a list, a line per key."""
    if not isinstance(value, dict) or not value:
        return _indented("- " + write_yaml(value), indent)
    short = write_yaml(value)
    if short.startswith("{") and len(short) + indent < _LINE_MAX:
        return _indented("- " + short, indent)
    text = "".join(_pair(key, inner) for key, inner in value.items())
    return _indented("- " + _indented(text, 2).lstrip(" "), indent)


def _indented(text: str, indent: int) -> str:
    pad = " " * indent
    return "".join(
        pad + line if line.strip() else line for line in text.splitlines(keepends=True)
    )


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text)
