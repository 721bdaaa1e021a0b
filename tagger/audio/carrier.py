"""The audio of a coded stream that is stored as PCM, in any container."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tagger.audio.coded import Code, find_code
from tagger.audio.decoders import SoundfileSource, Source, open_av
from tagger.audio.sequential import SequentialSource
from tagger.errors import AudioError, NotPcm

if TYPE_CHECKING:
    import av.container

PROBED = "64000000"  # bytes that FFmpeg looks at: the stream may begin behind silence
PIECE = 10.0  # s that are read at once in search of the code
LOOKS = 24


class CodedSource(SequentialSource):
    """Decodes the stream in the PCM samples of a DTS CD, or of a recording of SPDIF."""

    def __init__(self, path: Path, length: int | None = None) -> None:
        self._carrier = _open_pcm(path)
        try:
            self._code = _search(self._carrier)
            super().__init__(path, length)
        except Exception:
            self._carrier.close()
            raise

    def _open(self) -> av.container.InputContainer:
        import av

        av.logging.set_level(av.logging.PANIC)
        words = io.BufferedReader(Words(self._carrier, self._code))
        options = {"probesize": PROBED}
        container = av.open(words, format=self._code.demuxer, options=options)
        container.streams.audio[0].codec_context.thread_count = 1
        return container

    def close(self) -> None:
        """Close the file."""
        super().close()
        self._carrier.close()


class Words(io.RawIOBase):
    """The samples of a source as a file of words of 16 bits."""

    def __init__(self, source: Source, code: Code) -> None:
        self._source, self._at = source, 0
        self._dtype = "<i2" if code.order == "little" else ">i2"
        self._frame = min(source.channels, 2) * 2  # bytes

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As in any file."""
        size = self._source.length * self._frame
        self._at = max(0, offset + (0, self._at, size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        """As many bytes as there are."""
        first, skip = divmod(self._at, self._frame)
        count = min(-(-(skip + len(buffer)) // self._frame), max(0, self._source.length - first))
        samples = self._source.read(first, count) if count else np.zeros((1, 0))
        data = (samples.T * 32_768).astype(self._dtype).tobytes()[skip : skip + len(buffer)]
        memoryview(buffer).cast("B")[: len(data)] = data
        self._at += len(data)
        return len(data)


def _open_pcm(path: Path) -> Source:
    try:
        return SoundfileSource(path)
    except Exception:
        return open_av(path)


def _search(source: Source) -> Code:
    """The code of the first piece that has one, of pieces all over the track."""
    size = round(PIECE * source.rate)
    room = max(0, source.length - size)
    for start in dict.fromkeys(room * number // LOOKS for number in range(LOOKS + 1)):
        if code := find_code(source.read(start, size)):
            if not code.demuxer:
                raise NotPcm(f"{code.name} in more than 16 bits")
            return code
    raise AudioError("no coded stream in it")
