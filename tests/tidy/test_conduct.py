"""What code does: each rule keeps the tree, and each rule can find a breach."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.tidy import conduct_rules as rules
from tests.tidy.tree import Finding, Module, in_pure_room, in_src, in_tests, module, modules


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, the files it holds for, and examples on each side of it, one per line."""

    find: Callable[[Module], Iterator[rules.Breach]]
    holds_for: Callable[[str], bool]
    breaches: tuple[str, ...]
    fine: tuple[str, ...]

    def findings(self, module: Module) -> list[Finding]:
        return [Finding(module.path, line, text) for line, text in self.find(module)]


def everywhere(path: str) -> bool:
    return path.endswith(".py")


def beside_the_command_line(path: str) -> bool:
    return in_src(path) and not path.startswith("src/plait/cli/")


RULES = [
    Rule(
        rules.impure_calls,
        in_pure_room,
        (
            "at = datetime.now(UTC)",
            "at = datetime.datetime.utcnow()",
            "day = date.today()",
            "at = time.monotonic()",
            "name = os.environ.get('X')",
            "text = open(name)",
            "text = path.read_text()",
            "text = Path(name).read_text()",
        ),
        (
            "at = datetime.fromisoformat(text)",
            "x = step.time(3)",
            "timer.now = 3",
            "read_text(x)",
        ),
    ),
    Rule(
        rules.seeded_hashes,
        in_pure_room,
        ("x = hash(name)",),
        ("def __hash__(self):\n    return hash(self.name)", "x = hash_of(plan)"),
    ),
    Rule(
        rules.iterated_sets,
        in_pure_room,
        (
            "for name in {'a', 'b'}:\n    x = name",
            "names = [n for n in set(found)]",
            "names = list(frozenset(found))",
            "text = ', '.join({n for n in found})",
        ),
        ("for n in sorted(set(found)):\n    x = n", "x = name in {'a', 'b'}"),
    ),
    Rule(rules.prints, beside_the_command_line, ("print('x')",), ("console.print('x')",)),
    Rule(
        rules.swallowed_exceptions,
        everywhere,
        (
            "try:\n    f()\nexcept Exception:\n    pass",
            "try:\n    f()\nexcept:\n    pass",
            "try:\n    f()\nexcept (ValueError, BaseException):\n    pass",
            "with contextlib.suppress(Exception):\n    f()",
        ),
        (
            "try:\n    f()\nexcept KeyError:\n    pass",
            "try:\n    f()\nexcept Exception as error:\n    report(error)",
            "with suppress(KeyError):\n    f()",
        ),
    ),
    Rule(rules.empty_assertions, everywhere, ("assert True", "assert 'x'"), ("assert x",)),
    Rule(
        rules.sleeps,
        in_tests,
        ("time.sleep(0.1)", "async def f():\n    await asyncio.sleep(1)", "sleep(5)"),
        ("async def f():\n    await asyncio.sleep(0)", "clock.sleep(delay_s)"),
    ),
    Rule(
        rules.skips,
        in_tests,
        ("pytest.skip('x')", "@pytest.mark.skipif(x)\ndef f(): ...", "pytest.mark.xfail"),
        ("text.skip(3)", "@pytest.mark.slow\ndef f(): ..."),
    ),
    Rule(
        rules.unsafe_loads,
        everywhere,
        ("import pickle", "from marshal import loads", "yaml.load(text)", "eval(text)"),
        ("yaml.safe_load(text)", "import json", "program.eval(names)"),
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
def test_the_rule_finds_each_breach(rule: Rule) -> None:
    found = {b: len(rule.findings(module("x.py", b))) for b in rule.breaches}
    assert found == dict.fromkeys(rule.breaches, 1)


@each_rule
def test_the_rule_spares_what_is_fine(rule: Rule) -> None:
    assert [rule.findings(module("x.py", text)) for text in rule.fine] == [[]] * len(
        rule.fine
    )
