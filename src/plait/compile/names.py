"""Names: what a template may read where it stands, and what is wrong when it may not.

A read is a path from a root name: `("user", "response", "id")`. Roots are the fixed names
of the language and the ids of the steps that are visible: those of the same scope and of
the scopes around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import field, replace
from typing import Final

from plait.compile.findings import Findings
from plait.compile.input_schema import InputShape
from plait.document.nearest import nearest_hint
from plait.document.salvage import UnknownStep
from plait.document.tree import ScopeTree, StepTree
from plait.expression import ExpressionInfo, Read
from plait.model.place import Place
from plait.model.record import record
from plait.plan import CREDENTIAL_HEADERS

FIXED_NAMES: Final = ("input", "env", "execution", "trigger")
STEP_KEYS: Final = ("response", "status", "error", "attempts")
EXECUTION_KEYS: Final = ("id", "workflow", "version", "started_at", "attempt")


@record
class Visible:
    """A step that templates can read.

    Attributes:
        facts: Its value's extra keys; None when they are not known.
    """

    id: str
    facts: tuple[str, ...] | None


@record
class View:
    """What is visible from one spot.

    Attributes:
        steps: Readable steps by id.
        own: The step that the template belongs to, where it may read itself.
        later: Steps that exist but have not run yet where this is read.
        extra: Names that only this spot sees: `error`, `item`, `secrets`.
        elsewhere: Steps that exist but inside another step: id → that step's id.
        inside: Steps that this spot is inside of.
        context: Steps that may have run before, in a state machine; nothing waits for
            them.
    """

    steps: Mapping[str, Visible]
    own: Visible | None = None
    later: Set[str] = frozenset()
    extra: frozenset[str] = frozenset()
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    inside: Set[str] = frozenset()
    context: Mapping[str, Visible] = field(default_factory=dict)
    _wider: dict[tuple[str, ...], View] = field(default_factory=dict, init=False)

    def with_extra(self, *names: str) -> View:
        """Return this view with more names in it: one and the same for the same names.

        All steps of a scope ask for the same few.
        """
        if names not in self._wider:
            self._wider[names] = replace(self, extra=self.extra | set(names))
        return self._wider[names]


class NameChecker:
    """Checks the reads of templates against what is visible, and notes them.

    Attributes:
        roots: The first names of all reads.
        headers: Headers of replies that are read, by step; `*` stands for all of them.
        credentials: Headers of the request that let their bearer in, and where each is
            read, in the order of the reads.
    """

    def __init__(self, findings: Findings, input_shape: InputShape) -> None:
        self._findings = findings
        self._input = input_shape
        self.roots: set[str] = set()
        self.headers: dict[str, set[str]] = {}
        self.credentials: dict[tuple[str, Place], None] = {}

    def step_reads(self, expressions: Iterable[ExpressionInfo], view: View) -> set[str]:
        """Return the ids of the steps that are read; report what may not be."""
        ids: set[str] = set()
        for info in expressions:
            for read in info.reads:
                root = str(read[0])
                self.roots.add(root)
                if root in view.extra:
                    continue
                if view.own is not None and root == view.own.id:
                    self._check_step_read(view.own, read, info)
                elif root in view.steps and root not in view.later:
                    self._check_step_read(view.steps[root], read, info)
                    ids.add(root)
                elif root in view.context:
                    self._check_step_read(view.context[root], read, info)
                else:
                    self._check_fixed_read(root, read, info, view)
        return ids

    def _check_step_read(self, step: Visible, read: Read, info: ExpressionInfo) -> None:
        if len(read) == 1:
            self.headers.setdefault(step.id, set()).add("*")
            return
        if step.facts is None:
            return
        known = (*STEP_KEYS, *step.facts)
        if read[1] not in known:
            hint = nearest_hint(str(read[1]), known) or f"a step has {', '.join(known)}"
            text = f"step '{step.id}' has no '{read[1]}'"
            self._findings.error_at("P002", text, hint, info.place)
        elif read[1] == "headers":
            self._note_header(step.id, read, info.place)

    def _note_header(self, step_id: str, read: Read, place: Place) -> None:
        name = str(read[2]) if len(read) > 2 else "*"
        if name != name.lower():
            text = f"header names are lower-case: no response has '{name}'"
            hint = f"write '{name.lower()}'"
            self._findings.error_at("P002", text, hint, place)
        self.headers.setdefault(step_id, set()).add(name)

    def _check_fixed_read(
        self, root: str, read: Read, info: ExpressionInfo, view: View
    ) -> None:
        if root == "input":
            self._check_input_read(read, info.place)
        elif root == "execution":
            self._check_execution_read(read, info.place)
        elif root == "trigger":
            if read[1:2] == ("headers",) and read[2:3] and read[2] in CREDENTIAL_HEADERS:
                self.credentials[str(read[2]), info.place] = None
        elif root not in FIXED_NAMES:
            self._report_unknown(root, info.place, view)

    def _check_input_read(self, read: Read, place: Place) -> None:
        problem = self._input.problem_with(read)
        if problem is not None:
            findings = self._findings
            report = findings.error_at if problem.is_certain else findings.warning_at
            report("P010", problem.message, problem.hint, place)

    def _check_execution_read(self, read: Read, place: Place) -> None:
        if len(read) > 1 and read[1] not in EXECUTION_KEYS:
            hint = nearest_hint(str(read[1]), EXECUTION_KEYS)
            hint = hint or f"it has {', '.join(EXECUTION_KEYS)}"
            self._findings.error_at("P002", f"'execution' has no '{read[1]}'", hint, place)

    def _report_unknown(self, root: str, place: Place, view: View) -> None:
        inside = view.elsewhere.get(root)
        if root == "secrets":
            text = "secrets can be read only inside a call's request"
            self._findings.error_at("P011", text, "so that no reply carries one", place)
        elif root in view.later:
            text = f"step '{root}' has not run yet where this is read"
            hint = "a step sees what has settled before it starts"
            self._findings.error_at("P008", text, hint, place)
        elif inside is not None:
            text = f"step '{root}' is inside '{inside}' and cannot be seen from here"
            hint = f"read '{inside}.response' instead"
            if inside in view.inside:
                hint = "a branch or a fallback does not see the steps of another"
            elif inside in view.later:
                hint += ", after it has run"
            self._findings.error_at("P012", text, hint, place)
        else:
            known = [*FIXED_NAMES, *view.steps, *view.extra, *view.context]
            text = f"'{root}' is neither a step that can be read here nor a known name"
            hint = nearest_hint(root, known)
            self._findings.error_at("P001", text, hint, place)


def whole_view(tree: ScopeTree) -> View:
    """Return what is visible once every step of `tree` has settled."""
    return View({step.model.id: visible(step) for step in tree.steps})


def visible(step: StepTree) -> Visible:
    """Return what templates may know of `step`."""
    is_known = not isinstance(step.model, UnknownStep)
    return Visible(step.model.id, step.model.facts if is_known else None)


def merged_headers(names: Iterable[str]) -> tuple[str, ...]:
    """Return the headers to ask a connector for; ("*",) when all are read.

    >>> merged_headers({"etag", "age"}), merged_headers({"etag", "*"})
    (('age', 'etag'), ('*',))
    """
    wanted = set(names)
    return ("*",) if "*" in wanted else tuple(sorted(wanted))
