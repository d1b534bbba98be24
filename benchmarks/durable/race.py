"""Measure all peers, round by round, and report medians and ratios.

Interleaved, like benchmarks.aggregate.race: every round takes one sample of each peer, each
in a process of its own, with a new file or a new Restate; PostgreSQL and Redis stay. The
raw limit is measured right after Plait on SQLite, with what that sample has written.
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
from pathlib import Path
from statistics import median
from typing import Any, Final, TypeAlias
from unittest import SkipTest

from benchmarks.durable import targets
from benchmarks.durable.peers import PEERS, PLAIT, RAW, Peer
from benchmarks.durable.restate_server import restate
from benchmarks.harness.peers import chosen, not_here
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
# Ports, by the name of what listens there.
Places: TypeAlias = "dict[str, int]"
Samples: TypeAlias = "dict[Kind, dict[str, list[dict[str, Any]]]]"


def run(options: argparse.Namespace) -> None:
    """Measure what can be measured on this machine; say what cannot, and why."""
    samples: Samples = defaultdict(lambda: defaultdict(list))
    with _surroundings(chosen(PEERS, options.peer)) as (peers, places, absent):
        for number in range(options.rounds if peers else 0):
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
    asked = targets.reached(figures)
    print("", *absent, targets.lines(asked), sep="\n")
    results = {
        "settings": {"rounds": options.rounds, "seconds_per_sample": options.seconds},
        "versions": {peer.name: peer.made_of() for peer in peers},
        "not_here": absent,
        "figures": figures,
        "targets": asked,
    }
    print(f"\nwritten to {write_results('durable', results)}")


@contextmanager
def _surroundings(wanted: list[Peer]) -> Iterator[tuple[list[Peer], Places, list[str]]]:
    """Run what the peers need.

    Yields:
        The peers that can be measured, where things are, and a line for each that cannot.
    """
    absent = {peer.name: peer.missing() for peer in wanted}
    with ExitStack() as stack:
        (port,) = free_ports(1)
        command = [sys.executable, "-m", "benchmarks.durable.upstream", str(port)]
        stack.enter_context(serving("upstream", command, port=port, core=LOAD_CORE))
        places: Places = {"upstream": port}
        for name, private in (("postgresql", servers.postgres), ("redis", servers.redis)):
            on_it = [peer for peer in wanted if peer.server == name]
            if not on_it:
                continue
            try:
                places[name] = stack.enter_context(private()).port
            except SkipTest:
                absent.update({peer.name: name for peer in on_it})
        lines = [
            not_here(peer.title, why)
            for peer in wanted
            if (why := absent[peer.name]) is not None
        ]
        print(*lines, sep="\n", end="\n" if lines else "")
        yield [peer for peer in wanted if absent[peer.name] is None], places, lines


def _take(
    peer: Peer,
    kind: Kind,
    seconds: int,
    places: Places,
    samples: dict[str, list[dict[str, Any]]],
) -> None:
    """Take one sample of a peer, and of the raw limit if it is Plait on SQLite."""
    workflow, in_flight = kind
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        command = [*peer.command, "--workflow", workflow, "--in-flight", str(in_flight)]
        command += ["--seconds", str(seconds), "--folder", folder]
        command += ["--upstream", str(places["upstream"])]
        core = SERVER_CORE
        if peer.server == "restate":
            # Its process only makes the load: what is measured runs beside.
            core = LOAD_CORE
            beside = restate(Path(folder), places["upstream"], peer.partitions)
            command += ["--database", stack.enter_context(beside)]
        elif peer.server is not None:
            command += ["--database", _url(peer, places[peer.server])]
        figures = _process(command, seconds, core)
        _note(peer.title, kind, figures, samples)
        if peer is PLAIT:
            raw = [sys.executable, "-m", "benchmarks.durable.raw_peer", folder]
            raw += [str(seconds), json.dumps(figures)]
            _note(RAW, kind, _process(raw, seconds, core), samples)


def _url(peer: Peer, port: int) -> str:
    if peer.server == "redis":
        return f"redis://:{servers.PASSWORD}@127.0.0.1:{port}"
    driver = "+psycopg" if peer.module == "dbos_peer" else ""
    return f"postgresql{driver}://postgres:{servers.PASSWORD}@127.0.0.1:{port}/postgres"


def _process(command: list[str], seconds: int, core: int) -> dict[str, Any]:
    done = subprocess.run(
        on_core(command, core),
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
