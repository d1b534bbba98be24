"""While node: an iteration as long as its condition is true, which is tested first."""

from __future__ import annotations

from typing import Any, ClassVar

from plait.kernel.iteration import LoopMachine
from plait.kernel.state import Run


class WhileMachine(LoopMachine):
    """Tests, runs, tests again."""

    name: ClassVar[str] = "while"

    def is_wanted(self, run: Run, names: dict[str, Any]) -> bool:
        """Test `while`."""
        return run.node.templates["while"].render_bool(names)

    def is_enough(self, run: Run, names: dict[str, Any]) -> bool:
        """Nothing is tested here: the next test is before the next iteration."""
        return False


MACHINE = WhileMachine()
