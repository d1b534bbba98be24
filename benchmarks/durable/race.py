"""Measure all peers, round by round, and report medians and ratios.

Interleaved, like benchmarks.aggregate.race: every round takes one sample of each peer, each
in a process and a store of its own. The raw limit is measured right after Plait on SQLite,
with what that sample has written.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import Any, Final, TypeAlias
from unittest import SkipTest

from benchmarks.durable.peers import PEERS, PLAIT, RAW, Peer
from benchmarks.harness.peers import present
from benchmarks.harness.processes import (
    LOAD_CORE,
    ROOT,
    SERVER_CORE,
    BenchmarkFailed,
    free_ports,
    on_core,
    serving,
)
from benchmarks.harness.report import machine_line, table, write_results
from tests.conformance.journal import servers

WORKFLOWS: Final = ("w3n", "w3")
IN_FLIGHT: Final = (64, 1)
# What one sample may take beyond what it measures: imports, a schema, the last workflows.
EXTRA_S: Final = 60

Kind: TypeAlias = "tuple[str, int]"
Samples: TypeAlias = "dict[Kind, dict[str, list[dict[str, Any]]]]"


def run(options: argparse.Namespace) -> None:
    """Measure what can be measured on this machine; say what cannot, and why."""
    samples: Samples = defaultdict(lambda: defaultdict(list))
    with _surroundings(list(present(PEERS, options.peer))) as (peers, places):
        for number in range(options.rounds):
            for kind in [(name, count) for name in WORKFLOWS for count in IN_FLIGHT]:
                first = number % len(peers)
                for peer in [*peers[first:], *peers[:first]]:
                    _take(peer, kind, options.seconds, places, samples[kind])
    print(f"\n{machine_line()}\nmedians of {options.rounds}")
    figures = {
        f"{name} x {count}": _figures(samples[name, count]) for name, count in samples
    }
    for title, found in figures.items():
        print(f"\n{title} in flight\n{_table(found)}")
    settings = {"rounds": options.rounds, "seconds_per_sample": options.seconds}
    made_of = {peer.name: peer.made_of() for peer in peers}
    results = {"settings": settings, "versions": made_of, "figures": figures}
    print(f"\nwritten to {write_results('durable', results)}")


@contextmanager
def _surroundings(peers: list[Peer]) -> Iterator[tuple[list[Peer], dict[str, Any]]]:
    """Run what the peers need; yield those that can be measured, and where things are."""
    with ExitStack() as stack:
        (port,) = free_ports(1)
        command = [sys.executable, "-m", "benchmarks.durable.upstream", str(port)]
        stack.enter_context(serving("upstream", command, port=port, core=LOAD_CORE))
        places: dict[str, Any] = {"upstream": port}
        for name, private in (("postgresql", servers.postgres), ("redis", servers.redis)):
            if not any(peer.server == name for peer in peers):
                continue
            try:
                places[name] = stack.enter_context(private()).port
            except SkipTest as reason:
                print(f"no peer on {name} is measured: {reason}")
        yield [one for one in peers if one.server is None or one.server in places], places


def _take(
    peer: Peer,
    kind: Kind,
    seconds: int,
    places: dict[str, Any],
    samples: dict[str, list[dict[str, Any]]],
) -> None:
    """Take one sample of a peer, and of the raw limit if it is Plait on SQLite."""
    workflow, in_flight = kind
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        command = [*peer.command, "--workflow", workflow, "--in-flight", str(in_flight)]
        command += ["--seconds", str(seconds), "--folder", folder]
        command += ["--upstream", str(places["upstream"])]
        if peer.server is not None:
            command += ["--database", _url(peer, places[peer.server])]
        figures = _process(command, seconds)
        _note(peer.title, kind, figures, samples)
        if peer is PLAIT:
            raw = [sys.executable, "-m", "benchmarks.durable.raw_peer", folder]
            raw += [str(seconds), json.dumps(figures)]
            _note(RAW, kind, _process(raw, seconds), samples)


def _url(peer: Peer, port: int) -> str:
    if peer.server == "redis":
        return f"redis://:{servers.PASSWORD}@127.0.0.1:{port}"
    driver = "+psycopg" if peer.module == "dbos_peer" else ""
    return f"postgresql{driver}://postgres:{servers.PASSWORD}@127.0.0.1:{port}/postgres"


def _process(command: list[str], seconds: int) -> dict[str, Any]:
    done = subprocess.run(
        on_core(command, SERVER_CORE),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=seconds + EXTRA_S,
        check=False,
    )
    if done.returncode:
        raise BenchmarkFailed(f"{' '.join(command)}:\n{done.stderr[-2000:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _note(
    title: str,
    kind: Kind,
    figures: dict[str, Any],
    samples: dict[str, list[dict[str, Any]]],
) -> None:
    samples[title].append(figures)
    print(f"{kind[0]:3} x {kind[1]:2}  {title:22} {figures['per_s']:9,.1f} workflows/s")


def _figures(samples: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    medians = {
        title: median(one["per_s"] for one in every) for title, every in samples.items()
    }
    ours = medians.get(PLAIT.title)
    return {
        title: {
            "per_s": [round(one["per_s"], 1) for one in every],
            "per_s_median": round(medians[title], 1),
            "p50_ms_median": _median_ms(every),
            "plait_sqlite_is_times": _ratio(ours, medians[title]),
        }
        for title, every in samples.items()
    }


def _ratio(ours: float | None, theirs: float) -> float | None:
    return round(ours / theirs, 2) if ours is not None and theirs else None


def _median_ms(samples: list[dict[str, Any]]) -> float | None:
    known = [one["p50_ms"] for one in samples if one["p50_ms"] is not None]
    return round(median(known), 2) if known else None


def _table(figures: dict[str, dict[str, Any]]) -> str:
    headings = ["peer", "workflows/s", "lowest", "highest", "p50 ms", "Plait is times"]
    lines = [
        [
            title,
            f"{one['per_s_median']:,.1f}",
            f"{min(one['per_s']):,.1f}",
            f"{max(one['per_s']):,.1f}",
            _text(one["p50_ms_median"]),
            _text(one["plait_sqlite_is_times"]),
        ]
        for title, one in figures.items()
    ]
    return table(headings, lines)


def _text(figure: float | None) -> str:
    return "?" if figure is None else f"{figure:,.2f}"
