"""Run a Python program that ends when its parent does.

    python tether.py SCRIPT [ARGUMENTS…]
    python tether.py -m MODULE [ARGUMENTS…]

The parent holds the other end of standard input. When it closes, even because the parent
was killed and could not tidy up, the program gets SIGTERM.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from pathlib import Path

STDIN = 0


def end_with_parent() -> None:
    """Send this process SIGTERM once standard input is at its end."""
    threading.Thread(target=wait_for_end, name="tether", daemon=True).start()


def wait_for_end() -> None:
    """Read until nothing can come any more, then end the process."""
    # Not sys.stdin: its lock, held here, would abort the interpreter's own ending.
    while os.read(STDIN, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Become the program named on the command line."""
    arguments = sys.argv[1:]
    end_with_parent()
    if arguments[0] == "-m":
        # The module must not find this directory's files under their short names.
        sys.path.remove(str(Path(__file__).resolve().parent))
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main()
