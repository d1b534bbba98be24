"""A hedged call, run as a user runs it; and what is told of it afterwards."""

from __future__ import annotations

from pathlib import Path

import orjson

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import in_turn, raw_then_hang, reply
from tests.acceptance.cli import plait

DOCUMENT = """
name: price
steps:
  - id: price
    type: http
    request: {url: http://prices/api/prices/7}
    hedge: {after: 50ms}
"""


async def test_a_durable_execution_records_the_answer_and_who_gave_it(
    tmp_path: Path,
) -> None:
    file = tmp_path / "price.yaml"
    file.write_text(DOCUMENT)
    async with Upstream(in_turn(raw_then_hang(), reply(json={"cents": 5}))) as service:
        where = ("--resolve", f"prices={service.address}")
        done = await plait("run", file, *where, "--durable", cwd=tmp_path)
        assert orjson.loads(done.out) == {"price": {"cents": 5}}, done.err
        assert len(service.requests) == 2
    listed = await plait("executions", "list", "--json", cwd=tmp_path)
    execution_id = orjson.loads(listed.out)[0]["id"]
    shown = await plait("executions", "show", execution_id, cwd=tmp_path)
    assert "2 calls, call 2 answered" in shown.out + shown.err
    explained = await plait("explain", file)
    assert "2 calls" in explained.out
