"""The commands that look at documents without running them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import orjson
import pytest

from tests.acceptance.cli import ROOT, plait

PROFILE = ROOT / "examples" / "shop" / "workflows" / "profile.yaml"
GOOD = "name: good\nsteps: [{id: a, type: set, value: 1}]\n"
BAD = """\
name: bad
steps:
  - {id: a, type: sett, value: 1}
  - {id: b, type: set, valu: 1}
"""
NEVER = "{id: a, type: set, value: 1, depends_on: [r]}"
WARNED = f"name: warned\nsteps: [{{id: r, type: return}}, {NEVER}]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in (("good", GOOD), ("bad", BAD), ("warned", WARNED)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


async def test_validate_tells_every_finding_of_every_file(folder: Path) -> None:
    done = await plait("validate", ".", "missing.yaml", cwd=folder)
    assert done.code == 2
    assert done.out.splitlines() == [
        "bad.yaml:3:19: D104 unknown step type 'sett' (did you mean 'set'?)",
        "bad.yaml:4:5: D102 missing key 'value'",
        "bad.yaml:4:24: D101 unknown key 'valu' (did you mean 'value'?)",
        "warned.yaml:2:32: warning P009 step 'a' never runs: the workflow ends before it "
        "(give the step that ends it a condition)",
        "missing.yaml:1:1: F001 cannot be read: No such file or directory",
    ]
    assert done.err == "4 documents: 1 fine, 1 with warnings, 2 with errors\n"


async def test_validate_warns_of_what_an_endpoint_asks_for_in_vain(tmp_path: Path) -> None:
    endpoint = "{method: POST, path: /a, cache: 5s, headers: {Connection: x, X-A: y}}"
    (tmp_path / "a.yaml").write_text(f"endpoint: {endpoint}\nmode: express\n{GOOD}")
    done = await plait("validate", "a.yaml", cwd=tmp_path)
    assert done.code == 0
    assert done.out.splitlines() == [
        "a.yaml:1:11: warning G004 'Connection' is set by the gateway itself; "
        "it is not sent",
        "a.yaml:1:11: warning G006 'cache' has no effect: a POST may change something "
        "(leave it out, or use GET)",
    ]
    assert (await plait("validate", "a.yaml", "--strict", cwd=tmp_path)).code == 2


async def test_validate_refuses_a_path_of_a_tenant(tmp_path: Path) -> None:
    for path in ("/~acme/login", "/%7Eacme/login"):
        endpoint = f'{{path: "{path}"}}'
        (tmp_path / "a.yaml").write_text(f"endpoint: {endpoint}\nmode: express\n{GOOD}")
        done = await plait("validate", "a.yaml", cwd=tmp_path)
        assert (done.code, done.err) == (2, "1 document: 0 fine, 1 with errors\n")
        assert done.out.startswith(f"a.yaml:1:11: G003 GET {path} belongs to a tenant")


async def test_validate_passes_warnings_unless_strict(folder: Path) -> None:
    assert (await plait("validate", "good.yaml", cwd=folder)).code == 0
    assert (await plait("validate", "warned.yaml", cwd=folder)).code == 0
    assert (await plait("validate", "warned.yaml", "--strict", cwd=folder)).code == 2


async def test_validate_prints_json_for_programs(folder: Path) -> None:
    done = await plait("validate", "bad.yaml", "--json", cwd=folder)
    assert done.code == 2
    first = orjson.loads(done.out)[0]
    assert first == {
        "file": "bad.yaml",
        "line": 3,
        "column": 19,
        "end_line": 3,
        "end_column": 23,
        "severity": "error",
        "code": "D104",
        "message": "unknown step type 'sett'",
        "hint": "did you mean 'set'?",
    }


async def test_graph_prints_each_format() -> None:
    found = {
        name: (await plait("graph", PROFILE, "--format", name)).out
        for name in ("mermaid", "dot", "svg", "json")
    }
    assert "flowchart" in found["mermaid"]
    assert found["dot"].startswith('digraph "profile" {')
    assert ET.fromstring(found["svg"]).tag.endswith("svg")
    graph = orjson.loads(found["json"])
    assert [(edge["from"], edge["to"]) for edge in graph["edges"]] == [("user", "rewards")]
    assert (await plait("graph", PROFILE)).out == found["mermaid"]


async def test_graph_explains_which_formats_there_are() -> None:
    done = await plait("graph", PROFILE, "--format", "png")
    assert done.code == 2
    assert "mermaid" in done.err


async def test_explain_tells_waits_waves_and_the_worst_case() -> None:
    done = await plait("explain", PROFILE)
    assert done.code == 0
    assert "waits for user: reads user.response.vip in condition" in done.out
    assert "  1  user, orders, invoices\n  2  rewards\n" in done.out
    assert "Worst case: 1.6s; 8 calls" in done.out
    as_json = orjson.loads((await plait("explain", PROFILE, "--json")).out)
    assert (as_json["worst_case_ms"], as_json["calls_max"]) == (1_600, 8)
    assert as_json["slowest_path"] == ["user", "rewards"]


@pytest.mark.parametrize("command", ["graph", "explain"])
async def test_a_broken_document_is_neither_drawn_nor_explained(
    folder: Path, command: str
) -> None:
    done = await plait(command, "bad.yaml", cwd=folder)
    assert (done.code, done.out) == (2, "")
    assert len(done.lines) == 3


async def test_schema_prints_the_published_file() -> None:
    done = await plait("schema")
    assert done.code == 0
    assert done.out == (ROOT / "schema" / "workflow.schema.json").read_text("utf-8")


async def test_init_writes_a_workflow_that_validates_and_runs(tmp_path: Path) -> None:
    done = await plait("init", cwd=tmp_path)
    assert done.code == 0
    assert "plait run hello.yaml" in done.out
    assert (await plait("validate", "hello.yaml", "--strict", cwd=tmp_path)).code == 0
    run = await plait("run", "hello.yaml", "-i", '{"name": "Ada"}', cwd=tmp_path)
    assert orjson.loads(run.out) == {"text": "Hello, Ada!", "letters": 3}
    loud = '{"name": "Ada", "loud": true}'
    run = await plait("run", "hello.yaml", "-i", loud, cwd=tmp_path)
    assert orjson.loads(run.out) == {"text": "HELLO, ADA!", "letters": 3}


async def test_init_makes_directories_and_overwrites_nothing(tmp_path: Path) -> None:
    assert (await plait("init", "new/folder/", cwd=tmp_path)).code == 0
    assert (await plait("init", "own.yaml", cwd=tmp_path)).code == 0
    for name, said in (
        ("own.json", "own.json: the starter is YAML; name a file that ends in .yaml\n"),
        ("own.yaml/x.yaml", "own.yaml: is no directory, nor can it be one: File exists\n"),
    ):
        done = await plait("init", name, cwd=tmp_path)
        assert (done.code, done.err) == (2, said)
    (tmp_path / "own.yaml").write_text("mine")
    done = await plait("init", "own.yaml", cwd=tmp_path)
    assert (done.code, done.err) == (2, "own.yaml: is there already; name another file\n")
    assert (tmp_path / "own.yaml").read_text() == "mine"
    assert (tmp_path / "new" / "folder" / "hello.yaml").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["good.yaml", "--host", ""], "--host: write an address; "),
        (["good.yaml", "warned.yaml"], "no `endpoint` in good.yaml, warned.yaml; for"),
        (["bad.yaml"], "nothing to serve: no document here is valid\n"),
    ],
)
async def test_serve_tells_why_it_serves_nothing(
    folder: Path, arguments: list[str], said: str
) -> None:
    done = await plait("serve", *arguments, cwd=folder)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


async def test_version_and_help_are_printed() -> None:
    assert (await plait("--version")).out.startswith("plait 0.")
    done = await plait("--help")
    assert done.code == 0
    for name in ("run", "serve", "validate", "explain", "graph", "init", "schema"):
        assert f" {name} " in done.out
    nothing = await plait()
    assert nothing.code == 2


async def test_an_unknown_command_is_told_with_the_nearest_one() -> None:
    done = await plait("valdiate", "x.yaml")
    assert done.code == 2
    assert "Did you mean 'validate'" in done.err
