"""Words of the language that this version does not run yet.

They are refused by name, never ignored: a workflow whose `triggers` were silently skipped
would do harm.
"""

from __future__ import annotations

from typing import Final

STEP_TYPES: Final = frozenset(
    "grpc graphql sql file email notify publish llm transform validate".split()
)
STEP_KEYS: Final[frozenset[str]] = frozenset()
DOCUMENT_KEYS: Final[frozenset[str]] = frozenset()
ENDPOINT_KEYS: Final = frozenset("prefer_async".split())
VALUES: Final[dict[str, tuple[str, ...]]] = {}
WORDS: Final = STEP_KEYS | DOCUMENT_KEYS | ENDPOINT_KEYS
