"""Rules about what code does: what imports cannot show, and what hides mistakes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TypeAlias

from tests.tidy.tree import Module

Breach: TypeAlias = tuple[int, str]

_CLOCK_METHODS = frozenset({"now", "utcnow", "today"})
_CLOCK_CLASSES = frozenset({"datetime", "date", "Date", "DateTime"})
_MACHINE_MODULES = frozenset({"time", "random", "uuid", "os", "secrets", "socket"})
_MACHINE_BUILTINS = frozenset({"open", "input", "print", "breakpoint"})
_FILE_METHODS = frozenset({"read_text", "read_bytes", "write_text", "write_bytes"})
_UNSAFE_MODULES = frozenset({"pickle", "cPickle", "dill", "marshal", "shelve"})
_UNSAFE_LOADS = frozenset({"load", "load_all", "full_load", "unsafe_load"})
_BROAD = frozenset({"Exception", "BaseException"})
_SKIPS = frozenset({"skip", "skipif", "xfail", "importorskip"})
_ORDERED_FROM = frozenset({"list", "tuple", "enumerate", "iter", "zip", "map"})


def impure_calls(module: Module) -> Iterator[Breach]:
    """A pure room reads no clock, no dice and no file."""
    for call in _calls(module):
        name = _dotted(call.func)
        owner, _, method = name.rpartition(".")
        clock = method in _CLOCK_METHODS and owner.rpartition(".")[2] in _CLOCK_CLASSES
        machine = owner.partition(".")[0] in _MACHINE_MODULES or name in _MACHINE_BUILTINS
        file = method in _FILE_METHODS and name != method
        if clock or machine or file:
            yield call.lineno, f"{name}() in a pure room; pass the value in"


def seeded_hashes(module: Module) -> Iterator[Breach]:
    """A pure room calls `hash()` only inside `__hash__`: it differs between processes."""
    own = {
        id(node)
        for function in module.nodes
        if isinstance(function, ast.FunctionDef) and function.name == "__hash__"
        for node in ast.walk(function)
    }
    for call in _calls(module):
        if _dotted(call.func) == "hash" and id(call) not in own:
            yield call.lineno, "hash() differs between processes; use hashlib"


def iterated_sets(module: Module) -> Iterator[Breach]:
    """A pure room never iterates a set: its order differs between processes."""
    for node in module.nodes:
        for source in _iterated(node):
            made = isinstance(source, ast.Call) and _dotted(source.func) in (
                "set",
                "frozenset",
            )
            if made or isinstance(source, ast.Set | ast.SetComp):
                yield source.lineno, "a set is iterated; sort it"


def prints(module: Module) -> Iterator[Breach]:
    """Only the command line prints."""
    for call in _calls(module):
        if _dotted(call.func) == "print":
            yield call.lineno, "print() outside the command line"


def swallowed_exceptions(module: Module) -> Iterator[Breach]:
    """Nothing catches everything and says nothing."""
    for node in module.nodes:
        if isinstance(node, ast.ExceptHandler):
            silent = all(isinstance(child, ast.Pass | ast.Continue) for child in node.body)
            found = silent and _is_broad(node.type)
        elif isinstance(node, ast.Call) and _dotted(node.func).endswith("suppress"):
            found = any(map(_is_broad, node.args))
        else:
            continue
        if found:
            yield node.lineno, "every exception is swallowed here"


def empty_assertions(module: Module) -> Iterator[Breach]:
    """An assertion can fail."""
    for node in module.nodes:
        match node:
            case ast.Assert(test=ast.Constant(value=value)) if value:
                yield node.lineno, "this assertion cannot fail"
            case _:
                pass


def sleeps(module: Module) -> Iterator[Breach]:
    """A test waits for what happens, never for a while. `sleep(0)` only yields."""
    for call in _calls(module):
        if _dotted(call.func).rpartition(".")[2] != "sleep" or not call.args:
            continue
        wait = call.args[0]
        if isinstance(wait, ast.Constant) and wait.value:
            yield call.lineno, f"sleep({wait.value!r}); wait for a signal or a condition"


def skips(module: Module) -> Iterator[Breach]:
    """A test runs, everywhere and always."""
    for node in module.nodes:
        if not isinstance(node, ast.Attribute) or node.attr not in _SKIPS:
            continue
        if _dotted(node.value) in ("pytest", "pytest.mark", "unittest"):
            yield node.lineno, f"{_dotted(node)}: a test that does not run proves nothing"


def unsafe_loads(module: Module) -> Iterator[Breach]:
    """Nothing loads a format that runs code, and nothing evaluates text."""
    for node in module.nodes:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        if any(name.partition(".")[0] in _UNSAFE_MODULES for name in names):
            yield node.lineno, f"{', '.join(names)} runs code that it loads"
    for call in _calls(module):
        owner, _, method = _dotted(call.func).rpartition(".")
        yaml = owner == "yaml" and method in _UNSAFE_LOADS
        if yaml or (not owner and method in ("eval", "exec")):
            yield call.lineno, f"{_dotted(call.func)}() may run what it reads"


def _calls(module: Module) -> Iterator[ast.Call]:
    for node in module.nodes:
        if isinstance(node, ast.Call):
            yield node


def _dotted(node: ast.expr) -> str:
    """Return `a.b.c` for that expression; what is no name reads as an empty part."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _is_broad(node: ast.expr | None) -> bool:
    if isinstance(node, ast.Tuple):
        return any(_is_broad(element) for element in node.elts)
    return node is None or _dotted(node) in _BROAD


def _iterated(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what `node` walks through in order."""
    if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        yield node.iter
    elif isinstance(node, ast.Call):
        name = _dotted(node.func)
        if name in _ORDERED_FROM or name.endswith(".join"):
            yield from node.args
