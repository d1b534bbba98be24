"""Hedges: of which calls there may be two, and what the plan keeps of that."""

from __future__ import annotations

from typing import Final

from plait.compile.effects import effect_of
from plait.compile.findings import Findings
from plait.compile.templates import inherits
from plait.document.policies import Hedge
from plait.document.step import StepSettings
from plait.document.tree import StepTree
from plait.plan import HedgePolicy

KEY: Final = "hedge"


def check_hedge(step: StepTree, findings: Findings) -> None:
    """Report a hedge of what is no call, or of a call that may change something."""
    if step.is_broken or step.raw.get(KEY) is None:
        return
    path = (*step.path, KEY)
    if step.model.machine != "call":
        text = f"'{KEY}' is of calls, and '{step.model.type_name()}' steps call nobody"
        hint = "give it to the calls inside, or to all that read under `defaults`"
        findings.error("P023", text, hint, path, key=True)
    elif effect_of(step) != "read":
        text = f"'{step.model.id}' may change something: a hedge could do that twice"
        hint = "hedge calls that only read; if this one does, say `effect: read`"
        findings.error("P027", text, hint, path, key=True)


def hedge_of(step: StepTree, defaults: StepSettings | None) -> HedgePolicy | None:
    """Return when another call is made; None: never."""
    model = step.model
    is_inherited = inherits(model, defaults, KEY)
    hedge: Hedge | None = getattr(defaults if is_inherited else model, KEY)
    # A default is for those that it fits.
    if hedge is None or effect_of(step) != "read" or model.machine != "call":
        return None
    after_ms = hedge.after if isinstance(hedge.after, int) else None
    quantile = hedge.after if isinstance(hedge.after, float) else None
    return HedgePolicy(after_ms, quantile, hedge.max_, hedge.share)
