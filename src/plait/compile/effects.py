"""What repeating a step does: its own effect, or that of the call that it makes."""

from __future__ import annotations

from plait.document.step import Effect
from plait.document.tree import StepTree


def effect_of(step: StepTree) -> Effect:
    """Return the effect of a step: its own, or that of the call that it makes."""
    model = step.model
    if step.is_broken:
        return model.effect or "read"
    return model.effect or model.own_effect(step.raw)
