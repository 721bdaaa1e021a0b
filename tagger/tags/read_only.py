"""Tags that are read through FFmpeg's libraries and never written: of Matroska, CAF, bare AAC ...

A write has to show that nothing else changed; of these, no library here keeps everything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tagger.audio.pyav import open_container
from tagger.errors import AudioError
from tagger.types import TagInfo

if TYPE_CHECKING:
    import av.container

KINDS = {
    "matroska,webm": "Matroska and WebM", "caf": "CAF", "au": "AU", "w64": "Wave64", "aac": "AAC",
    "ac3": "AC-3", "eac3": "E-AC-3", "dts": "DTS",
}  # fmt: skip
# A container that holds the same audio, and whose tags are written.
CONTAINERS = {
    "aac": ".m4a", "alac": ".m4a", "ac3": ".m4a", "eac3": ".m4a", "flac": ".flac", "mp3": ".mp3",
    "mp2": ".mp2", "opus": ".opus", "vorbis": ".ogg", "wavpack": ".wv", "tta": ".tta",
}  # fmt: skip


def read_shown(path: Path) -> TagInfo | None:
    """What FFmpeg shows of a file's tags; None if it finds no sound in it."""
    with _sound(path) as container:
        if container is None:
            return None
        parts = (container.streams.audio[0].metadata, container.metadata)
        texts = {key.lower(): text.strip() for part in parts for key, text in part.items()}
    return TagInfo(
        genres=(texts["genre"],) if texts.get("genre") else (),
        album=texts.get("album", ""),
        album_artist=texts.get("album_artist") or texts.get("albumartist", ""),
        artist=texts.get("artist", ""),
    )


def why_not_written(path: Path) -> str:
    """Why the genre of a file that is not one of `formats.FAMILIES` is not written."""
    with _sound(path) as container:
        if container is None:
            return "not recognised: the file is empty, damaged, or not a sound file"
        kind = container.format.name
        codec = container.streams.audio[0].codec_context.name
    if kind == "wav":  # `formats` knows the others of this name
        return (
            "tags of RF64 and BW64 files are read but not written; if it is below 4 GB, convert it "
            "to have it tagged: ffmpeg -i OLD -c copy NEW.wav"
        )
    if kind not in KINDS:
        return f"its suffix does not match its content, {kind}; rename it to have it tagged"
    new = CONTAINERS.get(codec.removesuffix("float"), "")  # of MP3 there are two
    if codec.startswith("pcm_"):
        new = ".aiff" if codec.endswith(("be", "s8")) else ".wav"
    way = f"; convert it to have it tagged: ffmpeg -i OLD -c copy NEW{new}" if new else ""
    return f"tags of {KINDS[kind]} files are read but not written{way}"


def is_read_only(path: Path) -> bool:
    """Whether it is a sound file of one of these kinds, whatever its suffix."""
    with _sound(path) as container:
        return container is not None and container.format.name in KINDS


@contextmanager
def _sound(path: Path) -> Iterator[av.container.InputContainer | None]:
    """The file as FFmpeg opens it; None if there is no sound that it could decode."""
    import av

    container = None
    with suppress(AudioError, OSError, av.error.FFmpegError, ValueError):
        container = open_container(path)
    if container is None:
        yield None
        return
    with closing(container):
        # FFmpeg takes any file with the suffix of DTS for that, but then finds no rate.
        yield container if container.streams.audio[0].rate else None
