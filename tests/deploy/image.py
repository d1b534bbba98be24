"""deploy/Dockerfile, built without a container engine.

Its instructions are run one by one in a folder that stands for the root of the image: each
COPY, each RUN with its paths moved below that folder. What only an engine can do is the
base image: here that is the machine, with a Python of it that everybody may run.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.tidy.tree import ROOT, paths

DEPLOY = ROOT / "deploy"
DOCKERFILE = DEPLOY / "Dockerfile"
# Folders that the image makes at its root.
_OWN = ("build", "plait", "data")
_PATH = re.compile(rf"(?<![\w./-])/({'|'.join(_OWN)})\b")
_UID = "10001"


@dataclass(frozen=True)
class Instruction:
    """One instruction: `COPY`, and what stands behind it."""

    word: str
    rest: str

    def words(self) -> list[str]:
        """Return what stands behind it, word by word; of a JSON list, its items."""
        if self.rest.startswith("["):
            found: list[str] = json.loads(self.rest)
            return found
        return shlex.split(self.rest)


def instructions(text: str) -> Iterator[Instruction]:
    """Yield the instructions of a Dockerfile."""
    lines = [line for line in text.split("\n") if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n", " ", "\n".join(lines)).split("\n"):
        if line.strip():
            word, _, rest = line.strip().partition(" ")
            yield Instruction(word.upper(), rest.strip())


def stages(text: str) -> list[list[Instruction]]:
    """Return the instructions of each stage, FROM first; what stands before is left out."""
    found: list[list[Instruction]] = []
    for one in instructions(text):
        if one.word == "FROM":
            found.append([])
        if found:
            found[-1].append(one)
    return found


def in_context(text: str) -> list[str]:
    """Return which files of the project a build is given.

    Args:
        text: That of .dockerignore: what is left out, and by `!` what is not, the last that
            fits counts.
    """
    return [path for path in paths() if is_given(path, text)]


def is_given(path: str, text: str) -> bool:
    """Tell whether a build is given a file, by the text of .dockerignore."""
    rules = [line for line in text.split("\n") if line and not line.startswith("#")]
    parts = path.split("/")
    beginnings = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    is_ignored = False
    for rule in rules:
        pattern = rule.removeprefix("!")
        shapes = [pattern, pattern.removeprefix("**/")]
        if any(fnmatch.fnmatch(one, shape) for one in beginnings for shape in shapes):
            is_ignored = not rule.startswith("!")
    return not is_ignored


def base_python() -> Path:
    """Return the Python of the base image: one that everybody may run, if there is one."""
    own = Path(sys.executable).resolve()
    return next(filter(_is_everybodys, (own, Path("/usr/bin/python3"))), own)


def _is_everybodys(path: Path) -> bool:
    folders = path.resolve().parents
    return path.exists() and all(one.stat().st_mode & 0o001 for one in folders)


@dataclass
class Image:
    """What was built.

    Attributes:
        root: The folder that stands for `/`.
        env: The variables that the image sets, their paths moved.
    """

    root: Path
    env: dict[str, str] = field(default_factory=dict)
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    user: str = ""
    folder: str = "/"

    def moved(self, text: str) -> str:
        """Return a text with the image's paths in it moved below its folder."""
        return _PATH.sub(lambda found: f"{self.root}/{found[1]}", text)

    def as_user(self) -> list[str]:
        """Return the words before a command that let it run as the image's user.

        None where that is not possible: only root can become somebody else, who then needs
        a Python that is not in root's own folder.
        """
        if os.geteuid() != 0 or not _is_everybodys(base_python()):
            return []
        return ["setpriv", f"--reuid={_UID}", f"--regid={_UID}", "--clear-groups"]

    def environment(self, **more: str) -> dict[str, str]:
        """Return the variables of a process in the image: nothing of this one's."""
        path = f"{self.env['PATH']}:{os.environ['PATH']}"
        return {**self.env, "PATH": path, "HOME": "/", "LANG": "C.UTF-8", **more}


