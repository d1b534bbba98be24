"""Connectors of other packages: how they come in, and what keeps them out."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Literal

import pytest

from plait.assembly import compose
from plait.assembly.connectors import (
    brought_connectors,
    built_in_connectors,
    installed_connectors,
)
from plait.assembly.settings import Settings
from plait.compile import CompileErrors, compile_text
from plait.document import Step
from plait.document.step import Parts, TemplatePart
from plait.kernel import StartCall
from plait.model.failure import Failure
from plait.model.json import JsonObject
from plait.ports.calls import Call, CallReply, Done, Outcome
from plait.ports.connector import Connector, ConnectorContext
from plait.ports.plugins import CONNECTORS as GROUP
from plait.ports.plugins import PluginOptionsInvalid, PluginUnusable


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
        self.speed = context.options.get("speed")
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
    brought.__dict__["CONNECTOR"] = Connector(1, FaxStep, FaxCalls)
    connectors = installed_connectors([entry("CONNECTOR")])
    assert [one.name for one in connectors] == ["http", "python", "fax"]
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
    brought.__dict__["CONNECTOR"] = Connector(1, FaxStep, FaxCalls)
    assert "fax" in {one.name for one in installed_connectors()}


def refusal_of(*entries: EntryPoint) -> PluginUnusable:
    """Return why the step type that they bring cannot be used."""
    one = installed_connectors(entries)[-1]
    with pytest.raises(PluginUnusable) as found:
        _ = one.step
    return found.value


def test_what_is_no_connector_is_refused_by_name(brought: ModuleType) -> None:
    brought.__dict__["CONNECTOR"] = FaxStep
    assert "'fax' of an unknown package cannot be used: acme_fax:CONNECTOR is no" in str(
        refusal_of(entry("CONNECTOR"))
    )
    assert "has no attribute 'MISSING'" in str(refusal_of(entry("MISSING")))
    pager = EntryPoint("pager", "acme_pager:CONNECTOR", GROUP)
    assert "No module named 'acme_pager'" in str(refusal_of(pager))


def test_a_package_that_fails_to_load_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "acme_broken.py").write_text("CONNECTOR = {}['speed']\n")
    (tmp_path / "acme_garbled.py").write_text("CONNECTOR = (\n")
    (tmp_path / "acme_ending.py").write_text("import sys\nsys.exit(3)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for module, reason in (
        ("broken", "KeyError: 'speed'"),
        ("garbled", "SyntaxError: "),
        ("ending", "SystemExit: 3"),
    ):
        found = refusal_of(EntryPoint("fax", f"acme_{module}:CONNECTOR", GROUP))
        assert reason in str(found)
        assert found.code == "plugin.unusable"


def test_a_step_type_can_be_brought_once_only(brought: ModuleType) -> None:
    brought.__dict__["CONNECTOR"] = Connector(1, FaxStep, FaxCalls)
    assert refusal_of(entry("CONNECTOR"), entry("CONNECTOR")).code == "plugin.clash"


@pytest.mark.parametrize("name", ["http", "set", "sql"])
def test_the_types_of_the_language_are_nobody_elses(brought: ModuleType, name: str) -> None:
    brought.__dict__["CONNECTOR"] = Connector(1, FaxStep, FaxCalls)
    entries = [EntryPoint(name, "acme_fax:CONNECTOR", GROUP)]
    assert installed_connectors(entries) == built_in_connectors()
    with pytest.raises(PluginUnusable, match="Plait itself has that name"):
        brought_connectors(entries)[name].load()


def test_an_entry_point_has_the_name_of_its_step_type(brought: ModuleType) -> None:
    brought.__dict__["CONNECTOR"] = Connector(1, FaxStep, FaxCalls)
    found = refusal_of(EntryPoint("telefax", "acme_fax:CONNECTOR", GROUP))
    assert "its step type is 'fax'" in str(found)


def test_a_connector_for_another_version_of_the_port_is_refused(
    brought: ModuleType,
) -> None:
    brought.__dict__["CONNECTOR"] = Connector(2, FaxStep, FaxCalls)
    found = refusal_of(entry("CONNECTOR"))
    assert found.code == "plugin.port"
    assert "it is for version 2 of its port, and this Plait has 1" in str(found)


def test_a_connector_whose_step_makes_no_call_is_refused(brought: ModuleType) -> None:
    class Quiet(FaxStep):
        machine: ClassVar[str] = "set"

    brought.__dict__["CONNECTOR"] = Connector(1, Quiet, FaxCalls)
    assert "machine is not `call`" in str(refusal_of(entry("CONNECTOR")))


def test_a_broken_package_is_a_finding_where_a_document_names_it_and_nowhere_else() -> None:
    broken = EntryPoint("pager", "acme_pager:CONNECTOR", GROUP)
    catalog = compose.catalog(installed_connectors([broken]))
    fine = b"name: n\nsteps: [{id: a, type: set, value: 1}]"
    assert compile_text(fine, name="n.yaml", catalog=catalog).warnings == ()
    text = b"name: n\nsteps: [{id: a, type: pager, request: {}}]"
    with pytest.raises(CompileErrors) as found:
        compile_text(text, name="n.yaml", catalog=catalog)
    (finding,) = found.value.diagnostics
    assert (finding.code, "No module named 'acme_pager'" in finding.message) == (
        "D106",
        True,
    )


def test_a_package_is_imported_when_a_document_names_it(brought: ModuleType) -> None:
    asked: list[str] = []

    def told(name: str) -> Connector:
        asked.append(name)
        return Connector(1, FaxStep, FaxCalls)

    brought.__dict__["__getattr__"] = told
    connectors = installed_connectors([entry("CONNECTOR")])
    catalog = compose.catalog(connectors)
    calls = compose.calls(Settings(), connectors)
    fine = b"name: n\nsteps: [{id: a, type: set, value: 1}]"
    compile_text(fine, name="n.yaml", catalog=catalog)
    assert (sorted(catalog.models)[1], "fax" in catalog.models, asked) == (
        "fail",
        True,
        [],
    )
    heard: list[Outcome] = []
    calls.start(call_of("fax"), heard.append)
    assert asked == ["CONNECTOR"]


def test_a_call_that_a_broken_package_should_make_fails_with_its_code() -> None:
    broken = EntryPoint("pager", "acme_pager:CONNECTOR", GROUP)
    calls = compose.calls(Settings(), installed_connectors([broken]))
    heard: list[Outcome] = []
    for _ in range(2):
        calls.start(call_of("pager"), heard.append).cancel()
    first, second = heard
    assert isinstance(first, Failure)
    assert (first, first.code, first.sent) == (second, "plugin.unusable", False)


def test_options_that_a_connector_refuses_are_told_with_their_table(
    brought: ModuleType,
) -> None:
    def refuse(context: ConnectorContext) -> FaxCalls:
        raise ValueError(f"speed {context.options['speed']} is too slow")

    brought.__dict__["CONNECTOR"] = Connector(1, FaxStep, refuse)
    with pytest.raises(PluginOptionsInvalid, match=r"\[connectors.fax\] .* 9 is too slow"):
        compose.calls(
            Settings(connectors={"fax": {"speed": 9}}),
            installed_connectors([entry("CONNECTOR")]),
        )


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

        return Connector(1, Own, build)

    options = {"BadlyClosing": {"speed": 1}, "FaxCalls": {"speed": 1}}
    connectors = [make(BadlyClosing), make(FaxCalls)]
    calls = compose.calls(Settings(connectors=options), connectors)
    with pytest.raises(RuntimeError, match="stuck"):
        await calls.close()
    assert [one.is_closed for one in made] == [True, True]


@pytest.mark.parametrize("made", [lambda context: None, lambda context: sys.exit(3)])
def test_a_connector_that_makes_nothing_fails_its_calls_by_name(
    brought: ModuleType, made: Any
) -> None:
    brought.__dict__["CONNECTOR"] = Connector(1, FaxStep, made)
    connectors = installed_connectors([entry("CONNECTOR")])
    heard: list[Outcome] = []
    compose.calls(Settings(), connectors[1:]).start(call_of("fax"), heard.append)
    (failure,) = heard
    assert isinstance(failure, Failure)
    assert failure.code == "plugin.unusable"
    assert re.search(r"lacks start, close|SystemExit: 3", failure.message)
