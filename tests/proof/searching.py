"""Looks for secrets in what was written and said, however they are written there."""

from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Heard:
    """All that was written and said.

    Attributes:
        pieces: Where, and what.
        failed: What could not be taken in, in words.
    """

    pieces: list[tuple[str, bytes]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def note(self, where: str, said: bytes | str) -> None:
        """Take something in."""
        self.pieces.append((where, said.encode() if isinstance(said, str) else said))

    def note_files(self, folder: Path) -> None:
        """Take in every file in `folder`, and its name."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                # Servers reserve what they may write; nothing stands there.
                written = path.read_bytes().rstrip(b"\0")
                self.note(path.name, path.name.encode() + b"\n" + written)

    def size(self) -> int:
        """Return how many bytes were taken in."""
        return sum(len(said) for _, said in self.pieces)

    def hits(self, canaries: Mapping[str, str]) -> Iterator[str]:
        """Yield what was found: which canary, and where.

        Args:
            canaries: By name, the part of each that nobody could guess.
        """
        forms = {name: [*forms_of(core)] for name, core in canaries.items()}
        for where, said in self.pieces:
            for name, wanted in forms.items():
                found = next((one for one in wanted if one in said), None)
                if found is not None:
                    at = said.index(found)
                    around = said[max(at - 60, 0) : at + 20].decode(errors="replace")
                    yield f"{name} stands in {where}: …{around!r}"


def forms_of(core: str) -> Iterable[bytes]:
    """Yield how a secret may be written. `core` is letters and digits: so URLs, JSON and
    HTML write it as it is.

    >>> forms = [*forms_of("c4n4ry")]
    >>> b"c4n4ry" in forms, b"63346e347279" in forms
    (True, True)
    """
    data = core.encode()
    yield data
    yield data.upper()
    yield data[::-1]
    yield data.hex().encode()
    yield data.hex().upper().encode()
    for before in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            made = encode(bytes(before) + data)
            # The first and the last group hold bits of what stands beside it.
            yield made[4 if before else 0 : -4]
