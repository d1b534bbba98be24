"""Patterns: what all of them are, and how they run.

Rule 1. A pattern is compiled when it is made, into one plan, by the compiler that reads
documents; what is wrong with it is known then.
Rule 2. It runs by the drivers that run documents: in memory, or in a journal.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Generic, TypedDict, TypeVar

import orjson

from plait.compile import CompileErrors, compile_text
from plait.connectors.python import Functions, PythonCalls, PythonStep
from plait.connectors.python.functions import Adapter
from plait.connectors.python.values import NoJson, as_json
from plait.document import Catalog
from plait.document.limits import SourceLimits
from plait.drivers.inline import InlineDriver, Result, Start
from plait.kernel import Kernel
from plait.model.diagnostic import Diagnostic
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record
from plait.patterns.checks import check_pattern_name
from plait.patterns.context import Callee, callee_of
from plait.patterns.journal import Journal, Place, opened
from plait.patterns.outcome import Outcome, decoder, facts_of
from plait.plan import Plan
from plait.ports.calls import Calls

In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)

_CATALOG: Final = Catalog([PythonStep])
_LIMITS: Final = SourceLimits(bytes_max=16_000_000, nodes_max=1_000_000)
_ID_BYTES: Final = 16


class Where(TypedDict, total=False):
    """Where a pattern runs: see `Pattern.run`."""

    journal: Place | Journal | None
    key: str | None


@record
class Made:
    """A document, and what the compiler made of it."""

    document: JsonObject
    warnings: tuple[Diagnostic, ...]
    plan: Plan
    kernel: Kernel


class Pattern(Generic[In_contra, Out_co]):
    """Something that can be run: it takes one value, and yields one.

    Attributes:
        name: Under which a journal keeps its runs.
        functions: The functions that its steps call.
    """

    kind: ClassVar[str]

    def __init__(self, name: str) -> None:
        self.name = check_pattern_name(name)
        self.functions = Functions()
        self._calls = PythonCalls(self.functions)
        self._adapter: Adapter | None = None

    # -- making ------------------------------------------------------------------------

    def _callee(
        self,
        part: str,
        function: Callable[..., Any],
        *,
        values: int = 1,
        first: type | None = None,
        is_condition: bool = False,
    ) -> Callee:
        """Register one of the pattern's functions; see `callee_of`."""
        what = f"{self.kind} '{self.name}': {part}"
        name = f"{self.name}.{part}"
        callee = callee_of(
            name,
            function,
            what=what,
            parameters_max=values,
            first=first,
            is_condition=is_condition,
        )
        self.functions.put(callee.function)
        return callee

    def _compile(self, document: Mapping[str, JsonValue]) -> None:
        self._latest = self._compiled(document)

    def _compiled(self, document: Mapping[str, JsonValue]) -> Made:
        named: JsonObject = {"name": self.name, **document}
        text = orjson.dumps(named, option=orjson.OPT_INDENT_2)
        try:
            made = compile_text(
                text, name=f"{self.name}.json", catalog=_CATALOG, limits=_LIMITS
            )
        except CompileErrors as errors:
            told = "; ".join(one.message for one in errors.diagnostics)
            raise ValueError(f"{self.kind} '{self.name}': {told}") from None
        return Made(named, made.warnings, made.plan, Kernel(made.plan))

    def _current(self) -> Made:
        """Return what it is made into by now."""
        return self._latest

    @property
    def document(self) -> JsonObject:
        """The workflow document that it was made into."""
        return self._current().document

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What the compiler advises against in it."""
        return self._current().warnings

    @property
    def plan(self) -> Plan:
        """What that document was compiled into."""
        return self._current().plan

    # -- running -----------------------------------------------------------------------

    async def run(
        self,
        value: In_contra,
        *,
        journal: Place | Journal | None = None,
        key: str | None = None,
    ) -> Outcome[Out_co]:
        """Run it to its end.

        Args:
            value: What it is given: JSON, dataclasses, pydantic models.
            journal: Where every step is written down before anything follows from it: an
                open `Journal`, a store, or the path of an SQLite file. None: in memory.
            key: Names this run in the journal: another run with the same key is the same
                run, which goes on where it was, or has ended already.

        Raises:
            ValueError: The value is no JSON; a key without a journal, or that is no text;
                a journal that is none.
            KeyReused: The key came before, with another value.
        """
        given = self._given(value)
        if journal is None:
            if key is not None:
                raise ValueError("key: it names a run in a journal; give one")
            return self._told(await self._in_memory(given))
        async with opened(journal, self) as kept:
            return self._told(await kept.finish(self, given, key))

    def _given(self, value: In_contra) -> JsonValue:
        try:
            return as_json(value)
        except NoJson as error:
            raise ValueError(f"{self.kind} '{self.name}' was given {error}") from None

    async def _in_memory(self, given: JsonValue) -> Result:
        start = Start(secrets.token_hex(_ID_BYTES), given)
        return await InlineDriver(self._calls).run(self._current().kernel, start)

    @property
    def calls(self) -> Calls:
        """What calls its functions."""
        return self._calls

    def outcome_of(self, result: Result) -> Outcome[Out_co]:
        """Return how a run ended, by how its execution did."""
        return self._told(result)

    def _told(self, result: Result) -> Outcome[Out_co]:
        return Outcome(**self._facts(result))

    def _facts(self, result: Result) -> dict[str, Any]:
        ids = [node.id for node in self.plan.scope.nodes]
        facts = facts_of(self.name, result, ids)
        return {**facts, "decode": decoder(self._adapter)}
