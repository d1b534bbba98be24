"""Connectors of other packages: how they come in, and what keeps them out."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import ClassVar, Literal

import pytest

from plait.assembly import compose
from plait.assembly.connectors import (
    GROUP,
    Connector,
    ConnectorContext,
    ConnectorUnusable,
    installed_connectors,
)
from plait.assembly.settings import Settings
from plait.compile import compile_text
from plait.document import Step
from plait.document.step import Parts, TemplatePart
from plait.kernel import StartCall
from plait.model.failure import Failure
from plait.model.json import JsonObject
from plait.ports.calls import Call, CallReply, Done, Outcome


class FaxStep(Step):
    """Send a fax."""

    machine: ClassVar[str] = "call"
    type: Literal["fax"]
    request: dict[str, str]

    def parts(self, raw: JsonObject) -> Parts:
        """One template."""
        del raw
        return Parts((TemplatePart("request", ("request",)),))


class FaxCalls:
    """Answers at once with what it was made with."""

    def __init__(self, context: ConnectorContext) -> None:
        self.speed = context.options["speed"]
        self.is_closed = False

    def start(self, call: Call, done: Done) -> FaxCalls:
        done(CallReply({"to": str(call.request["to"]), "speed": self.speed}, {}))
        return self

    def cancel(self) -> None:
        raise AssertionError("it has answered already")

    async def close(self) -> None:
        self.is_closed = True


class BadlyClosing(FaxCalls):
    """Fails to close."""

    async def close(self) -> None:
        await super().close()
        raise RuntimeError("stuck")


def call_of(kind: str) -> StartCall:
    return StartCall(kind, {"to": "me"}, True, 1_000, None, (), "x", "a", 1)


@pytest.fixture
def brought() -> Iterator[ModuleType]:
    """A module as another package would bring it."""
    module = ModuleType("acme_fax")
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


def entry(name: str) -> EntryPoint:
    return EntryPoint("fax", f"acme_fax:{name}", GROUP)


def test_a_connector_of_another_package_brings_its_step_and_its_calls(
    brought: ModuleType,
) -> None:
    brought.__dict__["CONNECTOR"] = Connector(FaxStep, FaxCalls)
    connectors = installed_connectors([entry("CONNECTOR")])
    assert [one.step.type_name() for one in connectors] == ["http", "python", "fax"]
    document = b"name: n\nsteps: [{id: a, type: fax, request: {to: x}}]"
    plan = compile_text(document, name="n.yaml", catalog=compose.catalog(connectors)).plan
    assert plan.scope.nodes[0].kind == "fax"
    settings = Settings(connectors={"fax": {"speed": 9600}})
    heard: list[Outcome] = []
    compose.calls(settings, connectors[1:]).start(call_of("fax"), heard.append)
    assert heard == [CallReply({"to": "me", "speed": 9600}, {})]


def test_a_distribution_that_is_installed_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, brought: ModuleType
) -> None:
    info = tmp_path / "acme_fax-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-fax\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nfax = acme_fax:CONNECTOR\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    brought.__dict__["CONNECTOR"] = Connector(FaxStep, FaxCalls)
    assert "fax" in {one.step.type_name() for one in installed_connectors()}


def test_what_is_no_connector_is_refused_by_name(brought: ModuleType) -> None:
    brought.__dict__["CONNECTOR"] = FaxStep
    with pytest.raises(ConnectorUnusable, match="'fax' cannot be used: acme_fax:CONN"):
        installed_connectors([entry("CONNECTOR")])
    with pytest.raises(ConnectorUnusable, match="has no attribute 'MISSING'"):
        installed_connectors([entry("MISSING")])
    with pytest.raises(ConnectorUnusable, match="No module named 'acme_pager'"):
        installed_connectors([EntryPoint("pager", "acme_pager:CONNECTOR", GROUP)])


def test_a_package_that_fails_to_load_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_broken.py").write_text("CONNECTOR = {}['speed']\n")
    (tmp_path / "acme_garbled.py").write_text("CONNECTOR = (\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ConnectorUnusable, match="'fax' cannot be used: KeyError: 'speed'"):
        installed_connectors([EntryPoint("fax", "acme_broken:CONNECTOR", GROUP)])
    with pytest.raises(ConnectorUnusable, match="'fax' cannot be used: SyntaxError: "):
        installed_connectors([EntryPoint("fax", "acme_garbled:CONNECTOR", GROUP)])


def test_a_step_type_can_be_brought_once_only(brought: ModuleType) -> None:
    brought.__dict__["CONNECTOR"] = Connector(FaxStep, FaxCalls)
    with pytest.raises(ConnectorUnusable, match="step type 'fax' is there already"):
        installed_connectors([entry("CONNECTOR"), entry("CONNECTOR")])


def test_a_connector_whose_step_makes_no_call_is_refused(brought: ModuleType) -> None:
    class Quiet(FaxStep):
        machine: ClassVar[str] = "set"

    brought.__dict__["CONNECTOR"] = Connector(Quiet, FaxCalls)
    with pytest.raises(ConnectorUnusable, match="machine is not `call`"):
        installed_connectors([entry("CONNECTOR")])


def test_a_call_without_connector_fails_and_says_so() -> None:
    heard: list[Outcome] = []
    calls = compose.calls(Settings(), ())
    calls.start(call_of("fax"), heard.append).cancel()
    assert isinstance(heard[0], Failure)
    assert (heard[0].code, heard[0].sent) == ("connector.missing", False)


async def test_every_connector_is_closed_even_when_one_fails_to() -> None:
    made: list[FaxCalls] = []

    def make(kind: type[FaxCalls]) -> Connector:
        class Own(FaxStep):
            type: Literal["one", "two"]  # type: ignore[assignment]

            @classmethod
            def type_name(cls) -> str:
                return kind.__name__

        def build(context: ConnectorContext) -> FaxCalls:
            made.append(kind(context))
            return made[-1]

        return Connector(Own, build)

    options = {"BadlyClosing": {"speed": 1}, "FaxCalls": {"speed": 1}}
    connectors = [make(BadlyClosing), make(FaxCalls)]
    calls = compose.calls(Settings(connectors=options), connectors)
    with pytest.raises(ExceptionGroup, match="did not close"):
        await calls.close()
    assert [one.is_closed for one in made] == [True, True]
