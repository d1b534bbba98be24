"""Repeat node: an iteration, then others until its condition, which is tested last."""

from __future__ import annotations

from typing import Any, ClassVar

from plait.kernel.iteration import LoopMachine
from plait.kernel.state import Run


class RepeatMachine(LoopMachine):
    """Runs, tests, runs again."""

    name: ClassVar[str] = "repeat"

    def is_wanted(self, run: Run, names: dict[str, Any]) -> bool:
        """There is always another one, unless `until` has said otherwise."""
        return True

    def is_enough(self, run: Run, names: dict[str, Any]) -> bool:
        """Test `until`, which sees what the iteration came to."""
        return run.node.templates["until"].render_bool(names)


MACHINE = RepeatMachine()
