"""One example: its document, its services, what to ask it, and its twin in Python.

A folder of this package with a `workflow.yaml` is an example. Its `services.py` has
`SCENES` (by title, the inputs to give one after the other), `services()`, and perhaps
`ENVIRONMENT` (variables for the gateway); its `twin.py` has `run(input) -> output`, perhaps
a coroutine.

Rule. The scenes of an example share its services, and run in their order.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import yaml

from examples.patterns.serving import Input, Pause, Service

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Example:
    """What a folder holds.

    Attributes:
        about: The comment on top of the document.
        initial: The state in which a state machine begins; None: it is none.
        run: The twin's.
    """

    name: str
    document: Path
    about: str
    method: str
    path: str
    initial: str | None
    scenes: Mapping[str, Sequence[Input | Pause]]
    services: Callable[[], list[Service]]
    environment: Mapping[str, str]
    run: Callable[[Input], Any]

    async def inputs(self, title: str) -> AsyncIterator[Input]:
        """Yield the inputs of a scene; where it has a pause, wait."""
        for given in self.scenes[title]:
            if isinstance(given, Pause):
                await asyncio.sleep(given.seconds)
            else:
                yield given

    async def ask_twin(self, given: Input) -> Any:
        """Return what the twin makes of an input; raises what it raises."""
        if inspect.iscoroutinefunction(self.run):
            return await self.run(given)
        return await asyncio.to_thread(self.run, given)

    def request(self, given: Input) -> tuple[str, str, Any]:
        """Return method, target and body of the request that carries an input."""
        rest = dict(given)

        def fill(name: re.Match[str]) -> str:
            return quote(str(rest.pop(name[1])), safe="")

        target = re.sub(r"{(\w+)}", fill, self.path)
        if self.method != "GET":
            return self.method, target, rest
        return self.method, target + ("?" + urlencode(rest) if rest else ""), None


def names() -> list[str]:
    """Return the names of all examples."""
    return sorted(path.parent.name for path in HERE.glob("*/services.py"))


def load(name: str) -> Example:
    """Return an example by its name."""
    document = HERE / name / "workflow.yaml"
    text = document.read_text()
    written = yaml.safe_load(text)
    endpoint = written["endpoint"]
    services = import_module(f"examples.patterns.{name}.services")
    return Example(
        name=name,
        document=document,
        about="\n".join(re.findall(r"^# ?(.*)$", text.split("\nname:")[0], re.MULTILINE)),
        method=endpoint.get("method", "GET"),
        path=endpoint["path"],
        initial=written.get("initial"),
        scenes=services.SCENES,
        services=services.services,
        environment=getattr(services, "ENVIRONMENT", {}),
        run=import_module(f"examples.patterns.{name}.twin").run,
    )
