"""Durable executions beside other ways to have them, and beside what the disk can do.

W3 makes three HTTP calls one after the other, each with the result of the one before, and
each result is durable before the next begins. W3n is the same with steps that do nothing.
"""
