"""A cache that does not keep its contract: the suite has to say so."""

from __future__ import annotations

from plait_files import Files
from test_files import TestFiles


class ForEver(Files):
    """Forgets that answers grow old."""

    def is_over(self, ends_s: float, now_s: float) -> bool:
        return False


class TestForEver(TestFiles):
    """Fails."""

    kind = ForEver
