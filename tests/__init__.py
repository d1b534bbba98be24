"""The tests of Plait, in layers.

unit: mirrors src/plait, one room per folder.
conformance: one suite per port, run by every implementation of it.
simulation: seeded runs on a virtual clock, with faults.
acceptance: the documents of examples/ through the real gateway, on real sockets.
tidy: the house rules.
"""
