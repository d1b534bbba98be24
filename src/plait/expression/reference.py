"""docs/reference/expressions.md, made from the table of functions.

python -m plait.expression.reference > docs/reference/expressions.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from plait.expression.catalogue import FUNCTIONS

_HEAD: Final = """\
# Expressions

<!-- Made by `python -m plait.expression.reference`; a test compares. -->

`${ … }` holds a [CEL](https://cel.dev) expression: paths, literals, operators, and the
functions below. There is no host language behind it, no clock, no dice and no I/O: equal
names give an equal value, in every process.

| you write | you get |
|---|---|
| `${user.response.id}` | that value, with its type; a missing key is an error that names the path |
| `${user.response.items[0].sku}`, `${input["odd key"]}` | list elements, and keys that are no identifiers |
| `Hello, ${input.name}!` | text with the value written into it; null as `null`, objects and lists as JSON |
| `$${literal}` | the text `${literal}` |
| `${a.response.total > 100 && user.response.vip}` | `&&`, `\\|\\|`, `!`, `==`, `!=`, `<`, `<=`, `>`, `>=`, `in`, `? :` |
| `${int(input.n) + 1}` | `+ - * / %`; integers and doubles compare with each other, but do not mix in arithmetic |
| `${[1, 2] + input.more}`, `${{"a": 1}}` | lists and objects |

An expression takes about 50 ms at most: what could take longer is refused before it is
evaluated (`expression.budget`), by the sizes of the values that it reads. Objects have
their keys in sorted order wherever an expression makes or walks them.
"""


def page() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *_groups()])


def _groups() -> Iterator[str]:
    for group, entries in groupby(FUNCTIONS, key=lambda entry: entry.group):
        yield f"## {group}\n"
        yield "| | |"
        yield "|---|---|"
        for entry in entries:
            signature = entry.signature.replace("|", "\\|")
            yield f"| `{signature}` | {entry.summary} |"
        yield ""


if __name__ == "__main__":
    sys.stdout.write(page())
