"""`plait init`: a commented workflow to start from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import typer

from plait.cli.output import stop, write

STARTER: Final = "starter.yaml"
FILE_NAME: Final = "hello.yaml"
_ENDINGS: Final = (".yaml", ".yml")


def command(
    target: Annotated[
        str,
        typer.Argument(
            metavar="[DIR|FILE]", help="A new file, or the directory for hello.yaml."
        ),
    ] = ".",
) -> None:
    """Write a commented workflow to start from.

    It runs as it stands and calls nothing. A file that is there already is never
    overwritten.

    Examples:

    - `plait init`

    - `plait init workflows/profile.yaml`
    """
    path = Path(target)
    if path.is_dir() or not path.suffix:
        path = path / FILE_NAME
    if path.suffix.lower() not in _ENDINGS:
        stop(f"{path}: the starter is YAML; name a file that ends in .yaml")
    _write_new(path, starter_text())
    write(
        f"wrote {path}; now try:\n"
        f"  plait validate {path}\n"
        f"""  plait run {path} --input '{{"name": "Ada"}}'\n"""
        f"  plait serve {path}\n"
    )


def starter_text() -> str:
    """Return the starter."""
    return files("plait.cli").joinpath(STARTER).read_text("utf-8")


def _write_new(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        stop(f"{path.parent}: is no directory, nor can it be one: {error.strerror}")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        stop(f"{path}: is there already; name another file")
    except OSError as error:
        stop(f"{path}: cannot be written: {error.strerror}")
