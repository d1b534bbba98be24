"""The YAML of deploy/, read strictly."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.image import DEPLOY

LINE_LENGTH_MAX = 92


def yaml_files() -> list[Path]:
    """Return every YAML file of deploy/."""
    return sorted(DEPLOY.rglob("*.y*ml"))


def documents(path: Path) -> list[Any]:
    """Return the documents of a file."""
    return list(yaml.safe_load_all(path.read_text()))


def faults(text: str) -> Iterator[str]:
    """Yield what is wrong with YAML that a reader would pass over in silence."""
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > LINE_LENGTH_MAX:
            yield f"line {number} is longer than {LINE_LENGTH_MAX}"
        if (len(line) - len(line.lstrip(" "))) % 2:
            yield f"line {number} is not indented by twos"
    for root in yaml.compose_all(text, yaml.SafeLoader):
        yield from _faults_of(root)


def _faults_of(node: yaml.Node) -> Iterator[str]:
    match node:
        case yaml.MappingNode():
            keys = [key.value for key, _ in node.value]
            for key, value in node.value:
                if keys.count(key.value) > 1:
                    yield f"line {key.start_mark.line + 1}: '{key.value}' stands twice"
                yield from _faults_of(value)
        case yaml.SequenceNode():
            for one in node.value:
                yield from _faults_of(one)
        case yaml.ScalarNode() if node.style is None and node.value in _AMBIGUOUS:
            yield f"line {node.start_mark.line + 1}: quote '{node.value}'"


# Words that older readers take for true and false.
_AMBIGUOUS = frozenset("yes no on off Yes No On Off y n".split())
