"""The services' protos: what is generated from them is fresh, and they keep house rules."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from plait.services.methods import METHODS
from plait.services.v1 import agent_pb2, common_pb2, engine_pb2, runtime_pb2

ROOT = Path(__file__).resolve().parents[3]
PROTOS = sorted((ROOT / "proto/plait/v1").glob("*.proto"))
FILES: Any = [one.DESCRIPTOR for one in (common_pb2, engine_pb2, runtime_pb2, agent_pb2)]


def test_what_is_generated_is_what_the_protos_say(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts/generate-proto"), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    made = {path.name: path.read_text() for path in tmp_path.iterdir()}
    kept = {
        path.name: path.read_text()
        for path in (ROOT / "src/plait/services/v1").iterdir()
        if path.name in made or ("_pb2" in path.name and path.is_file())
    }
    assert made == kept


@pytest.mark.parametrize("path", PROTOS, ids=lambda path: path.stem)
def test_every_call_and_service_says_what_it_is_for(path: Path) -> None:
    lines = path.read_text().splitlines()
    for before, line in itertools.pairwise(lines):
        if line.lstrip().startswith("rpc "):
            assert before.lstrip().startswith("//"), line
    assert lines[0].startswith("// ")


def test_names_are_as_protos_write_them() -> None:
    for file in FILES:
        for service in file.services_by_name.values():
            assert service.name.endswith("Service")
            for method in service.methods:
                assert re.fullmatch(r"([A-Z][a-z]+)+", method.name)
        for message in file.message_types_by_name.values():
            assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", f.name) for f in message.fields)


def test_numbers_of_fields_leave_no_gap() -> None:
    # A field that is removed has to be `reserved`; until then there is none to skip.
    for file in FILES:
        for message in file.message_types_by_name.values():
            numbers = sorted(field.number for field in message.fields)
            assert numbers == [*range(1, len(numbers) + 1)], message.name


def test_each_request_is_for_one_call_only() -> None:
    # So that one call can have a field more without another being touched.
    seen: dict[str, str] = {}
    for file in FILES:
        for service in file.services_by_name.values():
            for method in service.methods:
                name = method.input_type.name
                if name == "ExecuteRequest":  # the same order, told or streamed
                    continue
                assert seen.setdefault(name, method.name) == method.name
                assert name == f"{method.name}Request"


def test_every_method_has_a_name_in_the_servicer() -> None:
    assert METHODS["engine"]["run_plan"].path == "/plait.v1.EngineService/RunPlan"
    assert METHODS["agent"]["stream_workflow_generation"].is_stream
    assert sum(map(len, METHODS.values())) == 21
