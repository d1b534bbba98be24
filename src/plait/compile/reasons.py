"""Why one step waits for another: which template reads what, or `depends_on`, or order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from plait.compile.inside import inner_scopes, undoing_scope, waits_of
from plait.expression import ExpressionInfo, Template, format_path
from plait.kernel.machines import built_in_machines
from plait.model.json import JsonObject
from plait.model.record import record
from plait.plan import Node, Scope

Why = Literal["reads", "depends_on", "order", "goto", "event", "handover"]


@record
class Reason:
    """One reason of one step to wait for another one.

    Attributes:
        step: Path of the step that is waited for.
        why: `reads`: a template does; `depends_on`: the document says so; `order`: it is
            the step before, in a sequence; `goto`: it does not wait, but may begin again,
            or at once, when that step jumps; `event`: a transition between states, `read`
            is its event, `where` its guard, `by` its actions; `handover`: a handler of a
            `route` hands over to another, `where` says when.
        read: What is read: `user.response.vip`; empty if nothing is.
        where: Which of the step's keys reads it: `condition`, `request.url`.
        by: Path of the step inside, when it is not the step itself that reads.
    """

    step: str
    why: Why
    read: str = ""
    where: str = ""
    by: str = ""

    def text(self) -> str:
        """Return the reason as people say it.

        >>> Reason("user", "reads", "user.response.vip", "condition").text()
        'reads user.response.vip in condition'
        """
        if self.why == "event":
            guard = f" [{self.where}]" if self.where else ""
            return self.read + guard + (f" / {self.by}" if self.by else "")
        if self.why == "handover":
            return f"hands over if {self.where}" if self.where else "hands over"
        if self.why == "reads":
            by = f" of {self.by}" if self.by else ""
            return f"reads {self.read} in {self.where}{by}"
        texts = {"depends_on": "depends_on", "order": "runs after it in the sequence"}
        return texts.get(self.why, "may begin after it jumps here")

    def as_json(self) -> JsonObject:
        """Return the reason as an object; empty fields are left out."""
        fields = {"step": self.step, "why": self.why, "read": self.read}
        fields |= {"where": self.where, "by": self.by}
        return {name: value for name, value in fields.items() if value}


def reasons_in(scope: Scope, prefix: str) -> list[list[Reason]]:
    """Return, for each step of `scope`, why it waits for each of the steps it waits for.

    Args:
        prefix: What the paths of the scope's steps begin with.
    """
    found: list[list[Reason]] = []
    for node, deps in zip(scope.nodes, waits_of(scope), strict=True):
        reads = _reads_by_root(node, prefix + node.id) if deps else {}
        reasons: list[Reason] = []
        for dep in deps:
            other = scope.nodes[dep].id
            known = reads.get(other)
            why: Why = "order" if scope.order == "sequence" else "depends_on"
            own = [Reason(prefix + other, "reads", *read) for read in known or ()]
            reasons.extend(own or [Reason(prefix + other, why)])
        found.append(reasons)
    return found


def jumps_to(scope: Scope, prefix: str) -> list[list[Reason]]:
    """Return, for each step of `scope`, the steps that jump to it."""
    found: list[list[Reason]] = [[] for _ in scope.nodes]
    for node in scope.nodes if scope.jumps else ():
        if built_in_machines()[node.machine].jumps:
            target = scope.jumps[str(node.options["to"])]
            found[target].append(Reason(prefix + node.id, "goto"))
    return found


def _reads_by_root(node: Node, path: str) -> dict[str, list[tuple[str, str, str]]]:
    """Return what the templates of `node` read: root name → (read, where, by)."""
    found: dict[str, dict[tuple[str, str, str], None]] = {}
    for info, where, by in _expressions(node, path):
        shown = "" if by == path else by
        for read in info.reads:
            entry = (format_path(read), where, shown)
            found.setdefault(str(read[0]), {})[entry] = None
    return {root: list(entries) for root, entries in found.items()}


def _expressions(node: Node, path: str) -> Iterator[tuple[ExpressionInfo, str, str]]:
    for where, template in _templates(node):
        for info in template.expressions:
            yield info, _exact(info, node, where), path
    for inner in (*inner_scopes(node, path), undoing_scope(node, path)):
        if inner is None:
            continue
        for inside in inner.scope.nodes:
            yield from _expressions(inside, inner.prefix + inside.id)
        if inner.scope.output is not None:
            for info in inner.scope.output.expressions:
                yield info, "output", inner.id


def _templates(node: Node) -> Iterator[tuple[str, Template]]:
    """Yield each template with the key of the step that holds it."""
    settings = {
        "condition": node.condition,
        **node.templates,
        "retry.on": node.retry.when if node.retry is not None else None,
        "idempotency_key": node.idempotency_key,
        "fallback": node.fallback_value,
        "output": node.output,
    }
    for where, template in settings.items():
        if template is not None:
            yield where, template


def _exact(info: ExpressionInfo, node: Node, where: str) -> str:
    """Return the keys that lead from the step to the expression; else `where`."""
    base, pointer = node.place.pointer + "/", info.place.pointer
    if not pointer.startswith(base):
        return where
    words = pointer.removeprefix(base).split("/")
    return ".".join(word.replace("~1", "/").replace("~0", "~") for word in words)
