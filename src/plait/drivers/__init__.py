"""Drivers: the loop around the kernel. They differ in what they record, not in outcome."""
