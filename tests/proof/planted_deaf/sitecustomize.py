"""A bug planted in a real gateway: each delivery of a webhook is a message of its own.

Python imports this before anything else in a process that finds it on its path.
"""

from __future__ import annotations

import secrets

from plait.operations import webhooks
from plait.plan import Webhook


def _another(webhook: Webhook, message_id: str) -> str:
    return f"webhook {webhook.path} {message_id} {secrets.token_hex(8)}"


webhooks._idempotency_key = _another
