"""What a document says, written so that no format takes it for its own."""

from __future__ import annotations

import re

_TEXT_LENGTH_MAX = 60
# Letters, digits, spaces and harmless signs stay; all else becomes a character code.
_UNSAFE = re.compile(r"[^\w .,:/()?!=+*%|~'\u2026\u00b7-]")


def mermaid_text(text: str) -> str:
    """Return `text` for a quoted label of Mermaid.

    >>> mermaid_text('a < "b"')
    'a #60; #34;b#34;'
    """
    if len(text) > _TEXT_LENGTH_MAX:
        text = text[: _TEXT_LENGTH_MAX - 1] + "…"
    return _UNSAFE.sub(lambda match: f"#{ord(match[0])};", text)


def mermaid_title(text: str) -> str:
    """Return `text` as a YAML string in single quotes."""
    return "'" + text.replace("'", "''") + "'"


def dot_text(text: str) -> str:
    """Return `text` as a DOT string.

    >>> print(dot_text('say "hi"'))
    "say \\"hi\\""
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
