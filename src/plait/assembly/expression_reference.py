"""docs/reference/expressions.md, made from the table of functions.

python -m plait.assembly.expression_reference > docs/reference/expressions.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from plait.expression.catalogue import FUNCTIONS

_HEAD: Final = """\
# Expressions

<!-- Made by `python -m plait.assembly.expression_reference`; a test compares. -->

`${ … }` holds a [CEL](https://cel.dev) expression: paths, literals, operators, and the
functions below. There is no host language behind it, no clock, no dice and no I/O: equal
names give an equal value, in every process.

{examples}

An expression takes about 50 ms at most: what could take longer is refused before it is
evaluated (`expression.budget`), by the sizes of the values that it reads. Objects have
their keys in sorted order wherever an expression makes or walks them.
"""

_EXAMPLES: Final = (
    ("`${user.response.id}`", "that value, with its type; a missing key is an error"),
    ("`${a.response.items[0].sku}`", "elements of lists"),
    ('`${input["odd key"]}`', "keys that are no identifiers"),
    ("`Hello, ${input.name}!`", "text; null as `null`, objects and lists as JSON"),
    ("`$${literal}`", "the text `${literal}`"),
    ("`${a.response.total > 100 && !b.response.vip}`", "`&&`, `\\|\\|`, `!`, `in`, `? :`"),
    ("`${a.status == 'failed'}`", "`==`, `!=`, `<`, `<=`, `>`, `>=`"),
    ("`${int(input.n) + 1}`", "`+ - * / %`, of two integers or of two doubles"),
    ('`${[1] + input.more}`, `${{"a": 1}}`', "lists and objects"),
)


def page() -> str:
    """Return the page."""
    rows = [f"| {written} | {meaning} |" for written, meaning in _EXAMPLES]
    table = "\n".join(["| you write | you get |", "|---|---|", *rows])
    return "\n".join([_HEAD.replace("{examples}", table), *_groups()])


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
