"""Patterns, each as a document that runs, against small services that it ships.

python -m examples.patterns                 lists them
python -m examples.patterns order_saga      starts, asks, shows, stops
"""

import sys
from pathlib import Path

# The shop's pictures and child processes serve here too, under the names they have there.
sys.path.append(str(Path(__file__).resolve().parents[1] / "shop"))
