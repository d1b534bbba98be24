"""Rules about how code is laid out: lengths, docstrings, where imports stand."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import TypeAlias

from tests.tidy.tree import Module

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
Breach: TypeAlias = tuple[int, str]

FUNCTION_LINES_MAX = 70
FUNCTION_LINES_MEDIAN_MAX = 10
MODULE_LINES_MAX = 600
PORT_METHODS_MAX = 7


def long_functions(module: Module) -> Iterator[Breach]:
    """A function has at most 70 lines, its docstring included."""
    for function in functions_of(module):
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        if lines > FUNCTION_LINES_MAX:
            yield function.lineno, f"{function.name} has {lines} lines; split it"


def long_modules(module: Module) -> Iterator[Breach]:
    """A module has at most 600 lines."""
    lines = module.text.count("\n")
    if lines > MODULE_LINES_MAX:
        yield lines, f"{lines} lines; split the module"


def missing_module_docstrings(module: Module) -> Iterator[Breach]:
    """A module says what it is for, what its rules are, and what is elsewhere."""
    if not ast.get_docstring(module.tree):
        yield 1, "the module has no docstring"


def missing_docstrings(module: Module) -> Iterator[Breach]:
    """A public function or class of a module has a docstring."""
    for node in module.tree.body:
        if not isinstance(node, Function | ast.ClassDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield node.lineno, f"{node.name} has no docstring"


def inner_imports(module: Module) -> Iterator[Breach]:
    """Imports stand at the top: one inside a function hides a circle."""
    seen: set[int] = set()
    for function in functions_of(module):
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom) and node.lineno not in seen:
                seen.add(node.lineno)
                yield node.lineno, f"import inside {function.name}"


def wide_ports(module: Module) -> Iterator[Breach]:
    """A port has at most seven methods."""
    for node in module.nodes:
        if not isinstance(node, ast.ClassDef) or "Protocol" not in map(
            _last_name, node.bases
        ):
            continue
        methods = [child for child in node.body if isinstance(child, Function)]
        if len(methods) > PORT_METHODS_MAX:
            yield node.lineno, f"{node.name} has {len(methods)} methods; at most 7"


def folders_that_are_no_packages(paths: Iterable[str]) -> list[str]:
    """Return the folders of source without __init__.py: import-linter passes them over."""
    files = {
        path for path in paths if path.startswith("src/plait/") and path.endswith(".py")
    }
    folders = {path.rpartition("/")[0] for path in files}
    return sorted(folder for folder in folders if f"{folder}/__init__.py" not in files)


def unit_tests_of_no_room(paths: Sequence[str]) -> list[str]:
    """Return the folders of tests/unit that name no room of the source."""
    rooms = {path.split("/")[2] for path in paths if path.startswith("src/plait/")}
    tests = [path.split("/") for path in paths if path.startswith("tests/unit/")]
    return sorted({parts[2] for parts in tests if len(parts) > 3} - rooms)


def functions_of(module: Module) -> Iterator[Function]:
    """Yield every function and method, the nested ones too."""
    for node in module.nodes:
        if isinstance(node, Function):
            yield node


def code_lines(function: Function) -> int:
    """Return how many lines `function` has, without its docstring and decorators."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def median_code_lines(modules: tuple[Module, ...]) -> float:
    """Return the median length of all functions of `modules`, in lines."""
    return median(code_lines(f) for module in modules for f in functions_of(module))


def _last_name(node: ast.expr) -> str:
    """Return `Protocol` for `Protocol`, `typing.Protocol` and `Protocol[T]`."""
    if isinstance(node, ast.Subscript):
        return _last_name(node.value)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
