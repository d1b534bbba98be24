"""What the figures are to reach: each target beside what a run reached of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.durable.peers import (
    DBOS,
    DBOS_POSTGRESQL,
    PLAIT,
    PLAIT_POSTGRESQL,
    RAW,
    RESTATE,
    RESTATE_ONE,
)

# By kind of load, then by title.
Medians = Mapping[str, Mapping[str, dict[str, Any]]]

W3N_64: Final = "w3n x 64"
W3_64: Final = "w3 x 64"
W3N_ALONE: Final = "w3n x 1"


@dataclass(frozen=True, slots=True)
class Target:
    """So many times the workflows per second of somebody else, at least.

    Attributes:
        times: What to reach; None: nobody asks, and yet it is worth knowing.
    """

    kind: str
    ours: str
    theirs: str
    times: float | None


TARGETS: Final = (
    Target(W3N_64, PLAIT.title, DBOS.title, 20),
    Target(W3N_64, PLAIT_POSTGRESQL.title, DBOS_POSTGRESQL.title, 10),
    Target(W3N_64, PLAIT.title, RESTATE.title, 5),
    Target(W3_64, PLAIT.title, RESTATE.title, 3),
    Target(W3N_64, PLAIT.title, RESTATE_ONE.title, None),
    Target(W3_64, PLAIT.title, RESTATE_ONE.title, None),
    Target(W3N_64, PLAIT.title, RAW, 0.25),
)
P50_ALONE_MS_MAX: Final = 3.0


def reached(medians: Medians) -> list[dict[str, Any]]:
    """Return what is asked and what was reached of it.

    Each has `what`, `asked`, `reached` (None: not measured) and `is_met`, which is None
    where nobody asks or nothing was measured.
    """
    return [*(_ratio(target, medians) for target in TARGETS), _alone(medians)]


def lines(found: list[dict[str, Any]]) -> str:
    """Return a line of text for each."""
    return "\n".join(
        f"{one['what']}: asked {one['asked']}, {_verdict(one)}" for one in found
    )


def _ratio(target: Target, medians: Medians) -> dict[str, Any]:
    ours, theirs = (
        medians.get(target.kind, {}).get(title, {}).get("per_s_median")
        for title in (target.ours, target.theirs)
    )
    times = ours / theirs if ours and theirs else None
    asked = target.times
    return {
        "what": f"{target.kind}: {target.ours} / {target.theirs}",
        "asked": "nothing" if asked is None else f">= {asked:g}",
        "reached": None if times is None else round(times, 3),
        "is_met": None if asked is None or times is None else times >= asked,
    }


def _alone(medians: Medians) -> dict[str, Any]:
    p50_ms = medians.get(W3N_ALONE, {}).get(PLAIT.title, {}).get("p50_ms_median")
    return {
        "what": f"{W3N_ALONE}: {PLAIT.title}, p50 ms",
        "asked": f"<= {P50_ALONE_MS_MAX:g}",
        "reached": p50_ms,
        "is_met": None if p50_ms is None else p50_ms <= P50_ALONE_MS_MAX,
    }


def _verdict(one: dict[str, Any]) -> str:
    if one["reached"] is None:
        return "not measured"
    verdict = {None: "", True: ": met", False: ": NOT met"}[one["is_met"]]
    return f"reached {one['reached']:g}{verdict}"
