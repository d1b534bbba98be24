"""One file per built-in step type, beside its machine in plait.kernel.machines.

Each module that defines a type has a `STEP`. Connectors bring theirs from
plait.connectors.
"""

from __future__ import annotations

import importlib
import pkgutil

from plait.document.step import Step


def built_in_steps() -> tuple[type[Step], ...]:
    """Return the model of every step type of this package, by module name.

    >>> [step.type_name() for step in built_in_steps()][:4]
    ['approval', 'fail', 'foreach', 'goto']
    """
    return tuple(
        importlib.import_module(f"{__name__}.{module.name}").STEP
        for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name)
    )
