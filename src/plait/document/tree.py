"""A document whose shape has been checked: models, their raw mappings, their places."""

from __future__ import annotations

from dataclasses import dataclass

from plait.document.found import Found
from plait.document.source import Source
from plait.document.step import Parts, Step, TemplatePart
from plait.document.workflow import WorkflowModel
from plait.model.json import JsonObject
from plait.model.place import Place, pointer_to

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class StepTree:
    """One step. `path` leads to it from the document's root.

    Attributes:
        is_broken: Its shape is wrong, and has been reported. Model and parts are then what
            could be saved of it (plait.document.salvage), to check the names in it.
        is_unnamed: Its id is the default one, for paths: no other step can read it.
    """

    model: Step
    raw: JsonObject
    path: Path
    parts: Parts
    scopes: dict[str, ScopeTree]
    fallback: StepTree | None
    compensate: StepTree | None = None
    is_broken: bool = False
    is_unnamed: bool = False


@dataclass(frozen=True, slots=True)
class ScopeTree:
    """One scope. `path` leads to the mapping that holds its `steps`.

    Attributes:
        output_key: Under which that mapping says what the scope yields; empty: nowhere.
        after: Templates of the step around it that see what its steps have come to.
    """

    order: str
    steps: tuple[StepTree, ...]
    path: Path
    raw: JsonObject
    names: tuple[str, ...]
    output_key: str
    after: tuple[TemplatePart, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A workflow document, as far as its shape is right.

    Attributes:
        found: What is wrong with its shape. If anything is, the rest can still be
            compiled for what else is wrong, but not to a plan.
        unsure: Names that may be those of steps, but nobody can tell: a key stands twice,
            or an id is none. Reading them is no second mistake.
    """

    model: WorkflowModel
    raw: JsonObject
    root: ScopeTree
    source: Source
    found: Found
    unsure: frozenset[str]

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Return where the value at `path` (or its key) stands."""
        span = self.source.span_of(path, key=key)
        return Place(pointer_to(*path), span.line, span.column)
