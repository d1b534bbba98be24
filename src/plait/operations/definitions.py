"""Definitions: whole workflow documents that came as JSON, to be run and not kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar

from plait.compile import CompileErrors, compile_text
from plait.document import Catalog
from plait.document.source import SourceLimits
from plait.model.diagnostic import Diagnostic, Severity
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject, readable_bytes
from plait.plan import Plan
from plait.plan.origin import without_trust

_NAME = "definition"


class InvalidDefinition(PlaitError):
    """A document does not compile; nothing was run."""

    code: ClassVar[str] = "document.invalid"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        wrong = [one for one in diagnostics if one.severity is Severity.ERROR]
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        super().__init__(f"the workflow is not valid: {wrong[0].render(_NAME)}{more}")
        found: JsonObject = {"diagnostics": [one.as_json() for one in diagnostics]}
        self.details = found


def compiles(
    catalog: Catalog, limits: SourceLimits
) -> Callable[[JsonObject], Awaitable[Plan]]:
    """Return what compiles definitions, in a thread: a long one keeps nobody waiting."""

    def compiled(data: bytes) -> Plan:
        try:
            made = compile_text(data, name=_NAME, catalog=catalog, limits=limits)
        except CompileErrors as error:
            raise InvalidDefinition(error.diagnostics) from error
        return without_trust(made.plan)

    async def plan_of(definition: JsonObject) -> Plan:
        data = readable_bytes(definition, limits.bytes_max)
        return await asyncio.to_thread(compiled, data)

    return plan_of
