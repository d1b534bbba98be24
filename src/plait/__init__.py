"""Plait braids many APIs into one. Start with `plait.cli` or `plait.assembly`."""

__version__ = "0.1.0"
