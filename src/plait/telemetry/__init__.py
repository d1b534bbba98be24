"""Telemetry: what the platform tells of itself. Logs, traces, metrics, errors.

Rule 1. Whoever is told nothing pays nothing: what is not configured is neither imported nor
        asked.
Rule 2. What cannot be told delays nobody: it is dropped, and counted.
Rule 3. No secret leaves by this way either: lines, spans and errors are masked last.

Not here: which of it there is (plait.assembly.telemetry), what happens (the drivers tell it
through plait.ports.observer).
"""
