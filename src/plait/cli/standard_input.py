"""What commands take from standard input: all of it, or one secret."""

from __future__ import annotations

import sys

import typer

from plait.cli.output import is_terminal, stop


def standard_input(bytes_max: int | None = None) -> bytes:
    """Return what standard input holds, to its end.

    Ends with EXIT_INVALID when it cannot be read, or holds more than `bytes_max`.
    """
    if sys.stdin is None:
        stop("standard input cannot be read: it is closed")
    try:
        data = sys.stdin.buffer.read(-1 if bytes_max is None else bytes_max + 1)
    except OSError as error:
        stop(f"standard input cannot be read: {error.strerror}")
    if bytes_max is not None and len(data) > bytes_max:
        stop(f"standard input holds more than {bytes_max:,} bytes")
    return data


def read_secret(name: str, *, bytes_max: int, is_new: bool = False) -> str:
    """Return what a person types unseen, or what standard input holds.

    Ends with EXIT_INVALID when that cannot be read, is too long or not UTF-8.

    Args:
        name: What is asked for: `password`.
        is_new: Whether it is chosen here: a person types it twice.
    """
    if is_terminal(sys.stdin):
        prompt = name.replace("_", " ").capitalize()
        # On standard error: what the command yields may go to a file.
        given: str = typer.prompt(
            prompt, hide_input=True, confirmation_prompt=is_new, err=True
        )
        return given
    try:
        return without_line_end(standard_input(bytes_max).decode())
    except UnicodeDecodeError:
        stop(f"the {name} is not UTF-8")


def without_line_end(text: str) -> str:
    r"""Return a secret without the line end that editors and `echo` put behind it.

    >>> without_line_end("s3cret\r\n"), without_line_end("s3cret \n\n")
    ('s3cret', 's3cret \n')
    """
    return text.removesuffix("\n").removesuffix("\r")