def build(root: Path, text: str) -> Image:
    """Run the instructions of a Dockerfile.

    Args:
        root: An empty folder, to which everybody may go.

    Raises:
        subprocess.CalledProcessError: A step has failed.
    """
    context = in_context((ROOT / ".dockerignore").read_text())
    former: dict[str, Path] = {}
    image = Image(root)
    for number, stage in enumerate(stages(text)):
        if number:  # the next begins with nothing of it, at the same place
            kept = root.with_name(f"{root.name}.{number - 1}")
            root.rename(kept)
            former[stage_name(stages(text)[number - 1])] = kept
        root.mkdir(exist_ok=True)
        root.chmod(0o755)
        image = Image(root)
        for one in stage[1:]:
            _do(image, one, former, context)
    return image


def built(root: Path, text: str) -> Image:
    """Return what `build` has made in a folder, perhaps in another process."""
    image = Image(root)
    for one in stages(text)[-1][1:]:
        if one.word not in ("COPY", "RUN"):
            _do(image, one, {}, [])
    return image


def stage_name(stage: list[Instruction]) -> str:
    """Return the name after `AS`; empty: it has none."""
    return stage[0].rest.partition(" AS ")[2]


def _do(
    image: Image, one: Instruction, former: dict[str, Path], context: list[str]
) -> None:
    match one.word:
        case "WORKDIR":
            image.folder = one.rest
            Path(image.moved(one.rest)).mkdir(parents=True, exist_ok=True)
        case "ENV":
            for pair in one.words():
                name, _, value = pair.partition("=")
                image.env[name] = image.moved(value).replace(":$PATH", "")
        case "COPY":
            _copy(image, one.words(), former, context)
        case "RUN":
            _run(image, one.rest)
        case "USER":
            image.user = one.rest
        case "ENTRYPOINT":
            image.entrypoint = one.words()
        case "CMD":
            image.command = one.words()
        case "HEALTHCHECK":
            image.health = json.loads(one.rest.partition(" CMD ")[2])
        case "EXPOSE":
            pass
        case _:
            raise AssertionError(f"nobody knows here what {one.word} does")


def _run(image: Image, text: str) -> None:
    text = image.moved(text)
    if os.geteuid() != 0:  # who is not root can give nothing away
        text = text.replace(f"{_UID}:{_UID}", f"{os.geteuid()}:{os.getegid()}")
    folder = image.moved(image.folder)
    path = f"{_base_tools(image.root.parent / 'base')}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path}
    step = ["sh", "-ec", text]
    subprocess.run(step, check=True, cwd=folder, env=env, stdout=subprocess.PIPE)


def _base_tools(folder: Path) -> Path:
    """Make the `python` of the base image. Not every Python of a machine has pip: that is
    taken from where the tests run, and works on the environment that it is told."""
    folder.mkdir(exist_ok=True)
    tool = folder / "python"
    pip = f'[ "$2" = pip ] && exec {shlex.quote(sys.executable)} "$@"'
    tool.write_text(f'#!/bin/sh\n{pip}\nexec {base_python()} "$@"\n')
    tool.chmod(0o755)
    return folder


def _copy(
    image: Image, words: list[str], former: dict[str, Path], context: list[str]
) -> None:
    flags = [word for word in words if word.startswith("--")]
    *sources, target = [word for word in words if not word.startswith("--")]
    end = Path(image.moved(image.folder)) / image.moved(target)
    for flag in flags:
        origin = former[flag.removeprefix("--from=")]
        for source in sources:
            shutil.copytree(origin / source.lstrip("/"), end, symlinks=True)
        return
    for source in sources:
        if not (ROOT / source).is_dir():
            assert source in context, f"{source} is not in the context"
            end.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / source, end)
            continue
        for path in context:
            if path.startswith(f"{source}/"):
                place = end / path.removeprefix(f"{source}/")
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / path, place)
