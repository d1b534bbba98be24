"""The command line. `plait.cli.app` lists the commands; each is a module of its own.

Rule 1. What a command yields goes to standard output, what it says about it to standard
        error.
Rule 2. Exit codes: 0 done; 1 the execution failed, or its output could not be written;
        2 a document, an input, a setting or an argument is invalid; 130 stopped by Ctrl-C.
Rule 3. A mistake of the user's is told in one line that names it, never by a traceback.
"""

from plait.cli.app import main

__all__ = ["main"]
