"""The command line: `python -m benchmarks [NAME…]`; without a name, all of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Final

from benchmarks import compile, fan_out, kernel, memory
from benchmarks.aggregate import race
from benchmarks.aggregate.peers import PEERS
from benchmarks.control import race as control_race
from benchmarks.durable import peers as durable_peers
from benchmarks.durable import race as durable_race
from benchmarks.durable import restart, scale
from benchmarks.harness.processes import BenchmarkFailed
from benchmarks.resilience import limiters
from benchmarks.resilience import race as resilience_race

BENCHMARKS: Final[dict[str, Callable[[argparse.Namespace], None]]] = {
    "aggregate": race.run,
    "durable": durable_race.run,
    "durable-scale": scale.run,
    "durable-restart": restart.run,
    "control": control_race.run,
    "limiters": limiters.run,
    "kernel": kernel.run,
    "fan-out": fan_out.run,
    "compile": compile.run,
    "memory": memory.run,
    "resilience": resilience_race.run,
}


def main() -> int:
    """Run the named benchmarks; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("name", nargs="*", help=", ".join(BENCHMARKS), default=[])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4, help="per sample")
    names = [peer.name for peer in (*PEERS, *durable_peers.PEERS)]
    parser.add_argument("--peer", nargs="*", choices=names, default=[], help="only these")
    options = parser.parse_args()
    unknown = [name for name in options.name if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark is called {unknown[0]}: {', '.join(BENCHMARKS)}")
    try:
        for name in options.name or BENCHMARKS:
            print(f"== {name} ==")
            BENCHMARKS[name](options)
    except BenchmarkFailed as error:
        print(f"benchmark failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
