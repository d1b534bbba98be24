"""Patterns, each as a document that runs, against small services that it ships.

make patterns                       lists them
make patterns NAME=order_saga       starts, asks, shows, stops
"""

import sys
from pathlib import Path

# The shop's pictures and child processes serve here too, under the names they have there.
sys.path.append(str(Path(__file__).resolve().parents[1] / "shop"))
