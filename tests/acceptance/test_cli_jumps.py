"""The jumps of `examples/jumps`, run as a user runs them; and explained, and drawn."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import in_turn, reply
from tests.acceptance.cli import ROOT, plait

REVIEW = ROOT / "examples" / "jumps" / "review.yaml"
MODES = pytest.mark.parametrize("mode", [(), ("--durable",)], ids=["express", "durable"])


@MODES
async def test_a_text_is_revised_until_the_editor_accepts_it(
    mode: tuple[str, ...], tmp_path: Path
) -> None:
    async with Upstream() as service:
        service.on("/drafts", reply(json={"text": "one"}))
        refused = reply(json={"accepted": False, "wish": "shorter"})
        accepted = reply(json={"accepted": True})
        service.on("/reviews", in_turn(refused, refused, accepted))
        service.on(
            "/revisions",
            in_turn(reply(json={"text": "two"}), reply(json={"text": "three"})),
        )
        service.on("/texts", reply(201, json={"id": 7}))
        hosts = ("writer", "editor", "press")
        where = [one for h in hosts for one in ("--resolve", f"{h}={service.address}")]
        given = '{"topic": "tea"}'
        done = await plait("run", REVIEW, *where, "--input", given, *mode, cwd=tmp_path)
        assert orjson.loads(done.out) == {"published": 7, "text": "three"}, done.err
        targets = [request.target for request in service.requests]
        rounds = ["/reviews", "/revisions"] * 2
        assert targets == ["/drafts", *rounds, "/reviews", "/texts"]
        keys = [one.headers["idempotency-key"] for one in service.requests]
        ends = [key.partition("/")[2] for key in keys]
        assert ends[1:6] == ["review", "revision", "review#2", "revision#2", "review#3"]


async def test_jumps_are_explained_and_drawn() -> None:
    done = await plait("explain", REVIEW)
    assert "goes on with newest, which begins 5 times at most" in done.out
    assert "begins again, or at once, when once_more jumps to it" in done.out
    # A review may be made five times, and so may a revision; a draft and a text once.
    assert done.out.rstrip().splitlines()[-1].endswith("; 12 calls")
    done = await plait("graph", REVIEW)
    assert "n5 -. goto .-> n1" in done.out
    done = await plait("graph", REVIEW, "--format", "json")
    jumps = [one for one in orjson.loads(done.out)["edges"] if one["kind"] == "goto"]
    assert [(one["from"], one["to"]) for one in jumps] == [
        ("once_more", "newest"),
        ("accepted", "publish"),
    ]
    done = await plait("graph", REVIEW, "--format", "dot")
    assert 'label="goto"' in done.out
    done = await plait("graph", REVIEW, "--format", "svg")
    assert "to newest, 5 visits at most" in done.out
