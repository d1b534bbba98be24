"""Stores: where histories are kept. All keep plait.testing.journal_suite."""
