"""The policies of a process, as its settings say: its own, or shared through Redis."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from plait.assembly.settings import Settings
from plait.drivers.policies import Answers, PolicedCalls, Shared
from plait.drivers.policies.calls import UpstreamOf
from plait.ports.calls import Calls


def policed(
    settings: Settings,
    calls: Calls,
    upstream_of: UpstreamOf,
    secrets: Mapping[str, str] | None = None,
) -> PolicedCalls:
    """Return what makes calls under their policies, which it holds.

    Args:
        secrets: What is masked in what is shared with other processes.
    """
    own = settings.resilience
    if own.redis is None:
        answers = Answers(bytes_max=own.cache_bytes_max)
        return PolicedCalls(calls, upstream_of, Shared(), answers)
    # Imported when it is asked for: the client takes a tenth of a second.
    room = importlib.import_module("plait.drivers.policies.redis")
    redis = room.SharedThroughRedis(own.redis, secrets or {})
    shared = Shared(kinds=redis.kinds)
    return PolicedCalls(calls, upstream_of, shared, redis.answers, redis.close)
