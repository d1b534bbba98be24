"""The catalog: which step types exist. Built-in ones, and those that connectors bring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from plait.document.step import Step
from plait.document.steps import built_in_steps


class Catalog:
    """Step models by type name.

    Args:
        connectors: Models of the call types, listed explicitly by the caller.
    """

    def __init__(self, connectors: Iterable[type[Step]] = ()) -> None:
        models = [*built_in_steps(), *connectors]
        self.models: Mapping[str, type[Step]] = MappingProxyType(
            {model.type_name(): model for model in models}
        )
