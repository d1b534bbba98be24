"""What can stand against a deployment."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from plait.model.caller import Forbidden
from plait.model.diagnostic import Diagnostic, Severity
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject


class DefinitionInvalid(PlaitError):
    """A document does not compile; nothing was kept. `diagnostics` says all of it."""

    code: ClassVar[str] = "deployment.invalid"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, name: str, diagnostics: Iterable[Diagnostic]) -> None:
        self.name = name
        self.diagnostics = tuple(diagnostics)
        wrong = [one for one in self.diagnostics if one.severity is Severity.ERROR]
        first, more = wrong[0], f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        super().__init__(
            f"workflow '{name}' was not deployed: line {first.span.line}: "
            f"{first.code} {first.message}{more}"
        )
        found: JsonObject = {"diagnostics": [one.as_json() for one in self.diagnostics]}
        self.details = found


class DefinitionForbidden(DefinitionInvalid):
    """Its caller may not deploy a document that others may; nothing was kept."""

    code: ClassVar[str] = Forbidden.code


class DeploymentRefused(PlaitError):
    """What is asked for is no deployment; nothing was kept."""

    code: ClassVar[str] = "deployment.refused"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST


class UnknownDeployment(PlaitError):
    """There is no deployment of that id here."""

    code: ClassVar[str] = "deployment.unknown"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, name: str) -> None:
        super().__init__(f"nothing was ever deployed as '{name}' here")
        self.details: JsonObject = {"deployment_id": name}


class UnknownVersion(PlaitError):
    """A deployment has no such version, or several whose ids begin so."""

    code: ClassVar[str] = "deployment.unknown_version"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, name: str, version: str, count: int = 0) -> None:
        reason = f"{count} versions begin so: write more" if count else "it has no such one"
        super().__init__(f"version '{version}' of '{name}': {reason}")
        self.details: JsonObject = {"deployment_id": name, "version": version}


class DeploymentConflict(PlaitError):
    """Another version is active than the one that was to be replaced."""

    code: ClassVar[str] = "deployment.conflict"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, name: str, expected: str, active: str | None) -> None:
        super().__init__(
            f"'{name}' was to replace version {expected[:12]}; active is "
            f"{'none' if active is None else active[:12]}: look at it and deploy again"
        )
        self.details: JsonObject = {
            "deployment_id": name,
            "expected": expected,
            "active": active,
        }


class EndpointTaken(PlaitError):
    """Another active deployment answers there already."""

    code: ClassVar[str] = "deployment.endpoint_taken"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, name: str, endpoint: str, holder: str) -> None:
        super().__init__(
            f"'{name}' cannot answer {endpoint}: '{holder}' does; choose another path, "
            f"or remove '{holder}' first"
        )
        self.details: JsonObject = {
            "deployment_id": name,
            "endpoint": endpoint,
            "holder": holder,
        }


class NothingBefore(PlaitError):
    """There is no version to go back to."""

    code: ClassVar[str] = "deployment.nothing_before"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, name: str) -> None:
        super().__init__(f"no version of '{name}' was active before this one")
        self.details: JsonObject = {"deployment_id": name}
