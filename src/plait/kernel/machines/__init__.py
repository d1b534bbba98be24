"""One file per node kind. A new kind is a new file here and a model in plait.document.

Each module that defines a kind has a `MACHINE`. The table is made from the package's own
files, so that nothing else needs to change.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from plait.kernel.machine import Machine


@cache
def built_in_machines() -> Mapping[str, Machine]:
    """Return every machine of this package by name.

    >>> sorted(built_in_machines())[:4]
    ['approval', 'call', 'fail', 'foreach']
    """
    modules = (
        importlib.import_module(f"{__name__}.{module.name}")
        for module in pkgutil.iter_modules(__path__)
    )
    machines: list[Machine] = [module.MACHINE for module in modules]
    return MappingProxyType({machine.name: machine for machine in machines})
