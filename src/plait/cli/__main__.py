"""`python -m plait.cli`."""

from plait.cli.app import main

main()
