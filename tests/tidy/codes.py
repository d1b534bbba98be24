"""The codes that the source gives to errors and diagnostics, read from its syntax tree.

A code is a constant: the `code` of a class, the argument `code` of a call, the first
argument of `Failure`, or any text that looks like a diagnostic's number (`P012`). One
that is put together when the program runs (`connector.http.NNN`) is not seen here.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TypeGuard

from tests.tidy.tree import Finding, Module

_NUMBER = re.compile(r"[A-Z]\d{3}")
_DOTTED = re.compile(r"[a-z_]+(?:\.[a-z_0-9]+)*")
_CODE_FIRST = frozenset({"Failure"})

# In a table of docs/reference/errors.md: | `connector.timeout` | … |
_DOCUMENTED = re.compile(r"^\|\s*`([^`]+)`", re.MULTILINE)


def codes_in(module: Module) -> Iterator[Finding]:
    """Yield each code of `module` as the message of a finding."""
    for node in module.nodes:
        for constant in _code_constants(node):
            yield Finding(module.path, constant.lineno, str(constant.value))


def undocumented(codes: list[Finding], page: str) -> Iterator[Finding]:
    """Yield the first finding of each code that `page` has no row for."""
    known = set(_DOCUMENTED.findall(page))
    for code in codes:
        if code.message not in known:
            known.add(code.message)
            yield code


def unknown(codes: list[Finding], page: str) -> Iterator[str]:
    """Yield the codes that `page` documents and no source has.

    `connector.http.NNN` stands for a family and is not looked for.
    """
    used = {code.message for code in codes}
    for code in _DOCUMENTED.findall(page):
        if code not in used and not code.endswith("NNN"):
            yield code


def _code_constants(node: ast.AST) -> Iterator[ast.Constant]:
    match node:
        case ast.Constant(value=str(text)) if _NUMBER.fullmatch(text):
            yield node
        case ast.ClassDef():
            yield from _class_codes(node)
        case ast.Call(func=func, args=args, keywords=keywords):
            given = [keyword.value for keyword in keywords if keyword.arg == "code"]
            if isinstance(func, ast.Name) and func.id in _CODE_FIRST:
                given += args[:1]
            yield from filter(_is_dotted, given)
        case _:
            pass


def _class_codes(node: ast.ClassDef) -> Iterator[ast.Constant]:
    for child in node.body:
        match child:
            case ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant() as value):
                yield from filter(_is_dotted, [value])
            case ast.AnnAssign(target=ast.Name(id="code"), value=ast.Constant() as value):
                yield from filter(_is_dotted, [value])
            case _:
                pass


def _is_dotted(node: ast.expr) -> TypeGuard[ast.Constant]:
    if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
        return False
    return _DOTTED.fullmatch(node.value) is not None
