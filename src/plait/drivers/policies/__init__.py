"""Policies around calls: what stands between a driver and the connectors.

The kernel decides on fallbacks, time limits and retries; what is inside one attempt is
here, around the port of calls: circuit breaker, rate limit, bulkhead, and the budget that
retries are paid from. docs/patterns/README.md has the order.
"""

from plait.drivers.policies.cached import Answers
from plait.drivers.policies.calls import PolicedCalls
from plait.drivers.policies.once import Onces
from plait.drivers.policies.shared import Shared

__all__ = ["Answers", "Onces", "PolicedCalls", "Shared"]
