"""The parts of a file that hold encoded audio, and no tag.

They are in the order of playback, and their bytes stay the same when a program changes tags, even
if that moves the audio, numbers Ogg pages anew, or adds chapters to an MP4.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MOST_STEPS = 50_000  # tags, boxes, chunks, pages or elements that are read of one file

Part = tuple[int, int]  # offsets of the first byte and of the byte after the last


@dataclass(slots=True)
class Audio:
    """The audio of a file, or its beginning."""

    parts: list[Part] = field(default_factory=list)
    length: bytes = b""  # as the container states it, where the parts are not all of the audio

    @property
    def size(self) -> int:
        """Bytes in the parts."""
        return sum(stop - start for start, stop in self.parts)
