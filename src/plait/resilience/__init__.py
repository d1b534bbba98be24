"""Policies around calls, usable alone: nothing here knows of workflows.

Each policy is one object, shared by whoever shares the limit, with two faces: a
synchronous core that admits and settles (`plait.drivers` uses it without a task per call),
and a coroutine `call(function, *args, **kwargs)`, which is a decorator as well.
"""
