"""The contract of plait.ports.connector.Connector, as tests that every package runs.

    class TestFax(ConnectorSuite):
        connector = CONNECTOR
        document = {"id": "a", "type": "fax", "request": {"to": "1", "text": "hi"}}

        def stage(self): return fax_stage()

What its calls have to keep is in plait.testing.calls_suite, which this includes.
"""

from __future__ import annotations

from typing import Any, ClassVar

import orjson
import pytest

from plait.compile import CompileErrors, compile_text
from plait.document import Catalog
from plait.document.schema import workflow_schema
from plait.ports.calls import Calls
from plait.ports.connector import Connector, ConnectorContext
from plait.ports.plugins import CONNECTORS, PORTS
from plait.testing.calls_suite import CallsSuite


class ConnectorSuite(CallsSuite):
    """Subclass it; say what the connector is, how a document asks for it, and the stage.

    Attributes:
        document: A step that the connector takes.
        options: What `[connectors.NAME]` may say.
    """

    connector: ClassVar[Connector]
    document: ClassVar[dict[str, Any]]
    options: ClassVar[dict[str, Any]] = {}

    def test_it_is_for_the_port_that_is_here(self) -> None:
        assert isinstance(self.connector, Connector)
        assert self.connector.port == PORTS[CONNECTORS]
        assert self.connector.step.machine == "call"

    def test_a_document_can_ask_for_it_once_it_is_there(self) -> None:
        plan = compile_text(self._text(), name="a.yaml", catalog=self._catalog()).plan
        assert plan.scope.nodes[0].kind == self.connector.name
        with pytest.raises(CompileErrors, match="problem"):
            compile_text(self._text(), name="a.yaml", catalog=Catalog())

    def test_a_key_that_nobody_knows_is_refused_before_it_runs(self) -> None:
        for where in ({**self.document, "zzz": 1}, self._with_request({"zzz": 1})):
            with pytest.raises(CompileErrors) as found:
                compile_text(self._text(where), name="a.yaml", catalog=self._catalog())
            assert "D101" in {one.code for one in found.value.diagnostics}

    def test_editors_are_told_of_it(self) -> None:
        schema: Any = workflow_schema(self._catalog())
        kinds = [one["$ref"] for one in schema["$defs"]["Step"]["oneOf"]]
        assert f"#/$defs/{self.connector.step.__name__}" in kinds

    def test_what_its_options_do_not_know_is_refused(self) -> None:
        with pytest.raises(ValueError, match="zzz"):
            self.made({**self.options, "zzz": 1})

    def made(self, options: dict[str, Any]) -> Calls:
        """Return its calls, made with these options."""
        return self.connector.calls(ConnectorContext(options))

    def _catalog(self) -> Catalog:
        return Catalog([self.connector.step])

    def _with_request(self, more: dict[str, Any]) -> dict[str, Any]:
        return {**self.document, "request": {**self.document["request"], **more}}

    def _text(self, step: dict[str, Any] | None = None) -> bytes:
        return orjson.dumps({"name": "n", "steps": [step or self.document]})
