"""Measurements: what the README and the decision notes quote. Run by `make bench`."""
