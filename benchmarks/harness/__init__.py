"""What all benchmarks share: processes, load, figures. Nothing here knows Plait."""
