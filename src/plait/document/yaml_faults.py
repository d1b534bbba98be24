"""What the YAML parser complains about, in words that say what to change.

Its own sentences name states of the parser. Those not listed here are passed on as they
are, so a newer parser loses nothing.
"""

from __future__ import annotations

import re
from typing import NoReturn

import yaml

from plait.document.faults import Faults, shown
from plait.document.json_scalars import char_at

_QUOTE = "put the whole text in quotes"

# Problem of the parser: code, message, hint.
_KNOWN = {
    "mapping values are not allowed in this context": (
        "D010",
        "unexpected ': '",
        f"check the indentation of this line; if it belongs to a text, {_QUOTE}",
    ),
    "did not find expected key": (
        "D010",
        "expected a key here, or the end of the mapping",
        "check the indentation of this line and the quotes on it",
    ),
    "did not find expected '-' indicator": (
        "D010",
        "expected '- ' here, or the end of the list",
        "check the indentation of this line",
    ),
    "could not find expected ':'": (
        "D010",
        "expected ':' after the key",
        "write `key: value`; a key has one line and at most 1,024 characters",
    ),
    "block sequence entries are not allowed in this context": (
        "D010",
        "a list cannot start here",
        "put '- ' on a line of its own, below the key",
    ),
    "did not find expected comment or line break": (
        "D010",
        "expected the end of the line",
        "after '|' and '>' the text starts on the next line",
    ),
    "found unexpected end of stream": (
        "D011",
        "this text is never closed",
        "the closing quote is missing",
    ),
    "found unexpected document indicator": (
        "D011",
        "this text is never closed",
        "the closing quote is missing",
    ),
    "found unknown escape character": (
        "D024",
        "unknown escape",
        r"a backslash itself is written \\, or put the text in single quotes",
    ),
    "did not find expected hexdecimal number": (
        "D024",
        "hexadecimal digits are missing",
        r"\x has two of them, \u four, \U eight",
    ),
    "found invalid Unicode character escape code": (
        "D023",
        "this escape stands for no character",
        r"write the character itself, or \U and eight digits",
    ),
    "did not find expected <document start>": (
        "D016",
        "text after the end of the document",
        "check the indentation of this line and the quotes before it",
    ),
}
_NO_START = (
    "found character that cannot start any token",
    "did not find expected alphabetic or numeric character",
)
_TABS = (
    "found a tab character where an indentation space is expected",
    "found a tab character that violates indentation",
)
_BRACES = re.compile(r"[{}\n\r]")


def stop_at(error: yaml.YAMLError, text: str, faults: Faults) -> NoReturn:
    """Note what the parser stopped at, and stop."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        faults.stop("D010", f"no YAML: {error}", "", 0, 0)
    at = min(error.problem_mark.index, len(text))
    context = error.context_mark.index if error.context_mark is not None else at
    problem = error.problem or ""
    place = (at, min(at + 1, len(text)))
    if problem in _TABS or text.startswith("\t", at):
        message = "a tab indents this line; YAML indents with spaces"
        faults.stop("D012", message, "replace it by spaces", *place)
    _stop_at_template(text, at, faults)
    if problem.startswith("did not find expected ',' or"):
        _stop_in_flow(text, context, at, faults)
    if problem == "did not find expected node content":
        message = f"expected a value, not {char_at(text, at)}"
        faults.stop("D010", message, f"if it belongs to a text, {_QUOTE}", *place)
    if problem in _NO_START:
        message = f"text cannot start with {char_at(text, context)}"
        faults.stop("D010", message, _QUOTE, context, context + 1)
    if problem == "did not find expected key" and _is_after_quote(text, at):
        message = "text after a closing quote"
        hint = "put the whole value in quotes of the other kind"
        faults.stop("D010", message, hint, *place)
    code, message, hint = _KNOWN.get(problem, ("D010", _own_words(error), ""))
    if code == "D011":
        place = (context, context + 1)
    elif code == "D023":
        # The parser has passed the backslash and what follows it.
        place = (text.rfind("\\", 0, at), at)
    faults.stop(code, message, hint, *place)


def _stop_at_template(text: str, at: int, faults: Faults) -> None:
    """Stop if what the parser stumbled over stands in a template without quotes."""
    start = text.rfind("${", _line_start(text, at), at + 1)
    if start < 0 or _is_after_quote(text, at):
        return
    end = template_end(text, start)
    if start < at < end:
        template = text[start:end]
        quote = "'" if '"' in template else '"'
        hint = f"write {quote}{shown(template)}{quote}"
        faults.stop("D026", "this template needs quotes", hint, start, end)


def template_end(text: str, start: int) -> int:
    """Return where the template at `start` ends: its brace closes, or else its line."""
    depth = 0
    for brace in _BRACES.finditer(text, start):
        if brace[0] not in "{}":
            return brace.start()
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return brace.end()
    return len(text)


def _line_start(text: str, at: int) -> int:
    return max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1


def _is_after_quote(text: str, at: int) -> bool:
    return text[_line_start(text, at) : at].rstrip(" \t").endswith(("'", '"'))


def _stop_in_flow(text: str, start: int, at: int, faults: Faults) -> NoReturn:
    """Stop where the mapping or list whose bracket stands at `start` does not go on."""
    opener = text[start : start + 1]
    closer = "}" if opener == "{" else "]"
    if at >= len(text.rstrip()):
        hint = f"the text ends where a '{closer}' is missing"
        faults.stop("D011", f"this '{opener}' is never closed", hint, start, start + 1)
    line, column = faults.lines.position(start)
    message = (
        f"expected ',' or '{closer}', not {char_at(text, at)}: "
        f"the '{opener}' at line {line}, column {column} is still open"
    )
    faults.stop("D010", message, "", at, at + 1)


def _own_words(error: yaml.MarkedYAMLError) -> str:
    return ", ".join(part for part in (error.context, error.problem) if part)
