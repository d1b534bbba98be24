"""The catalog: which step types exist. Built-in ones, and those that connectors bring."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from plait.document.step import Step
from plait.document.steps import built_in_steps


class Catalog:
    """Step models by type name.

    Args:
        connectors: Models of the call types, listed explicitly by the caller.
        late: What returns the model of a call type, by its name: asked when a document
            names it, or when all models are wanted. It may raise a PlaitError.
    """

    def __init__(
        self,
        connectors: Iterable[type[Step]] = (),
        late: Mapping[str, Callable[[], type[Step]]] | None = None,
    ) -> None:
        models = {model.type_name(): model for model in (*built_in_steps(), *connectors)}
        self.models: Mapping[str, type[Step]] = _Models(models, late or {})


class _Models(Mapping[str, type[Step]]):
    """Models, some of which are there when they are asked for."""

    def __init__(
        self,
        models: Mapping[str, type[Step]],
        late: Mapping[str, Callable[[], type[Step]]],
    ) -> None:
        self._models = models
        self._late = {name: load for name, load in late.items() if name not in models}

    def __getitem__(self, name: str) -> type[Step]:
        model = self._models.get(name)
        return self._late[name]() if model is None else model

    def __contains__(self, name: object) -> bool:
        return name in self._models or name in self._late

    def __iter__(self) -> Iterator[str]:
        yield from self._models
        yield from self._late

    def __len__(self) -> int:
        return len(self._models) + len(self._late)
