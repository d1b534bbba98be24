"""The CEL library without anything of ours around it, to compare with."""

from __future__ import annotations

from functools import cache
from typing import Any

from cel_expr_python import cel  # type: ignore[import-untyped]

from plait.expression.values import CelFault, NoJson, to_json
from plait.model.json import JsonValue

FAILED = object()

_CONFIG = "extensions:\n" + "".join(
    f"- name: {name}\n"
    for name in ("lists", "math", "optional", "strings", "bindings", "encoders")
)


@cache
def _environment(names: tuple[str, ...]) -> Any:
    return cel.NewEnv(
        config=cel.NewEnvConfigFromYaml(_CONFIG),
        variables=dict.fromkeys(names, cel.Type.DYN),
    )


def evaluate(expression: str, names: dict[str, JsonValue]) -> object:
    """Return what the library makes of `expression` and all of `names`; or FAILED."""
    program = _environment(tuple(sorted(names))).compile(expression)
    try:
        return to_json(program.eval(data=names))
    except (CelFault, NoJson, RuntimeError):
        return FAILED
