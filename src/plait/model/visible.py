"""Text of others as people are shown it: it commands no terminal.

Not here: writing it (plait.cli.streams, plait.telemetry.logs).
"""

from __future__ import annotations

import re
from typing import Final

# What moves a terminal's cursor, colours it, sets its title or turns text around; C1 too:
# U+009B is to some the same as ESC [.
_CONTROLS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Return `text` with its control characters, but line ends and tabs, as codes.

    >>> print(visible("\\x1b[2Jann\\u202e"))
    \\x1b[2Jann\\u202e
    """
    return _CONTROLS.sub(_code, text)


def visible_line(text: str) -> str:
    r"""Return `text` as `visible` does, and on one line.

    >>> print(visible_line("ann\nbob"))
    ann\nbob
    """
    return visible(text).replace("\n", r"\n").replace("\t", r"\t")


def visible_json(text: str) -> str:
    r"""Return JSON that says the same, without control characters.

    >>> print(visible_json('"a\x7f"'))
    "a\u007f"
    """
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _code(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
