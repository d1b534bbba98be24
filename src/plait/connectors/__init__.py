"""Connectors: one folder per kind of step that calls the world.

Rule 1. Everything that leaves goes through `egress`: one set of rules for all kinds.
Rule 2. A connector implements `plait.ports.calls.Calls` for its kind, and says what it
accepts in one pydantic model, from which validation, schema and reference page come.
Rule 3. A failure never carries what was sent: no request header, query or body.

Not here: retries, breakers and caches (plait.resilience), which connector serves which
step (plait.assembly).
"""
