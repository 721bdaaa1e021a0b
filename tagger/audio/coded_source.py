"""Decodes a coded stream that is stored as PCM, in any container."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.audio.coded import Code, find_code
from tagger.audio.decoders import SoundfileSource, Source, open_av
from tagger.audio.sequential import SequentialSource
from tagger.audio.virtual import VirtualFile
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


class Words(VirtualFile):
    """The samples of a source as a file of words of 16 bits."""

    def __init__(self, source: Source, code: Code) -> None:
        self._source = source
        self._dtype = "<i2" if code.order == "little" else ">i2"
        self._frame = min(source.channels, 2) * 2  # bytes
        super().__init__(source.length * self._frame)

    def read_at(self, at: int, count: int) -> bytes:
        """The words as bytes."""
        first, skip = divmod(at, self._frame)
        samples = self._source.read(first, -(-(skip + count) // self._frame))
        return (samples.T * 32_768).astype(self._dtype).tobytes()[skip : skip + count]


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
