"""Words that every room shares: JSON values, durations, places, diagnostics, failures.

Rule. Nothing here imports another room of Plait, a clock, dice, or a client library.
"""
