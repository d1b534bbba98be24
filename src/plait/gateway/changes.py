"""Changes: what `--reload` watches, and goes on watching when folders come and go.

Rule 1. A folder is watched with all below it. A file is watched through its folder, because
        saving may put a new file in its place; without the folders below that: they may be
        a whole disk.
Rule 2. The system watches a folder, not its name: one that is removed, moved or exchanged
        takes the watch with it. So each folder's own name is watched from above, and what
        is missing from the nearest folder that is there; then watching begins anew.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import watchfiles

from plait.model.record import record

# Editors write a file in several steps; what changes within this is one change.
_SETTLE_MS: Final = 50

_Found: TypeAlias = "set[tuple[watchfiles.Change, str]]"


@record
class _Scene:
    """What there is to watch at a moment.

    Attributes:
        folders: Watched with all below.
        above: Watched without the folders below, for `names` alone.
        moving: Names of watched folders: when one changes, its watch may be lost.
    """

    folders: frozenset[Path]
    above: frozenset[Path]
    names: frozenset[str]
    moving: frozenset[str]


def _scene(paths: Sequence[Path]) -> _Scene:
    folders = frozenset(path for path in paths if os.path.isdir(path))
    there = [_nearest(path) for path in paths]
    above = frozenset(path.parent for path in there)
    moving = frozenset(path.name for path in (*folders, *above))
    names = frozenset(path.name for path in there) | moving
    return _Scene(folders, above, names, moving)


def _nearest(path: Path) -> Path:
    """Return `path`, or what of it is missing first: its parent is there."""
    while not os.path.isdir(path.parent) and path != path.parent:
        path = path.parent
    return path


class Changes:
    """Tells when something changes at `paths`. Watches from `begin` on."""

    def __init__(self, paths: Sequence[Path]) -> None:
        # Once: the process's own folder may go as well.
        self._paths = [Path(os.path.abspath(path)) for path in paths]
        self._scene = _scene(())
        self._sources: list[AsyncIterator[_Found]] = []
        self._following: list[asyncio.Future[_Found]] = []

    @property
    def watched(self) -> frozenset[Path]:
        """The folders that are watched with all below."""
        return self._scene.folders

    async def begin(self) -> None:
        """Watch what is there now, instead of what was there before."""
        while True:
            await self.close()
            self._scene = scene = _scene(self._paths)
            self._sources = [_below(scene)] if scene.folders else []
            self._sources.append(_beside(scene))
            self._following = [_next_of(source) for source in self._sources]
            # One turn of the loop, and it watches; what changed before that, nobody saw.
            await asyncio.sleep(0)
            if _scene(self._paths) == scene:
                return

    async def wait(self) -> set[str]:
        """Return after the next change: the paths that changed."""
        changed: set[str] = set()
        is_lost = False
        await asyncio.wait(self._following, return_when=asyncio.FIRST_COMPLETED)
        for index, future in enumerate(self._following):
            if future.done():
                try:
                    changed.update(path for _, path in future.result())
                except FileNotFoundError:  # a folder went before it could be watched
                    is_lost = True
                else:
                    self._following[index] = _next_of(self._sources[index])
        names = {Path(path).name for path in changed}
        is_lost = is_lost or not names.isdisjoint(self._scene.moving)
        if is_lost or _scene(self._paths) != self._scene:
            await self.begin()
        return changed

    async def close(self) -> None:
        """Watch no more."""
        for future in self._following:
            future.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)


def _below(scene: _Scene) -> AsyncIterator[_Found]:
    return watchfiles.awatch(*scene.folders, step=_SETTLE_MS)


def _beside(scene: _Scene) -> AsyncIterator[_Found]:
    return watchfiles.awatch(
        *scene.above,
        step=_SETTLE_MS,
        recursive=False,
        # A link may lead to a folder that is exchanged as a whole.
        watch_filter=lambda _, path: (
            Path(path).name in scene.names or Path(path).is_symlink()
        ),
    )


def _next_of(source: AsyncIterator[_Found]) -> asyncio.Future[_Found]:
    return asyncio.ensure_future(anext(source))
