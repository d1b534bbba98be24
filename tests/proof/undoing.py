"""Sagas of eight steps, each failing at every step, and what has to be undone then.

What has to be undone is said here by hand, step by step: the kernel is not its own judge.
Step N asks for `do/N`, and its compensation for `undo/N`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from textwrap import indent
from typing import Final

from plait.assembly import compose
from plait.compile import compile_text
from plait.kernel import StartCall
from plait.plan import Plan
from plait.testing import HANG, Answer, error, reply

STEPS: Final = range(1, 9)
REFUSED: Final = "connector.http.404"
# How long `do/N` takes, where branches run side by side: so far apart that the way to the
# store does not change who is first.
SLOW_MS: Final = {
    "fan": {"do/3": 300, "do/4": 100, "do/5": 200},
    "graph": {f"do/{n}": 170 if n in (3, 5, 7) else 100 for n in STEPS},
}


@dataclass(frozen=True, slots=True)
class Case:
    """One way to fail.

    Attributes:
        undone: What is to be asked for to undo it, in order; once per round.
        status, code: How it ends.
        refused: Targets that fail for good.
        hanging: Targets that never answer.
        slowly: Targets that fail at the first attempt.
        left: What could not be undone at first, and is in the rollback.
    """

    form: str
    failing: int
    undone: tuple[str, ...]
    status: str = "failed"
    code: str = REFUSED
    refused: frozenset[str] = frozenset()
    hanging: frozenset[str] = frozenset()
    slowly: frozenset[str] = frozenset()
    left: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is called in the report."""
        left = f", {', '.join(self.left)} fails" if self.left else ""
        return f"{self.form}, step {self.failing} fails{left}"

    @property
    def plan(self) -> Plan:
        """The workflow."""
        return plan(self.form)

    def answer(self, call: StartCall) -> Answer:
        """Answer as long as nothing was mended."""
        target = target_of(call)
        if target in self.hanging:
            return HANG
        after_ms = SLOW_MS.get(self.form, {}).get(target, 5)
        if target in self.refused:
            return error(REFUSED, after_ms=after_ms)
        if target in self.slowly and call.attempt == 1:
            return error("connector.http.503", after_ms=after_ms)
        return reply({"n": 1}, after_ms=after_ms)

    def mended(self, call: StartCall) -> Answer:
        """Answer once everything was mended."""
        del call
        return reply({"n": 1}, after_ms=5)


def target_of(call: StartCall) -> str:
    """Return what a call is for: `do/3`, `undo/3`."""
    return str(call.request["url"]).removeprefix("http://service/")


@cache
def _named() -> dict[str, Case]:
    return {one.name: one for one in cases()}


def case(name: str) -> Case:
    """Return the case of a name."""
    return _named()[name]


def cases() -> Iterator[Case]:
    """Yield every form with every failing step."""
    for form, order in _ORDERS.items():
        yield from _plain(form, order)
    for failing in STEPS:
        yield _in_groups(failing)
        yield _case("in two", failing, _in_two(range(failing - 1, 0, -1)))
        yield _case("flaky", failing, _undo(failing), slowly=_every("undo"))
        yield _case("again", failing, _undo(failing) * 2)
        yield _hung("late", failing, "step.timeout")
        yield _hung("cut short", failing, "execution.timeout")
        for form in ("saga", "whole"):
            yield from _not_undone(form, failing)
    for failing in STEPS[:-1]:
        rest = tuple(one for one in _undo(8) if one != f"undo/{failing}")
        both = frozenset({f"do/{failing}", "do/8"})
        yield Case("goes on", failing, rest, "compensated", refused=both)
        instead = tuple(one.replace(f"/{failing}", f"/other{failing}") for one in _undo(8))
        yield Case("falls back", failing, instead, "compensated", refused=both)


# -- cases -------------------------------------------------------------------------------

# Form → in which order its steps complete.
_ORDERS: Final[dict[str, Sequence[int]]] = {
    "saga": STEPS,
    "whole": STEPS,
    "mixed": STEPS,
    "nested": STEPS,
    "fan": (1, 2, 4, 5, 3, 6, 7, 8),
    "graph": (1, 2, 3, 4, 6, 5, 7, 8),
}


def _plain(form: str, order: Sequence[int]) -> Iterator[Case]:
    for at, failing in enumerate(order):
        undone = tuple(f"undo/{n}" for n in reversed(order[:at]))
        yield _case(form, failing, undone)


def _case(
    form: str,
    failing: int,
    undone: tuple[str, ...],
    slowly: frozenset[str] = frozenset(),
) -> Case:
    # Where nothing was done, nothing was undone.
    status = "compensated" if form in _WHOLE and undone else "failed"
    refused = frozenset({f"do/{failing}"})
    return Case(form, failing, undone, status, refused=refused, slowly=slowly)


def _hung(form: str, failing: int, code: str) -> Case:
    hanging = frozenset({f"do/{failing}"})
    return Case(form, failing, _undo(failing), code=code, hanging=hanging)


def _in_groups(failing: int) -> Case:
    """Steps go in pairs, and what undoes a pair stands for what undoes its steps."""
    pairs = (failing - 1) // 2
    alone = () if failing % 2 else (f"undo/{failing - 1}",)
    undone = (*alone, *(f"undo/g{n}" for n in range(pairs, 0, -1)))
    return _case("groups", failing, undone)


def _in_two(numbers: Iterable[int]) -> tuple[str, ...]:
    return tuple(f"undo/{n}{half}" for n in numbers for half in "ab")


