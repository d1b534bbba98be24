"""How code is laid out: each rule keeps the tree, and each rule can find a breach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.tidy import layout_rules as rules
from tests.tidy.tree import Finding, Module, in_src, module, modules, paths

_LONG_FUNCTION = "def f():\n" + "    x = 1\n" * 70
_LONGEST_FUNCTION = "def f():\n" + "    x = 1\n" * 69


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, the files it holds for, and one example on each side of it."""

    find: Callable[[Module], Iterator[rules.Breach]]
    holds_for: Callable[[str], bool]
    breach: str
    fine: str

    def findings(self, module: Module) -> list[Finding]:
        return [Finding(module.path, line, text) for line, text in self.find(module)]


def everywhere(path: str) -> bool:
    return path.endswith(".py")


def in_ports(path: str) -> bool:
    return path.startswith("src/plait/ports/")


RULES = [
    Rule(rules.long_functions, everywhere, _LONG_FUNCTION, _LONGEST_FUNCTION),
    Rule(rules.long_modules, everywhere, "x = 1\n" * 601, "x = 1\n" * 600),
    Rule(rules.missing_module_docstrings, in_src, "x = 1\n", '"""Why."""\n'),
    Rule(
        rules.missing_docstrings,
        in_src,
        "class A:\n    x = 1\n",
        "class _A:\n    pass\n\n\ndef f():\n    '''Why.'''\n",
    ),
    Rule(
        rules.inner_imports,
        everywhere,
        "class A:\n    def f(self):\n        if self:\n            import json\n",
        "if TYPE_CHECKING:\n    import json\n",
    ),
    Rule(
        rules.wide_ports,
        in_ports,
        "class P(Protocol[T]):\n" + "".join(f"    def m{n}(self): ...\n" for n in range(8)),
        "class P(Protocol):\n" + "".join(f"    def m{n}(self): ...\n" for n in range(7)),
    ),
]
each_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.find.__name__)


@each_rule
def test_the_tree_keeps_the_rule(rule: Rule) -> None:
    judged = [m for m in modules() if rule.holds_for(m.path)]
    findings = [str(finding) for m in judged for finding in rule.findings(m)]
    assert judged
    assert not findings, "\n".join([rule.find.__doc__ or "", *findings])


@each_rule
def test_the_rule_finds_a_breach_and_spares_what_is_fine(rule: Rule) -> None:
    assert len(rule.findings(module("src/plait/x.py", rule.breach))) == 1
    assert rule.findings(module("src/plait/x.py", rule.fine)) == []


def test_half_of_the_functions_have_ten_lines_or_fewer() -> None:
    source = tuple(m for m in modules() if in_src(m.path))
    assert rules.median_code_lines(source) <= rules.FUNCTION_LINES_MEDIAN_MAX


def test_the_median_counts_lines_of_code_and_no_docstrings() -> None:
    text = "def f():\n    '''One.\n\n    Two.\n    '''\n    return 1\n"
    long = "def g():\n" + "    x = 1\n" * 20
    assert rules.median_code_lines((module("a.py", text),)) == 2
    assert rules.median_code_lines((module("a.py", text + long),)) == 11.5


def test_every_folder_of_source_is_a_package() -> None:
    assert rules.folders_that_are_no_packages(paths()) == []


def test_a_folder_of_source_without_init_is_found() -> None:
    files = ["src/plait/__init__.py", "src/plait/a/__init__.py", "src/plait/a/b/c.py"]
    assert rules.folders_that_are_no_packages(files) == ["src/plait/a/b"]


def test_unit_tests_mirror_the_rooms_of_the_source() -> None:
    assert rules.unit_tests_of_no_room(paths()) == []


def test_a_folder_of_unit_tests_that_mirrors_no_room_is_found() -> None:
    files = [
        "src/plait/plan/x.py",
        "tests/unit/plan/test_x.py",
        "tests/unit/attic/test_y.py",
    ]
    assert rules.unit_tests_of_no_room(files) == ["attic"]
