"""Scopes and steps between the document and the plan: names and edges are known.

A draft exists for every step, also for one whose shape is wrong; a plan is made of drafts
only when nothing is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from plait.compile.names import View, Visible
from plait.compile.templates import StepTemplates
from plait.document.tree import ScopeTree, StepTree
from plait.expression import Template


@dataclass(slots=True)
class Draft:
    """A node in the making; `reads` are the steps that anything in it reads."""

    tree: StepTree
    templates: StepTemplates
    scopes: dict[str, ScopeDraft] = field(default_factory=dict)
    fallback: ScopeDraft | None = None
    compensate: ScopeDraft | None = None
    reads: set[str] = field(default_factory=set)


@dataclass(slots=True)
class ScopeDraft:
    """A scope in the making: its tree, the view from inside it, its nodes.

    In a sequence the view grows with each step: `seen` gains it, `ahead` loses it.

    Attributes:
        edges: For each step, the steps of the scope that it waits for.
        again: Steps that a `goto` may let run again: they see each other and themselves.
    """

    tree: ScopeTree
    view: View
    own: dict[str, Visible]
    seen: dict[str, Visible]
    ahead: set[str]
    nodes: list[Draft] = field(default_factory=list)
    edges: list[list[int]] = field(default_factory=list)
    output: Template | None = None
    again: set[str] = field(default_factory=set)
