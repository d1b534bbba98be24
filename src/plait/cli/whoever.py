"""Who uses the command line, as logs and histories tell it."""

from __future__ import annotations

import getpass


def whoever() -> str:
    """Return `cli:ann`; `cli` where the system knows no name."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in containers
        return "cli"
    # A variable says it, whose bytes may be no text; what is kept has to be.
    return f"cli:{name.encode('utf-8', 'replace').decode()}"
