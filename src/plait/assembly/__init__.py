"""Settings → everything wired together. The only room that knows all the others.

Rule. Nothing is found by accident: connectors, limits and addresses come from here, by
name. `compose` is the place to read how Plait fits together.
"""
