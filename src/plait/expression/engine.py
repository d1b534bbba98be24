"""The CEL library: one environment, and programs made from lifted expressions.

Rule 1. Every name is declared as a slot of any type; types are checked otherwise, so a
        misspelt function or `1 + 'a'` is found when a document is compiled.
Rule 2. Expressions that are equal after lifting share one program, as long as any
        template uses it.
Rule 3. A program is changed after it was checked: loops are ordered
        (plait.expression.rewrite), and an optional result gives null when it is empty.

Not here: evaluating (plait.expression.evaluate).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, cached_property
from typing import Any, Final
from weakref import WeakValueDictionary

from cel_expr_python import cel  # type: ignore[import-untyped]

from plait.expression import budget
from plait.expression.catalogue import NAMES
from plait.expression.helpers import uuid_of
from plait.expression.problems import (
    NOT_OFFERED,
    TOO_LARGE,
    UNKNOWN_FUNCTION,
    CompileFailed,
    Refused,
    is_only_mixed_types,
)
from plait.expression.reads import Reads, reads_of
from plait.expression.rewrite import needs_rewriting, rewritten
from plait.expression.syntax import (
    Call,
    Const,
    Entries,
    Node,
    Select,
    nodes_of,
    read_tree,
    write_tree,
)
from plait.expression.values import CelValue
from plait.model.json import JsonValue

SLOTS_MAX: Final = 64
EXPRESSION_CHARS_MAX: Final = 4_096
# `optMap` writes its operand twice: twenty in a row took the library 16 s to compile.
OPTIONAL_MACROS_MAX: Final = 6
_OPTIONAL_MACRO: Final = re.compile(r"\b(?:optMap|optFlatMap)\b")
_TREE_BYTES_MAX: Final = 128 * 1024

_EXTENSIONS: Final = ("lists", "math", "optional", "strings", "bindings", "encoders")
# What macros and operators become in the tree.
_INNER_FUNCTIONS: Final = frozenset(
    {"math.@max", "math.@min", "@in", "@not_strictly_false", "@sortByAssociatedKeys"}
)
# Which messages a process knows depends on what it imported; these are always there.
_MESSAGES: Final = "google.protobuf."
_OFFERED: Final = NAMES | _INNER_FUNCTIONS


class Program:
    """An expression that is ready to be evaluated, without its names.

    Attributes:
        reads: What it reads below its slots.
        tree: Its syntax tree, as it was written.
    """

    def __init__(self, checked: Any, tree: Node, slot_count: int) -> None:
        self._checked = checked
        self.tree = tree
        self.reads: Reads = reads_of(tree, slot_count)

    @cached_property
    def run(self) -> Callable[[None, Mapping[str, JsonValue]], CelValue]:
        """What evaluates it: `run(None, {"v0": …})`.

        An error is a value, not an exception, except RuntimeError where the library
        gives up.
        """
        checked = self._checked
        if any(needs_rewriting(node) for node in nodes_of(self.tree)):
            checked = _environment().deserialize(write_tree(rewritten(self.tree)))
        run: Callable[[None, Mapping[str, JsonValue]], CelValue] = checked.eval
        return run

    @cached_property
    def keys(self) -> frozenset[str]:
        """The keys that stand in the expression itself: a message may name them."""
        fields = {n.field for n in nodes_of(self.tree) if isinstance(n, Select)}
        texts = {n.value for n in nodes_of(self.tree) if isinstance(n, Const)}
        return frozenset(fields | {text for text in texts if isinstance(text, str)})

    @cached_property
    def free_nodes(self) -> int:
        """The size of values up to which no budget has to be worked out."""
        return budget.free_nodes(self.tree)


_PROGRAMS: Final[WeakValueDictionary[str, Program]] = WeakValueDictionary()


def program_of(text: str, slot_count: int) -> Program:
    """Return the program of a lifted expression.

    Args:
        text: The expression, with slots `v0` … for names.
        slot_count: How many slots there are.

    Raises:
        CompileFailed: The library refuses it.
        Refused: It is larger than is allowed, or uses what is not offered.
    """
    program = _PROGRAMS.get(text)
    if program is None:
        program = _PROGRAMS[text] = _compiled(text, slot_count)
    return program


def _compiled(text: str, slot_count: int) -> Program:
    if len(text) > EXPRESSION_CHARS_MAX:
        limit = f"at most {EXPRESSION_CHARS_MAX:,} are allowed, paths not counted"
        raise Refused(TOO_LARGE, f"the expression has {len(text):,} characters; {limit}")
    if slot_count > SLOTS_MAX:
        raise Refused(TOO_LARGE, f"the expression reads more than {SLOTS_MAX} paths")
    if len(_OPTIONAL_MACRO.findall(text)) > OPTIONAL_MACROS_MAX:
        limit = f"more than {OPTIONAL_MACROS_MAX} times"
        raise Refused(TOO_LARGE, f"the expression uses optMap or optFlatMap {limit}")
    expression = _checked(text)
    if expression.return_type().name().startswith("optional_type"):
        # The new line ends a comment that the text may end with.
        expression = _checked(f"({text}\n).orValue(dyn(null))")
    return Program(expression, _tree_of(expression), slot_count)


def _checked(text: str) -> Any:
    try:
        return _environment().compile(text)
    except (RuntimeError, TypeError) as error:
        complaint = str(error)
    if not is_only_mixed_types(complaint):
        raise CompileFailed(complaint)
    return _environment().compile(text, disable_check=True)


def _tree_of(expression: Any) -> Node:
    serialised: bytes = expression.serialize()
    if len(serialised) > _TREE_BYTES_MAX:
        raise Refused(TOO_LARGE, "the expression is too large once its macros are expanded")
    tree = read_tree(serialised)
    for node in nodes_of(tree):
        match node:
            case Call(function) if not _is_offered(function):
                raise Refused(UNKNOWN_FUNCTION, f"function '{function}' is not offered")
            case Entries(_, message) if message and not message.startswith(_MESSAGES):
                raise Refused(NOT_OFFERED, f"a message '{message}' cannot be made here")
            case _:
                pass
    return tree


def _is_offered(function: str) -> bool:
    return function in _OFFERED or function.startswith(("_", "!", "-"))


@cache
def _environment() -> Any:
    """Return the environment that all expressions share. It is made when first needed."""
    names = "".join(f"- name: {extension}\n" for extension in _EXTENSIONS)
    dyn, text = cel.Type.DYN, cel.Type.STRING
    overloads = [
        cel.Overload(
            f"uuid_{name}_string", return_type=text, parameters=[kind, text], impl=uuid_of
        )
        for name, kind in (("map", cel.Type.MAP), ("string", text))
    ]
    return cel.NewEnv(
        config=cel.NewEnvConfigFromYaml(f"extensions:\n{names}"),
        variables={f"v{number}": dyn for number in range(SLOTS_MAX)},
        extensions=[cel.CelExtension("plait", [cel.FunctionDecl("uuid", overloads)])],
    )
