"""docs/reference/cli.md, made from the commands themselves.

python -m plait.cli.reference > docs/reference/cli.md
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any, Final

from plait.cli.app import COMMANDS, load_command

_HEAD: Final = """\
# The command line

<!-- Made by `python -m plait.cli.reference`; a test compares. -->

What a command yields goes to standard output, what it says about it to standard error.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | the execution failed (`run`), requests were cut off (`serve`), or the output could \
not be written |
| 2 | a document, an input, a setting or an argument is invalid |
| 130 | stopped by Ctrl-C (`run`) |

Each finding in a document is one line: `file:line:column: code message (hint)`. What the
codes mean is in [errors](errors.md). Settings that are not options are in
[settings](settings.md).
"""


def page() -> str:
    """Return the page."""
    sections = [_section(*one) for name in COMMANDS for one in _commands(name)]
    return "\n".join([_HEAD, *sections])


def _commands(name: str) -> Iterator[tuple[str, Any]]:
    """Yield the command called `name`; of a group, each of its own."""
    command = load_command(name)
    for inner, one in getattr(command, "commands", {"": command}).items():
        yield f"{name} {inner}".rstrip(), one


def _section(name: str, command: Any) -> str:
    text, _, examples = command.help.partition("Examples:\n\n")
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    options = [one for one in command.params if one.param_type_name == "option"]
    usage = " ".join(
        ["plait", name, *(["[OPTIONS]"] if options else []), *map(_usage, arguments)]
    )
    parts = [f"## plait {name}\n", f"    {usage}\n", _paragraphs(text)]
    if command.params:
        parts.append("\n".join(_table(arguments, options)) + "\n")
    parts.append("```sh\n" + "\n".join(_examples(examples)) + "\n```\n")
    return "\n".join(parts)


def _usage(argument: Any) -> str:
    """Return an argument as a usage line shows it; more than one may be given: `…`."""
    name = str(argument.metavar).strip("[]")
    more = "…" if argument.nargs == -1 else ""
    return f"{name}{more}" if argument.required else f"[{name}{more}]"


def _paragraphs(text: str) -> str:
    joined = (" ".join(part.split()) for part in text.strip().split("\n\n"))
    return "\n\n".join(joined) + "\n"


def _table(arguments: list[Any], options: list[Any]) -> Iterator[str]:
    yield "| | |"
    yield "|---|---|"
    for one in arguments:
        yield f"| `{_cell(_usage(one))}` | {_cell(one.help)} |"
    for one in options:
        names = ", ".join(f"`{name}`" for name in [*one.opts, *one.secondary_opts])
        value = f" `{_cell(one.metavar)}`" if not one.is_flag else ""
        yield f"| {names}{value} | {_cell(one.help)}{_default(one)} |"


def _default(option: Any) -> str:
    default = getattr(option.default, "value", option.default)
    if option.is_flag or default is None:
        return ""
    return f" Default: `{default}`."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _examples(text: str) -> Iterator[str]:
    yield from re.findall(r"`((?:plait|echo)\b[^`]*)`", text)


if __name__ == "__main__":
    sys.stdout.write(page())
