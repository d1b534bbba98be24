"""Scripts on the server: each does one job whole, and many go there in one pipeline.

Redis runs a script with nobody in between, and writes all of it to its file or, after a
crash, none. The jobs of a pipeline share one wait for the disk, and one refused leaves the
others alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any, Final, TypeAlias

from redis import exceptions

from plait.model.record import record
from plait.ports.journal import HoldLost, LostRace, UnknownExecution
from plait.stores.batches import Batches
from plait.stores.redis.server import Server, fault
from plait.stores.unstorable import Unstorable

_REFUSALS: Final = {
    "lost": LostRace,
    "unknown": UnknownExecution,
    "hold": HoldLost,
}

Argument: TypeAlias = str | bytes | int


@record
class Job:
    """One run of a script.

    Attributes:
        script: Its name.
        execution_id: What it is about, for the error that it may refuse with.
    """

    script: str
    execution_id: str
    arguments: Sequence[bytes]


class Scripts:
    """Runs jobs, those that come together in one pipeline."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._texts = _texts()
        self._digests = {
            name: hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
            for name, text in self._texts.items()
        }
        self._batches: Batches[Job, Any] = Batches(self._run, _bytes_of)

    async def run(self, script: str, execution_id: str, *arguments: Argument) -> Any:
        """Run a script; return its answer once that is on the disk.

        Raises:
            LostRace, HoldLost, UnknownExecution: The script refused, and wrote nothing.
            Unstorable: A text of the arguments is none.
            StoreUnavailable: Whether it has run is unknown.
        """
        encoded = [_encoded(argument) for argument in arguments]
        return await self._batches.submit(Job(script, execution_id, encoded))

    async def close(self) -> None:
        """Finish what was asked for."""
        await self._batches.close()

    async def _run(self, jobs: list[Job]) -> list[Any | Exception]:
        with self._server.errors():
            answers = await self._sent(jobs)
            # A server that was started anew knows no scripts, and so has run none.
            unknown = [
                index
                for index, answer in enumerate(answers)
                if isinstance(answer, exceptions.NoScriptError)
            ]
            if unknown:
                await self._load({jobs[index].script for index in unknown})
                again = await self._sent([jobs[index] for index in unknown])
                for index, answer in zip(unknown, again, strict=True):
                    answers[index] = answer
        return [self._outcome(*pair) for pair in zip(jobs, answers, strict=True)]

    async def _sent(self, jobs: list[Job]) -> list[Any]:
        pipeline = self._server.client.pipeline(transaction=False)
        for job in jobs:
            digest = self._digests[job.script]
            pipeline.execute_command("EVALSHA", digest, 0, *job.arguments)
        return list(await pipeline.execute(raise_on_error=False))

    async def _load(self, names: set[str]) -> None:
        for name in sorted(names):
            await self._server.client.script_load(self._texts[name])

    def _outcome(self, job: Job, answer: Any) -> Any | Exception:
        if not isinstance(answer, Exception):
            return answer
        name, _, about = str(answer).removeprefix("PLAIT ").partition(" ")
        refusal = _REFUSALS.get(name)
        if refusal is not None:
            return refusal(about or job.execution_id)
        return fault(self._server.place, answer)


def _bytes_of(job: Job) -> int:
    return sum(map(len, job.arguments))


def _encoded(argument: Argument) -> bytes:
    """Encode here, where it is one job's fault and not a pipeline's."""
    if isinstance(argument, bytes):
        return argument
    try:
        return str(argument).encode()
    except UnicodeEncodeError as error:
        raise Unstorable("Redis") from error


def _texts() -> dict[str, str]:
    """Return the scripts by name, each whole."""
    folder = resources.files(__package__) / "scripts"
    files = {
        file.name.removesuffix(".lua"): file.read_text("utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".lua")
    }
    common = files.pop("common")
    return {name: f"{common}\n{text}" for name, text in files.items()}
