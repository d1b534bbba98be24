"""How large a document's text may be, and how deep, before it is refused."""

from __future__ import annotations

from plait.model.record import record


@record
class SourceLimits:
    """Bounds on one document's text. Whatever is past one of them is an error.

    Attributes:
        bytes_max: Of the whole text. 262,144 (256 KB).
        depth_max: Mappings and lists inside each other, the outermost included.
        nodes_max: Values of every kind, keys not counted. A document of 256 KB that
            people write has about 10,000.
        key_length_max: Characters of one key. YAML has the same bound of its own.
        diagnostics_max: How many findings are reported. One more than that, and the
            last one says how many there are besides.
    """

    bytes_max: int = 262_144
    depth_max: int = 64
    nodes_max: int = 25_000
    key_length_max: int = 1_024
    diagnostics_max: int = 50


DEFAULT_LIMITS = SourceLimits()
