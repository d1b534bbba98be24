"""What the source imports is what pyproject.toml asks for, no less and no more."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions

from tests.tidy.tree import ROOT, Module, in_src, module, modules

# pydantic pins its core to the digit, and documents what it hands out of it.
_PARTS = {"pydantic-core": "pydantic"}
# Several packages bring parts of this one; ours is of the source.
_SHARED = {"google": "protobuf"}
# Several packages bring parts of these too; the longest name that fits counts.
_INSIDE = {
    "opentelemetry.exporter": "opentelemetry-exporter-otlp-proto-http",
    "opentelemetry": "opentelemetry-sdk",
}
_TESTING = "src/plait/testing/"
_SENTRY = "src/plait/telemetry/sentry.py"


def packages_imported(modules: Iterable[Module]) -> dict[str, str]:
    """Return the packages that `modules` import, and where the first import stands."""
    owners = packages_distributions()
    found: dict[str, str] = {}
    for each in modules:
        for line, whole in _imports(each):
            name = whole.partition(".")[0]
            if name in sys.stdlib_module_names or name == "plait":
                continue
            inside = (_INSIDE[one] for one in _INSIDE if f"{whole}.".startswith(f"{one}."))
            package = (
                next(inside, None)
                or _SHARED.get(name)
                or _plain(owners.get(name, [name])[0])
            )
            found.setdefault(_PARTS.get(package, package), f"{each.path}:{line}")
    return found


def packages_asked_for() -> tuple[set[str], set[str]]:
    """Return what Plait needs, and what its extras add."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    extra = [*extras["testing"], *extras["sentry"]]
    return set(map(_plain, project["dependencies"])), set(map(_plain, extra))


def test_the_source_imports_what_the_project_asks_for_and_nothing_else() -> None:
    needed, extra = packages_asked_for()
    source = [m for m in modules() if in_src(m.path)]
    optional = [m for m in source if m.path.startswith((_TESTING, _SENTRY))]
    shipped = packages_imported(m for m in source if m not in optional)
    testing = packages_imported(optional)
    assert {name: at for name, at in shipped.items() if name not in needed} == {}
    assert {name: at for name, at in testing.items() if name not in needed | extra} == {}
    assert needed - set(shipped) == set()


def test_an_import_is_traced_to_the_package_that_brings_it() -> None:
    text = "import yaml.reader\nfrom pydantic_core import X\nimport re\nfrom . import y\n"
    late = "importlib.import_module('late.by')\nimportlib.import_module(name)\n"
    found = packages_imported(
        [module("a.py", text + "import plait.model\nimport nowhere\n" + late)]
    )
    assert found == {
        "pyyaml": "a.py:1",
        "pydantic": "a.py:2",
        "nowhere": "a.py:6",
        "late": "a.py:7",
    }


def _imports(module: Module) -> Iterator[tuple[int, str]]:
    for node in module.nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.lineno, node.module
        elif isinstance(node, ast.Call) and _is_import(node.func) and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield node.lineno, name.value


def _is_import(called: ast.expr) -> bool:
    """Tell whether a function is `import_module`: what is imported late counts."""
    return isinstance(called, ast.Attribute) and called.attr == "import_module"


def _plain(requirement: str) -> str:
    """Return the normal form of the name that `requirement` begins with."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    return re.sub(r"[-_.]+", "-", name[0] if name else requirement).lower()
