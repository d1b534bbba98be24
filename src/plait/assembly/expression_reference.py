"""docs/reference/expressions.md, made from the table of functions.

python -m plait.assembly.expression_reference > docs/reference/expressions.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from typing import Final

from plait.expression.catalogue import FUNCTIONS
from plait.expression.engine import EXPRESSION_CHARS_MAX
from plait.expression.problems import NESTING_MAX, SOURCE_CHARS_MAX
from plait.expression.scan import MARKS_MAX
from plait.expression.weight import VALUE_BYTES_MAX, VALUE_DEPTH_MAX

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

A text, list or object that a template makes has at most {value_mb_max} MB, as UTF-8 or as
JSON, and at most {value_depth_max} levels of lists and objects; beyond, the step fails with
`expression.budget` at the expression with which it became too much. A value that a template
only passes on (`${user.response}`) is not measured again.

A text has `${` at most {marks_max} times. An expression has at most {source_chars_max}
characters, {expression_chars_max} when its paths are not counted, and brackets at most
{nesting_max} deep (`E007`). A plain path may have {source_chars_max}.

In the path of a URL, a value is percent-encoded and never leaves a segment empty, nor makes
it `.` or `..` (`expression.not_for_url`): `http://users/${input.id}` fails for an empty id
rather than ask for all users. Beside other text in its segment, in the query and after `#`,
an empty text is fine.
"""

_LIMITS: Final = {
    "value_mb_max": VALUE_BYTES_MAX // 1024**2,
    "value_depth_max": VALUE_DEPTH_MAX,
    "marks_max": MARKS_MAX,
    "source_chars_max": SOURCE_CHARS_MAX,
    "expression_chars_max": EXPRESSION_CHARS_MAX,
    "nesting_max": NESTING_MAX,
}

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
    head = _HEAD.replace("{examples}", table)
    for name, limit in _LIMITS.items():
        head = head.replace(f"{{{name}}}", f"{limit:,}")
    return "\n".join([head, *_groups()])


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
