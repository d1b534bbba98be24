"""The proof of the promise: `python -m tests.proof` prints the scorecard of reliability.

Each row is a module with a `run` that takes how much of it to do. `make test` does a little
of every row (tests/proof/test_rows.py), `make prove` all of it.
"""
