"""Reading an irregular stream from its start, whatever its time stamps say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.audio.frames import Blocks, BlockSource, decoded, readable
from tagger.audio.pyav import open_container

if TYPE_CHECKING:
    import av.container
    from av.audio.frame import AudioFrame

LEAST = 44_100  # Hz; a stream that begins at a lower rate may go on at a higher one
STEP = 10.0  # s that are decoded at once on the way to a place


class SequentialSource(BlockSource):
    """Decodes everything in front of a window, and counts the decoded samples.

    MPEG-TS, and streams whose time stamps begin anew, jump, or are wrong since the rate changes.
    """

    is_stated = False

    def __init__(self, path: Path, length: int | None = None) -> None:
        super().__init__()
        self._path = path
        self._container = self._open()
        context = self._container.streams.audio[0].codec_context
        self.rate = max(int(context.sample_rate or 0), LEAST)
        self.channels = int(context.channels or 0)
        self._is_fresh = True
        self.length = self._decoded_length() if length is None else length

    def _open(self) -> av.container.InputContainer:
        return open_container(self._path)

    def _decoded_length(self) -> int:
        seconds = sum(frame.samples / frame.sample_rate for frame in self._all_frames())
        return round(seconds * self.rate)

    def _all_frames(self) -> Iterator[AudioFrame]:
        if not self._is_fresh:
            self._container.close()
            self._container = self._open()
        self._is_fresh = False
        stream = self._container.streams.audio[0]
        return decoded(stream.codec_context, readable(self._container.demux(stream)))

    def _begin(self, start: int) -> None:
        end = self._held_from + self._held.shape[1]
        if not 0 <= end <= start:
            self._blocks, end = Blocks(self._all_frames(), self.rate), 0
            self._held, self._held_from = self._held[:, :0], 0
        while end < start:
            if skipped := self._blocks.skip(start - end):
                end += skipped
                self._held, self._held_from = self._held[:, :0], end
            elif (block := self._blocks.take(round(STEP * self.rate))).size:
                self._held, self._held_from = block, end
                end += block.shape[1]
            else:
                break

    def close(self) -> None:
        """Close the file."""
        self._blocks = Blocks(iter(()), self.rate)
        self._container.close()
