"""The policies of a process, as its settings say: its own, or shared through Redis."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import partial

from plait.assembly.plugins import made
from plait.assembly.settings import Settings
from plait.drivers.closing import close_all
from plait.drivers.policies import Answers, Onces, PolicedCalls, Shared
from plait.drivers.policies.calls import UpstreamOf
from plait.drivers.policies.resting import BackedStore, RestingStore
from plait.ports.calls import Calls
from plait.ports.plugins import CACHES
from plait.resilience.cache import Store


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
    brought = _brought(settings, secrets or {})
    if own.redis is None:
        answers = Answers(brought, bytes_max=own.cache_bytes_max)
        on_close = None if brought is None else brought.aclose
        return PolicedCalls(calls, upstream_of, Shared(), answers, Onces(), on_close)
    # Imported when it is asked for: the client takes a tenth of a second.
    room = importlib.import_module("plait.drivers.policies.redis")
    redis = room.SharedThroughRedis(own.redis, secrets or {}, own.redis_timeout / 1000)
    shared = Shared(kinds=redis.kinds)
    answers, onces = redis.answers, redis.onces
    if brought is None:
        return PolicedCalls(calls, upstream_of, shared, answers, onces, redis.close)
    close = partial(close_all, brought.aclose, redis.close)
    return PolicedCalls(calls, upstream_of, shared, Answers(brought), onces, close)


def _brought(settings: Settings, secrets: Mapping[str, str]) -> Store | None:
    """Return where another package keeps answers; None: the settings name none."""
    name = settings.resilience.cache
    if name is None:
        return None
    asked = CACHES, name, "resilience.cache"
    _, backend = made(*asked, settings.caches, secrets)
    return RestingStore(BackedStore(backend, secrets))