def _not_undone(form: str, failing: int) -> Iterator[Case]:
    """Each compensation fails for good, which keeps no other from being made."""
    for left in range(1, failing):
        target = f"undo/{left}"
        refused = frozenset({f"do/{failing}", target})
        yield Case(
            *(form, failing, (*_undo(failing), target)),
            *("failed", "saga.compensation_failed"),
            refused=refused,
            left=(target,),
        )


def _undo(failing: int) -> tuple[str, ...]:
    return tuple(f"undo/{n}" for n in range(failing - 1, 0, -1))


def _every(verb: str) -> frozenset[str]:
    return frozenset(f"{verb}/{n}" for n in STEPS)


# -- documents ---------------------------------------------------------------------------


@cache
def plan(form: str) -> Plan:
    """Return the plan of one form."""
    name = form.replace(" ", "-")
    source = f"name: {name}\n{_TEXTS[form]()}".encode()
    return compile_text(source, name=f"{name}.yaml", catalog=compose.catalog()).plan


def _step(n: int, more: str = "", undo: str | None = None) -> str:
    default = f"{{type: http, id: undo, request: {_post(f'undo/{n}')}}}"
    return (
        f"- {{id: s{n}, type: http, request: {_post(f'do/{n}')}{more},"
        f" compensate: {undo or default}}}\n"
    )


def _post(target: str) -> str:
    return f'{{method: POST, url: "http://service/{target}"}}'


def _steps(numbers: Iterable[int], more: str = "") -> str:
    return "".join(_step(n, more) for n in numbers)


def _saga(inside: str, more: str = "", name: str = "saga") -> str:
    return f"- id: {name}\n  type: saga\n{more}  steps:\n{indent(inside, '    ')}"


def _document(steps: str, more: str = "") -> str:
    return f"{more}steps:\n{indent(steps, '  ')}"


_WHOLE_TEXT: Final = "order: sequence\non_failure: compensate\n"


def _mixed() -> str:
    inside = _saga(_steps((4, 5, 6)))
    return _document(_steps((1, 2, 3)) + inside + _steps((7, 8)), _WHOLE_TEXT)


def _nested() -> str:
    inner = _saga(_steps(range(3, 7)), name="inner")
    return _document(_saga(_steps((1, 2)) + inner + _steps((7, 8))))


def _fan() -> str:
    branches = "".join(
        f"    b{n}:\n      steps:\n{indent(_step(n), '        ')}" for n in (3, 4, 5)
    )
    fan = f"- id: fan\n  type: parallel\n  branches:\n{branches}"
    return _document(_saga(_steps((1, 2)) + fan + _steps((6, 7, 8))))


def _graph() -> str:
    before = {1: "", 2: "s1", 3: "s1", 4: "s2", 5: "s3", 6: "s4", 7: "s5", 8: "s6, s7"}
    inside = "".join(_step(n, f", depends_on: [{names}]") for n, names in before.items())
    return _document(_saga(inside, "  order: graph\n"))


def _groups() -> str:
    pairs = ""
    for pair in range(1, 5):
        inside = indent(_steps((2 * pair - 1, 2 * pair)), "    ")
        undo = f"{{id: undo, type: http, request: {_post(f'undo/g{pair}')}}}"
        pairs += f"- id: g{pair}\n  type: sequence\n  compensate: {undo}\n"
        pairs += f"  steps:\n{inside}"
    return _document(pairs, _WHOLE_TEXT)


def _undone_in_two() -> str:
    def halves(n: int) -> str:
        calls = ", ".join(
            f"{{id: {half}, type: http, request: {_post(f'undo/{n}{half}')}}}"
            for half in "ab"
        )
        return f"{{id: undo, type: sequence, steps: [{calls}]}}"

    return _document(_saga("".join(_step(n, undo=halves(n)) for n in STEPS)))


def _flaky() -> str:
    def undo(n: int) -> str:
        retry = "{max_attempts: 3, delay: 40ms}"
        return f"{{type: http, id: undo, retry: {retry}, request: {_post(f'undo/{n}')}}}"

    return _document(_saga("".join(_step(n, undo=undo(n)) for n in STEPS)))


def _falls_back() -> str:
    def other(n: int) -> str:
        undo = f"{{id: undo, type: http, request: {_post(f'undo/other{n}')}}}"
        text = f"{{id: other, type: http, request: {_post(f'do/other{n}')},"
        return f", fallback: {text} compensate: {undo}}}"

    inside = "".join(_step(n, other(n)) for n in STEPS[:-1]) + _step(8)
    return _document(inside, _WHOLE_TEXT)


_AGAIN: Final = "  retry: {max_attempts: 2, delay: 20ms, on: [any]}\n"
_GOES_ON: Final = ", on_error: continue"
_TEXTS: Final[dict[str, Callable[[], str]]] = {
    "saga": lambda: _document(_saga(_steps(STEPS))),
    "whole": lambda: _document(_steps(STEPS), _WHOLE_TEXT),
    "mixed": _mixed,
    "nested": _nested,
    "fan": _fan,
    "graph": _graph,
    "groups": _groups,
    "in two": _undone_in_two,
    "flaky": _flaky,
    "again": lambda: _document(_saga(_steps(STEPS), _AGAIN)),
    "late": lambda: _document(_saga(_steps(STEPS), "  timeout: 5s\n")),
    "cut short": lambda: _document(_saga(_steps(STEPS)), "timeout: 5s\n"),
    "goes on": lambda: _document(_steps(STEPS[:-1], _GOES_ON) + _step(8), _WHOLE_TEXT),
    "falls back": _falls_back,
}
_WHOLE: Final = frozenset({"whole", "mixed", "groups", "goes on", "falls back"})
