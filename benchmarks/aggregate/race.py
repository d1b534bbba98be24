"""Measure all peers, round by round, and report medians and ratios.

Interleaved: every round measures each peer once, so that whatever else the machine does
falls on all of them. The order turns with the rounds, so nobody is always the first.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.aggregate import data
from benchmarks.aggregate.check import check_replies
from benchmarks.aggregate.nginx import missing_nginx, upstream_command
from benchmarks.aggregate.peers import AIOHTTP, PEERS, PLAIT, Peer
from benchmarks.harness.load import CONNECTIONS, Sample, Target, measure, missing_tool
from benchmarks.harness.peers import present
from benchmarks.harness.processes import LOAD_CORE, SERVER_CORE, free_ports, serving
from benchmarks.harness.report import machine_line, table, write_results

WARM_UP_S: Final = 2
NOTE: Final = """
CPU µs: the server's processor time per reply.
load: how busy the core of wrk and the upstream was; near 100 % it is they who limit."""
PATH: Final = f"/profiles/{data.VIP_ID}"


def run(options: argparse.Namespace) -> None:
    """Measure what can be measured on this machine; say what cannot, and why."""
    missing = [tool for tool in (missing_tool(), missing_nginx()) if tool]
    if missing:
        print(f"not measured: {' and '.join(missing)} must be installed first")
        return
    peers = list(present(PEERS, options.peer))
    with _running(peers) as targets:
        samples = _samples(peers, targets, options.rounds, options.seconds)
    figures = [_figures(peer, samples[peer.name]) for peer in peers]
    ratios = _ratios(figures)
    print(f"\n{machine_line()}")
    print(f"{CONNECTIONS} keep-alive connections, medians of {options.rounds}\n")
    print(_table(figures))
    for text, ratio in ratios.items():
        print(f"{text}: {ratio:.2f}")
    settings = {
        "rounds": options.rounds,
        "seconds_per_sample": options.seconds,
        "connections": CONNECTIONS,
        "calls_per_request": 3,
    }
    results = {"settings": settings, "peers": figures, "ratios": ratios}
    print(f"\nwritten to {write_results('aggregate', results)}")


@contextmanager
def _running(peers: Sequence[Peer]) -> Iterator[dict[str, Target]]:
    """Run the upstream and all peers, each checked; yield the peers' places by name."""
    upstream_ports = free_ports(3)
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        command = upstream_command(home, upstream_ports)
        upstream = serving("upstream", command, port=upstream_ports[0], core=LOAD_CORE)
        stack.enter_context(upstream)
        targets: dict[str, Target] = {}
        for peer, port in zip(peers, free_ports(len(peers)), strict=True):
            own = home / peer.name
            own.mkdir()
            command = peer.command(own, port, upstream_ports)
            server = serving(peer.title, command, port=port, core=SERVER_CORE)
            pid = stack.enter_context(server)
            check_replies(peer.title, port)
            targets[peer.name] = Target(f"http://127.0.0.1:{port}{PATH}", pid)
        yield targets


def _samples(
    peers: Sequence[Peer], targets: dict[str, Target], rounds: int, seconds: int
) -> dict[str, list[Sample]]:
    for peer in peers:
        measure(targets[peer.name], WARM_UP_S)
    samples: dict[str, list[Sample]] = {peer.name: [] for peer in peers}
    for number in range(rounds):
        first = number % len(peers)
        for peer in [*peers[first:], *peers[:first]]:
            sample = measure(targets[peer.name], seconds)
            samples[peer.name].append(sample)
            print(f"round {number + 1}  {peer.title:28} {sample.per_s:8,.0f} req/s")
    return samples


def _figures(peer: Peer, samples: Sequence[Sample]) -> dict[str, Any]:
    return {
        "name": peer.name,
        "title": peer.title,
        "versions": peer.made_of(),
        "per_s": [round(sample.per_s, 1) for sample in samples],
        "per_s_median": round(median(sample.per_s for sample in samples), 1),
        "p50_ms_median": round(median(sample.p50_ms for sample in samples), 2),
        "p99_ms_median": round(median(sample.p99_ms for sample in samples), 2),
        "errors": sum(sample.errors for sample in samples),
        "cpu_us_median": _median_known(sample.cpu_us for sample in samples),
        "load_core_share_median": _median_known(s.load_core_share for s in samples),
    }


def _median_known(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known), 2) if known else None


def _ratios(figures: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return how many times as fast Plait is as each other peer; or the yardstick is."""
    medians = {figure["name"]: figure["per_s_median"] for figure in figures}
    base = PLAIT.name if PLAIT.name in medians else AIOHTTP.name
    if base not in medians:
        return {}
    return {
        f"{base} / {name}": round(medians[base] / per_s, 3)
        for name, per_s in medians.items()
        if name != base and per_s
    }


def _table(figures: Sequence[dict[str, Any]]) -> str:
    headings = ["peer", "req/s", "lowest", "highest", "p50 ms", "p99 ms", "errors"]
    headings += ["CPU µs", "load"]
    lines = []
    for figure in figures:
        cpu_us, share = figure["cpu_us_median"], figure["load_core_share_median"]
        lines.append(
            [
                figure["title"],
                f"{figure['per_s_median']:,.0f}",
                f"{min(figure['per_s']):,.0f}",
                f"{max(figure['per_s']):,.0f}",
                f"{figure['p50_ms_median']:.1f}",
                f"{figure['p99_ms_median']:.1f}",
                str(figure["errors"]),
                "?" if cpu_us is None else f"{cpu_us:,.0f}",
                "?" if share is None else f"{share:.0%}",
            ]
        )
    return f"{table(headings, lines)}\n{NOTE}\n"
